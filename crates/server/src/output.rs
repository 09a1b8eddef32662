//! What the program prints on standard output.

use std::fmt::Arguments;
use std::io::{Error, ErrorKind, Result, Write, stdout};

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

/// Prints a line on standard output; see [`line`].
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;
