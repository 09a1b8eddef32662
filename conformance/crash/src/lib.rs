//! What the crash suites share: the server as a process, a client of it, a full disk, chance, the command line, limits on
//! waiting, the trials of a run, and the progress that is shown.

pub mod ballast;
pub mod http;
pub mod options;
pub mod patience;
pub mod progress;
pub mod random;
pub mod server;
pub mod trials;
