//! Where records get their places and become batches. No I/O, no checksums: it runs on the engine's thread.

use kernel::{Extent, Place, Position, Time};

use crate::format::{
    Class, FRAME_BYTES, FRAME_HEADER, FrameHeader, GROUP_BYTES, HEAD_LIMIT, RECORD_HEADER, RecordHeader,
    UNVOUCHED, align,
};

/// Gives records their places in the log and gathers them into batches.
///
/// A place is final when [`push`](Appender::push) returns, before anything is written: the engine can store it in its
/// state at once. What was pushed reaches the disk as part of the next batch that is [taken](Appender::take).
/// After a crash a record is there as a whole or not at all. So is a [group](Appender::group) of records. Two records of one
/// batch that are not of one group need not share that fate.
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
    /// Where in `bytes` the last group begins. A record that was pushed alone is a group of one.
    group_at: usize,
    /// The records of the group that was pushed last, or of the last extension of a group.
    extents: Vec<Extent>,
    /// A planted fault: records of a group get frames of their own.
    splits_groups: bool,
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

/// A record's head, or a group of records, would be longer than it may be. Nothing was added to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlong {
    /// How long it would be.
    pub bytes: usize,
}

/// The records of a group while it is being filled. See [`Appender::group`].
#[derive(Debug)]
pub struct Group<'a> {
    appender: &'a mut Appender,
    /// Where in the appender's bytes the whole group begins.
    begin: usize,
    /// Where its records of this call begin.
    from: usize,
    records: u32,
}

impl Group<'_> {
    /// Adds a record to the group. Its place is known when the group is complete.
    ///
    /// Errors: the head is longer than `most` bytes or than the format allows, or the group is longer than [`GROUP_BYTES`].
    /// The caller returns the error, and nothing of the group is added to the log.
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

/// Buffers larger than this are not kept for later batches.
const SPARE_BYTES: usize = 1 << 20;
/// How many buffers are kept for later batches.
const SPARES: usize = 8;

impl Appender {
    /// An appender that goes on at `end`, with frame number `sequence`.
    ///
    /// `log_id` is the number of the data directory. A segment is full when the next record or group would make it longer
    /// than `segment_bytes`; only a record or a group that is longer than that alone makes a segment longer.
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

    /// Adds records of which a crash leaves all or none: they lie in one frame. `fill` pushes them. Returns where they lie, in
    /// their order.
    ///
    /// If the segment has no room for the group and `room` more bytes, the whole group begins the next segment. `room` is
    /// what an [extension](Appender::extend_group) of the group can take for certain. It should be far smaller than a
    /// segment, since so much of each segment's end stays empty.
    ///
    /// Errors: `fill` returned one. Then the log stays as it was.
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

    /// Adds records to the group that was pushed last, so that a crash leaves all of both or nothing. A record that was pushed
    /// alone is a group of one.
    ///
    /// Nothing may have been pushed or taken since: what does so is a bug.
    ///
    /// Errors: `fill` returned one, or the segment has no room for the records. Then the group stays as it was. What has
    /// left `room` in [`group`](Appender::group) does not meet the second error.
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
        // A group that began its segment may make it longer.
        let fits = self.fits(0) || self.base as usize + self.group_at <= FRAME_HEADER;
        match filled {
            Ok(records) if fits => Ok(self.place(from, records)),
            filled => {
                self.abandon(from, true);
                Err(filled.err().unwrap_or(Overlong { bytes }))
            }
        }
    }

    /// A planted fault for the simulator: records of a group no longer lie in one frame.
    #[doc(hidden)]
    pub fn split_groups(&mut self) {
        self.splits_groups = true;
    }

    /// Makes sure that a frame is open which is not full. Returns whether there was one.
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

    /// Appends a record's bytes, which may be incomplete if it fails. Returns where they begin.
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

    /// Removes what was appended from `at` on.
    fn abandon(&mut self, at: usize, was_open: bool) {
        self.bytes.truncate(at);
        if !was_open {
            // No frame without records, but by `mark`.
            self.bytes.truncate(self.frame_at());
            self.frames.pop();
            self.open = false;
        }
    }

    /// Whether the segment has room for what was appended and so many bytes more.
    fn fits(&self, room: usize) -> bool {
        self.base as usize + self.bytes.len() + room <= self.segment_bytes as usize
    }

    fn count(&mut self, records: u32) {
        if let Some(frame) = self.frames.last_mut() {
            frame.records += records;
        }
        self.records += records;
    }

    /// Gives the records of a group their places: the first lies at `from`.
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

    /// The planted fault: each record of a group gets a frame of its own.
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

    /// Ends the current segment before the record or group that begins at `at`, and moves that to the next one. Returns
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

    /// Pushes a group of records with these tails.
    fn group<'a>(appender: &'a mut Appender, room: usize, tails: &[usize]) -> Result<&'a [Extent], Overlong> {
        appender.group(room, |group| fill(group, tails))
    }

    fn fill(group: &mut Group<'_>, tails: &[usize]) -> Result<(), Overlong> {
        tails.iter().try_for_each(|&tail| group.push(Class::Flow, 9, |out| out.push(7), &vec![1; tail]))
    }

    /// How many records each frame of a batch has.
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
        // After a batch was taken, and with room that is asked for.
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
