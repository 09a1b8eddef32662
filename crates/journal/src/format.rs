//! The bytes of a log: frames and the records in them. The tables are in this crate's DESIGN.md.

use kernel::Place;

/// The version of the format that this program writes. It reads all older versions.
pub const VERSION: u8 = 1;
/// The first bytes of every frame.
pub const MAGIC: [u8; 4] = *b"PHfr";
/// Length of a frame's header in bytes.
pub const FRAME_HEADER: usize = 64;
/// Length of a record's header in bytes.
pub const RECORD_HEADER: usize = 12;
/// Frames begin at multiples of this many bytes, so a search for frames can skip other offsets.
pub const ALIGNMENT: usize = 8;
/// The appender closes a frame when its payload has reached this many bytes. So recovery holds at most this
/// much and one record or group in memory.
pub const FRAME_BYTES: usize = 4 << 20;
/// Maximum length of a group of records. So a frame, which recovery reads as a whole, is at most twice this
/// long, unless it contains a longer record that was pushed alone. The maximum is four times the size of a
/// request with a full batch (1 MiB).
pub const GROUP_BYTES: usize = 4 << 20;
/// Upper bound (exclusive) of the length of a record's head.
pub const HEAD_LIMIT: usize = 1 << 24;

/// The `synced` of a frame that was written where answers do not wait for the disk. (Older logs use the log's
/// beginning, as does a log of which nothing is durable yet.)
pub const UNVOUCHED: Place = Place::from_bits(0);

/// The pass of a restart in which a record is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Class {
    /// What exists, and its settings. Read in the first pass.
    Configuration = 0,
    /// Everything else. Read in the second pass.
    Flow = 1,
}

impl Class {
    fn from_byte(byte: u8) -> Option<Class> {
        match byte {
            0 => Some(Class::Configuration),
            1 => Some(Class::Flow),
            _ => None,
        }
    }
}

/// Rounds an offset up to a multiple of eight, where a frame can begin.
pub const fn align(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Length of the records that follow, with headers and without padding, in bytes.
    pub payload: u32,
    /// Number of records.
    pub records: u32,
    /// The log's random number, so that a message's body is never taken for a frame.
    pub log_id: u64,
    /// The number of the frame: 1, 2, 3, … through all segments.
    pub sequence: u64,
    /// The engine's time when the frame was formed, in milliseconds.
    pub now: u64,
    /// Everything before this place was durable when the frame was formed.
    pub synced: Place,
    /// A number of the caller.
    pub counter: u64,
    /// CRC-32C over the checksums of the records, in order.
    pub records_crc: u32,
}

impl FrameHeader {
    /// Distance from this frame's beginning to the next frame's, in bytes.
    pub fn frame_bytes(&self) -> usize {
        align(FRAME_HEADER + self.payload as usize)
    }

    /// Writes the 64 bytes of the header, with its checksum for this segment.
    pub fn encode(&self, segment: u32, out: &mut [u8; FRAME_HEADER]) {
        self.encode_unsummed(out);
        sum_header(segment, self.records_crc, out);
    }

    /// Writes the header without the two checksums, which the writer fills in later.
    pub fn encode_unsummed(&self, out: &mut [u8; FRAME_HEADER]) {
        out[0..4].copy_from_slice(&MAGIC);
        out[4] = VERSION;
        out[5..8].fill(0);
        out[8..12].copy_from_slice(&self.payload.to_le_bytes());
        out[12..16].copy_from_slice(&self.records.to_le_bytes());
        out[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        out[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        out[32..40].copy_from_slice(&self.now.to_le_bytes());
        out[40..48].copy_from_slice(&self.synced.to_bits().to_le_bytes());
        out[48..56].copy_from_slice(&self.counter.to_le_bytes());
    }

    /// Reads a header of this log and this segment. Returns `None` if the bytes are not such a header.
    pub fn decode(log_id: u64, segment: u32, bytes: &[u8]) -> Option<FrameHeader> {
        // The cheap comparison comes first.
        if u64_at(bytes.get(..FRAME_HEADER)?, 16) != log_id {
            return None;
        }
        Self::decode_any(segment, bytes)
    }

    /// Reads a header of this segment of any log. Returns `None` if the bytes are not such a header.
    pub fn decode_any(segment: u32, bytes: &[u8]) -> Option<FrameHeader> {
        let bytes: &[u8; FRAME_HEADER] = bytes.get(..FRAME_HEADER)?.try_into().ok()?;
        if bytes[0..4] != MAGIC || bytes[4..8] != [VERSION, 0, 0, 0] {
            return None;
        }
        if header_crc(segment, &bytes[..60]) != u32_at(bytes, 60) {
            return None;
        }
        Some(FrameHeader {
            payload: u32_at(bytes, 8),
            records: u32_at(bytes, 12),
            log_id: u64_at(bytes, 16),
            sequence: u64_at(bytes, 24),
            now: u64_at(bytes, 32),
            synced: Place::from_bits(u64_at(bytes, 40)),
            counter: u64_at(bytes, 48),
            records_crc: u32_at(bytes, 56),
        })
    }
}

/// The header of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// CRC-32C of the rest of the record, seeded with its place.
    pub crc: u32,
    /// The record's class.
    pub class: Class,
    /// Length of the head in bytes.
    pub head: u32,
    /// Length of the tail in bytes.
    pub tail: u32,
}

impl RecordHeader {
    /// Length of the whole record in bytes. Larger than any segment if the header is invalid.
    pub fn record_bytes(&self) -> usize {
        (RECORD_HEADER as u64 + u64::from(self.head) + u64::from(self.tail)).min(u64::from(u32::MAX)) as usize
    }

    /// Writes the 12 bytes of the header without the checksum, which the writer fills in later.
    pub fn encode_unsummed(class: Class, head: u32, tail: u32, out: &mut [u8]) {
        out[4..7].copy_from_slice(&head.to_le_bytes()[..3]);
        out[7] = class as u8;
        out[8..12].copy_from_slice(&tail.to_le_bytes());
    }

    /// Reads a header. Returns `None` if there are too few bytes or the class is unknown.
    pub fn decode(bytes: &[u8]) -> Option<RecordHeader> {
        let bytes: &[u8; RECORD_HEADER] = bytes.get(..RECORD_HEADER)?.try_into().ok()?;
        Some(RecordHeader {
            crc: u32_at(bytes, 0),
            class: Class::from_byte(bytes[7])?,
            head: u32_at(bytes, 4) & 0x00ff_ffff,
            tail: u32_at(bytes, 8),
        })
    }

    /// Reads the header of a record that fills `bytes` exactly and has the right checksum for this place.
    pub fn verify(place: Place, bytes: &[u8]) -> Option<RecordHeader> {
        let header = Self::decode(bytes)?;
        let whole = header.record_bytes() == bytes.len() && record_crc(place, bytes) == header.crc;
        whole.then_some(header)
    }
}

/// Returns the checksum of a whole record at this place. The place is the seed, so a record that an older
/// segment left in a recycled file is not valid here.
pub fn record_crc(place: Place, record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&place.to_bits().to_le_bytes()), &record[4..])
}

fn sum_header(segment: u32, records_crc: u32, header: &mut [u8]) {
    header[56..60].copy_from_slice(&records_crc.to_le_bytes());
    let crc = header_crc(segment, &header[..60]);
    header[60..64].copy_from_slice(&crc.to_le_bytes());
}

/// Fills in the checksums of an appender's frames, which begin at `place`, and shows each frame and record.
///
/// Returns the header of the last frame, or `None` if the bytes are not whole frames. An appender's bytes
/// always are.
pub fn seal(
    place: Place,
    bytes: &mut [u8],
    mut frame_seen: impl FnMut(&FrameHeader),
    mut record_seen: impl FnMut(Place, &RecordHeader, &[u8]),
) -> Option<FrameHeader> {
    let segment = place.segment();
    let mut last = None;
    let mut at = 0;
    while at < bytes.len() {
        let frame = &mut bytes[at..];
        let payload = u32_at(frame.get(..FRAME_HEADER)?, 8) as usize;
        let records = frame.get_mut(FRAME_HEADER..FRAME_HEADER + payload)?;
        let mut records_crc = 0;
        let mut inside = 0;
        while inside < payload {
            let record = &mut records[inside..];
            let header = RecordHeader::decode(record)?;
            let record = record.get_mut(..header.record_bytes())?;
            let place = Place::new(segment, place.offset() + (at + FRAME_HEADER + inside) as u32);
            let crc = record_crc(place, record);
            record[..4].copy_from_slice(&crc.to_le_bytes());
            records_crc = crc32c::crc32c_append(records_crc, &crc.to_le_bytes());
            record_seen(place, &RecordHeader { crc, ..header }, record);
            inside += record.len();
        }
        sum_header(segment, records_crc, frame);
        let log_id = u64_at(frame, 16);
        let header = FrameHeader::decode(log_id, segment, frame)?;
        frame_seen(&header);
        last = Some(header);
        at += align(FRAME_HEADER + payload);
    }
    last
}

fn header_crc(segment: u32, header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&segment.to_le_bytes()), header)
}

/// Returns the little-endian number in the four bytes at `at`. The caller knows that they exist.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Returns the little-endian number in the eight bytes at `at`. The caller knows that they exist.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_only_in_its_own_log_and_segment() {
        let header = FrameHeader {
            payload: 100,
            records: 3,
            log_id: 77,
            sequence: 12,
            now: 1_700_000_000_000,
            synced: Place::new(4, 512),
            counter: 99,
            records_crc: 0xdead_beef,
        };
        let mut bytes = [0; FRAME_HEADER];
        header.encode(5, &mut bytes);
        assert_eq!(FrameHeader::decode(77, 5, &bytes), Some(header));
        assert_eq!(FrameHeader::decode(78, 5, &bytes), None);
        assert_eq!(FrameHeader::decode(77, 6, &bytes), None);
        assert_eq!(FrameHeader::decode(77, 5, &bytes[..63]), None);
        for bit in 0..FRAME_HEADER * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(77, 5, &flipped), None, "bit {bit} was flipped unnoticed");
        }
    }
}
