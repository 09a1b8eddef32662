//! The journal from outside: whole logs, crashes, threads.

mod crashes;
mod faulty;
mod log;
mod pipeline;
