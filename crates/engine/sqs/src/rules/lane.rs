//! Messages that wait and were never received, a few bytes each, in the order of their sequence numbers.
//!
//! A backlog is consumed from its front, so nothing but the front has to be at hand. Each entry is written as the
//! difference to the one before it: for messages sent one after the other that is about five bytes, where a struct
//! would be forty. Entries stand in chunks of at most [`CHUNK`]; putting one in the middle rewrites one chunk.

use std::collections::VecDeque;

use kernel::codec::{Reader, put_i64, put_u64};
use kernel::{Extent, Place, Time};

use crate::Seq;

/// Entries a chunk: large enough that its header costs about a byte an entry, small enough that rewriting one is cheap.
const CHUNK: u16 = 64;

/// Most entries are shorter than this; one that is not makes the vector grow by itself.
const LONGEST: usize = 16;

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
#[derive(Clone, Copy, Debug, Default)]
struct Basis {
    seq: u64,
    end: u64,
    sent: u64,
}

impl Basis {
    fn after(entry: &Entry) -> Basis {
        Basis {
            seq: entry.seq.0,
            end: entry.extent.place.to_bits().wrapping_add(u64::from(entry.extent.len)),
            sent: entry.sent.0,
        }
    }

    fn put(&self, out: &mut Vec<u8>, entry: &Entry) {
        // One bit of the sequence's difference says whether a tag follows.
        let step = entry.seq.0.wrapping_sub(self.seq);
        put_u64(out, step << 1 | u64::from(entry.tag != 0));
        put_i64(out, entry.extent.place.to_bits().wrapping_sub(self.end) as i64);
        put_u64(out, u64::from(entry.extent.len));
        put_i64(out, entry.sent.0.wrapping_sub(self.sent) as i64);
        if entry.tag != 0 {
            put_u64(out, u64::from(entry.tag));
        }
    }

    fn take(&self, reader: &mut Reader<'_>) -> Option<Entry> {
        if reader.is_empty() {
            return None;
        }
        let step = reader.u64().ok()?;
        let gap = reader.i64().ok()?;
        let len = reader.u32().ok()?;
        let later = reader.i64().ok()?;
        let tag = if step & 1 == 1 { reader.u32().ok()? } else { 0 };
        Some(Entry {
            seq: Seq(self.seq.wrapping_add(step >> 1)),
            extent: Extent { place: Place::from_bits(self.end.wrapping_add(gap as u64)), len },
            sent: Time(self.sent.wrapping_add(later as u64)),
            tag,
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Where the first entry that is still there begins.
    read: u32,
    count: u16,
    /// What that first entry is a difference to.
    basis: Basis,
    last_seq: u64,
}

impl Chunk {
    fn from_entries(entries: &[Entry]) -> Chunk {
        let mut chunk = Chunk::default();
        let mut basis = Basis::default();
        if let Some(first) = entries.first() {
            // The first entry's own values, so that its difference is zero and nothing large is written.
            basis = Basis { seq: first.seq.0, end: first.extent.place.to_bits(), sent: first.sent.0 };
            chunk.basis = basis;
        }
        for entry in entries {
            basis.put(&mut chunk.bytes, entry);
            basis = Basis::after(entry);
            chunk.last_seq = entry.seq.0;
        }
        chunk.count = entries.len() as u16;
        chunk
    }

    /// Room for one more entry. Doubling, as a vector does, would leave half of a million short lanes empty.
    fn make_room(&mut self) {
        if self.bytes.capacity() - self.bytes.len() < LONGEST {
            self.bytes.reserve_exact(LONGEST.max(self.bytes.len() / 4));
        }
    }

    fn entries(&self) -> ChunkEntries<'_> {
        ChunkEntries {
            reader: Reader::new(self.bytes.get(self.read as usize..).unwrap_or(&[])),
            basis: self.basis,
        }
    }

    fn pop(&mut self) -> Option<Entry> {
        let mut reader = Reader::new(self.bytes.get(self.read as usize..)?);
        let entry = self.basis.take(&mut reader)?;
        self.read = (self.bytes.len() - reader.rest().len()) as u32;
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

    fn next(&mut self) -> Option<Entry> {
        let entry = self.basis.take(&mut self.reader)?;
        self.basis = Basis::after(&entry);
        Some(entry)
    }
}

/// Waiting messages in the order of their sequence numbers.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// The first chunk stands here, so that a short lane (one of a million groups) is one small allocation.
    head: Chunk,
    #[allow(clippy::box_collection)] // Of a million short lanes hardly any has it: a word each, not four.
    more: Option<Box<VecDeque<Chunk>>>,
    tail: Basis,
    len: u64,
}

impl Lane {
    /// How many wait.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first.
    pub fn front(&self) -> Option<Entry> {
        self.head.entries().next()
    }

    /// All, first to last.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.head.entries().chain(self.more.iter().flat_map(|more| more.iter()).flat_map(Chunk::entries))
    }

    /// Puts a message where its sequence number belongs: at the end, in O(1), for a new one; in the middle, by
    /// rewriting one chunk, for one that comes late. One with the same number is replaced and returned.
    pub fn put(&mut self, entry: Entry) -> Option<Entry> {
        if self.len == 0 {
            self.head = Chunk::from_entries(&[entry]);
            self.tail = Basis::after(&entry);
            self.len = 1;
            return None;
        }
        if entry.seq.0 > self.tail.seq {
            self.push(entry);
            return None;
        }
        let index = self.chunk_of(entry.seq);
        let is_last = index == self.more.as_ref().map_or(0, |more| more.len());
        let chunk = self.chunk_mut(index);
        let mut entries: Vec<Entry> = chunk.entries().collect();
        let replaced = match entries.binary_search_by_key(&entry.seq, |entry| entry.seq) {
            Ok(at) => Some(std::mem::replace(&mut entries[at], entry)),
            Err(at) => {
                entries.insert(at, entry);
                None
            }
        };
        let middle = entries.len() / 2;
        if entries.len() > usize::from(CHUNK) {
            *chunk = Chunk::from_entries(&entries[..middle]);
            self.more.get_or_insert_default().insert(index, Chunk::from_entries(&entries[middle..]));
        } else {
            *chunk = Chunk::from_entries(&entries);
        }
        if is_last && let Some(last) = entries.last() {
            self.tail = Basis::after(last);
        }
        self.len += u64::from(replaced.is_none());
        replaced
    }

    /// Takes the first.
    pub fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.head.pop()?;
        self.len -= 1;
        self.settle();
        Some(entry)
    }

    /// Takes the one with this number: in O(1) at the front, by rewriting one chunk elsewhere.
    pub fn remove(&mut self, seq: Seq) -> Option<Entry> {
        if self.front()?.seq == seq {
            return self.pop_front();
        }
        if seq.0 > self.tail.seq {
            return None;
        }
        let index = self.chunk_of(seq);
        let chunk = self.chunk_mut(index);
        let mut entries: Vec<Entry> = chunk.entries().collect();
        let at = entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        let removed = entries.remove(at);
        *chunk = Chunk::from_entries(&entries);
        self.len -= 1;
        if entries.is_empty()
            && index > 0
            && let Some(more) = &mut self.more
        {
            more.remove(index - 1);
        }
        if let Some(last) = self.last_chunk().entries().last() {
            self.tail = Basis::after(&last);
        }
        self.settle();
        Some(removed)
    }

    /// The one with this number.
    pub fn get(&self, seq: Seq) -> Option<Entry> {
        if self.len == 0 || seq.0 > self.tail.seq {
            return None;
        }
        self.chunk(self.chunk_of(seq)).entries().find(|entry| entry.seq == seq)
    }

    fn push(&mut self, entry: Entry) {
        let tail = self.tail;
        let last = match &mut self.more {
            Some(more) if !more.is_empty() => {
                // Not empty, as the guard says.
                more.back_mut().unwrap()
            }
            _ => &mut self.head,
        };
        if last.count < CHUNK {
            last.make_room();
            tail.put(&mut last.bytes, &entry);
            last.count += 1;
            last.last_seq = entry.seq.0;
        } else {
            last.bytes.shrink_to_fit();
            self.more.get_or_insert_default().push_back(Chunk::from_entries(&[entry]));
        }
        self.tail = Basis::after(&entry);
        self.len += 1;
    }

    /// Makes the head the first chunk that has an entry.
    fn settle(&mut self) {
        if self.head.count > 0 {
            return;
        }
        match self.more.as_mut().and_then(|more| more.pop_front()) {
            Some(next) => self.head = next,
            None => self.head = Chunk::default(),
        }
        if let Some(more) = &mut self.more {
            if more.is_empty() {
                self.more = None;
            } else if more.capacity() > 64 && more.capacity() > 4 * more.len() {
                more.shrink_to(2 * more.len());
            }
        }
    }

    /// The index of the chunk that holds `seq` or where it would go: the first whose last number is not smaller.
    fn chunk_of(&self, seq: Seq) -> usize {
        if self.head.last_seq >= seq.0 {
            return 0;
        }
        match &self.more {
            None => 0,
            Some(more) => (1 + more.partition_point(|chunk| chunk.last_seq < seq.0)).min(more.len()),
        }
    }

    fn chunk(&self, index: usize) -> &Chunk {
        match (index, &self.more) {
            (1.., Some(more)) => more.get(index - 1).unwrap_or(&self.head),
            _ => &self.head,
        }
    }

    fn chunk_mut(&mut self, index: usize) -> &mut Chunk {
        match (index, &mut self.more) {
            (1.., Some(more)) if index <= more.len() => &mut more[index - 1],
            _ => &mut self.head,
        }
    }

    fn last_chunk(&self) -> &Chunk {
        self.more.as_ref().and_then(|more| more.back()).unwrap_or(&self.head)
    }
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
            + lane.more.iter().flat_map(|more| more.iter()).map(|chunk| chunk.bytes.len()).sum::<usize>();
        assert!(bytes < 60_000, "{bytes} bytes for 10,000 messages");
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
