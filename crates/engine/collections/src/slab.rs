//! Many small things of one size, each with a number: in blocks, so that growing copies little and memory follows what is there.

/// What was put in, by number. A number is used again when what had it is gone; a block of which nothing is left is given back.
///
/// An allocator has blocks of each size in pages of their own. Where a million things grow from one size to the next, the few
/// that stay behind keep all the pages of the size that the others have left; what grows had better be made of these.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    blocks: Vec<Block<T>>,
    /// The blocks that have room; what comes goes into the last of them.
    roomy: Vec<u32>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Block<T> {
    slots: Vec<T>,
    /// Those slots in which nothing is.
    free: Vec<u16>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { blocks: Vec::new(), roomy: Vec::new(), len: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// What a block holds: 32 KiB.
    const BLOCK: usize = {
        let slots = 32 * 1024 / size_of::<T>();
        assert!(slots > 0 && slots <= 1 << 16, "a block is numbered with 16 bits");
        slots
    };

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// All numbers in use are less than this.
    pub fn end(&self) -> u32 {
        self.blocks.last().map_or(0, |last| ((self.blocks.len() - 1) * Self::BLOCK + last.slots.len()) as u32)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts something in; returns its number.
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
                    // As a vector grows, but no further than a block.
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

    /// Takes out what has this number, which is in it.
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

    /// What has this number; what is gone is as [`Default`] makes it, or not there.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (block, slot) = Self::place(number);
        self.blocks.get(block)?.slots.get(slot)
    }

    /// What has this number; what is gone is as [`Default`] makes it, or not there.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (block, slot) = Self::place(number);
        self.blocks.get_mut(block)?.slots.get_mut(slot)
    }

    /// All, with their numbers; between them may be some that are gone, as [`Default`] makes them.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..)
            .zip(&self.blocks)
            .flat_map(|(block, Block { slots, .. })| (block * Self::BLOCK as u32..).zip(slots))
    }

    /// Takes one of the last out, perhaps one that is gone already: for whoever takes all, and puts nothing in any more.
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
