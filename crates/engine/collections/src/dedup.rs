//! The deduplication window: the messages that a FIFO queue or topic accepted in the last five minutes.

use std::collections::VecDeque;

use kernel::{Seq, Time};
use sha2::{Digest, Sha256};

use crate::Index;

/// The deduplication interval (facts/sqs.md § 7).
pub const WINDOW_MILLIS: u64 = 5 * 60 * 1000;

/// The key by which duplicates are recognised: 80 bits of SHA-256 over the deduplication id, and over the
/// group if the scope is the group. (With ten million keys, two are equal by accident in one of 10^10
/// windows: once in a hundred thousand years.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DedupKey([u8; 10]);

impl DedupKey {
    /// Returns the key of a deduplication id, in a group if the scope is the group.
    pub fn new(id: &str, group: Option<&str>) -> DedupKey {
        let mut hash = Sha256::new();
        hash.update(id.as_bytes());
        if let Some(group) = group {
            // A zero byte cannot occur in either, so different pairs give different inputs.
            hash.update([0]);
            hash.update(group.as_bytes());
        }
        let digest = hash.finalize();
        let mut key = [0; 10];
        key.copy_from_slice(&digest[..10]);
        DedupKey(key)
    }

    /// Returns the key with these bytes, which another key returned.
    pub fn from_bytes(bytes: [u8; 10]) -> DedupKey {
        DedupKey(bytes)
    }

    /// Returns the bytes of the key, for storing it elsewhere.
    pub fn to_bytes(self) -> [u8; 10] {
        self.0
    }

    fn hash(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// The accepted messages of the last five minutes, oldest first, and an index of their keys.
#[derive(Clone, Debug, Default)]
pub struct Dedup {
    /// In blocks, all full but the last, so that growing copies little and memory follows the size of the
    /// window.
    blocks: VecDeque<Block>,
    /// Number of removed entries of the first block.
    read: usize,
    /// The number of the oldest entry; numbers wrap.
    oldest: u32,
    len: usize,
    newest_seq: u64,
    newest_at: u64,
    index: Option<Box<Index>>,
    /// Entries that were loaded out of order.
    late: Option<Box<Late>>,
}

/// Accepted messages that were read from a log after later ones.
#[derive(Clone, Debug, Default)]
struct Late(Vec<(Time, Seq, DedupKey)>);

/// A thousand accepted messages: their keys and, separately, their other fields, most of which neighbours
/// share.
#[derive(Clone, Debug, Default)]
struct Block {
    keys: Vec<DedupKey>,
    runs: Vec<Run>,
}

/// Messages with consecutive numbers, accepted in the same millisecond. Numbers and times are stored in 32
/// bits, relative to those of the newest message.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The index of the first entry in the block.
    first: u16,
    seq: u32,
    at: u32,
}

const BLOCK: usize = 1024;

impl Block {
    fn push(&mut self, key: DedupKey, seq: u32, at: u32) {
        let len = self.keys.len() as u16;
        let follows = |run: &Run| run.at == at && run.seq.wrapping_add(u32::from(len - run.first)) == seq;
        if !self.runs.last().is_some_and(follows) {
            self.runs.push(Run { first: len, seq, at });
        }
        self.keys.push(key);
        if self.keys.len() == BLOCK {
            self.runs.shrink_to_fit();
        }
    }

    /// The low bits of an entry's sequence number and time.
    fn get(&self, at: usize) -> Option<(u32, u32)> {
        let after = self.runs.partition_point(|run| usize::from(run.first) <= at);
        let run = self.runs.get(after.checked_sub(1)?)?;
        Some((run.seq.wrapping_add((at - usize::from(run.first)) as u32), run.at))
    }
}

impl Dedup {
    /// Returns the message that was accepted with this key and still counts at `now`.
    pub fn find(&self, key: DedupKey, now: Time) -> Option<Seq> {
        let number = self.index.as_ref()?.find(key.hash(), |number| self.key(number) == key)?;
        let (block, at) = self.place(number);
        let (seq, at) = self.blocks.get(block)?.get(at)?;
        if self.time(at) + WINDOW_MILLIS <= now {
            return None;
        }
        Some(self.seq(seq))
    }

    /// Returns the number with these low bits.
    fn seq(&self, low: u32) -> Seq {
        Seq(self.newest_seq - u64::from((self.newest_seq as u32).wrapping_sub(low)))
    }

    /// Adds an accepted message. Calls must be in the order of `at`. Replaces an older entry with the same
    /// key.
    pub fn accept(&mut self, key: DedupKey, seq: Seq, at: Time) {
        self.loaded();
        let number = self.push(key, seq, at);
        let mut index = self.index.take().unwrap_or_default();
        self.enter(&mut index, key, number);
        self.index = Some(index);
    }

    /// As [`Dedup::accept`], during a replay: entries cannot be found until [`Dedup::loaded`] is called.
    pub fn load(&mut self, key: DedupKey, seq: Seq, at: Time) {
        if self.index.is_some() {
            return self.accept(key, seq, at);
        }
        self.push(key, seq, at);
    }

    /// As [`Dedup::load`], for an id that was written again and is therefore behind later messages in the
    /// log. It may have been loaded before.
    pub fn load_late(&mut self, key: DedupKey, seq: Seq, at: Time) {
        self.late.get_or_insert_default().0.push((at, seq, key));
    }

    /// Moves entries that were loaded late to their places. An entry behind its place would count for too
    /// long.
    fn sort_in(&mut self) {
        let Some(late) = self.late.take() else { return };
        let mut all = late.0;
        all.extend((0..self.len as u32).filter_map(|offset| {
            let number = self.oldest.wrapping_add(offset);
            let (block, at) = self.place(number);
            let (seq, at) = self.blocks.get(block)?.get(at)?;
            Some((self.time(at), self.seq(seq), self.key(number)))
        }));
        // By time and number: in the order in which they were accepted.
        all.sort_unstable_by_key(|&(at, seq, _)| (at, seq));
        all.dedup_by_key(|&mut (_, seq, key)| (seq, key));
        *self = Dedup::default();
        for (at, seq, key) in all {
            self.push(key, seq, at);
        }
    }

    /// Makes loaded entries findable. Building the index at once, with its final size, costs a fraction of
    /// growing it.
    pub fn loaded(&mut self) {
        self.sort_in();
        if self.index.is_some() || self.len == 0 {
            return;
        }
        let mut index = Box::new(Index::with_room_for(self.len));
        // The accesses to the index are random. Issuing them together lets the memory handle them in
        // parallel.
        const TOGETHER: usize = 64;
        for offset in (0..self.len as u32).step_by(TOGETHER) {
            let numbers =
                (offset..self.len as u32).take(TOGETHER).map(|offset| self.oldest.wrapping_add(offset));
            for number in numbers.clone() {
                index.look_ahead(self.key(number).hash());
            }
            for number in numbers {
                self.enter(&mut index, self.key(number), number);
            }
        }
        self.index = Some(index);
    }

    fn push(&mut self, key: DedupKey, seq: Seq, at: Time) -> u32 {
        let at = at.0.max(self.newest_at);
        self.newest_seq = self.newest_seq.max(seq.0);
        self.newest_at = at;
        let number = self.oldest.wrapping_add(self.len as u32);
        if self.blocks.back().is_none_or(|block| block.keys.len() == BLOCK) {
            self.blocks.push_back(Block::default());
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(key, seq.0 as u32, at as u32);
        }
        self.len += 1;
        number
    }

    fn enter(&self, index: &mut Index, key: DedupKey, number: u32) {
        if let Some(old) = index.find(key.hash(), |number| self.key(number) == key) {
            index.remove(key.hash(), old);
        }
        index.insert(key.hash(), number, |number| self.key(number).hash());
    }

    /// Removes at most `most` expired entries. Returns when the next one expires, or `now` if there are more.
    pub fn expire(&mut self, now: Time, most: usize) -> Option<Time> {
        for _ in 0..most {
            let due = self.oldest_at()? + WINDOW_MILLIS;
            if due > now {
                return Some(due);
            }
            self.forget_oldest();
        }
        self.oldest_at().map(|at| (at + WINDOW_MILLIS).max(now))
    }

    /// Returns when the oldest was accepted.
    pub fn oldest_at(&self) -> Option<Time> {
        let (_, at) = self.blocks.front()?.get(self.read)?;
        Some(self.time(at))
    }

    fn forget_oldest(&mut self) {
        let key = self.key(self.oldest);
        if let Some(index) = &mut self.index {
            index.remove(key.hash(), self.oldest);
        }
        self.oldest = self.oldest.wrapping_add(1);
        self.len -= 1;
        self.read += 1;
        if self.len == 0 {
            // Numbers and times start anew, and an idle queue keeps no index.
            *self = Dedup::default();
        } else if self.read == BLOCK {
            self.blocks.pop_front();
            self.read = 0;
        }
    }

    fn time(&self, at: u32) -> Time {
        Time(self.newest_at - u64::from((self.newest_at as u32).wrapping_sub(at)))
    }

    fn place(&self, number: u32) -> (usize, usize) {
        let at = number.wrapping_sub(self.oldest) as usize + self.read;
        (at / BLOCK, at % BLOCK)
    }

    fn key(&self, number: u32) -> DedupKey {
        let (block, at) = self.place(number);
        // The index contains numbers of existing entries, and every block but the last is full.
        self.blocks[block].keys[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_for_five_minutes() {
        let mut dedup = Dedup::default();
        let key = DedupKey::new("d", None);
        dedup.accept(key, Seq(5), Time(1000));
        assert_eq!(dedup.find(key, Time(1000 + WINDOW_MILLIS - 1)), Some(Seq(5)));
        assert_eq!(dedup.find(key, Time(1000 + WINDOW_MILLIS)), None);
        assert_eq!(dedup.find(DedupKey::new("d", Some("g")), Time(1000)), None);
    }

    #[test]
    fn many_keys_are_found_and_forgotten_in_order() {
        let mut dedup = Dedup::default();
        let key = |n: u64| DedupKey::new(&n.to_string(), None);
        for n in 0..10_000 {
            dedup.accept(key(n), Seq(n + (1 << 33)), Time(n * 100));
        }
        let now = Time(2_000 * 100 + WINDOW_MILLIS);
        assert_eq!(dedup.expire(now, usize::MAX), Some(now + 100));
        for n in 0..10_000 {
            let expected = (n > 2_000).then_some(Seq(n + (1 << 33)));
            assert_eq!(dedup.find(key(n), now), expected, "{n}");
        }
        assert_eq!(dedup.expire(Time(u64::MAX / 2), usize::MAX), None);
        assert_eq!(dedup.len, 0);
    }

    #[test]
    fn what_was_loaded_is_as_if_it_had_been_accepted() {
        let (mut loaded, mut accepted) = (Dedup::default(), Dedup::default());
        let key = |n: u64| DedupKey::new(&(n % 700).to_string(), None);
        for n in 0..3000 {
            loaded.load(key(n), Seq(n), Time(n * 200));
            accepted.accept(key(n), Seq(n), Time(n * 200));
        }
        let now = Time(2_500 * 200 + WINDOW_MILLIS);
        assert_eq!(loaded.expire(now, 100), accepted.expire(now, 100));
        loaded.loaded();
        for n in 3000..3100 {
            loaded.load(key(n), Seq(n), Time(n * 200));
            accepted.accept(key(n), Seq(n), Time(n * 200));
        }
        for now in [now, Time(0)] {
            assert!((0..800).all(|n| loaded.find(key(n), now) == accepted.find(key(n), now)));
        }
        assert_eq!(loaded.expire(now, usize::MAX), accepted.expire(now, usize::MAX));
        assert!((0..800).all(|n| loaded.find(key(n), now) == accepted.find(key(n), now)));
    }

    #[test]
    fn what_is_loaded_late_counts_from_when_it_was_accepted() {
        let (mut loaded, mut accepted) = (Dedup::default(), Dedup::default());
        let key = |n: u64| DedupKey::new(&(n % 1700).to_string(), None);
        for n in 0..3000 {
            accepted.accept(key(n), Seq(n), Time(n / 7 * 200));
        }
        // Some are loaded twice, some only late.
        for n in (0..3000).filter(|n| n % 3 > 0) {
            loaded.load(key(n), Seq(n), Time(n / 7 * 200));
        }
        for n in (0..3000).rev().filter(|n| n % 2 == 0 || n % 3 == 0) {
            loaded.load_late(key(n), Seq(n), Time(n / 7 * 200));
        }
        loaded.loaded();
        assert_eq!(loaded.len, accepted.len);
        for now in [0, 50_000, 80_000].map(|millis| Time(millis + WINDOW_MILLIS)) {
            assert!((0..1800).all(|n| loaded.find(key(n), now) == accepted.find(key(n), now)));
            assert_eq!(loaded.expire(now, usize::MAX), accepted.expire(now, usize::MAX));
            assert!((0..1800).all(|n| loaded.find(key(n), now) == accepted.find(key(n), now)));
        }
    }

    #[test]
    fn a_key_accepted_again_counts_from_the_later_time() {
        let mut dedup = Dedup::default();
        let key = DedupKey::new("d", None);
        dedup.accept(key, Seq(1), Time(0));
        dedup.accept(key, Seq(2), Time(WINDOW_MILLIS));
        dedup.expire(Time(WINDOW_MILLIS + 1), usize::MAX);
        assert_eq!(dedup.find(key, Time(WINDOW_MILLIS + 1)), Some(Seq(2)));
    }
}
