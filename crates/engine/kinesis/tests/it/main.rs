//! Streams as their clients see them, over a log and a store that a test can crash.

mod consumers;
mod model;
mod reading;
mod resharding;
mod streams;
mod world;
