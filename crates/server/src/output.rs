//! What the program prints: the output of its commands, and a server's log on standard error.
//!
//! `println!` and `eprintln!` panic if the output cannot be written. A server that logs to a file on the full disk would stop, or not
//! start.

use std::fmt::Arguments;
use std::io::{Error, ErrorKind, Result, Write, stderr, stdout};

/// Prints a line on standard output.
///
/// The line is dropped if the reader has closed the pipe, as `head` does: the command goes on, and its exit code is the usual one.
///
/// Errors: standard output cannot be written for another reason, such as a full disk.
pub fn line(text: Arguments<'_>) -> Result<()> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(error.kind(), format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a line on standard output; see [`line()`].
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// Prints a line on standard error. The line is dropped if standard error cannot be written: a server must go on without it.
pub fn error_line(text: Arguments<'_>) {
    let _ = writeln!(stderr().lock(), "posthaste: {text}");
}

/// Prints a line on standard error, after the program's name; see [`error_line`].
macro_rules! log {
    ($($text:tt)*) => { $crate::output::error_line(format_args!($($text)*)) };
}
pub(crate) use log;
