//! A hash index from keys that are stored elsewhere to small numbers. It grows in small steps and stays well
//! filled.

use std::hint::black_box;

/// Maps hashes to numbers. The caller decides which of the numbers with a hash is meant.
///
/// One large table would stop the engine for tens of milliseconds while a million entries move to a larger
/// one. So no table has more than some thousand entries: a larger one is split into sixteen, by the next four
/// bits of the hash. An ordinary table doubles its size. With millions of entries of five bytes, that would
/// leave too much memory empty, so these tables grow by a quarter.
///
/// `K` is the part of the hash that is stored with a number: nothing, and the caller recomputes the hash of a
/// number when needed; or all of it, if there are few numbers and recomputing is expensive.
#[derive(Clone, Debug)]
pub struct Index<K = ()> {
    root: Node<K>,
}

/// The stored part of a hash.
pub trait Kept: Copy + Default {
    /// Returns whether it can be the stored part of this hash.
    fn may_be(self, hash: u32) -> bool;
}

impl Kept for () {
    #[inline]
    fn may_be(self, _: u32) -> bool {
        true
    }
}

impl Kept for u32 {
    #[inline]
    fn may_be(self, hash: u32) -> bool {
        self == hash
    }
}

#[derive(Clone, Debug)]
enum Node<K> {
    Table(Table<K>),
    Split(Box<[Node<K>; FAN]>),
}

const FAN: usize = 16;

/// Maximum number of entries of a table before it becomes [`FAN`] tables.
const MOST: usize = 4096;

/// Maximum depth, limited by the bits of the hash. (The index then has about a thousand million entries.)
const DEEPEST: u32 = 5;

impl<K: Kept> Default for Index<K> {
    fn default() -> Self {
        Index { root: Node::Table(Table::default()) }
    }
}

impl Index<()> {
    /// Inserts a number; `hash_of` returns the hash of any number in the index.
    pub fn insert(&mut self, hash: u32, number: u32, hash_of: impl Fn(u32) -> u32) {
        self.root.insert(hash, 0, ((), number), &|(), number| hash_of(number));
    }
}

impl Index<u32> {
    /// Inserts a number, and stores its hash.
    pub fn insert(&mut self, hash: u32, number: u32) {
        self.root.insert(hash, 0, (hash, number), &|hash, _| hash);
    }
}

impl<K: Kept> Index<K> {
    /// Creates an empty index with room for this many numbers, if their hashes are distributed evenly.
    pub fn with_room_for(numbers: usize) -> Self {
        Index { root: Node::with_room_for(numbers, 0) }
    }

    /// Returns the number that was inserted with `hash` and for which `is` returns `true`.
    pub fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let (table, depth) = self.table(hash);
        let (bucket, slot) = table.find(hash, depth, is)?;
        Some(table.buckets[bucket].numbers[slot])
    }

    /// Loads the place of `hash` into the processor's cache, for a later lookup.
    #[inline]
    pub fn look_ahead(&self, hash: u32) {
        let (table, depth) = self.table(hash);
        let bucket = table.buckets.get(home_of(hash, depth, table.buckets.len()));
        // Both ends: it may cross two cache lines.
        black_box(bucket.map(|bucket| (bucket.tags[0], bucket.numbers[BUCKET - 1])));
    }

    #[inline]
    fn table(&self, hash: u32) -> (&Table<K>, u32) {
        let mut node = &self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Split(nodes) => node = &nodes[branch_of(hash, depth)],
                Node::Table(table) => return (table, depth),
            }
            depth += 1;
        }
    }

    /// Removes a number.
    pub fn remove(&mut self, hash: u32, number: u32) {
        let mut node = &mut self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Split(nodes) => node = &mut nodes[branch_of(hash, depth)],
                Node::Table(table) => return table.remove(hash, depth, number),
            }
            depth += 1;
        }
    }

    #[cfg(test)]
    fn slots(&self) -> usize {
        let (mut slots, mut nodes) = (0, vec![&self.root]);
        while let Some(node) = nodes.pop() {
            match node {
                Node::Split(more) => nodes.extend(more.iter()),
                Node::Table(table) => slots += table.buckets.len() * BUCKET,
            }
        }
        slots
    }
}

// Three parts of a hash: the table, the place in it, and the tag that is compared before the caller is asked.

fn branch_of(hash: u32, depth: u32) -> usize {
    (hash << (4 * depth) >> 28) as usize
}

fn home_of(hash: u32, depth: u32, buckets: usize) -> usize {
    ((u64::from(hash << (4 * depth)) * buckets as u64) >> 32) as usize
}

fn tag_of(hash: u32) -> u8 {
    hash as u8 | 0x80
}

impl<K: Kept> Node<K> {
    fn with_room_for(numbers: usize, depth: u32) -> Self {
        if numbers <= MOST || depth == DEEPEST {
            return Node::Table(Table::with_room_for(numbers));
        }
        // Random differences between tables are a few times the square root of their size.
        let each = numbers.div_ceil(FAN);
        let each = each + 4 * each.isqrt();
        Node::Split(Box::new(std::array::from_fn(|_| Node::with_room_for(each, depth + 1))))
    }

    fn insert(&mut self, hash: u32, depth: u32, entry: (K, u32), hash_of: &impl Fn(K, u32) -> u32) {
        match self {
            Node::Split(nodes) => nodes[branch_of(hash, depth)].insert(hash, depth + 1, entry, hash_of),
            Node::Table(table) if table.has_room() => table.put(hash, depth, entry),
            Node::Table(table) if table.living < MOST || depth == DEEPEST => {
                let old = std::mem::replace(table, Table::with_room_for(table.living * 5 / 4));
                for entry in old.entries() {
                    table.put(hash_of(entry.0, entry.1), depth, entry);
                }
                table.put(hash, depth, entry);
            }
            Node::Table(table) => {
                let old = std::mem::take(table);
                *self = Node::with_room_for(old.living.max(MOST + 1), depth);
                for entry in old.entries() {
                    self.insert(hash_of(entry.0, entry.1), depth, entry, hash_of);
                }
                self.insert(hash, depth, entry, hash_of);
            }
        }
    }
}

/// An open-addressed table. An entry without room in its bucket goes to the next bucket with room.
#[derive(Clone, Debug, Default)]
struct Table<K> {
    buckets: Box<[Bucket<K>]>,
    living: usize,
    /// Free slots that a search must still pass, because entries may follow.
    dead: usize,
}

/// Eight numbers and their tags, which are compared together.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket<K> {
    tags: [u8; BUCKET],
    numbers: [u32; BUCKET],
    kept: [K; BUCKET],
}

const BUCKET: usize = 8;

const EMPTY: u8 = 0;
const DEAD: u8 = 1;

impl<K: Kept> Table<K> {
    fn with_room_for(numbers: usize) -> Self {
        let buckets = numbers.div_ceil(BUCKET * 7 / 8).max(1);
        Table { buckets: vec![Bucket::default(); buckets].into_boxed_slice(), living: 0, dead: 0 }
    }

    /// One in eight slots stays empty, so that every search ends soon.
    fn has_room(&self) -> bool {
        8 * (self.living + self.dead + 1) <= 7 * BUCKET * self.buckets.len()
    }

    fn find(&self, hash: u32, depth: u32, is: impl Fn(u32) -> bool) -> Option<(usize, usize)> {
        let tag = tag_of(hash);
        self.walk(hash, depth, |at, bucket| {
            let mut same = equal(bucket.tags, tag);
            while same != 0 {
                let slot = first(same);
                if bucket.kept[slot].may_be(hash) && is(bucket.numbers[slot]) {
                    return Some(Some((at, slot)));
                }
                same &= same - 1;
            }
            (equal(bucket.tags, EMPTY) != 0).then_some(None)
        })?
    }

    /// Visits the buckets that may contain this hash, until `look` returns a result.
    #[inline]
    fn walk<T>(
        &self,
        hash: u32,
        depth: u32,
        mut look: impl FnMut(usize, &Bucket<K>) -> Option<T>,
    ) -> Option<T> {
        let home = home_of(hash, depth, self.buckets.len());
        let mut at = home;
        while let Some(bucket) = self.buckets.get(at) {
            if let Some(answer) = look(at, bucket) {
                return Some(answer);
            }
            at = if at + 1 == self.buckets.len() { 0 } else { at + 1 };
            if at == home {
                break;
            }
        }
        None
    }

    /// Inserts an entry where there is room.
    fn put(&mut self, hash: u32, depth: u32, (kept, number): (K, u32)) {
        let free = self.walk(hash, depth, |at, bucket| {
            // Only the two kinds of free slots lack the high bit.
            let free = !u64::from_le_bytes(bucket.tags) & HIGH;
            (free != 0).then(|| (at, first(free)))
        });
        // There is always one: `has_room` was checked.
        let Some((at, slot)) = free else { return };
        let bucket = &mut self.buckets[at];
        self.dead -= usize::from(bucket.tags[slot] == DEAD);
        bucket.tags[slot] = tag_of(hash);
        bucket.numbers[slot] = number;
        bucket.kept[slot] = kept;
        self.living += 1;
    }

    fn remove(&mut self, hash: u32, depth: u32, number: u32) {
        let Some((at, slot)) = self.find(hash, depth, |other| other == number) else { return };
        let tags = &mut self.buckets[at].tags;
        // A search never passes a bucket with an empty slot.
        let passed = equal(*tags, EMPTY) == 0;
        tags[slot] = if passed { DEAD } else { EMPTY };
        self.dead += usize::from(passed);
        self.living -= 1;
    }

    fn entries(&self) -> impl Iterator<Item = (K, u32)> {
        self.buckets.iter().flat_map(|bucket| {
            let slots = (0..BUCKET).filter(|&slot| bucket.tags[slot] & 0x80 != 0);
            slots.map(|slot| (bucket.kept[slot], bucket.numbers[slot]))
        })
    }
}

const LOW: u64 = u64::from_le_bytes([1; BUCKET]);
const HIGH: u64 = LOW << 7;

/// Returns the high bit of every byte that equals `tag`.
fn equal(tags: [u8; BUCKET], tag: u8) -> u64 {
    let different = u64::from_le_bytes(tags) ^ (LOW * u64::from(tag));
    // A byte is zero if it has no high bit, and adding 127 to its other bits gives none.
    !(((different & !HIGH) + !HIGH) | different) & HIGH
}

/// Returns the index of the byte with the lowest set bit.
fn first(bits: u64) -> usize {
    bits.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Few homes, few tags and one table, so that everything collides.
    fn crowded(number: u32) -> u32 {
        ((number % 11) << 20) | (number % 7)
    }

    fn spread(number: u32) -> u32 {
        (u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    proptest! {
        #[test]
        fn an_index_is_a_set_of_numbers(steps in proptest::collection::vec((any::<bool>(), 0u32..300), 0..2000)) {
            let mut index = Index::<()>::default();
            let mut keeping = Index::<u32>::default();
            let mut model = BTreeSet::new();
            for (add, number) in steps {
                let found = index.find(crowded(number), |other| other == number);
                prop_assert_eq!(found, model.get(&number).copied());
                if !add {
                    index.remove(crowded(number), number);
                    keeping.remove(crowded(number), number);
                    model.remove(&number);
                } else if model.insert(number) {
                    index.insert(crowded(number), number, crowded);
                    keeping.insert(crowded(number), number);
                }
            }
            for number in 0..300 {
                let found = index.find(crowded(number), |other| other == number);
                prop_assert_eq!(found, model.get(&number).copied());
                prop_assert_eq!(found, keeping.find(crowded(number), |other| other == number));
            }
        }
    }

    #[test]
    fn a_large_index_is_many_small_tables_and_finds_all_that_is_in_it() {
        let mut grown = Index::<()>::default();
        let mut made = Index::<u32>::with_room_for(300_000);
        let room = made.slots();
        for number in 0..300_000 {
            grown.insert(spread(number), number, spread);
            made.insert(spread(number), number);
        }
        assert_eq!(made.slots(), room, "there was room for all");
        let mut nodes = vec![&grown.root];
        while let Some(node) = nodes.pop() {
            match node {
                Node::Split(more) => nodes.extend(more.iter()),
                Node::Table(table) => assert!(table.living <= 2 * MOST, "{} in one table", table.living),
            }
        }
        for number in 0..300_000 {
            assert_eq!(grown.find(spread(number), |other| other == number), Some(number));
            assert_eq!(made.find(spread(number), |other| other == number), Some(number));
            grown.remove(spread(number), number);
        }
        assert!((0..300_000).all(|number| grown.find(spread(number), |_| true).is_none()));
    }

    #[test]
    fn an_index_whose_hashes_are_all_the_same_still_holds_its_numbers() {
        let mut index = Index::<u32>::default();
        for number in 0..10_000 {
            index.insert(7, number);
        }
        assert!(
            (0..10_000).step_by(997).all(|number| index.find(7, |other| other == number) == Some(number))
        );
    }

    #[test]
    fn an_index_that_is_filled_and_emptied_at_the_same_rate_stays_dense() {
        let mut index = Index::<()>::default();
        for number in 0..400_000u32 {
            index.insert(spread(number), number, spread);
            if number >= 50_000 {
                index.remove(spread(number - 50_000), number - 50_000);
            }
        }
        let slots = index.slots();
        assert!(slots < 50_000 * 3 / 2, "{slots} slots for 50,000 numbers");
        for number in 350_000..400_000 {
            assert_eq!(index.find(spread(number), |other| other == number), Some(number));
        }
    }
}
