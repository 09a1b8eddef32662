//! Messages that wait and were never received, a few bytes each, in the order of their sequence numbers.
//!
//! A backlog is consumed from its front, so nothing but the front has to be at hand. Each entry is written as the
//! difference to the one before it: for messages sent one after the other that is about five bytes, where a struct
//! would be forty. Entries stand in chunks of at most [`CHUNK`]; putting one in the middle rewrites one chunk.
//!
//! A queue may have a million lanes of a few messages each (FIFO groups), so what only a longer lane needs stands apart.

use std::collections::VecDeque;

use kernel::codec::Reader;
use kernel::{Extent, Place, Seq, Time};

/// Entries a chunk: large enough that its header costs about a byte an entry, small enough that rewriting one is cheap.
const CHUNK: u16 = 64;

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

/// Waiting messages in the order of their sequence numbers.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    head: Chunk,
    long: Option<Box<Long>>,
    /// What the next entry is a difference to, if the lane is short: two of its numbers are not far from the head's.
    tail_end: Place,
    tail_seq: u32,
    tail_sent: u32,
}

/// What a lane of more than one chunk has instead and besides.
#[derive(Clone, Debug, Default)]
struct Long {
    len: u64,
    tail: Basis,
    /// The last number in the head.
    head_last: u64,
    /// The chunks after the head, each with the last number in it.
    more: VecDeque<(u64, Chunk)>,
}

impl Lane {
    /// How many wait.
    pub fn len(&self) -> u64 {
        self.long.as_ref().map_or(u64::from(self.head.count), |long| long.len)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.head.count == 0
    }

    /// The first.
    pub fn front(&self) -> Option<Entry> {
        self.head.entries().next()
    }

    /// All, first to last.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        let more = self.long.iter().flat_map(|long| long.more.iter());
        self.head.entries().chain(more.flat_map(|(_, chunk)| chunk.entries()))
    }

    /// Those with this number or a later one, first to last; finds the first without looking at those before.
    pub fn iter_from(&self, seq: Seq) -> impl Iterator<Item = Entry> + '_ {
        let first = self.chunk_of(seq);
        let chunks = 1 + self.long.as_ref().map_or(0, |long| long.more.len());
        (first..chunks).flat_map(|index| self.chunk(index).entries()).skip_while(move |entry| entry.seq < seq)
    }

    /// Puts a message where its sequence number belongs: at the end, in O(1), for a new one; in the middle, by
    /// rewriting one chunk, for one that comes late. One with the same number is replaced and returned.
    pub fn put(&mut self, entry: Entry) -> Option<Entry> {
        if self.is_empty() {
            self.head = Chunk::from_entries(&[entry]);
            self.set_tail(Basis::after(&entry));
            return None;
        }
        let tail = self.tail();
        if entry.seq.0 > tail.seq {
            self.push(entry, tail);
            return None;
        }
        let index = self.chunk_of(entry.seq);
        let mut entries: Vec<Entry> = self.chunk(index).entries().collect();
        let replaced = match entries.binary_search_by_key(&entry.seq, |entry| entry.seq) {
            Ok(at) => Some(std::mem::replace(&mut entries[at], entry)),
            Err(at) => {
                entries.insert(at, entry);
                None
            }
        };
        let middle = entries.len() / 2;
        if entries.len() > usize::from(CHUNK) {
            self.lengthen(tail);
            self.set_chunk(index, &entries[..middle]);
            let rest = &entries[middle..];
            let last = rest.last().map_or(0, |entry| entry.seq.0);
            if let Some(long) = &mut self.long {
                long.more.insert(index, (last, Chunk::from_entries(rest)));
            }
        } else {
            self.set_chunk(index, &entries);
        }
        self.changed(i64::from(replaced.is_none()));
        replaced
    }

    /// Takes the first.
    pub fn pop_front(&mut self) -> Option<Entry> {
        let tail = self.tail();
        let entry = self.head.pop()?;
        match &mut self.long {
            Some(long) => long.len -= 1,
            None => self.set_tail(tail),
        }
        self.settle();
        Some(entry)
    }

    /// Takes the one with this number: in O(1) at the front, by rewriting one chunk elsewhere.
    pub fn remove(&mut self, seq: Seq) -> Option<Entry> {
        if self.front()?.seq == seq {
            return self.pop_front();
        }
        if seq.0 > self.tail().seq {
            return None;
        }
        let index = self.chunk_of(seq);
        let mut entries: Vec<Entry> = self.chunk(index).entries().collect();
        let at = entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        let removed = entries.remove(at);
        match &mut self.long {
            Some(long) if entries.is_empty() && index > 0 => {
                long.more.remove(index - 1);
            }
            _ => self.set_chunk(index, &entries),
        }
        self.settle();
        self.changed(-1);
        Some(removed)
    }

    /// The one with this number.
    pub fn get(&self, seq: Seq) -> Option<Entry> {
        if seq.0 > self.tail().seq {
            return None;
        }
        self.chunk(self.chunk_of(seq)).entries().find(|entry| entry.seq == seq)
    }

    /// What the next entry is a difference to.
    fn tail(&self) -> Basis {
        match &self.long {
            Some(long) => long.tail,
            None => {
                let Basis { seq, sent, .. } = self.head.basis;
                Basis {
                    seq: seq.wrapping_add(u64::from(self.tail_seq.wrapping_sub(seq as u32))),
                    end: self.tail_end,
                    sent: sent
                        .wrapping_add_signed(i64::from(self.tail_sent.wrapping_sub(sent as u32) as i32)),
                }
            }
        }
    }

    fn set_tail(&mut self, tail: Basis) {
        if let Some(long) = &mut self.long {
            long.tail = tail;
            return;
        }
        self.tail_end = tail.end;
        self.tail_seq = tail.seq as u32;
        self.tail_sent = tail.sent as u32;
        if self.tail() != tail {
            self.lengthen(tail);
        }
    }

    fn push(&mut self, entry: Entry, tail: Basis) {
        if self.head.count == CHUNK {
            self.lengthen(tail);
        }
        let after = Basis::after(&entry);
        let Some(long) = &mut self.long else {
            self.head.push(entry, tail);
            self.set_tail(after);
            return;
        };
        let (last_seq, last) = match long.more.back_mut() {
            Some((last_seq, chunk)) => (last_seq, chunk),
            None => (&mut long.head_last, &mut self.head),
        };
        if last.count < CHUNK {
            last.push(entry, tail);
            *last_seq = entry.seq.0;
        } else {
            last.resize(usize::from(last.end));
            long.more.push_back((entry.seq.0, Chunk::from_entries(&[entry])));
        }
        long.tail = after;
        long.len += 1;
    }

    /// Gives a short lane what a long one has.
    fn lengthen(&mut self, tail: Basis) {
        if self.long.is_none() {
            let len = u64::from(self.head.count);
            self.long = Some(Box::new(Long { len, tail, head_last: tail.seq, more: VecDeque::new() }));
        }
    }

    /// Makes the head the first chunk that has an entry.
    fn settle(&mut self) {
        if self.head.count > 0 {
            return;
        }
        self.head = Chunk::default();
        let Some(long) = &mut self.long else { return };
        match long.more.pop_front() {
            Some((last, next)) => {
                self.head = next;
                long.head_last = last;
                if long.more.capacity() > 64 && long.more.capacity() > 4 * long.more.len() {
                    long.more.shrink_to(2 * long.more.len());
                }
            }
            None => self.long = None,
        }
    }

    /// Entries have changed in the middle, and so many have come.
    fn changed(&mut self, by: i64) {
        if let Some(long) = &mut self.long {
            long.len = long.len.wrapping_add_signed(by);
        }
        let more = self.long.as_ref().and_then(|long| long.more.back());
        let last = more.map_or(&self.head, |(_, chunk)| chunk);
        if let Some(last) = last.entries().last() {
            self.set_tail(Basis::after(&last));
        }
    }

    /// The index of the chunk that holds `seq` or where it would go: the first whose last number is not smaller.
    fn chunk_of(&self, seq: Seq) -> usize {
        match &self.long {
            Some(long) if long.head_last < seq.0 => {
                (1 + long.more.partition_point(|&(last, _)| last < seq.0)).min(long.more.len())
            }
            _ => 0,
        }
    }

    fn chunk(&self, index: usize) -> &Chunk {
        match (index, &self.long) {
            (1.., Some(long)) => long.more.get(index - 1).map_or(&self.head, |(_, chunk)| chunk),
            _ => &self.head,
        }
    }

    fn set_chunk(&mut self, index: usize, entries: &[Entry]) {
        let last = entries.last().map_or(0, |entry| entry.seq.0);
        let chunk = Chunk::from_entries(entries);
        match (index, &mut self.long) {
            (1.., Some(long)) => long.more[index - 1] = (last, chunk),
            (_, Some(long)) => {
                long.head_last = last;
                self.head = chunk;
            }
            (_, None) => self.head = chunk,
        }
    }
}

/// Entries one after the other. No more than [`CHUNK`], so that 16 bits count their bytes.
#[derive(Clone, Debug, Default)]
struct Chunk {
    bytes: Box<[u8]>,
    /// Where the first entry that is still there begins, and where the last one ends.
    read: u16,
    end: u16,
    count: u16,
    /// What that first entry is a difference to.
    basis: Basis,
}

impl Chunk {
    fn from_entries(entries: &[Entry]) -> Chunk {
        let mut chunk = Chunk::default();
        let Some(first) = entries.first() else { return chunk };
        // The first entry's own values, so that its difference is zero and nothing large is written.
        let mut basis = Basis { seq: first.seq.0, end: first.extent.place, sent: first.sent.0 };
        chunk.basis = basis;
        for entry in entries {
            chunk.push(*entry, basis);
            basis = Basis::after(entry);
        }
        chunk
    }

    fn push(&mut self, entry: Entry, basis: Basis) {
        let mut written = Written::default();
        basis.put(&mut written, &entry);
        let written = &written.bytes[..written.len];
        let mut end = usize::from(self.end);
        if end + written.len() > self.bytes.len() {
            let read = usize::from(self.read);
            if read > 0 && 2 * read >= end {
                self.bytes.copy_within(read..end, 0);
                self.read = 0;
                end -= read;
            }
            let needed = end + written.len();
            if needed > self.bytes.len() {
                // In the steps that allocators have. Doubling would leave half of a million short lanes empty.
                self.resize(needed.next_multiple_of((needed.next_power_of_two() / 8).max(16)));
            }
        }
        self.bytes[end..end + written.len()].copy_from_slice(written);
        self.end = (end + written.len()) as u16;
        self.count += 1;
    }

    fn resize(&mut self, capacity: usize) {
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        bytes.reserve_exact(capacity.saturating_sub(bytes.len()));
        bytes.resize(capacity, 0);
        self.bytes = bytes.into_boxed_slice();
    }

    fn entries(&self) -> ChunkEntries<'_> {
        let bytes = self.bytes.get(usize::from(self.read)..usize::from(self.end)).unwrap_or(&[]);
        ChunkEntries { reader: Reader::new(bytes), basis: self.basis }
    }

    fn pop(&mut self) -> Option<Entry> {
        let mut entries = self.entries();
        let entry = entries.next()?;
        self.read = self.end - entries.reader.rest().len() as u16;
        self.count -= 1;
        self.basis = Basis::after(&entry);
        Some(entry)
    }
}

struct ChunkEntries<'a> {
    reader: Reader<'a>,
    basis: Basis,
}

impl Iterator for ChunkEntries<'_> {
    type Item = Entry;

    #[inline]
    fn next(&mut self) -> Option<Entry> {
        let entry = self.basis.take(&mut self.reader)?;
        self.basis = Basis::after(&entry);
        Some(entry)
    }
}

/// What an entry is written as a difference to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Basis {
    seq: u64,
    end: Place,
    sent: u64,
}

impl Basis {
    fn after(entry: &Entry) -> Basis {
        let place = entry.extent.place;
        Basis {
            seq: entry.seq.0,
            end: Place::new(place.segment(), place.offset().wrapping_add(entry.extent.len)),
            sent: entry.sent.0,
        }
    }

    fn put(&self, out: &mut Written, entry: &Entry) {
        // In the same segment, how much further on; in another one, which and where. One bit says which of the two,
        // and one whether a tag follows.
        let place = entry.extent.place;
        let elsewhere = place.segment() != self.end.segment();
        let gap = if elsewhere {
            i64::from(place.segment()) - i64::from(self.end.segment())
        } else {
            i64::from(place.offset()) - i64::from(self.end.offset())
        };
        out.put_u64(zigzag(gap) << 2 | u64::from(entry.tag != 0) << 1 | u64::from(elsewhere));
        if elsewhere {
            out.put_u64(u64::from(place.offset()));
        }
        out.put_u64(entry.seq.0.wrapping_sub(self.seq));
        out.put_u64(u64::from(entry.extent.len));
        out.put_u64(zigzag(entry.sent.0.wrapping_sub(self.sent) as i64));
        if entry.tag != 0 {
            out.put_u64(u64::from(entry.tag));
        }
    }

    #[inline]
    fn take(&self, reader: &mut Reader<'_>) -> Option<Entry> {
        if reader.is_empty() {
            return None;
        }
        let first = reader.u64().ok()?;
        let (gap, tagged, elsewhere) = (unzigzag(first >> 2) as u32, first & 2 != 0, first & 1 != 0);
        let place = if elsewhere {
            Place::new(self.end.segment().wrapping_add(gap), reader.u32().ok()?)
        } else {
            Place::new(self.end.segment(), self.end.offset().wrapping_add(gap))
        };
        let step = reader.u64().ok()?;
        let len = reader.u32().ok()?;
        let later = unzigzag(reader.u64().ok()?);
        let tag = if tagged { reader.u32().ok()? } else { 0 };
        Some(Entry {
            seq: Seq(self.seq.wrapping_add(step)),
            extent: Extent { place, len },
            sent: Time(self.sent.wrapping_add(later as u64)),
            tag,
        })
    }
}

/// One entry's bytes, before it is known how much room they take: six numbers of at most ten bytes.
struct Written {
    bytes: [u8; 60],
    len: usize,
}

impl Default for Written {
    fn default() -> Self {
        Written { bytes: [0; 60], len: 0 }
    }
}

impl Written {
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

/// Small magnitudes of either sign become small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entry(seq: u64, at: u64) -> Entry {
        Entry {
            seq: Seq(seq),
            extent: Extent { place: Place::from_bits(1 << 32 | at), len: 300 },
            sent: Time(1_000_000 + seq),
            tag: seq.is_multiple_of(5) as u32 * 7,
        }
    }

    #[test]
    fn a_message_sent_after_another_costs_about_five_bytes() {
        let mut lane = Lane::default();
        for seq in 0..10_000u64 {
            lane.put(Entry { tag: 0, ..entry(seq + 1, seq * 340) });
        }
        let bytes: usize = lane.head.bytes.len()
            + lane
                .long
                .iter()
                .flat_map(|long| long.more.iter())
                .map(|(_, chunk)| chunk.bytes.len())
                .sum::<usize>();
        assert!(bytes < 60_000, "{bytes} bytes for 10,000 messages");
    }

    #[test]
    fn a_lane_that_is_never_empty_gives_back_the_room_of_what_has_left() {
        let mut lane = Lane::default();
        for seq in 0..100_000u64 {
            lane.put(entry(seq + 1, seq * 340));
            if lane.len() > 30 {
                lane.pop_front();
            }
        }
        assert!(lane.head.bytes.len() < 1000, "{} bytes for 30 messages", lane.head.bytes.len());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u64, u64),
        Pop,
        Remove(u64),
    }

    proptest! {
        #[test]
        fn a_lane_is_a_sorted_map(steps in proptest::collection::vec(
            prop_oneof![
                4 => (0u64..400, 0u64..1_000_000).prop_map(|(seq, at)| Step::Put(seq, at)),
                2 => Just(Step::Pop),
                1 => (0u64..400).prop_map(Step::Remove),
            ], 0..600)
        ) {
            let mut lane = Lane::default();
            let mut model = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Put(seq, at) => {
                        let entry = entry(seq, at);
                        prop_assert_eq!(lane.put(entry), model.insert(seq, entry));
                    }
                    Step::Pop => prop_assert_eq!(lane.pop_front(), model.pop_first().map(|(_, entry)| entry)),
                    Step::Remove(seq) => prop_assert_eq!(lane.remove(Seq(seq)), model.remove(&seq)),
                }
                prop_assert_eq!(lane.len(), model.len() as u64);
                prop_assert_eq!(lane.front(), model.values().next().copied());
            }
            for seq in 0..400 {
                prop_assert_eq!(lane.get(Seq(seq)), model.get(&seq).copied());
            }
            prop_assert_eq!(lane.iter().collect::<Vec<_>>(), model.into_values().collect::<Vec<_>>());
        }
    }
}
