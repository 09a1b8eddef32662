//! Walks the records in a part of a segment, across frames and damage.

use bytes::Bytes;
use journal::Class;
use journal::format::{ALIGNMENT, FRAME_HEADER, FrameHeader, RECORD_HEADER, RecordHeader, align};
use kernel::Place;

use crate::record::Stamp;
use crate::series::Series;

/// A part of a segment, and how far it has been read.
pub struct Walk<'a> {
    id: u64,
    /// Records of others are passed over.
    series: Series,
    segment: u32,
    /// The offset of `bytes` in the segment.
    offset: u32,
    bytes: &'a Bytes,
    at: usize,
}

/// What stands at a place.
pub enum Found {
    /// A record of the series.
    Record { place: Place, stamp: Stamp, head: Bytes, tail: Bytes },
    /// Bytes that are not what was written, from this offset on.
    Damage { offset: u32 },
}

impl<'a> Walk<'a> {
    /// Begins at a record, which lies at `offset`. The bytes end with a record, unless the file was shorter.
    pub fn new(id: u64, series: Series, segment: u32, offset: u32, bytes: &'a Bytes) -> Self {
        Walk { id, series, segment, offset, bytes, at: 0 }
    }

    fn record(&self, at: usize) -> Option<(RecordHeader, usize)> {
        let header = RecordHeader::decode(self.bytes.get(at..)?)?;
        let end = at.checked_add(header.record_bytes())?;
        let place = Place::new(self.segment, self.offset.checked_add(at as u32)?);
        RecordHeader::verify(place, self.bytes.get(at..end)?).map(|header| (header, end))
    }

    /// Whether a frame begins at `at`. Frames begin at multiples of eight of the segment's offsets.
    fn frame(&self, at: usize) -> bool {
        let bytes = self.bytes.get(at..).unwrap_or_default();
        FrameHeader::decode(self.id, self.segment, bytes).is_some()
    }

    /// Returns the first offset in `bytes` from `at` on where a frame could begin.
    fn aligned(&self, at: usize) -> usize {
        align(self.offset as usize + at) - self.offset as usize
    }

    /// Finds the next frame behind damage.
    fn resume(&self, from: usize) -> usize {
        let mut at = self.aligned(from);
        while at + FRAME_HEADER <= self.bytes.len() && !self.frame(at) {
            at += ALIGNMENT;
        }
        at.min(self.bytes.len())
    }
}

impl Iterator for Walk<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while self.at < self.bytes.len() {
            if let Some((header, end)) = self.record(self.at) {
                let at = std::mem::replace(&mut self.at, end);
                let place = Place::new(self.segment, self.offset + at as u32);
                let head_end = at + RECORD_HEADER + header.head as usize;
                let head = &self.bytes[at + RECORD_HEADER..head_end];
                if header.class != Class::Flow {
                    continue;
                }
                let Ok((stamp, len)) = Stamp::decode(head) else {
                    return Some(Found::Damage { offset: place.offset() });
                };
                if stamp.series != self.series {
                    continue;
                }
                let head = self.bytes.slice(at + RECORD_HEADER + len..head_end);
                return Some(Found::Record { place, stamp, head, tail: self.bytes.slice(head_end..end) });
            }
            let next = self.aligned(self.at);
            if self.frame(next) {
                self.at = next + FRAME_HEADER;
                continue;
            }
            let at = self.at;
            // The length may be sound although the content is not.
            let claimed = RecordHeader::decode(&self.bytes[at..])
                .and_then(|header| at.checked_add(header.record_bytes()))
                .filter(|&end| self.record(end).is_some() || self.frame(self.aligned(end)));
            self.at = claimed.unwrap_or_else(|| self.resume(at + 1));
            return Some(Found::Damage { offset: self.offset + at as u32 });
        }
        None
    }
}
