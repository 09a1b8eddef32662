//! The journal from outside: whole logs, crashes, threads.

mod crashes;
mod fixtures;
mod frames;
mod log;
mod pipeline;
