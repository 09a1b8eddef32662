//! Where a record lies in the log, and how far the log reaches.

use std::fmt;

/// Where a record begins: a segment's number and a byte offset in that segment.
///
/// Ordered as the log is written. Segment numbers start at 1 and are never reused, so a place names one record for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    // Two small numbers rather than a large one: so that a place and a length are twelve bytes, of which there are millions.
    segment: u32,
    offset: u32,
}

impl Place {
    /// The place at `offset` bytes into segment `segment`.
    pub const fn new(segment: u32, offset: u32) -> Self {
        Place { segment, offset }
    }

    /// The number of the segment that holds it.
    pub const fn segment(self) -> u32 {
        self.segment
    }

    /// Bytes from the beginning of that segment.
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// The place as one number that sorts as the log does.
    pub const fn to_bits(self) -> u64 {
        (self.segment as u64) << 32 | self.offset as u64
    }

    /// The inverse of [`Place::to_bits`].
    pub const fn from_bits(bits: u64) -> Self {
        Place { segment: (bits >> 32) as u32, offset: bits as u32 }
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
