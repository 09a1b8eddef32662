//! What the crash suites share: the server as a process, a client of it, chance, the command line, limits on
//! waiting, and the progress that is shown.

pub mod http;
pub mod options;
pub mod patience;
pub mod progress;
pub mod random;
pub mod server;
