//! Writes to standard output and standard error without a panic where they cannot be written.
//!
//! `println!` and `eprintln!` panic if the output cannot be written: a reader has closed the pipe, or the file is on a full disk.

use std::fmt::Arguments;
use std::io::{self, Error, ErrorKind, Write};

/// Writes `text` to standard output and flushes it; [`outln!`] is for lines.
///
/// The text is dropped if the reader has closed the pipe, as `head` does: the command goes on, and its exit code is the usual one.
///
/// # Errors
///
/// Standard output cannot be written for another reason, such as a full disk. The error's text names standard output.
pub fn out(text: Arguments<'_>) -> io::Result<()> {
    unless_closed(write_whole(&mut io::stdout().lock(), text))
}

/// Writes `text` to standard error; [`errln!`] is for lines. The text is dropped if standard error cannot be written.
pub fn err(text: Arguments<'_>) {
    let _ = write_whole(&mut io::stderr().lock(), text);
}

/// Writes a line to standard output; see [`out`].
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => { $crate::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes a line to standard error; see [`err()`].
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes `text` in one piece: standard error has no buffer, and other processes may write between two pieces.
fn write_whole(stream: &mut impl Write, text: Arguments<'_>) -> io::Result<()> {
    stream.write_all(text.to_string().as_bytes())?;
    stream.flush()
}

fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(error.kind(), format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps each write apart; its flush fails.
    struct Stream(Vec<String>, Option<ErrorKind>);

    impl Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.1.map_or(Ok(()), |kind| Err(kind.into()))
        }
    }

    #[test]
    fn a_text_is_written_in_one_piece() {
        let mut stream = Stream(Vec::new(), None);
        write_whole(&mut stream, format_args!("{} and {}\n", 1, 2)).unwrap();
        assert_eq!(stream.0, ["1 and 2\n"]);
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        let written = |kind| unless_closed(write_whole(&mut Stream(Vec::new(), kind), format_args!("text")));
        assert!(written(None).is_ok());
        assert!(written(Some(ErrorKind::BrokenPipe)).is_ok());
        let full = written(Some(ErrorKind::StorageFull)).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        assert!(full.to_string().starts_with("cannot write to standard output: "), "{full}");
    }

    #[test]
    fn the_macros_take_what_format_takes() {
        let count = 2;
        outln!("{count} lines{}", "").unwrap();
        errln!("{count} lines{}", "");
    }
}
