//! What a document format must offer, so that one generated reader and one generated writer of a shape serve JSON and CBOR.

mod read;
pub use read::{Fault, ReadMembers, ReadValue, Reader};

mod write;
pub use write::{Members, WriteMembers, WriteValue, Writer};

/// How a moment is written, where the format of the document leaves a choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TimeFormat {
    /// Seconds since 1970-01-01T00:00Z, as a number: `1767225600.5`.
    #[default]
    EpochSeconds,
    /// ISO 8601: `2026-01-01T00:00:00Z`.
    DateTime,
    /// The format of HTTP's headers: `Thu, 01 Jan 2026 00:00:00 GMT`.
    HttpDate,
}

/// Levels of nesting beyond which nothing is read.
pub(crate) const DEPTH: u32 = 128;

/// Milliseconds from seconds since 1970-01-01T00:00Z; none beyond what a [`api::Timestamp`] is meant to hold.
pub(crate) fn millis_of_seconds(seconds: f64) -> Option<i64> {
    // AWS keeps thousandths of a second.
    let millis = (seconds * 1000.0).round();
    (millis.abs() <= 9e15).then_some(millis as i64)
}
