//! A hash index from keys that live elsewhere to small numbers, which grows in small steps.

use hashbrown::HashTable;

const SHARDS: usize = 64;

/// Maps hashes to numbers; the caller says which of the numbers with that hash is meant.
///
/// One large table would stop the engine for tens of milliseconds when a million entries are moved to a larger one;
/// these 64 are moved one at a time.
#[derive(Clone, Debug)]
pub struct Index {
    shards: Box<[HashTable<u32>]>,
}

impl Default for Index {
    fn default() -> Self {
        Index { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

impl Index {
    /// The number that was put under `hash` and that `is` recognises.
    pub fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.shards[shard(hash)].find(hash, |&number| is(number)).copied()
    }

    /// Puts a number; `hash_of` gives the hash of any number in the index.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[shard(hash)].insert_unique(hash, number, |&number| hash_of(number));
    }

    /// Takes a number out.
    pub fn remove(&mut self, hash: u64, number: u32) {
        if let Ok(found) = self.shards[shard(hash)].find_entry(hash, |&other| other == number) {
            found.remove();
        }
    }
}

fn shard(hash: u64) -> usize {
    // hashbrown uses the lowest and the highest bits itself.
    (hash >> 40) as usize % SHARDS
}
