//! Why a measurement failed, or cannot be trusted.

use std::{fmt, io, path::PathBuf};

/// Why a measurement failed, or cannot be trusted.
#[derive(Debug)]
pub enum Error {
    /// Two arguments contradict each other, or one is out of range.
    Arguments(String),
    /// The endpoint cannot be reached, or no longer answers.
    Unreachable {
        /// `host:port`
        endpoint: String,
        /// The system's error.
        cause: io::Error,
    },
    /// A call that prepares the measurement failed.
    Refused {
        /// The API operation.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer's body.
        body: String,
    },
    /// The benchmark's HTTP receiver got no request to confirm its subscription, or the confirmation failed.
    Unconfirmed,
    /// The event loop failed, for instance because no file descriptors were left.
    System(io::Error),
    /// The results cannot be written.
    Output {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The table could not be printed; the cause names standard output.
    Print(io::Error),
    /// The measurement ran, but checks failed: the server did not behave correctly, so the numbers are not
    /// valid.
    Failed {
        /// Number of failed checks.
        failures: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Arguments(text) => write!(out, "{text}"),
            Error::Unreachable { endpoint, cause } => write!(out, "{endpoint} does not answer: {cause}"),
            Error::Refused { operation, status, body } => {
                write!(out, "{operation} was answered with {status}: {body}")
            }
            Error::Unconfirmed => {
                write!(
                    out,
                    "the subscription of the benchmark's HTTP receiver was not confirmed within ten seconds"
                )
            }
            Error::System(cause) => write!(out, "the client's event loop failed: {cause}"),
            Error::Output { path, cause } => write!(out, "cannot write {}: {cause}", path.display()),
            Error::Print(cause) => write!(out, "{cause}"),
            Error::Failed { failures: 1 } => write!(out, "a check failed; do not trust the numbers"),
            Error::Failed { failures } => write!(out, "{failures} checks failed; do not trust the numbers"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Unreachable { cause, .. }
            | Error::System(cause)
            | Error::Output { cause, .. }
            | Error::Print(cause) => Some(cause),
            Error::Arguments(_) | Error::Refused { .. } | Error::Unconfirmed | Error::Failed { .. } => None,
        }
    }
}
