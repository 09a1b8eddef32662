//! Where a record lies in the log, and how far the log reaches.

use std::fmt;

/// Where a record begins: a segment's number and a byte offset in that segment.
///
/// Ordered as the log is written. Segment numbers start at 1 and are never reused, so a place names one record for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place(u64);

impl Place {
    /// The place at `offset` bytes into segment `segment`.
    pub const fn new(segment: u32, offset: u32) -> Self {
        Place((segment as u64) << 32 | offset as u64)
    }

    /// The number of the segment that holds it.
    pub const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Bytes from the beginning of that segment.
    pub const fn offset(self) -> u32 {
        self.0 as u32
    }

    /// The place as one number that sorts as the log does.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The inverse of [`Place::to_bits`].
    pub const fn from_bits(bits: u64) -> Self {
        Place(bits)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment(), self.offset())
    }
}

/// How far the log reaches: everything before it. An answer waits until the position that it rests on is durable.
pub type Position = Place;

/// Where a whole record lies: its place and its length in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extent {
    /// Where the record begins.
    pub place: Place,
    /// Its length in bytes, framing included.
    pub len: u32,
}
