//! The whole server in one thread, from a seed, over a faulty disk and clock.
