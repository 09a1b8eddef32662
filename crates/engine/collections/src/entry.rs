//! A message that waits, and how it is written: as the difference to the one before it.

use kernel::{Extent, Place, Seq, Time};

/// A message that waits: which it is, where it lies, when it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its sequence number.
    pub seq: Seq,
    /// Where its record lies in the log.
    pub extent: Extent,
    /// When it was sent (for a message that waits for its delay to end, too).
    pub sent: Time,
    /// A number of the caller's, zero for most lanes: the group, where messages of several groups share a lane.
    pub tag: u32,
}

/// What an entry is written as a difference to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Basis {
    pub(crate) seq: u64,
    pub(crate) end: Place,
    pub(crate) sent: u64,
}

// What an entry's first number says besides its distance from the one before it.
const ELSEWHERE: u64 = 1;
const TAGGED: u64 = 2;
const USUAL: u64 = 4;

impl Basis {
    /// The entry's own values, so that its difference is zero and nothing large is written.
    pub(crate) fn of(entry: &Entry) -> Basis {
        Basis { seq: entry.seq.0, end: entry.extent.place, sent: entry.sent.0 }
    }

    /// What the next one is a difference to.
    pub(crate) fn after(entry: &Entry) -> Basis {
        let place = entry.extent.place;
        Basis {
            seq: entry.seq.0,
            end: Place::new(place.segment(), place.offset().wrapping_add(entry.extent.len)),
            sent: entry.sent.0,
        }
    }

    /// Writes an entry. Messages often are of one length: `usual` is one that need not be written.
    pub(crate) fn write(&self, entry: &Entry, usual: u32) -> Written {
        let mut out = Written { bytes: [0; LONGEST], len: 0 };
        // In the same segment, how much further on; in another one, which and where.
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

    /// Reads an entry; none if there are no more bytes.
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

/// One entry's bytes.
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

    /// As `kernel::codec::put_u64` writes it.
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

/// Small magnitudes of either sign become small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
