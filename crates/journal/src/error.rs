//! What can be wrong with a log, in words for the person who must do something about it.

use std::fmt;
use std::io;

/// A log could not be opened or read.
#[derive(Debug)]
pub enum Error {
    /// The storage refused an operation.
    Io {
        /// The file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// The answer.
        error: io::Error,
    },
    /// What was durable is not there any more, or not as it was written.
    Damaged(Damage),
    /// Behind something that is damaged or was never finished lie sound frames of which nothing says whether they were
    /// acknowledged.
    Doubtful(Damage, Beyond),
    /// The directory was written by a newer version of this program.
    Newer {
        /// The file that says so.
        file: String,
        /// The version of its format.
        version: u64,
    },
}

/// Where a log is damaged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Bytes from its beginning.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// What follows from it.
    pub effect: Effect,
}

/// What follows from damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The log is not opened.
    Refused,
    /// The log is opened; who reads the record is told.
    Unreadable,
    /// The file is made again when the log is opened.
    Rebuilt,
}

/// The sound frames behind a place where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Beyond {
    /// How many there are.
    pub frames: u64,
    /// How many records are in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Whether one of them was written where an answer does not wait for the disk.
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
                "the log is damaged. {damage}. This was on disk and acknowledged, so it is not skipped, and nothing \
                 was changed. `posthaste check DIR` lists all damage of a data directory. Put back the file from a copy; \
                 or let `posthaste repair DIR` set the damaged bytes aside, and go on without what was in them"
            ),
            Error::Doubtful(damage, beyond) => write!(
                f,
                "{damage}. Behind it lie {} sound frames with {} records, {} bytes, which were written with durability \
                 `os`: nothing says whether they were acknowledged, so they are not thrown away, and nothing was changed. \
                 `posthaste repair DIR` keeps them and sets aside the bytes that are damaged",
                beyond.frames, beyond.records, beyond.bytes
            ),
            Error::Newer { file, version } => write!(
                f,
                "{file} has version {version} of the format, and this program knows none above {}: use the newer \
                 program that wrote it",
                crate::format::VERSION
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

/// Says in which operation on which file an error arose.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str, file: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, file: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::Io { file: file(), doing, error })
    }
}

/// The same, for those who report an [`io::Error`]: its text then names the file, its kind stays.
pub(crate) fn named<T>(result: io::Result<T>, doing: &str, file: impl FnOnce() -> String) -> io::Result<T> {
    result.map_err(|error| {
        let kind = error.kind();
        io::Error::new(kind, format!("{doing} {}: {error}", file()))
    })
}
