//! Numbered values of one size, in blocks, so that growing copies little and memory follows the number of
//! values.

/// Values by number. The number of a removed value is reused; an empty block is freed.
///
/// An allocator keeps blocks of each size in separate pages. If a million values grow from one size to the
/// next, a few that stay behind keep all pages of the old size allocated. So build growing structures from
/// values of one size in a slab.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    blocks: Vec<Block<T>>,
    /// The blocks with room; new values go into the last of them.
    roomy: Vec<u32>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Block<T> {
    slots: Vec<T>,
    /// The free slots.
    free: Vec<u16>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { blocks: Vec::new(), roomy: Vec::new(), len: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// Size of a block: 32 KiB.
    const BLOCK: usize = {
        let slots = 32 * 1024 / size_of::<T>();
        assert!(slots > 0 && slots <= 1 << 16, "a block is numbered with 16 bits");
        slots
    };

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns an upper bound (exclusive) of all numbers in use.
    pub fn end(&self) -> u32 {
        self.blocks.last().map_or(0, |last| ((self.blocks.len() - 1) * Self::BLOCK + last.slots.len()) as u32)
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts a value, and returns its number.
    pub fn insert(&mut self, thing: T) -> u32 {
        let block = match self.roomy.last() {
            Some(&block) => block,
            None => {
                self.blocks.push(Block { slots: Vec::new(), free: Vec::new() });
                let block = self.blocks.len() as u32 - 1;
                self.roomy.push(block);
                block
            }
        };
        let Block { slots, free } = &mut self.blocks[block as usize];
        let slot = match free.pop() {
            Some(slot) => {
                slots[usize::from(slot)] = thing;
                usize::from(slot)
            }
            None => {
                if slots.len() == slots.capacity() {
                    // Grows as a vector does, up to the size of a block.
                    slots.reserve_exact(slots.len().max(1).min(Self::BLOCK - slots.len()));
                }
                slots.push(thing);
                slots.len() - 1
            }
        };
        if free.is_empty() && slots.len() == Self::BLOCK {
            self.roomy.pop();
        }
        self.len += 1;
        block * Self::BLOCK as u32 + slot as u32
    }

    /// Removes and returns the value with this number, which must exist.
    pub fn remove(&mut self, number: u32) -> T {
        let (block, slot) = Self::place(number);
        let Block { slots, free } = &mut self.blocks[block];
        let thing = std::mem::take(&mut slots[slot]);
        if free.is_empty() && slots.len() == Self::BLOCK {
            self.roomy.push(block as u32);
        }
        free.push(slot as u16);
        if free.len() == slots.len() {
            (*slots, *free) = (Vec::new(), Vec::new());
        }
        self.len -= 1;
        if self.len == 0 {
            *self = Slab::default();
        }
        thing
    }

    /// Returns the value with this number. A removed value is [`Default`] or absent.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (block, slot) = Self::place(number);
        self.blocks.get(block)?.slots.get(slot)
    }

    /// Returns the value with this number. A removed value is [`Default`] or absent.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (block, slot) = Self::place(number);
        self.blocks.get_mut(block)?.slots.get_mut(slot)
    }

    /// Returns all values with their numbers, including removed ones as [`Default`].
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..)
            .zip(&self.blocks)
            .flat_map(|(block, Block { slots, .. })| (block * Self::BLOCK as u32..).zip(slots))
    }

    /// Removes one of the last values, perhaps one that was removed before: for a caller that takes all and
    /// inserts no more.
    pub fn take_down(&mut self) -> Option<T> {
        loop {
            match self.blocks.last_mut()?.slots.pop() {
                Some(thing) => return Some(thing),
                None => self.blocks.pop(),
            };
        }
    }

    #[inline]
    fn place(number: u32) -> (usize, usize) {
        (number as usize / Self::BLOCK, number as usize % Self::BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Eight to a block, so that blocks become full and empty.
    type Thing = [[u64; 32]; 16];

    fn thing(number: u64) -> Thing {
        [[number; 32]; 16]
    }

    proptest! {
        #[test]
        fn a_slab_is_a_map_that_chooses_the_keys(steps in proptest::collection::vec(any::<(bool, u16)>(), 0..600)) {
            let mut slab: Slab<Thing> = Slab::default();
            let mut model = BTreeMap::new();
            for (add, which) in steps {
                if add || model.is_empty() {
                    let number = slab.insert(thing(u64::from(which) + 1));
                    prop_assert!(model.insert(number, u64::from(which) + 1).is_none());
                } else {
                    let (&number, _) = model.iter().nth(usize::from(which) % model.len()).unwrap();
                    prop_assert_eq!(Some(slab.remove(number)[0][0]), model.remove(&number));
                }
                prop_assert_eq!(slab.len(), model.len());
            }
            let there = slab.iter().filter(|(_, it)| it[0][0] != 0).map(|(number, it)| (number, it[0][0]));
            prop_assert_eq!(there.collect::<BTreeMap<_, _>>(), model);
        }
    }

    #[test]
    fn a_block_of_which_nothing_is_left_is_given_back() {
        let mut slab: Slab<Thing> = Slab::default();
        let numbers: Vec<u32> = (0..80).map(|number| slab.insert(thing(number))).collect();
        for number in &numbers[..72] {
            slab.remove(*number);
        }
        let room: usize = slab.blocks.iter().map(|block| block.slots.capacity()).sum();
        assert_eq!(room, 8, "what the last eight need");
        assert_eq!(slab.insert(thing(7)) / 8, 8, "into one of the blocks that have become free");
    }
}
