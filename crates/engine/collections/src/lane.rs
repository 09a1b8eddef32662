//! A lane: waiting messages that were never received, a few bytes each, in the order of their sequence
//! numbers.
//!
//! A backlog is consumed from its front, so only the front needs fast access. Each entry is encoded as the
//! difference to the one before it. For messages sent one after the other that is about five bytes; a struct
//! would take forty. Entries are in chunks of at most [`CHUNK`]; an insertion in the middle rewrites one
//! chunk.

use std::collections::VecDeque;

use kernel::Seq;

use crate::entry::{Basis, Entry};
use crate::work;

/// Entries per chunk: large enough that the chunk's header costs about a byte per entry, small enough to
/// rewrite cheaply.
const CHUNK: u16 = 64;

/// Waiting messages in the order of their sequence numbers.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// Non-empty chunks, each with its last number.
    chunks: VecDeque<(u64, Chunk)>,
    len: u64,
    /// The values relative to which the next entry is encoded.
    tail: Basis,
}

impl Lane {
    /// Returns the number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the first entry.
    pub fn front(&self) -> Option<Entry> {
        self.chunks.front()?.1.entries().next()
    }

    /// Returns the number of the last entry.
    pub fn last(&self) -> Option<Seq> {
        (!self.is_empty()).then_some(Seq(self.tail.seq))
    }

    /// Returns all entries, first to last.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.chunks.iter().flat_map(|(_, chunk)| chunk.entries())
    }

    /// Returns the entries with this number or a later one, first to last. Finds the first without reading
    /// those before.
    pub fn iter_from(&self, seq: Seq) -> impl Iterator<Item = Entry> + '_ {
        let chunks = self.chunks.range(self.chunk_of(seq)..);
        chunks.flat_map(|(_, chunk)| chunk.entries()).skip_while(move |entry| entry.seq < seq)
    }

    /// Inserts a message at its sequence number: at the end in O(1); in the middle by rewriting one chunk.
    /// Replaces and returns an entry with the same number.
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

    /// Removes and returns the first entry.
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

    /// Removes and returns the entry with this number: at the front in O(1), elsewhere by rewriting one
    /// chunk.
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

    /// Returns the entry with this number.
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

    /// Called after entries changed in the middle.
    fn changed(&mut self) {
        if let Some(last) = self.chunks.back().and_then(|(_, chunk)| chunk.entries().last()) {
            self.tail = Basis::after(&last);
        }
    }

    /// Returns the index of the chunk that contains `seq`, or would: the first whose last number is not
    /// smaller.
    fn chunk_of(&self, seq: Seq) -> usize {
        self.chunks.partition_point(|&(last, _)| last < seq.0).min(self.chunks.len().saturating_sub(1))
    }
}

/// Encoded entries. At most [`CHUNK`], so that 16 bits can count their bytes.
#[derive(Clone, Debug, Default)]
struct Chunk {
    bytes: Box<[u8]>,
    /// The offsets of the first remaining entry, and of the end of the last one.
    read: u16,
    end: u16,
    count: u16,
    /// The assumed length of most messages: that of the first one.
    usual: u32,
    /// The values relative to which the first remaining entry is encoded.
    basis: Basis,
}

impl Chunk {
    /// Encodes a chunk. Returns it with its last number.
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
                // In the size steps of allocators. Doubling would leave much of many lanes empty.
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

/// Decodes entries from bytes.
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
