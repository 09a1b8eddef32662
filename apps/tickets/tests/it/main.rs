//! The shop as a program: its days, its dead letters, its death.
