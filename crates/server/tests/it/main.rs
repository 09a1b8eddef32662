//! The built program, asked over its sockets.

mod server;

mod browsers;
