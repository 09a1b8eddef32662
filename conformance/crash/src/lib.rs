//! What the crash suites share: the server as a process, a client of it, chance, the command line, and the progress
//! that is shown.

pub mod http;
pub mod options;
pub mod progress;
pub mod random;
pub mod server;
