//! Tests of the journal's public interface: whole logs, crashes, threads.

mod crashes;
mod fixtures;
mod frames;
mod log;
mod pipeline;
