//! A hash index from keys that live elsewhere to small numbers, which grows in small steps and is never half empty.

/// Maps hashes to numbers; the caller says which of the numbers with that hash is meant.
///
/// One large table would stop the engine for tens of milliseconds when a million entries are moved to a larger one;
/// these 64 are moved one at a time. A general table doubles; where there are millions of entries of five bytes each,
/// what stands empty then is too much, so these grow by a quarter.
#[derive(Clone, Debug)]
pub struct Index {
    shards: Box<[Shard]>,
}

const SHARDS: usize = 64;

impl Default for Index {
    fn default() -> Self {
        Index { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl Index {
    /// An empty one that so many numbers find room in before it grows, if their hashes are spread evenly.
    pub fn with_room_for(numbers: usize) -> Self {
        // What chance puts into one shard more than into another is a few times the root of what is in it.
        let each = numbers.div_ceil(SHARDS);
        let each = each + 4 * each.isqrt();
        Index { shards: (0..SHARDS).map(|_| Shard::with_room_for(each)).collect() }
    }

    /// The number that was put under `hash` and that `is` recognises.
    pub fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let shard = &self.shards[shard_of(hash)];
        Some(shard.numbers[shard.find(hash, is)?])
    }

    /// Puts a number; `hash_of` gives the hash of any number in the index.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[shard_of(hash)].insert(hash, number, hash_of);
    }

    /// Takes a number out.
    pub fn remove(&mut self, hash: u64, number: u32) {
        self.shards[shard_of(hash)].remove(hash, number);
    }
}

// Three parts of a hash: which shard, where in it, and what is compared before the caller is asked.

fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

fn home_of(hash: u64, buckets: usize) -> usize {
    ((u64::from(hash as u32) * buckets as u64) >> 32) as usize
}

fn tag_of(hash: u64) -> u8 {
    (hash >> 48) as u8 | 0x80
}

/// An open-addressed table. A bucket is eight tags, which are looked at together, and eight numbers; what finds no room
/// in its bucket is in the next one that has some.
#[derive(Clone, Debug, Default)]
struct Shard {
    tags: Box<[[u8; BUCKET]]>,
    numbers: Box<[u32]>,
    living: usize,
    /// Slots that are free but have to be passed by, because something may lie behind.
    dead: usize,
}

const BUCKET: usize = 8;

const EMPTY: u8 = 0;
const DEAD: u8 = 1;

impl Shard {
    fn with_room_for(numbers: usize) -> Shard {
        let buckets = numbers.div_ceil(BUCKET * 7 / 8).max(1);
        Shard {
            tags: vec![[EMPTY; BUCKET]; buckets].into_boxed_slice(),
            numbers: vec![0; buckets * BUCKET].into_boxed_slice(),
            living: 0,
            dead: 0,
        }
    }

    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<usize> {
        let tag = tag_of(hash);
        self.walk(hash, |slots, bucket| {
            let mut same = equal(bucket, tag);
            while same != 0 {
                let slot = slots + first(same);
                if is(self.numbers[slot]) {
                    return Some(Some(slot));
                }
                same &= same - 1;
            }
            (equal(bucket, EMPTY) != 0).then_some(None)
        })?
    }

    /// Shows the buckets where something with this hash may be, each with its first slot, until an answer is found.
    fn walk<T>(&self, hash: u64, mut look: impl FnMut(usize, &[u8; BUCKET]) -> Option<T>) -> Option<T> {
        let home = home_of(hash, self.tags.len());
        let (before, after) = self.tags.split_at_checked(home)?;
        let buckets = (home..).zip(after).chain((0..).zip(before));
        for (bucket, tags) in buckets {
            if let Some(answer) = look(bucket * BUCKET, tags) {
                return Some(answer);
            }
        }
        None
    }

    fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        // One in eight slots stays empty, so that every walk ends soon.
        if 8 * (self.living + self.dead + 1) > 7 * self.numbers.len() {
            self.rebuild(hash_of);
        }
        self.put(hash, number);
    }

    fn put(&mut self, hash: u64, number: u32) {
        let free = self.walk(hash, |slots, bucket| {
            // Only the two kinds of free slots have no high bit.
            let free = !u64::from_le_bytes(*bucket) & HIGH;
            (free != 0).then(|| slots + first(free))
        });
        // There is always one: `insert` sees to it.
        let Some(slot) = free else { return };
        let tag = &mut self.tags[slot / BUCKET][slot % BUCKET];
        self.dead -= usize::from(*tag == DEAD);
        *tag = tag_of(hash);
        self.numbers[slot] = number;
        self.living += 1;
    }

    fn remove(&mut self, hash: u64, number: u32) {
        let Some(slot) = self.find(hash, |other| other == number) else { return };
        let bucket = &mut self.tags[slot / BUCKET];
        // Nobody walks past a bucket that has an empty slot.
        let passed = equal(bucket, EMPTY) == 0;
        bucket[slot % BUCKET] = if passed { DEAD } else { EMPTY };
        self.dead += usize::from(passed);
        self.living -= 1;
    }

    /// Makes room, and living and empty slots only.
    fn rebuild(&mut self, hash_of: impl Fn(u32) -> u64) {
        let old = std::mem::replace(self, Shard::with_room_for(self.living * 5 / 4));
        for (&tag, &number) in old.tags.as_flattened().iter().zip(&old.numbers) {
            if tag != EMPTY && tag != DEAD {
                self.put(hash_of(number), number);
            }
        }
    }
}

const LOW: u64 = u64::from_le_bytes([1; BUCKET]);
const HIGH: u64 = LOW << 7;

/// The high bit of every byte that is `tag`.
fn equal(bucket: &[u8; BUCKET], tag: u8) -> u64 {
    let different = u64::from_le_bytes(*bucket) ^ (LOW * u64::from(tag));
    // A byte is zero if it has no high bit, and adding 127 to the rest of it gives none.
    !(((different & !HIGH) + !HIGH) | different) & HIGH
}

/// Which byte the lowest bit stands in.
fn first(bits: u64) -> usize {
    bits.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Few homes, few tags and one shard, so that everything collides.
    fn hash(number: u32) -> u64 {
        u64::from(number % 7) << 48 | u64::from(number % 11) << 28
    }

    proptest! {
        #[test]
        fn an_index_is_a_set_of_numbers(steps in proptest::collection::vec((any::<bool>(), 0u32..300), 0..2000)) {
            let mut index = Index::default();
            let mut model = BTreeSet::new();
            for (add, number) in steps {
                let found = index.find(hash(number), |other| other == number);
                prop_assert_eq!(found, model.get(&number).copied());
                if !add {
                    index.remove(hash(number), number);
                    model.remove(&number);
                } else if model.insert(number) {
                    index.insert(hash(number), number, hash);
                }
            }
            for number in 0..300 {
                let found = index.find(hash(number), |other| other == number);
                prop_assert_eq!(found, model.get(&number).copied());
            }
        }
    }

    #[test]
    fn an_index_that_is_filled_and_emptied_at_the_same_rate_stays_dense() {
        let spread = |number: u32| u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::default();
        for number in 0..400_000u32 {
            index.insert(spread(number), number, spread);
            if number >= 50_000 {
                index.remove(spread(number - 50_000), number - 50_000);
            }
        }
        let slots: usize = index.shards.iter().map(|shard| shard.numbers.len()).sum();
        assert!(slots < 50_000 * 3 / 2, "{slots} slots for 50,000 numbers");
        for number in 350_000..400_000 {
            assert_eq!(index.find(spread(number), |other| other == number), Some(number));
        }
    }
}
