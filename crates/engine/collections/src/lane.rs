//! Messages that wait and were never received, a few bytes each, in the order of their sequence numbers.
//!
//! A backlog is consumed from its front, so nothing but the front has to be at hand. Each entry is written as the
//! difference to the one before it: for messages sent one after the other that is about five bytes, where a struct
//! would be forty. Entries stand in chunks of at most [`CHUNK`]; putting one in the middle rewrites one chunk.

use std::collections::VecDeque;

use kernel::Seq;

use crate::entry::{Basis, Entry};
use crate::work;

/// Entries a chunk: large enough that its header costs about a byte an entry, small enough that rewriting one is cheap.
const CHUNK: u16 = 64;

/// Waiting messages in the order of their sequence numbers.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// None of them empty, each with the last number in it.
    chunks: VecDeque<(u64, Chunk)>,
    len: u64,
    /// What the next entry is a difference to.
    tail: Basis,
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
        self.chunks.front()?.1.entries().next()
    }

    /// The number of the last.
    pub fn last(&self) -> Option<Seq> {
        (!self.is_empty()).then_some(Seq(self.tail.seq))
    }

    /// All, first to last.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.chunks.iter().flat_map(|(_, chunk)| chunk.entries())
    }

    /// Those with this number or a later one, first to last; finds the first without looking at those before.
    pub fn iter_from(&self, seq: Seq) -> impl Iterator<Item = Entry> + '_ {
        let chunks = self.chunks.range(self.chunk_of(seq)..);
        chunks.flat_map(|(_, chunk)| chunk.entries()).skip_while(move |entry| entry.seq < seq)
    }

    /// Puts a message where its sequence number belongs: at the end, in O(1), for a new one; in the middle, by
    /// rewriting one chunk, for one that comes late. One with the same number is replaced and returned.
    pub fn put(&mut self, entry: Entry) -> Option<Entry> {
        if self.is_empty() || entry.seq.0 > self.tail.seq {
            self.push(entry);
            return None;
        }
        let index = self.chunk_of(entry.seq);
        let mut entries: Vec<Entry> = self.chunks[index].1.entries().collect();
        let replaced = match entries.binary_search_by_key(&entry.seq, |entry| entry.seq) {
            Ok(at) => Some(std::mem::replace(&mut entries[at], entry)),
            Err(at) => {
                entries.insert(at, entry);
                self.len += 1;
                None
            }
        };
        let middle = if entries.len() > usize::from(CHUNK) { entries.len() / 2 } else { 0 };
        let (before, rest) = entries.split_at(middle);
        self.chunks[index] = Chunk::of(rest);
        if !before.is_empty() {
            self.chunks.insert(index, Chunk::of(before));
        }
        self.changed();
        replaced
    }

    /// Takes the first.
    pub fn pop_front(&mut self) -> Option<Entry> {
        let (_, chunk) = self.chunks.front_mut()?;
        let entry = chunk.pop()?;
        if chunk.count == 0 {
            self.chunks.pop_front();
            if self.chunks.capacity() > 64 && self.chunks.capacity() > 4 * self.chunks.len() {
                self.chunks.shrink_to(2 * self.chunks.len());
            }
        }
        self.len -= 1;
        Some(entry)
    }

    /// Takes the one with this number: at the front in O(1), by rewriting one chunk elsewhere.
    pub fn remove(&mut self, seq: Seq) -> Option<Entry> {
        work::look();
        let front = self.front()?.seq;
        if front == seq {
            return self.pop_front();
        }
        if !(front.0..=self.tail.seq).contains(&seq.0) {
            return None;
        }
        let index = self.chunk_of(seq);
        let mut entries: Vec<Entry> = self.chunks[index].1.entries().collect();
        let at = entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        let removed = entries.remove(at);
        if entries.is_empty() {
            self.chunks.remove(index);
        } else {
            self.chunks[index] = Chunk::of(&entries);
        }
        self.len -= 1;
        self.changed();
        Some(removed)
    }

    /// The one with this number.
    pub fn get(&self, seq: Seq) -> Option<Entry> {
        work::look();
        if seq.0 > self.tail.seq {
            return None;
        }
        let (_, chunk) = self.chunks.get(self.chunk_of(seq))?;
        chunk.entries().find(|entry| entry.seq >= seq).filter(|entry| entry.seq == seq)
    }

    fn push(&mut self, entry: Entry) {
        let tail = std::mem::replace(&mut self.tail, Basis::after(&entry));
        self.len += 1;
        match self.chunks.back_mut() {
            Some((last, chunk)) if chunk.count < CHUNK => {
                chunk.push(entry, tail);
                *last = entry.seq.0;
            }
            full => {
                if let Some((_, full)) = full {
                    full.resize(usize::from(full.end));
                }
                self.chunks.push_back(Chunk::of(&[entry]));
            }
        }
    }

    /// Entries have changed in the middle.
    fn changed(&mut self) {
        if let Some(last) = self.chunks.back().and_then(|(_, chunk)| chunk.entries().last()) {
            self.tail = Basis::after(&last);
        }
    }

    /// The index of the chunk that holds `seq` or where it would go: the first whose last number is not smaller.
    fn chunk_of(&self, seq: Seq) -> usize {
        self.chunks.partition_point(|&(last, _)| last < seq.0).min(self.chunks.len().saturating_sub(1))
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
    /// The length of most messages, perhaps: the first one's.
    usual: u32,
    /// What the first entry that is still there is a difference to.
    basis: Basis,
}

impl Chunk {
    /// A chunk, and the last number in it.
    fn of(entries: &[Entry]) -> (u64, Chunk) {
        let mut chunk = Chunk::default();
        if let Some(first) = entries.first() {
            chunk.basis = Basis::of(first);
            chunk.usual = first.extent.len;
        }
        let mut basis = chunk.basis;
        for entry in entries {
            chunk.push(*entry, basis);
            basis = Basis::after(entry);
        }
        (basis.seq, chunk)
    }

    fn push(&mut self, entry: Entry, basis: Basis) {
        let written = basis.write(&entry, self.usual);
        let written = written.bytes();
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
                // In the steps that allocators have. Doubling would leave much of many lanes empty.
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

    fn entries(&self) -> Entries<'_> {
        let bytes = self.bytes.get(usize::from(self.read)..usize::from(self.end)).unwrap_or(&[]);
        Entries { bytes: bytes.iter().copied(), basis: self.basis, usual: self.usual }
    }

    fn pop(&mut self) -> Option<Entry> {
        let mut entries = self.entries();
        let entry = entries.next()?;
        self.read = self.end - entries.bytes.len() as u16;
        self.count -= 1;
        self.basis = Basis::after(&entry);
        Some(entry)
    }
}

/// The entries that some bytes are.
struct Entries<'a> {
    bytes: std::iter::Copied<std::slice::Iter<'a, u8>>,
    basis: Basis,
    usual: u32,
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    #[inline]
    fn next(&mut self) -> Option<Entry> {
        let entry = self.basis.read(&mut self.bytes, self.usual)?;
        self.basis = Basis::after(&entry);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use kernel::{Extent, Place, Time};

    use super::*;

    fn entry(seq: u64, at: u64) -> Entry {
        Entry {
            seq: Seq(seq),
            extent: Extent {
                place: Place::from_bits(1 << 32 | at),
                len: 300 + u32::from(seq.is_multiple_of(3)),
            },
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
        let bytes: usize = lane.chunks.iter().map(|(_, chunk)| chunk.bytes.len()).sum();
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
        let bytes: usize = lane.chunks.iter().map(|(_, chunk)| chunk.bytes.len()).sum();
        assert!(bytes < 1000, "{bytes} bytes for 30 messages");
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
                prop_assert_eq!(lane.last(), model.keys().next_back().map(|&seq| Seq(seq)));
            }
            for seq in 0..400 {
                prop_assert_eq!(lane.get(Seq(seq)), model.get(&seq).copied());
            }
            prop_assert_eq!(lane.iter().collect::<Vec<_>>(), model.into_values().collect::<Vec<_>>());
        }
    }
}
