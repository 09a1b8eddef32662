//! The index of a sealed segment: its spans in pages, their stretches, and the list of its series. The tables
//! are in this crate's DESIGN.md, section 2.

use journal::format::{u32_at, u64_at};
use kernel::codec::{self, Malformed};
use kernel::{Place, Time};

use crate::series::Series;
use crate::spans::{Bounds, Spans, Stretch};

const MAGIC: [u8; 4] = *b"PHrx";
const VERSION: u8 = 1;
/// Length of the header, in bytes.
pub const HEADER: usize = 128;
/// Length of a page, in bytes.
pub const PAGE: usize = 4096;
/// Length of a span in a page, in bytes.
const ENTRY: usize = 64;
/// Number of spans in a full page.
pub const ENTRIES: usize = 63;

/// The header of an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub segment: u32,
    /// The end of the segment's last frame.
    pub end: u32,
    pub frames: (u64, u64),
    pub groups: (u64, u64),
    pub times: (Time, Time),
    pub passes: Time,
    /// Number of spans.
    pub spans: u32,
    /// Number of gaps in the segment that were set aside.
    pub gaps: u32,
    stretches: u32,
    directory: u32,
    directory_crc: u32,
}

impl Header {
    /// Reads the header of this segment's index. Returns `None` if the bytes are not such a header.
    pub fn decode(id: u64, segment: u32, bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.get(..HEADER)?;
        let sound = bytes[0..4] == MAGIC
            && bytes[4..8] == [VERSION, 0, 0, 0]
            && u64_at(bytes, 8) == id
            && u32_at(bytes, 16) == segment
            && crc32c::crc32c(&bytes[..HEADER - 4]) == u32_at(bytes, HEADER - 4);
        sound.then(|| Header {
            segment,
            end: u32_at(bytes, 20),
            frames: (u64_at(bytes, 24), u64_at(bytes, 32)),
            groups: (u64_at(bytes, 40), u64_at(bytes, 48)),
            times: (Time(u64_at(bytes, 56)), Time(u64_at(bytes, 64))),
            passes: Time(u64_at(bytes, 72)),
            spans: u32_at(bytes, 80),
            stretches: u32_at(bytes, 84),
            directory: u32_at(bytes, 88),
            directory_crc: u32_at(bytes, 92),
            gaps: u32_at(bytes, 96),
        })
    }

    fn encode(&self, id: u64, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.end.to_le_bytes());
        let times = [self.times.0.millis(), self.times.1.millis(), self.passes.millis()];
        let numbers = [self.frames.0, self.frames.1, self.groups.0, self.groups.1];
        for number in numbers.into_iter().chain(times) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.spans, self.stretches, self.directory, self.directory_crc, self.gaps] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.resize(at + HEADER - 4, 0);
        let crc = crc32c::crc32c(&out[at..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// Number of pages.
    pub fn pages(&self) -> u32 {
        self.spans.div_ceil(ENTRIES as u32)
    }

    /// The offset of a page.
    pub fn page(&self, page: u32) -> u64 {
        (HEADER + page as usize * PAGE) as u64
    }

    fn stretches_at(&self) -> u64 {
        self.page(self.pages())
    }

    /// The offset and the length of the directory.
    pub fn directory(&self) -> (u64, usize) {
        (self.stretches_at() + u64::from(self.stretches), self.directory as usize)
    }

    /// The length of the file.
    pub fn file_len(&self) -> u64 {
        let (at, len) = self.directory();
        at + len as u64
    }

    /// Returns the series in the directory, in order.
    ///
    /// Errors: the bytes are not the directory.
    pub fn series(&self, directory: &[u8]) -> Result<Vec<Series>, Malformed> {
        if directory.len() != self.directory as usize || crc32c::crc32c(directory) != self.directory_crc {
            return Err(Malformed);
        }
        let mut reader = codec::Reader::new(directory);
        let mut series = Vec::with_capacity(self.spans as usize);
        let mut last = 0u64;
        for _ in 0..self.spans {
            last = last.wrapping_add(reader.u64()?);
            series.push(Series(last));
        }
        if reader.is_empty() { Ok(series) } else { Err(Malformed) }
    }
}

/// A span as its page has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub series: Series,
    pub bounds: Bounds,
    /// The first stretch.
    pub first: Stretch,
    /// The offset in the file and the length of the list of the other stretches; 0 and 0 if there are none.
    pub more: (u32, u32),
}

impl Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        let Bounds { first_sequence, last_sequence, first_time, last_time, passes } = self.bounds;
        let times = [first_time, last_time, passes].map(Time::millis);
        for number in [self.series.0, first_sequence, last_sequence].into_iter().chain(times) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.first.offset, self.first.len, self.more.0, self.more.1] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Entry {
        let (first_sequence, first_time) = (u64_at(bytes, 8), Time(u64_at(bytes, 24)));
        Entry {
            series: Series(u64_at(bytes, 0)),
            bounds: Bounds {
                first_sequence,
                last_sequence: u64_at(bytes, 16),
                first_time,
                last_time: Time(u64_at(bytes, 32)),
                passes: Time(u64_at(bytes, 40)),
            },
            first: Stretch {
                offset: u32_at(bytes, 48),
                len: u32_at(bytes, 52),
                sequence: first_sequence,
                time: first_time,
            },
            more: (u32_at(bytes, 56), u32_at(bytes, 60)),
        }
    }
}

fn seeded(place: Place, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&place.to_bits().to_le_bytes()), bytes)
}

/// Returns the spans of a page; `None` if the bytes are not that page.
pub fn page(segment: u32, page: u32, bytes: &[u8]) -> Option<Vec<Entry>> {
    let bytes: &[u8; PAGE] = bytes.try_into().ok()?;
    let (content, crc) = bytes.split_at(PAGE - 4);
    let count = u32_at(content, ENTRY * ENTRIES) as usize;
    if seeded(Place::new(segment, page), content) != u32_at(crc, 0) || count > ENTRIES {
        return None;
    }
    Some(content.chunks_exact(ENTRY).take(count).map(Entry::decode).collect())
}

/// Returns the stretches behind the first one of a span; `None` if the bytes are not their list.
pub fn stretches(segment: u32, entry: &Entry, bytes: &[u8]) -> Option<Vec<Stretch>> {
    let (crc, list) = bytes.split_first_chunk::<4>()?;
    if seeded(Place::new(segment, entry.more.0), list) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut reader = codec::Reader::new(list);
    let mut last = entry.first;
    let count = reader.u32().ok()?;
    let mut stretches = Vec::new();
    for _ in 0..count {
        let offset = last.end().checked_add(reader.u32().ok()?)?;
        let len = reader.u32().ok()?;
        offset.checked_add(len)?;
        let sequence = last.sequence.checked_add(reader.u64().ok()?)?;
        let time = Time(last.time.millis().checked_add(reader.u64().ok()?)?);
        last = Stretch { offset, len, sequence, time };
        stretches.push(last);
    }
    reader.is_empty().then_some(stretches)
}

/// Returns the first series of each page.
pub fn fences(series: &[Series]) -> Box<[Series]> {
    series.iter().step_by(ENTRIES).copied().collect()
}

/// Returns the header and the bytes of a segment's index.
pub fn encode(id: u64, spans: &Spans) -> (Header, Vec<u8>) {
    let pages = spans.series.len().div_ceil(ENTRIES);
    let stretches_at = HEADER + pages * PAGE;
    let (mut entries, mut lists, mut directory) = (Vec::new(), Vec::new(), Vec::new());
    let mut previous = 0;
    for (&series, span) in &spans.series {
        codec::put_u64(&mut directory, series.0.wrapping_sub(previous));
        previous = series.0;
        let mut more = (0, 0);
        if !span.more.is_empty() {
            let at = lists.len();
            lists.extend_from_slice(&[0; 4]);
            codec::put_u64(&mut lists, span.more.len() as u64);
            let mut last = span.first;
            for stretch in &span.more {
                codec::put_u64(&mut lists, u64::from(stretch.offset - last.end()));
                codec::put_u64(&mut lists, u64::from(stretch.len));
                codec::put_u64(&mut lists, stretch.sequence - last.sequence);
                codec::put_u64(&mut lists, stretch.time - last.time);
                last = *stretch;
            }
            more = ((stretches_at + at) as u32, (lists.len() - at) as u32);
            let crc = seeded(Place::new(spans.segment, more.0), &lists[at + 4..]);
            lists[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        }
        entries.push(Entry { series, bounds: span.bounds, first: span.first, more });
    }
    let header = Header {
        segment: spans.segment,
        end: spans.end,
        frames: spans.frames,
        groups: spans.groups,
        times: spans.times,
        passes: spans.passes,
        spans: entries.len() as u32,
        gaps: spans.gaps,
        stretches: lists.len() as u32,
        directory: directory.len() as u32,
        directory_crc: crc32c::crc32c(&directory),
    };
    let mut out = Vec::with_capacity(stretches_at + lists.len() + directory.len());
    header.encode(id, &mut out);
    for (number, page) in entries.chunks(ENTRIES).enumerate() {
        let at = out.len();
        page.iter().for_each(|entry| entry.encode(&mut out));
        out.resize(at + ENTRY * ENTRIES, 0);
        out.extend_from_slice(&(page.len() as u32).to_le_bytes());
        out.resize(at + PAGE - 4, 0);
        let crc = seeded(Place::new(spans.segment, number as u32), &out[at..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
    out.extend_from_slice(&lists);
    out.extend_from_slice(&directory);
    (header, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stamp;
    use crate::series::Retention;

    fn spans() -> Spans {
        let mut spans = Spans::new(3);
        let mut offset = 64;
        for i in 0..2000u64 {
            let stamp = Stamp {
                series: Series(i % 130 * 1_000_003),
                sequence: i,
                time: Time(1_700_000_000_000 + i),
                retention: Retention::days(1 + i as u32 % 9),
            };
            spans.record(offset, 1000, &stamp);
            offset += 1000;
        }
        (spans.end, spans.frames, spans.groups) = (offset, (4, 9), (70, 80));
        spans
    }

    #[test]
    fn an_index_reads_back_as_it_was_written() {
        let spans = spans();
        let (header, bytes) = encode(7, &spans);
        assert_eq!(Header::decode(7, 3, &bytes), Some(header));
        assert_eq!((Header::decode(8, 3, &bytes), Header::decode(7, 4, &bytes)), (None, None));
        assert_eq!(bytes.len() as u64, header.file_len());
        let (at, len) = header.directory();
        let series = header.series(&bytes[at as usize..at as usize + len]).unwrap();
        assert!(series.iter().eq(spans.series.keys()));
        let mut entries = Vec::new();
        for number in 0..header.pages() {
            let at = header.page(number) as usize;
            entries.extend(page(3, number, &bytes[at..at + PAGE]).unwrap());
        }
        assert_eq!(fences(&series).len(), 3);
        for (entry, (series, span)) in entries.iter().zip(&spans.series) {
            assert_eq!((entry.series, entry.bounds, entry.first), (*series, span.bounds, span.first));
            let (at, len) = (entry.more.0 as usize, entry.more.1 as usize);
            let more = stretches(3, entry, &bytes[at..at + len]).unwrap();
            assert_eq!(more, span.more, "130 records of 1000 bytes are farther apart than a stretch bridges");
            assert!(!more.is_empty());
        }
    }

    #[test]
    fn every_changed_bit_of_an_index_is_noticed() {
        let (header, bytes) = encode(7, &spans());
        let sound = |bytes: &[u8]| -> bool {
            let Some(read) = Header::decode(7, 3, bytes).filter(|read| *read == header) else { return false };
            let (at, len) = read.directory();
            read.series(&bytes[at as usize..at as usize + len]).is_ok()
                && (0..read.pages()).all(|number| {
                    let at = read.page(number) as usize;
                    page(3, number, &bytes[at..at + PAGE]).is_some_and(|entries| {
                        entries.iter().all(|entry| {
                            let (at, len) = (entry.more.0 as usize, entry.more.1 as usize);
                            bytes.get(at..at + len).and_then(|list| stretches(3, entry, list)).is_some()
                        })
                    })
                })
        };
        assert!(sound(&bytes));
        for at in (0..bytes.len()).step_by(13) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!sound(&changed), "byte {at}");
        }
    }
}
