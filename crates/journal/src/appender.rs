//! Assigns places to records and forms batches. It runs on the engine's thread and does no I/O and no
//! checksums.

use kernel::{Extent, Place, Position, Time};

use crate::format::{
    Class, FRAME_BYTES, FRAME_HEADER, FrameHeader, GROUP_BYTES, HEAD_LIMIT, RECORD_HEADER, RecordHeader,
    UNVOUCHED, align,
};

/// Assigns places in the log to records and collects the records in batches.
///
/// A place is final when [`push`](Appender::push) returns, before anything is written, so the engine can
/// store it in its state at once. The next batch that is [taken](Appender::take) contains all pushed records.
/// After a crash a record is whole or absent, and so is a [group](Appender::group) of records. Two records of
/// one batch and of different groups can be separated by a crash.
#[derive(Debug)]
pub struct Appender {
    log_id: u64,
    segment_bytes: u32,
    /// The number of the next frame.
    sequence: u64,
    /// The place of the next byte: in `bytes` if a frame is open, else the beginning of the next frame.
    segment: u32,
    /// The offset of `bytes` in its segment.
    base: u32,
    /// The bytes of the current segment from `base` on that were not taken yet.
    bytes: Vec<u8>,
    /// The frames in `bytes`; the last one may be open.
    frames: Vec<Frame>,
    open: bool,
    /// The offset in `bytes` of the last group. A record that was pushed alone is a group of one.
    group_at: usize,
    /// The records of the last group, or of its last extension.
    extents: Vec<Extent>,
    /// A planted fault: each record of a group gets its own frame.
    splits_groups: bool,
    /// The pieces of segments that became full since the last batch.
    full: Vec<Unfinished>,
    records: u32,
    /// Buffers that the writer returned.
    spare: Vec<Vec<u8>>,
    spare_frames: Vec<Vec<Frame>>,
    spare_pieces: Vec<Vec<Piece>>,
    /// Whether frames say how far the log is durable.
    vouches: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The offset of its header in the piece's bytes.
    at: usize,
    records: u32,
    /// Length of its records, in bytes.
    payload: u32,
}

#[derive(Debug)]
struct Unfinished {
    segment: u32,
    base: u32,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

/// Whole frames that are adjacent in one segment. Their checksums are not filled in yet.
#[derive(Debug)]
pub struct Piece {
    /// The segment's number.
    pub segment: u32,
    /// The offset of the bytes in the segment.
    pub offset: u32,
    /// The frames, one after another.
    pub bytes: Vec<u8>,
}

/// The next bytes to write: one piece, or more if segments became full.
#[derive(Debug)]
pub struct Batch {
    /// The pieces, in the order of the log.
    pub pieces: Vec<Piece>,
    /// Number of records.
    pub records: u32,
    /// The end of the log after this batch. Every record of the batch is before it.
    pub end: Position,
}

impl Batch {
    /// Returns the number of bytes to write.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }
}

/// A record's head, or a group of records, is too long. Nothing was added to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlong {
    /// The length that was refused, in bytes.
    pub bytes: usize,
}

/// The records of a group while the caller fills it. See [`Appender::group`].
#[derive(Debug)]
pub struct Group<'a> {
    appender: &'a mut Appender,
    /// The offset of the whole group in the appender's bytes.
    begin: usize,
    /// The offset of the records of this call.
    from: usize,
    records: u32,
}

impl Group<'_> {
    /// Adds a record to the group. Its place is known when the group is complete.
    ///
    /// Errors: the head is longer than `most` bytes or than the format allows, or the group is longer than
    /// [`GROUP_BYTES`]. If the caller returns the error, nothing of the group is added to the log.
    pub fn push(
        &mut self,
        class: Class,
        most: usize,
        head: impl FnOnce(&mut Vec<u8>),
        tail: &[u8],
    ) -> Result<(), Overlong> {
        let appender = &mut *self.appender;
        let at = appender.encode(class, most, head, tail)?;
        let bytes = appender.bytes.len() - self.begin;
        if bytes > GROUP_BYTES {
            return Err(Overlong { bytes });
        }
        let (place, len) = (Place::new(0, (at - self.from) as u32), (appender.bytes.len() - at) as u32);
        appender.extents.push(Extent { place, len });
        self.records += 1;
        Ok(())
    }
}

/// Larger buffers are not kept for later batches.
const SPARE_BYTES: usize = 1 << 20;
/// Number of buffers that are kept for later batches.
const SPARES: usize = 8;

impl Appender {
    /// Creates an appender that continues at `end`, with frame number `sequence`.
    ///
    /// `log_id` is the random number of the log. A segment is full when the next record or group would make
    /// it longer than `segment_bytes`. Only a single record or group that is longer than this makes a segment
    /// longer.
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
            group_at: 0,
            extents: Vec::new(),
            splits_groups: false,
            full: Vec::new(),
            records: 0,
            spare: Vec::new(),
            spare_frames: Vec::new(),
            spare_pieces: Vec::new(),
            vouches: true,
        }
    }

    /// Turns off the frames' statement of how far the log is durable, for a log whose answers do not wait for
    /// the disk. There, the caller's `synced` is only written, not durable. If frames stated it, a crash of
    /// the machine would look like damage.
    pub fn vouches(mut self, vouches: bool) -> Self {
        self.vouches = vouches;
        self
    }

    /// Adds a record and returns its place. `head` appends the bytes that the engine needs at a restart;
    /// `tail` is read only by place.
    ///
    /// # Panics
    /// If the head is 16 MiB or longer. Use this method for heads of a bounded length, and
    /// [`try_push`](Appender::try_push) for others.
    pub fn push(&mut self, class: Class, head: impl FnOnce(&mut Vec<u8>), tail: &[u8]) -> Extent {
        match self.try_push(class, HEAD_LIMIT - 1, head, tail) {
            Ok(extent) => extent,
            Err(Overlong { bytes }) => panic!("a record's head of {bytes} bytes"),
        }
    }

    /// As [`push`](Appender::push), but fails if the head is longer than `most` bytes or than the format
    /// allows. Then the log is unchanged, and the caller writes a shorter record or refuses the request.
    pub fn try_push(
        &mut self,
        class: Class,
        most: usize,
        head: impl FnOnce(&mut Vec<u8>),
        tail: &[u8],
    ) -> Result<Extent, Overlong> {
        let was_open = self.begin();
        let mut at = self.bytes.len();
        if let Err(overlong) = self.encode(class, most, head, tail) {
            self.abandon(at, was_open);
            return Err(overlong);
        }
        if !self.fits(0) && self.base as usize + at > FRAME_HEADER {
            at = self.roll(at);
        }
        self.count(1);
        self.group_at = at;
        let place = Place::new(self.segment, self.base + at as u32);
        Ok(Extent { place, len: (self.bytes.len() - at) as u32 })
    }

    /// Adds records that a crash keeps together, all or none: they lie in one frame. `fill` pushes them.
    /// Returns their places, in order.
    ///
    /// If the segment has no room for the group and `room` more bytes, the whole group begins the next
    /// segment. An [extension](Appender::extend_group) of at most `room` bytes is then certain to fit. `room`
    /// should be far smaller than a segment, because up to that much at each segment's end stays empty.
    ///
    /// Errors: those of `fill`. Then the log is unchanged.
    pub fn group(
        &mut self,
        room: usize,
        fill: impl FnOnce(&mut Group<'_>) -> Result<(), Overlong>,
    ) -> Result<&[Extent], Overlong> {
        let was_open = self.begin();
        let mut from = self.bytes.len();
        let records = match self.fill(from, from, fill) {
            Ok(records) => records,
            Err(overlong) => {
                self.abandon(from, was_open);
                return Err(overlong);
            }
        };
        if records == 0 {
            self.abandon(from, was_open);
            return Ok(&[]);
        }
        if !self.fits(room) && self.base as usize + from > FRAME_HEADER {
            from = self.roll(from);
        }
        self.group_at = from;
        Ok(self.place(from, records))
    }

    /// Adds records to the last group, so that a crash keeps all of both or nothing. A record that was pushed
    /// alone is a group of one.
    ///
    /// It is a bug to call this after another push or take.
    ///
    /// Errors: those of `fill`, or the segment has no room for the records. Then the group is unchanged. The
    /// second error cannot occur within the `room` of [`group`](Appender::group).
    pub fn extend_group(
        &mut self,
        fill: impl FnOnce(&mut Group<'_>) -> Result<(), Overlong>,
    ) -> Result<&[Extent], Overlong> {
        debug_assert!(self.open, "a batch was taken within a group");
        if !self.open {
            return self.group(0, fill);
        }
        let from = self.bytes.len();
        let filled = self.fill(self.group_at, from, fill);
        let bytes = self.bytes.len() - self.group_at;
        // A group that began its segment may make the segment longer.
        let fits = self.fits(0) || self.base as usize + self.group_at <= FRAME_HEADER;
        match filled {
            Ok(records) if fits => Ok(self.place(from, records)),
            filled => {
                self.abandon(from, true);
                Err(filled.err().unwrap_or(Overlong { bytes }))
            }
        }
    }

    /// A planted fault for the simulator: the records of a group no longer lie in one frame.
    #[doc(hidden)]
    pub fn split_groups(&mut self) {
        self.splits_groups = true;
    }

    /// Opens a frame unless one is open and not full. Returns whether such a frame was open.
    fn begin(&mut self) -> bool {
        if self.open && self.bytes.len() - self.frame_at() >= FRAME_BYTES {
            self.close_frame();
        }
        let was_open = self.open;
        if !was_open {
            self.open_frame();
        }
        was_open
    }

    /// Appends a record's bytes and returns their offset. After an error the bytes may be incomplete.
    fn encode(
        &mut self,
        class: Class,
        most: usize,
        head: impl FnOnce(&mut Vec<u8>),
        tail: &[u8],
    ) -> Result<usize, Overlong> {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD_HEADER]);
        head(&mut self.bytes);
        let head_len = self.bytes.len() - at - RECORD_HEADER;
        if head_len > most.min(HEAD_LIMIT - 1) {
            return Err(Overlong { bytes: head_len });
        }
        let tail_len = u32::try_from(tail.len()).unwrap_or(u32::MAX);
        RecordHeader::encode_unsummed(class, head_len as u32, tail_len, &mut self.bytes[at..]);
        self.bytes.extend_from_slice(&tail[..tail_len as usize]);
        Ok(at)
    }

    fn fill(
        &mut self,
        begin: usize,
        from: usize,
        fill: impl FnOnce(&mut Group<'_>) -> Result<(), Overlong>,
    ) -> Result<u32, Overlong> {
        self.extents.clear();
        let mut group = Group { appender: self, begin, from, records: 0 };
        fill(&mut group)?;
        Ok(group.records)
    }

    /// Removes the bytes appended from `at` on.
    fn abandon(&mut self, at: usize, was_open: bool) {
        self.bytes.truncate(at);
        if !was_open {
            // Only `mark` makes frames without records.
            self.bytes.truncate(self.frame_at());
            self.frames.pop();
            self.open = false;
        }
    }

    /// Returns whether the segment has room for the appended bytes and `room` more.
    fn fits(&self, room: usize) -> bool {
        self.base as usize + self.bytes.len() + room <= self.segment_bytes as usize
    }

    fn count(&mut self, records: u32) {
        if let Some(frame) = self.frames.last_mut() {
            frame.records += records;
        }
        self.records += records;
    }

    /// Assigns places to the records of a group. The first one lies at `from`.
    fn place(&mut self, from: usize, records: u32) -> &[Extent] {
        if self.splits_groups {
            return self.place_split(from);
        }
        self.count(records);
        let base = self.base + from as u32;
        for extent in &mut self.extents {
            extent.place = Place::new(self.segment, base + extent.place.offset());
        }
        &self.extents
    }

    /// The planted fault: gives each record of a group its own frame.
    fn place_split(&mut self, from: usize) -> &[Extent] {
        let bytes = self.bytes.split_off(from);
        for at in 0..self.extents.len() {
            let extent = self.extents[at];
            if at > 0 {
                self.close_frame();
                self.open_frame();
            }
            let begin = extent.place.offset() as usize;
            let place = Place::new(self.segment, self.base + self.bytes.len() as u32);
            self.bytes.extend_from_slice(&bytes[begin..begin + extent.len as usize]);
            self.extents[at].place = place;
            self.count(1);
        }
        &self.extents
    }

    /// Returns the end of the log with all pushed records. They are durable when the log is durable up to
    /// here.
    pub fn end(&self) -> Position {
        Place::new(self.segment, self.base + self.bytes.len() as u32)
    }

    /// Returns the segment of the next record, unless that segment is full.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    /// Returns the length of a full segment.
    pub fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// Returns whether nothing was pushed since the last batch.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Returns the number of bytes that wait to be taken.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes.len() + self.full.iter().map(|piece| piece.bytes.len()).sum::<usize>()
    }

    /// Takes all records pushed since the last batch; `None` if there are none.
    ///
    /// The batch's frames contain `now`, `synced` (how far the log is durable) and `counter` (any number of
    /// the caller). Recovery returns them.
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

    /// Takes a batch without records, which only says how far the log is durable. A server writes it when it
    /// stops or is idle. With it, recovery can distinguish damage to the last frames from unfinished frames.
    ///
    /// Returns `None` if records wait to be taken: their batch says the same.
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

    /// Takes a written batch's buffers back for later batches.
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

    /// Ends the current segment before the record or group at `at`, and moves that to the next segment.
    /// Returns its new offset.
    fn roll(&mut self, at: usize) -> usize {
        let mut next = self.spare.pop().unwrap_or_default();
        next.extend_from_slice(&[0; FRAME_HEADER]);
        next.extend_from_slice(&self.bytes[at..]);
        self.bytes.truncate(at);
        if self.frame_at() + FRAME_HEADER == at {
            // The record was the first of its frame: the frame is now empty.
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

    /// Takes the bytes of the current segment, and leaves fresh buffers.
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
        // The first record of a batch may be the one that does not fit.
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

    /// Pushes a group of records with these tails.
    fn group<'a>(appender: &'a mut Appender, room: usize, tails: &[usize]) -> Result<&'a [Extent], Overlong> {
        appender.group(room, |group| fill(group, tails))
    }

    fn fill(group: &mut Group<'_>, tails: &[usize]) -> Result<(), Overlong> {
        tails.iter().try_for_each(|&tail| group.push(Class::Flow, 9, |out| out.push(7), &vec![1; tail]))
    }

    /// Returns the number of records of each frame of a batch.
    fn records_of_frames(mut batch: Batch) -> Vec<u32> {
        let mut records = Vec::new();
        for piece in &mut batch.pieces {
            let place = Place::new(piece.segment, piece.offset);
            let sealed = crate::format::seal(
                place,
                &mut piece.bytes,
                |frame| records.push(frame.records),
                |_, _, _| {},
            );
            assert!(sealed.is_some());
        }
        records
    }

    fn take(appender: &mut Appender) -> Batch {
        appender.take(Time(0), Place::new(1, 0), 0).unwrap()
    }

    #[test]
    fn a_group_lies_in_one_frame_though_the_frame_becomes_full() {
        let mut appender = appender(64 << 20);
        appender.push(Class::Flow, |_| {}, &vec![0; FRAME_BYTES - 100]);
        group(&mut appender, 0, &[200, 200, 200]).unwrap();
        group(&mut appender, 0, &[200, 200]).unwrap();
        assert_eq!(records_of_frames(take(&mut appender)), [4, 2]);
    }

    #[test]
    fn a_group_that_does_not_fit_begins_the_next_segment_as_a_whole() {
        let mut appender = appender(300);
        appender.push(Class::Flow, |_| {}, &[1; 88]);
        let extents = group(&mut appender, 0, &[50, 50, 50]).unwrap().to_vec();
        assert_eq!(extents[0], Extent { place: Place::new(2, 64), len: 63 });
        assert_eq!(extents[1].place, Place::new(2, 127));
        assert_eq!(extents[2].place, Place::new(2, 190));
        assert_eq!(appender.end(), Place::new(2, 253));
        assert_eq!(records_of_frames(take(&mut appender)), [1, 3]);
        // After a batch was taken, and with requested room.
        let extents = group(&mut appender, 0, &[]).unwrap();
        assert!(extents.is_empty());
        assert!(appender.is_empty() && appender.take(Time(0), Place::new(1, 0), 0).is_none());
        let extents = group(&mut appender, 50, &[10, 10]).unwrap();
        assert_eq!(extents[0].place, Place::new(3, 64));
        let extended = appender.extend_group(|group| fill(group, &[10, 15])).unwrap().to_vec();
        assert_eq!(extended[0].place, Place::new(3, 64 + 46));
        assert_eq!(records_of_frames(take(&mut appender)), [4]);
        let extents = group(&mut appender, 0, &[40; 9]).unwrap();
        assert_eq!(extents[8].place.segment(), 4, "a group that is longer than a segment has one of its own");
        assert_eq!(records_of_frames(take(&mut appender)), [9]);
    }

    #[test]
    fn an_extension_that_does_not_fit_is_refused_and_leaves_the_group_as_it_was() {
        let (mut appender, mut other) = (appender(300), appender(300));
        for appender in [&mut appender, &mut other] {
            appender.push(Class::Flow, |_| {}, &[1; 20]);
            appender.push(Class::Flow, |_| {}, &[1; 20]);
        }
        let refused = appender.extend_group(|group| fill(group, &[50, 50, 50]));
        assert_eq!(refused, Err(Overlong { bytes: 32 + 3 * 63 }));
        assert_eq!(take(&mut appender).pieces[0].bytes, take(&mut other).pieces[0].bytes);
    }

    #[test]
    fn a_group_above_the_limit_is_refused_and_leaves_nothing_behind() {
        let (mut appender, mut other) = (appender(64 << 20), appender(64 << 20));
        let records = GROUP_BYTES / (1 << 20);
        let mut at_limit = vec![(1 << 20) - 13; records];
        assert_eq!(group(&mut appender, 0, &at_limit).unwrap().len(), records);
        take(&mut appender);
        group(&mut other, 0, &at_limit).unwrap();
        take(&mut other);
        at_limit[0] += 1;
        assert_eq!(group(&mut appender, 0, &at_limit), Err(Overlong { bytes: GROUP_BYTES + 1 }));
        assert!(appender.is_empty());
        for appender in [&mut appender, &mut other] {
            appender.push(Class::Flow, |_| {}, &[3]);
        }
        let long = appender.group(0, |group| {
            fill(group, &[5])?;
            group.push(Class::Flow, 9, |out| out.extend_from_slice(&[1; 10]), &[])
        });
        assert_eq!(long, Err(Overlong { bytes: 10 }));
        let last = appender.extend_group(|group| fill(group, &[GROUP_BYTES]));
        assert!(last.is_err(), "the limit is that of the whole group");
        for appender in [&mut appender, &mut other] {
            appender.push(Class::Flow, |_| {}, &[4]);
        }
        assert_eq!(take(&mut appender).pieces[0].bytes, take(&mut other).pieces[0].bytes);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "a batch was taken within a group")]
    fn a_batch_that_is_taken_within_a_group_is_a_bug() {
        let mut appender = appender(1000);
        group(&mut appender, 0, &[1, 1]).unwrap();
        take(&mut appender);
        let _ = appender.extend_group(|group| fill(group, &[1]));
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
