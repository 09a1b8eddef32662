//! The built program, asked over its sockets.

mod server;

mod archives;
mod bench;
mod browsers;
mod descriptors;
mod health;
mod logging;
mod memory;
mod output;
mod panics;
mod peek;
