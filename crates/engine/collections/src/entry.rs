//! A waiting message, and its encoding as the difference to the entry before it.

use kernel::{Extent, Place, Seq, Time};

/// A waiting message: its number, its place in the log, and the time when it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its sequence number.
    pub seq: Seq,
    /// The extent of its record in the log.
    pub extent: Extent,
    /// When it was sent (also for a delayed message).
    pub sent: Time,
    /// A number of the caller, zero for most lanes: the group, if messages of several groups share a lane.
    pub tag: u32,
}

/// The values relative to which the next entry is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Basis {
    pub(crate) seq: u64,
    pub(crate) end: Place,
    pub(crate) sent: u64,
}

// Flags in an entry's first number, besides its distance from the previous one.
const ELSEWHERE: u64 = 1;
const TAGGED: u64 = 2;
const USUAL: u64 = 4;

impl Basis {
    /// Returns the entry's own values, so that its difference is zero and short.
    pub(crate) fn of(entry: &Entry) -> Basis {
        Basis { seq: entry.seq.0, end: entry.extent.place, sent: entry.sent.0 }
    }

    /// Returns the values relative to which the next entry is encoded.
    pub(crate) fn after(entry: &Entry) -> Basis {
        let place = entry.extent.place;
        Basis {
            seq: entry.seq.0,
            end: Place::new(place.segment(), place.offset().wrapping_add(entry.extent.len)),
            sent: entry.sent.0,
        }
    }

    /// Encodes an entry. Messages often have the same length: `usual` is a length that need not be written.
    pub(crate) fn write(&self, entry: &Entry, usual: u32) -> Written {
        let mut out = Written { bytes: [0; LONGEST], len: 0 };
        // In the same segment: the distance; in another one: its number and the offset.
        let place = entry.extent.place;
        let elsewhere = place.segment() != self.end.segment();
        let gap = if elsewhere {
            i64::from(place.segment()) - i64::from(self.end.segment())
        } else {
            i64::from(place.offset()) - i64::from(self.end.offset())
        };
        let flags = if elsewhere { ELSEWHERE } else { 0 }
            | if entry.tag != 0 { TAGGED } else { 0 }
            | if entry.extent.len == usual { USUAL } else { 0 };
        out.put_u64(zigzag(gap) << 3 | flags);
        if elsewhere {
            out.put_u64(u64::from(place.offset()));
        }
        out.put_u64(entry.seq.0.wrapping_sub(self.seq));
        if entry.extent.len != usual {
            out.put_u64(u64::from(entry.extent.len));
        }
        out.put_u64(zigzag(entry.sent.0.wrapping_sub(self.sent) as i64));
        if entry.tag != 0 {
            out.put_u64(u64::from(entry.tag));
        }
        out
    }

    /// Decodes an entry; `None` if there are no more bytes.
    #[inline]
    pub(crate) fn read(&self, bytes: &mut impl Iterator<Item = u8>, usual: u32) -> Option<Entry> {
        let first = take_u64(bytes)?;
        let gap = unzigzag(first >> 3) as u32;
        let place = if first & ELSEWHERE != 0 {
            Place::new(self.end.segment().wrapping_add(gap), take_u64(bytes)? as u32)
        } else {
            Place::new(self.end.segment(), self.end.offset().wrapping_add(gap))
        };
        let step = take_u64(bytes)?;
        let len = if first & USUAL != 0 { usual } else { take_u64(bytes)? as u32 };
        let later = unzigzag(take_u64(bytes)?);
        let tag = if first & TAGGED != 0 { take_u64(bytes)? as u32 } else { 0 };
        Some(Entry {
            seq: Seq(self.seq.wrapping_add(step)),
            extent: Extent { place, len },
            sent: Time(self.sent.wrapping_add(later as u64)),
            tag,
        })
    }
}

/// The bytes of one entry.
pub(crate) struct Written {
    bytes: [u8; LONGEST],
    len: usize,
}

/// Six numbers of at most ten bytes.
const LONGEST: usize = 60;

impl Written {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Encodes a number as `kernel::codec::put_u64` does.
    fn put_u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes[self.len] = value as u8 | 0x80;
            self.len += 1;
            value >>= 7;
        }
        self.bytes[self.len] = value as u8;
        self.len += 1;
    }
}

#[inline]
fn take_u64(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}

/// Maps small magnitudes of either sign to small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
