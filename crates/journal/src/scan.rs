//! Reads a segment frame by frame, and searches a damaged segment for frames.

use std::fmt;
use std::io;
use std::ops::ControlFlow;

use kernel::Place;

use crate::format::{
    ALIGNMENT, FRAME_HEADER, FrameHeader, MAGIC, RECORD_HEADER, RecordHeader, UNVOUCHED, u64_at,
};
use crate::storage::File;

/// Number of bytes to read at once.
const CHUNK: usize = 1 << 20;

/// A part of a file in memory that moves forward.
struct Window<'a> {
    file: &'a dyn File,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a dyn File) -> Self {
        Window { file, start: 0, bytes: Vec::new() }
    }

    /// Returns `len` bytes at `offset`, or fewer if the file ends.
    fn get(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let wanted = offset + len as u64;
        if offset < self.start || wanted > self.start + self.bytes.len() as u64 {
            let kept = match offset.checked_sub(self.start) {
                Some(passed) if passed < self.bytes.len() as u64 => {
                    self.bytes.drain(..passed as usize);
                    self.bytes.len()
                }
                _ => 0,
            };
            self.start = offset;
            // The buffer is not larger than the file, so that a small log needs little memory.
            let there = self.file.len()?.saturating_sub(offset + kept as u64);
            let more = (len - kept).max(CHUNK).min(usize::try_from(there).unwrap_or(usize::MAX));
            self.bytes.resize(kept + more, 0);
            let read = self.file.read_at(&mut self.bytes[kept..], offset + kept as u64)?;
            self.bytes.truncate(kept + read);
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..(from + len).min(self.bytes.len())])
    }
}

/// Why the bytes at an offset are not the expected frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// There is no frame header of this log and segment.
    NoHeader,
    /// There is a frame with another number.
    Sequence {
        /// The expected number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The file ends inside the frame.
    Short,
    /// A record's header or checksum is wrong.
    Record {
        /// The offset of the record in the segment.
        offset: u32,
    },
    /// The records are not those with which the frame was written.
    Records,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoHeader => write!(f, "no frame begins here"),
            Fault::Sequence { expected, found } => write!(f, "frame {found} stands where {expected} should"),
            Fault::Short => write!(f, "the file ends inside the frame"),
            Fault::Record { offset } => write!(f, "the checksum of the record at offset {offset} is wrong"),
            Fault::Records => write!(f, "the frame's records are not those it was written with"),
        }
    }
}

/// Walks the frames of a segment from its beginning, as long as they are whole and in sequence.
pub struct Frames<'a> {
    window: Window<'a>,
    log_id: u64,
    segment: u32,
    offset: u32,
    /// The expected number of the next frame; `None` accepts any number.
    expected: Option<u64>,
}

impl<'a> Frames<'a> {
    /// Begins at the beginning of a segment.
    pub fn new(file: &'a dyn File, log_id: u64, segment: u32, expected: Option<u64>) -> Self {
        Frames { window: Window::new(file), log_id, segment, offset: 0, expected }
    }

    /// Continues at another offset, with any frame number.
    pub fn skip_to(&mut self, offset: u32) {
        self.offset = offset;
        self.expected = None;
    }

    /// Returns the end of the last whole frame.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// Reads the next frame, and shows its records if the whole frame is valid.
    pub fn next(
        &mut self,
        mut seen: impl FnMut(Place, &RecordHeader, &[u8]),
    ) -> io::Result<Result<FrameHeader, Fault>> {
        let (segment, offset) = (self.segment, self.offset);
        let bytes = self.window.get(u64::from(offset), FRAME_HEADER)?;
        let Some(header) = FrameHeader::decode(self.log_id, segment, bytes) else {
            return Ok(Err(Fault::NoHeader));
        };
        if let Some(expected) = self.expected.filter(|&expected| expected != header.sequence) {
            return Ok(Err(Fault::Sequence { expected, found: header.sequence }));
        }
        let end = u64::from(offset) + header.frame_bytes() as u64;
        let Ok(end) = u32::try_from(end) else { return Ok(Err(Fault::Short)) };
        let bytes = self.window.get(u64::from(offset), header.frame_bytes())?;
        if bytes.len() < header.frame_bytes() {
            return Ok(Err(Fault::Short));
        }
        let (payload, padding) = bytes[FRAME_HEADER..].split_at(header.payload as usize);
        if padding.iter().any(|&byte| byte != 0) {
            return Ok(Err(Fault::Records));
        }
        let first = offset + FRAME_HEADER as u32;
        if let Err(fault) = each_record(&header, segment, first, payload, |place, record, bytes| {
            RecordHeader::verify(place, bytes).is_some_and(|verified| verified == *record)
        }) {
            return Ok(Err(fault));
        }
        let shown = each_record(&header, segment, first, payload, |place, record, bytes| {
            seen(place, record, bytes);
            true
        });
        debug_assert_eq!(shown, Ok(()));
        self.offset = end;
        self.expected = Some(header.sequence + 1);
        Ok(Ok(header))
    }
}

fn each_record(
    header: &FrameHeader,
    segment: u32,
    first: u32,
    payload: &[u8],
    mut sound: impl FnMut(Place, &RecordHeader, &[u8]) -> bool,
) -> Result<(), Fault> {
    let mut at = 0;
    let mut records = 0;
    let mut records_crc = 0;
    while at < payload.len() {
        let offset = first + at as u32;
        let fault = Fault::Record { offset };
        let rest = &payload[at..];
        let record = RecordHeader::decode(rest).ok_or(fault)?;
        let bytes = rest.get(..record.record_bytes()).ok_or(fault)?;
        if !sound(Place::new(segment, offset), &record, bytes) {
            return Err(fault);
        }
        records_crc = crc32c::crc32c_append(records_crc, &record.crc.to_le_bytes());
        records += 1;
        at += bytes.len();
    }
    if records == header.records && records_crc == header.records_crc { Ok(()) } else { Err(Fault::Records) }
}

/// Returns whether a frame may have been acknowledged although no later frame proves that it was durable.
/// That is so if it was written where answers do not wait for the disk.
pub fn is_doubtful(header: &FrameHeader, durable: bool) -> bool {
    // Older logs do not distinguish the two as long as nothing is known to be durable.
    header.synced == UNVOUCHED || !durable && header.synced <= Place::new(1, 0)
}

/// Returns whether an invalid header was that of the frame after this one. Remains of an older segment in a
/// recycled file have a lower number.
pub fn is_remnant(bytes: &[u8], log_id: u64, after: u64) -> bool {
    if bytes.len() < FRAME_HEADER {
        return false;
    }
    let (log, sequence) = (u64_at(bytes, 16), u64_at(bytes, 24));
    sequence == after + 1 || log == log_id && sequence > after
}

/// Shows the valid records of a frame with a valid header. Returns the header and the number of records
/// shown; `None` if there is no frame header.
pub fn salvage(
    file: &dyn File,
    log_id: u64,
    segment: u32,
    offset: u32,
    mut seen: impl FnMut(Place, &RecordHeader, &[u8]),
) -> io::Result<Option<(FrameHeader, u32)>> {
    let bytes = read_exactly(file, u64::from(offset), FRAME_HEADER)?;
    let Some(header) = FrameHeader::decode(log_id, segment, &bytes) else { return Ok(None) };
    // The header's checksum is right, so these values are valid.
    let payload = read_exactly(file, u64::from(offset) + FRAME_HEADER as u64, header.payload as usize)?;
    let (mut at, mut shown) = (0, 0);
    while let Some(record) = RecordHeader::decode(&payload[at..])
        && let Some(bytes) = payload[at..].get(..record.record_bytes())
    {
        let place = Place::new(segment, offset + (FRAME_HEADER + at) as u32);
        if RecordHeader::verify(place, bytes).is_some() {
            shown += 1;
            seen(place, &record, bytes);
        }
        at += bytes.len();
    }
    Ok(Some((header, shown)))
}

/// Searches a segment from `from` on for headers of its frames, whatever lies between them, until `found`
/// stops the search.
pub fn search(
    file: &dyn File,
    log_id: u64,
    segment: u32,
    from: u32,
    mut found: impl FnMut(u32, FrameHeader) -> ControlFlow<()>,
) -> io::Result<()> {
    search_with(file, from, |offset, bytes| match FrameHeader::decode(log_id, segment, bytes) {
        Some(header) => found(offset, header),
        None => ControlFlow::Continue(()),
    })
}

/// Searches a segment for headers of frames of any log.
pub fn search_any(file: &dyn File, segment: u32, mut found: impl FnMut(FrameHeader)) -> io::Result<()> {
    search_with(file, 0, |_, bytes| {
        if let Some(header) = FrameHeader::decode_any(segment, bytes) {
            found(header);
        }
        ControlFlow::Continue(())
    })
}

fn search_with(
    file: &dyn File,
    from: u32,
    mut candidate: impl FnMut(u32, &[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut window = Window::new(file);
    let mut offset = u64::from(from).next_multiple_of(ALIGNMENT as u64);
    while let Some(data) = file.next_data(offset)? {
        // A header does not begin with zeros.
        offset = offset.max(data / ALIGNMENT as u64 * ALIGNMENT as u64);
        let bytes = window.get(offset, CHUNK)?;
        if bytes.len() < FRAME_HEADER || offset > u64::from(u32::MAX) {
            break;
        }
        let last = (bytes.len() - FRAME_HEADER) / ALIGNMENT * ALIGNMENT;
        for at in (0..=last).step_by(ALIGNMENT) {
            let here = (offset + at as u64) as u32;
            if bytes[at..at + 4] == MAGIC && candidate(here, &bytes[at..at + FRAME_HEADER]).is_break() {
                return Ok(());
            }
        }
        offset += (last + ALIGNMENT) as u64;
    }
    Ok(())
}

/// Reads `len` bytes; fewer if the file ends.
pub fn read_exactly(file: &dyn File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, offset)?;
    bytes.truncate(read);
    Ok(bytes)
}

const _: () =
    assert!(CHUNK.is_multiple_of(ALIGNMENT) && CHUNK > FRAME_HEADER && RECORD_HEADER < FRAME_HEADER);
