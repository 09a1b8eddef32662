//! A segment's index: the heads of its records without their tails, so that a restart need not read bodies.

use kernel::{Extent, Place, codec};

use crate::format::{Class, FrameHeader, RECORD_HEADER, RecordHeader, u32_at, u64_at};

const MAGIC: [u8; 4] = *b"PHix";
const VERSION: u8 = 1;
/// Length of the header, in bytes.
pub const INDEX_HEADER: usize = 84;

/// A record as a restart sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The place and the length of the whole record.
    pub extent: Extent,
    /// The record's class.
    pub class: Class,
    /// The record's head.
    pub head: &'a [u8],
    /// Length of the record's tail, in bytes.
    pub tail_len: u32,
}

/// Facts about a whole segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The segment's number.
    pub segment: u32,
    /// The end of its last frame.
    pub end: u32,
    /// The number of its first frame.
    pub first_sequence: u64,
    /// The number of its last frame.
    pub last_sequence: u64,
    /// The engine's time in its last frame.
    pub now: u64,
    /// The caller's number in its last frame.
    pub counter: u64,
}

/// Builds the index of a segment while the segment is written or scanned.
#[derive(Debug)]
pub struct IndexBuilder {
    summary: Summary,
    empty: bool,
    sections: [Section; 2],
}

#[derive(Default, Debug)]
struct Section {
    bytes: Vec<u8>,
    records: u32,
    /// The end of the record of the last entry.
    at: u32,
}

impl IndexBuilder {
    pub fn new(segment: u32) -> Self {
        IndexBuilder {
            summary: Summary { segment, end: 0, first_sequence: 0, last_sequence: 0, now: 0, counter: 0 },
            empty: true,
            sections: Default::default(),
        }
    }

    pub fn segment(&self) -> u32 {
        self.summary.segment
    }

    pub fn end(&self) -> Place {
        Place::new(self.summary.segment, self.summary.end)
    }

    /// Returns the facts about the segment; `None` if it has no frame yet.
    pub fn summary(&self) -> Option<Summary> {
        (!self.empty).then_some(self.summary)
    }

    /// Adds a record; `record` is the whole record.
    pub fn record(&mut self, place: Place, header: &RecordHeader, record: &[u8]) {
        let section = &mut self.sections[header.class as usize];
        codec::put_u64(&mut section.bytes, u64::from(place.offset() - section.at));
        codec::put_u64(&mut section.bytes, u64::from(header.head));
        codec::put_u64(&mut section.bytes, u64::from(header.tail));
        section.bytes.extend_from_slice(&record[RECORD_HEADER..RECORD_HEADER + header.head as usize]);
        section.records += 1;
        section.at = place.offset() + record.len() as u32;
    }

    /// Notes that the frames up to `end` are whole. `last` is the header of the last one.
    pub fn frames(&mut self, first_sequence: u64, last: &FrameHeader, end: u32) {
        if self.empty {
            self.summary.first_sequence = first_sequence;
            self.empty = false;
        }
        self.summary.last_sequence = last.sequence;
        self.summary.now = last.now;
        self.summary.counter = last.counter;
        self.summary.end = end;
    }

    /// Sets the number of the first frame, because the frames before it are lost.
    pub fn begin_with(&mut self, sequence: u64) {
        self.summary.first_sequence = sequence;
    }

    /// Sets the number of the last frame, because the frames after it are lost.
    pub fn end_with(&mut self, sequence: u64) {
        self.summary.last_sequence = sequence;
    }

    /// Shows every record of a class, in order.
    pub fn entries(&self, class: Class, seen: impl FnMut(Entry<'_>)) {
        let section = &self.sections[class as usize];
        let whole = each_entry(self.summary.segment, class, section.records, &section.bytes, seen);
        debug_assert!(whole.is_ok(), "an index reads back what was put in");
    }

    /// Returns the header of the index file.
    pub fn header(&self) -> IndexHeader {
        let section = |section: &Section| SectionHeader {
            bytes: section.bytes.len() as u32,
            records: section.records,
            crc: crc32c::crc32c(&section.bytes),
        };
        IndexHeader {
            summary: self.summary,
            sections: [section(&self.sections[0]), section(&self.sections[1])],
        }
    }

    /// Returns the bytes of the index file.
    pub fn encode(&self, log_id: u64) -> Vec<u8> {
        let [configuration, flow] = &self.sections;
        let mut out = Vec::with_capacity(INDEX_HEADER + configuration.bytes.len() + flow.bytes.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.extend_from_slice(&log_id.to_le_bytes());
        out.extend_from_slice(&self.summary.segment.to_le_bytes());
        out.extend_from_slice(&self.summary.end.to_le_bytes());
        for number in
            [self.summary.first_sequence, self.summary.last_sequence, self.summary.now, self.summary.counter]
        {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for section in self.header().sections {
            for number in [section.bytes, section.records, section.crc] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out.extend_from_slice(&configuration.bytes);
        out.extend_from_slice(&flow.bytes);
        out
    }
}

/// The header of an index file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexHeader {
    pub summary: Summary,
    sections: [SectionHeader; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct SectionHeader {
    bytes: u32,
    records: u32,
    crc: u32,
}

impl IndexHeader {
    /// Reads the header of this segment's index. Returns `None` if the bytes are not such a header.
    pub fn decode(log_id: u64, segment: u32, bytes: &[u8]) -> Option<IndexHeader> {
        let bytes = bytes.get(..INDEX_HEADER)?;
        let sound = bytes[0..4] == MAGIC
            && bytes[4..8] == [VERSION, 0, 0, 0]
            && u64_at(bytes, 8) == log_id
            && u32_at(bytes, 16) == segment
            && crc32c::crc32c(&bytes[..80]) == u32_at(bytes, 80);
        let section = |at| SectionHeader {
            bytes: u32_at(bytes, at),
            records: u32_at(bytes, at + 4),
            crc: u32_at(bytes, at + 8),
        };
        sound.then(|| IndexHeader {
            summary: Summary {
                segment,
                end: u32_at(bytes, 20),
                first_sequence: u64_at(bytes, 24),
                last_sequence: u64_at(bytes, 32),
                now: u64_at(bytes, 40),
                counter: u64_at(bytes, 48),
            },
            sections: [section(56), section(68)],
        })
    }

    /// Returns the offset and the length of a class's section in the file.
    pub fn section(&self, class: Class) -> (u64, usize) {
        let before = match class {
            Class::Configuration => 0,
            Class::Flow => u64::from(self.sections[0].bytes),
        };
        (INDEX_HEADER as u64 + before, self.sections[class as usize].bytes as usize)
    }

    /// Returns the number of records of a class.
    pub fn records(&self, class: Class) -> u32 {
        self.sections[class as usize].records
    }

    /// Returns the length of the file.
    pub fn file_len(&self) -> u64 {
        INDEX_HEADER as u64 + u64::from(self.sections[0].bytes) + u64::from(self.sections[1].bytes)
    }

    /// Returns whether `bytes` are the whole, undamaged file.
    pub fn is_sound_in(&self, file: &[u8]) -> bool {
        let is_sound = |class| {
            let (at, len) = self.section(class);
            let section = file.get(at as usize..at as usize + len);
            section.is_some_and(|section| self.is_sound(class, section))
        };
        file.len() as u64 == self.file_len() && is_sound(Class::Configuration) && is_sound(Class::Flow)
    }

    /// Returns whether a section is undamaged.
    pub fn is_sound(&self, class: Class, section: &[u8]) -> bool {
        let header = &self.sections[class as usize];
        section.len() == header.bytes as usize && crc32c::crc32c(section) == header.crc
    }

    /// Shows every record of an undamaged section.
    pub fn entries(
        &self,
        class: Class,
        section: &[u8],
        seen: impl FnMut(Entry<'_>),
    ) -> Result<(), codec::Malformed> {
        each_entry(self.summary.segment, class, self.records(class), section, seen)
    }
}

fn each_entry(
    segment: u32,
    class: Class,
    records: u32,
    section: &[u8],
    mut seen: impl FnMut(Entry<'_>),
) -> Result<(), codec::Malformed> {
    let mut reader = codec::Reader::new(section);
    let mut at = 0u64;
    for _ in 0..records {
        at += u64::from(reader.u32()?);
        let head_len = reader.u32()?;
        let tail_len = reader.u32()?;
        let head = reader.take(head_len as usize)?;
        let offset = u32::try_from(at).map_err(|_| codec::Malformed)?;
        let len = RECORD_HEADER as u64 + u64::from(head_len) + u64::from(tail_len);
        let extent = Extent {
            place: Place::new(segment, offset),
            len: u32::try_from(len).map_err(|_| codec::Malformed)?,
        };
        seen(Entry { extent, class, head, tail_len });
        at += len;
    }
    if reader.is_empty() { Ok(()) } else { Err(codec::Malformed) }
}
