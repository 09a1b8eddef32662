//! Errors of a log, with texts that tell an operator what to do.

use std::fmt;
use std::io;

/// A log cannot be opened or read.
#[derive(Debug)]
pub enum Error {
    /// An operation of the storage failed.
    Io {
        /// The file.
        file: String,
        /// The operation, such as `writing`.
        doing: &'static str,
        /// The storage's error.
        error: io::Error,
    },
    /// Durable data is missing or damaged.
    Damaged(Damage),
    /// Valid frames follow a damaged or unfinished one. They may have been acknowledged: they were written with durability
    /// `os`, where frames do not prove durability.
    Doubtful(Damage, Beyond),
    /// The directory was written by a newer version of this program.
    Newer {
        /// The file with the newer version.
        file: String,
        /// The version of the file's format.
        version: u64,
    },
}

/// Where a log is damaged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Description of the damage.
    pub what: String,
    /// The consequence for a start.
    pub effect: Effect,
}

/// The consequence of damage for a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The log cannot be opened.
    Refused,
    /// The log can be opened; reading the record fails.
    Unreadable,
    /// Opening the log rebuilds the file.
    Rebuilt,
}

/// The valid frames behind a place without a valid frame.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Beyond {
    /// Number of frames.
    pub frames: u64,
    /// Number of records in them.
    pub records: u64,
    /// Length of the frames, in bytes.
    pub bytes: u64,
    /// Whether one of them was written with durability `os` and may have been acknowledged.
    pub doubtful: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, offset {}: {}", self.file, self.offset, self.what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { file, doing, error } => write!(f, "{doing} {file}: {error}"),
            Error::Damaged(damage) => write!(
                f,
                "the log is damaged. {damage}. These bytes were on disk and acknowledged, so the server does not skip them, \
                 and has changed nothing. `posthaste check DIR` lists all damage. Restore the file from a copy, or run \
                 `posthaste repair DIR`, which sets the damaged bytes aside; their content is then lost"
            ),
            Error::Doubtful(damage, beyond) => write!(
                f,
                "{damage}. {} valid frames with {} records, {} bytes, follow. They were written with durability `os` and \
                 may have been acknowledged, so the server does not drop them, and has changed nothing. Run \
                 `posthaste repair DIR`, which keeps them and sets the damaged bytes aside",
                beyond.frames, beyond.records, beyond.bytes
            ),
            Error::Newer { file, version } => write!(
                f,
                "{file} has version {version} of the format, which this program does not support: use the newer program that \
                 wrote the file"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { error, .. } => Some(error),
            Error::Damaged(_) | Error::Doubtful(..) | Error::Newer { .. } => None,
        }
    }
}

/// Adds the operation and the file to an error.
pub trait Doing<T> {
    /// Returns the error with the operation, such as `writing`, and the file's description.
    fn doing(self, doing: &'static str, file: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, file: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::Io { file: file(), doing, error })
    }
}

/// Adds the operation and the file to the text of an [`io::Error`] and keeps its kind.
pub fn named<T>(result: io::Result<T>, doing: &str, file: impl FnOnce() -> String) -> io::Result<T> {
    result.map_err(|error| {
        let kind = error.kind();
        io::Error::new(kind, format!("{doing} {}: {error}", file()))
    })
}
