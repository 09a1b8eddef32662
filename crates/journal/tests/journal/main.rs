//! The journal from outside: whole logs, crashes, threads.

mod crashes;
mod faulty;
mod fixtures;
mod frames;
mod log;
mod pipeline;
