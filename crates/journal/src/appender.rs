//! Where records get their places and become batches. No I/O, no checksums: it runs on the engine's thread.

use kernel::{Extent, Place, Position, Time};

use crate::format::{
    Class, FRAME_BYTES, FRAME_HEADER, FrameHeader, HEAD_LIMIT, RECORD_HEADER, RecordHeader, UNVOUCHED, align,
};

/// Gives records their places in the log and gathers them into batches.
///
/// A place is final when [`push`](Appender::push) returns, before anything is written: the engine can store it in its
/// state at once. What was pushed reaches the disk as part of the next batch that is [taken](Appender::take).
/// One record is all there or not there at all after a crash; two records of one batch need not share that fate.
#[derive(Debug)]
pub struct Appender {
    log_id: u64,
    segment_bytes: u32,
    /// The number of the next frame.
    sequence: u64,
    /// Where the next byte goes: in `bytes` if a frame is open, or the beginning of the next frame.
    segment: u32,
    /// Where `bytes` begins in its segment.
    base: u32,
    /// What lies in the current segment from `base` on and has not been taken.
    bytes: Vec<u8>,
    /// Frames in `bytes`, the last of which may be open.
    frames: Vec<Frame>,
    open: bool,
    /// What belongs to segments that became full since the last batch.
    full: Vec<Unfinished>,
    records: u32,
    /// Buffers that came back from the writer.
    spare: Vec<Vec<u8>>,
    spare_frames: Vec<Vec<Frame>>,
    spare_pieces: Vec<Vec<Piece>>,
    /// Whether frames say how far the log is durable.
    vouches: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where its header begins in the piece's bytes.
    at: usize,
    records: u32,
    /// Bytes of its records.
    payload: u32,
}

#[derive(Debug)]
struct Unfinished {
    segment: u32,
    base: u32,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

/// Whole frames that lie together in one segment. The checksums are not in them yet.
#[derive(Debug)]
pub struct Piece {
    /// The segment's number.
    pub segment: u32,
    /// Where in the segment the bytes belong.
    pub offset: u32,
    /// One frame after another.
    pub bytes: Vec<u8>,
}

/// What is to be written next: one piece, or more if segments became full.
#[derive(Debug)]
pub struct Batch {
    /// In the order of the log.
    pub pieces: Vec<Piece>,
    /// How many records it holds.
    pub records: u32,
    /// Where the log ends when it has been written. Every record's place in the batch is before it.
    pub end: Position,
}

impl Batch {
    /// Bytes to be written.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }
}

/// A record's head would be longer than it may be. Nothing was added to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlong {
    /// How long it would be.
    pub bytes: usize,
}

/// Buffers larger than this are not kept for later batches.
const SPARE_BYTES: usize = 1 << 20;
/// How many buffers are kept for later batches.
const SPARES: usize = 8;

impl Appender {
    /// An appender that goes on at `end`, with frame number `sequence`.
    ///
    /// `log_id` is the number of the data directory. A segment is full when the next record would make it longer than
    /// `segment_bytes`; only a record that is longer than that alone makes a segment longer.
    pub fn new(log_id: u64, segment_bytes: u32, end: Position, sequence: u64) -> Self {
        Appender {
            log_id,
            segment_bytes,
            sequence,
            segment: end.segment(),
            base: end.offset(),
            bytes: Vec::new(),
            frames: Vec::new(),
            open: false,
            full: Vec::new(),
            records: 0,
            spare: Vec::new(),
            spare_frames: Vec::new(),
            spare_pieces: Vec::new(),
            vouches: true,
        }
    }

    /// For a log whose answers do not wait for the disk: what the caller takes for durable is only written, and frames
    /// must not vouch for it, or a crash of the machine would look like damage. They say so instead.
    pub fn vouches(mut self, vouches: bool) -> Self {
        self.vouches = vouches;
        self
    }

    /// Adds a record and says where it will lie. `head` appends what the engine needs at a restart; `tail` is read only
    /// by place.
    ///
    /// # Panics
    /// If the head is 16 MiB or longer: for callers whose heads are of a known length. Others call
    /// [`try_push`](Appender::try_push).
    pub fn push(&mut self, class: Class, head: impl FnOnce(&mut Vec<u8>), tail: &[u8]) -> Extent {
        match self.try_push(class, HEAD_LIMIT - 1, head, tail) {
            Ok(extent) => extent,
            Err(Overlong { bytes }) => panic!("a record's head of {bytes} bytes"),
        }
    }

    /// The same, unless the head is longer than `most` bytes, or than the format allows: then the log stays as it was, and
    /// the caller writes less, or refuses what asked for it.
    pub fn try_push(
        &mut self,
        class: Class,
        most: usize,
        head: impl FnOnce(&mut Vec<u8>),
        tail: &[u8],
    ) -> Result<Extent, Overlong> {
        if self.open && self.bytes.len() - self.frame_at() >= FRAME_BYTES {
            self.close_frame();
        }
        let was_open = self.open;
        if !self.open {
            self.open_frame();
        }
        let mut at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD_HEADER]);
        head(&mut self.bytes);
        let head_len = self.bytes.len() - at - RECORD_HEADER;
        if head_len > most.min(HEAD_LIMIT - 1) {
            self.bytes.truncate(at);
            if !was_open {
                // No frame without records, but by `mark`.
                self.bytes.truncate(self.frame_at());
                self.frames.pop();
                self.open = false;
            }
            return Err(Overlong { bytes: head_len });
        }
        let end = self.base as usize + self.bytes.len() + tail.len();
        if end > self.segment_bytes as usize && self.base as usize + at > FRAME_HEADER {
            at = self.roll(at);
        }
        let tail_len = u32::try_from(tail.len()).unwrap_or(u32::MAX);
        RecordHeader::encode_unsummed(class, head_len as u32, tail_len, &mut self.bytes[at..]);
        self.bytes.extend_from_slice(&tail[..tail_len as usize]);
        if let Some(frame) = self.frames.last_mut() {
            frame.records += 1;
        }
        self.records += 1;
        let place = Place::new(self.segment, self.base + at as u32);
        Ok(Extent { place, len: (self.bytes.len() - at) as u32 })
    }

    /// Where the log ends with everything that was pushed: when the log is durable up to here, all of it is.
    pub fn end(&self) -> Position {
        Place::new(self.segment, self.base + self.bytes.len() as u32)
    }

    /// The segment that the next record goes to, unless it is full.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    /// How long a segment gets.
    pub fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// Whether nothing was pushed since the last batch.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes that wait to be taken.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes.len() + self.full.iter().map(|piece| piece.bytes.len()).sum::<usize>()
    }

    /// Takes what was pushed since the last batch; `None` if nothing was.
    ///
    /// `now`, `synced` (how far the log is known to be durable) and `counter` (any number of the caller's) are written
    /// into the batch's frames, and given back by recovery.
    pub fn take(&mut self, now: Time, synced: Position, counter: u64) -> Option<Batch> {
        if self.records == 0 {
            return None;
        }
        if self.open {
            self.close_frame();
        }
        self.batch(now, synced, counter)
    }

    fn batch(&mut self, now: Time, synced: Position, counter: u64) -> Option<Batch> {
        let mut pieces = self.spare_pieces.pop().unwrap_or_default();
        for unfinished in std::mem::take(&mut self.full) {
            pieces.push(self.finish(unfinished, now, synced, counter));
        }
        if !self.bytes.is_empty() {
            let unfinished = self.current();
            self.base += unfinished.bytes.len() as u32;
            pieces.push(self.finish(unfinished, now, synced, counter));
        }
        Some(Batch { pieces, records: std::mem::take(&mut self.records), end: self.end() })
    }

    /// A batch without records, that only says how far the log is durable. Written when a server ends or has nothing
    /// to do, it lets recovery tell damage to the last frames from frames that were never finished.
    ///
    /// Returns `None` if records wait to be taken: a batch of those says as much.
    pub fn mark(&mut self, now: Time, synced: Position, counter: u64) -> Option<Batch> {
        if self.records > 0 {
            return None;
        }
        self.open_frame();
        if self.base as usize + FRAME_HEADER > self.segment_bytes as usize {
            self.roll(FRAME_HEADER);
        }
        self.close_frame();
        self.batch(now, synced, counter)
    }

    /// Takes a batch's buffers back when it has been written, so that the next ones need not allocate.
    pub fn recycle(&mut self, mut batch: Batch) {
        for piece in batch.pieces.drain(..) {
            let mut bytes = piece.bytes;
            if bytes.capacity() <= SPARE_BYTES && self.spare.len() < SPARES {
                bytes.clear();
                self.spare.push(bytes);
            }
        }
        if self.spare_pieces.len() < SPARES {
            self.spare_pieces.push(batch.pieces);
        }
    }

    fn frame_at(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.at)
    }

    fn open_frame(&mut self) {
        self.frames.push(Frame { at: self.bytes.len(), records: 0, payload: 0 });
        self.bytes.extend_from_slice(&[0; FRAME_HEADER]);
        self.open = true;
    }

    fn close_frame(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.payload = (self.bytes.len() - frame.at - FRAME_HEADER) as u32;
        }
        self.bytes.resize(align(self.bytes.len()), 0);
        self.open = false;
    }

    /// Ends the current segment before the record that begins at `at`, and moves that record to the next one. Returns
    /// where it begins now.
    fn roll(&mut self, at: usize) -> usize {
        let mut next = self.spare.pop().unwrap_or_default();
        next.extend_from_slice(&[0; FRAME_HEADER]);
        next.extend_from_slice(&self.bytes[at..]);
        self.bytes.truncate(at);
        if self.frame_at() + FRAME_HEADER == at {
            // The record was the first of its frame: nothing is left of the frame.
            self.bytes.truncate(self.frame_at());
            self.frames.pop();
        } else {
            self.close_frame();
        }
        let unfinished = self.current();
        if unfinished.bytes.is_empty() {
            self.give_back(unfinished);
        } else {
            self.full.push(unfinished);
        }
        self.bytes = next;
        self.frames.push(Frame { at: 0, records: 0, payload: 0 });
        self.open = true;
        self.segment += 1;
        self.base = 0;
        FRAME_HEADER
    }

    /// What lies in the current segment, leaving fresh buffers behind.
    fn current(&mut self) -> Unfinished {
        let bytes = self.spare.pop().unwrap_or_default();
        let frames = self.spare_frames.pop().unwrap_or_default();
        Unfinished {
            segment: self.segment,
            base: self.base,
            bytes: std::mem::replace(&mut self.bytes, bytes),
            frames: std::mem::replace(&mut self.frames, frames),
        }
    }

    fn finish(&mut self, mut unfinished: Unfinished, now: Time, synced: Position, counter: u64) -> Piece {
        for frame in unfinished.frames.drain(..) {
            let header = FrameHeader {
                payload: frame.payload,
                records: frame.records,
                log_id: self.log_id,
                sequence: self.sequence,
                now: now.millis(),
                synced: if self.vouches { synced } else { UNVOUCHED },
                counter,
                records_crc: 0,
            };
            self.sequence += 1;
            // `open_frame` and `roll` left room for a header at `frame.at`.
            if let Some(room) = unfinished.bytes[frame.at..].first_chunk_mut() {
                header.encode_unsummed(room);
            }
        }
        let piece = Piece {
            segment: unfinished.segment,
            offset: unfinished.base,
            bytes: std::mem::take(&mut unfinished.bytes),
        };
        self.spare_frames.push(unfinished.frames);
        piece
    }

    fn give_back(&mut self, mut unfinished: Unfinished) {
        unfinished.frames.clear();
        self.spare_frames.push(unfinished.frames);
        self.spare.push(unfinished.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appender(segment_bytes: u32) -> Appender {
        Appender::new(7, segment_bytes, Place::new(1, 0), 1)
    }

    #[test]
    fn places_are_final_when_a_record_is_pushed() {
        let mut appender = appender(1 << 20);
        let first = appender.push(Class::Flow, |out| out.extend_from_slice(b"head"), b"tail!");
        let second = appender.push(Class::Configuration, |_| {}, b"");
        assert_eq!(first, Extent { place: Place::new(1, 64), len: 12 + 4 + 5 });
        assert_eq!(second, Extent { place: Place::new(1, 85), len: 12 });
        assert_eq!(appender.end(), Place::new(1, 97));
        let batch = appender.take(Time(5), Place::new(1, 0), 9).unwrap();
        assert_eq!(batch.end, Place::new(1, 104), "frames are padded to eight bytes");
        assert_eq!(appender.end(), batch.end);
        assert_eq!(batch.bytes(), 104);
        assert_eq!(batch.records, 2);
        assert!(appender.take(Time(5), Place::new(1, 0), 9).is_none());
    }

    #[test]
    fn a_record_that_does_not_fit_begins_the_next_segment() {
        let mut appender = appender(200);
        appender.push(Class::Flow, |_| {}, &[1; 50]);
        let rolled = appender.push(Class::Flow, |out| out.push(3), &[2; 100]);
        assert_eq!(rolled.place, Place::new(2, 64));
        let batch = appender.take(Time(0), Place::new(1, 0), 0).unwrap();
        assert_eq!(batch.pieces.len(), 2);
        assert_eq!((batch.pieces[0].segment, batch.pieces[0].bytes.len()), (1, 128));
        assert_eq!((batch.pieces[1].segment, batch.pieces[1].offset), (2, 0));
        // The first record of a batch can be the one that does not fit, too.
        let rolled = appender.push(Class::Flow, |_| {}, &[2; 100]);
        assert_eq!(rolled.place, Place::new(3, 64));
        let batch = appender.take(Time(0), Place::new(1, 0), 0).unwrap();
        assert_eq!(batch.pieces.len(), 1);
        assert_eq!(batch.end.segment(), 3);
    }

    #[test]
    fn a_head_that_is_too_long_is_refused_and_leaves_nothing_behind() {
        let (mut appender, mut other) = (appender(1 << 20), appender(1 << 20));
        let long = |appender: &mut Appender| {
            appender.try_push(Class::Flow, 9, |out| out.extend_from_slice(&[1; 10]), &[2; 50])
        };
        assert_eq!(long(&mut appender), Err(Overlong { bytes: 10 }));
        assert!(appender.take(Time(0), Place::new(1, 0), 0).is_none());
        for appender in [&mut appender, &mut other] {
            appender.push(Class::Flow, |out| out.push(1), &[3; 10]);
        }
        assert_eq!(long(&mut appender), Err(Overlong { bytes: 10 }));
        for appender in [&mut appender, &mut other] {
            appender.push(Class::Flow, |out| out.push(2), &[4; 10]);
        }
        let batches = [&mut appender, &mut other].map(|it| it.take(Time(0), Place::new(1, 0), 0).unwrap());
        assert_eq!(batches[0].pieces[0].bytes, batches[1].pieces[0].bytes);
        assert_eq!(appender.sequence, other.sequence);
        let longest = |out: &mut Vec<u8>| out.resize(out.len() + HEAD_LIMIT, 0);
        let refused = appender.try_push(Class::Flow, usize::MAX, longest, &[]);
        assert_eq!(
            refused,
            Err(Overlong { bytes: HEAD_LIMIT }),
            "the format has no more bytes for its length"
        );
    }

    #[test]
    fn a_record_longer_than_a_segment_gets_one_of_its_own() {
        let mut appender = appender(200);
        let long = appender.push(Class::Flow, |_| {}, &[1; 1000]);
        let next = appender.push(Class::Flow, |_| {}, &[1; 10]);
        assert_eq!((long.place, next.place), (Place::new(1, 64), Place::new(2, 64)));
    }

    #[test]
    fn a_long_batch_is_cut_into_frames() {
        let mut appender = appender(64 << 20);
        for _ in 0..9 {
            appender.push(Class::Flow, |_| {}, &vec![0; 1 << 20]);
        }
        let batch = appender.take(Time(0), Place::new(1, 0), 0).unwrap();
        assert_eq!(batch.pieces.len(), 1);
        assert_eq!(appender.sequence, 4, "nine records of 1 MiB are three frames of four, four and one");
    }

    #[test]
    fn buffers_come_back() {
        let mut appender = appender(1 << 20);
        appender.push(Class::Flow, |_| {}, &[0; 1000]);
        let batch = appender.take(Time(0), Place::new(1, 0), 0).unwrap();
        let buffer = batch.pieces[0].bytes.as_ptr();
        appender.recycle(batch);
        appender.push(Class::Flow, |_| {}, &[0; 10]);
        appender.take(Time(0), Place::new(1, 0), 0);
        appender.push(Class::Flow, |_| {}, &[0; 10]);
        let batch = appender.take(Time(0), Place::new(1, 0), 0).unwrap();
        assert_eq!(batch.pieces[0].bytes.as_ptr(), buffer);
    }
}
