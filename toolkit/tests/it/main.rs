//! Each pattern against a running server, and at its worst moment.

mod common;
mod consumer;
mod publisher;
