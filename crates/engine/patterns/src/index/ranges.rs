//! Ranges of numbers, found by a number that is in them.
//!
//! A search tree by the lower bounds of the ranges. Each node stores the highest upper bound below it. The
//! tree is balanced by weights that look random but are the same in every run, because the engine must be
//! deterministic.

use crate::number::Range;

/// Keys by range.
#[derive(Clone, Debug)]
pub(super) struct Ranges<K> {
    root: Link<K>,
    len: usize,
    /// Number of weights that were used.
    drawn: u64,
}

type Link<K> = Option<Box<Node<K>>>;

#[derive(Clone, Debug)]
struct Node<K> {
    /// The range, with both ends included, as integers in the order of the doubles.
    bottom: u64,
    top: u64,
    key: K,
    /// No node below has a greater weight.
    weight: u64,
    /// The highest upper bound of this node and those below.
    highest: u64,
    left: Link<K>,
    right: Link<K>,
}

impl<K> Default for Ranges<K> {
    fn default() -> Self {
        Ranges { root: None, len: 0, drawn: 0 }
    }
}

impl<K: Ord + Copy> Ranges<K> {
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, range: &Range, key: K) {
        let (bottom, top) = ends(range);
        let weight = scattered(self.drawn);
        self.drawn += 1;
        self.len += 1;
        let node = Box::new(Node { bottom, top, key, weight, highest: top, left: None, right: None });
        self.root = Some(inserted(self.root.take(), node));
    }

    pub fn remove(&mut self, range: &Range, key: K) {
        let (bottom, top) = ends(range);
        if removed(&mut self.root, (bottom, top, key)) {
            self.len -= 1;
        }
    }

    /// Adds the keys of all ranges that contain the number.
    pub fn find(&self, number: f64, found: &mut Vec<K>) {
        visit(&self.root, ordered(number), found);
    }
}

// The depth of these recursions is that of a balanced tree.

fn visit<K: Copy>(link: &Link<K>, number: u64, found: &mut Vec<K>) {
    let Some(node) = link else { return };
    if node.highest < number {
        return;
    }
    visit(&node.left, number, found);
    if node.bottom <= number {
        if node.top >= number {
            found.push(node.key);
        }
        visit(&node.right, number, found);
    }
}

fn inserted<K: Ord + Copy>(link: Link<K>, mut new: Box<Node<K>>) -> Box<Node<K>> {
    match link {
        Some(mut node) if node.weight >= new.weight => {
            let side = if new.place() < node.place() { &mut node.left } else { &mut node.right };
            *side = Some(inserted(side.take(), new));
            node.update();
            node
        }
        link => {
            (new.left, new.right) = split(link, new.place());
            new.update();
            new
        }
    }
}

/// Splits a tree into the part before a position and the rest.
fn split<K: Ord + Copy>(link: Link<K>, at: (u64, u64, K)) -> (Link<K>, Link<K>) {
    let Some(mut node) = link else { return (None, None) };
    if node.place() < at {
        let (before, behind) = split(node.right.take(), at);
        node.right = before;
        node.update();
        (Some(node), behind)
    } else {
        let (before, behind) = split(node.left.take(), at);
        node.left = behind;
        node.update();
        (before, Some(node))
    }
}

/// Joins two trees, of which the first is before the second.
fn joined<K: Ord + Copy>(before: Link<K>, behind: Link<K>) -> Link<K> {
    match (before, behind) {
        (link, None) | (None, link) => link,
        (Some(mut a), Some(mut b)) => {
            if a.weight >= b.weight {
                a.right = joined(a.right.take(), Some(b));
                a.update();
                Some(a)
            } else {
                b.left = joined(Some(a), b.left.take());
                b.update();
                Some(b)
            }
        }
    }
}

fn removed<K: Ord + Copy>(link: &mut Link<K>, place: (u64, u64, K)) -> bool {
    let Some(node) = link else { return false };
    let was_there = match place.cmp(&node.place()) {
        std::cmp::Ordering::Less => removed(&mut node.left, place),
        std::cmp::Ordering::Greater => removed(&mut node.right, place),
        std::cmp::Ordering::Equal => {
            let (left, right) = (node.left.take(), node.right.take());
            *link = joined(left, right);
            return true;
        }
    };
    node.update();
    was_there
}

impl<K: Ord + Copy> Node<K> {
    fn place(&self) -> (u64, u64, K) {
        (self.bottom, self.top, self.key)
    }

    fn update(&mut self) {
        let below = [&self.left, &self.right].into_iter().flatten().map(|node| node.highest).max();
        self.highest = self.top.max(below.unwrap_or(0));
    }
}

/// Returns a range's ends, both included. In an empty range the upper bound is below the lower bound.
fn ends(range: &Range) -> (u64, u64) {
    let bottom = ordered(range.bottom).saturating_add(u64::from(range.bottom_open));
    let top = ordered(range.top).saturating_sub(u64::from(range.top_open));
    (bottom, top)
}

/// Maps a double to an integer in the same order. Zero has one sign here (see `number::comparable`).
fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Returns the numbers from zero on, scattered (the mixer of SplitMix64).
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn depth<K>(link: &Link<K>) -> usize {
        link.as_ref().map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
    }

    #[test]
    fn ranges_that_come_in_order_make_no_deep_tree() {
        let mut ranges = Ranges::default();
        let range = |n: u32| Range {
            bottom: f64::from(n),
            top: f64::from(n) + 1.5,
            bottom_open: false,
            top_open: false,
        };
        for n in 0..10_000 {
            ranges.insert(&range(n), n);
        }
        assert!(depth(&ranges.root) < 60, "{}", depth(&ranges.root));
        let mut found = Vec::new();
        ranges.find(5000.2, &mut found);
        assert_eq!(found, [4999, 5000]);
        for n in 0..10_000 {
            ranges.remove(&range(n), n);
        }
        assert!(ranges.is_empty());
        assert_eq!(ranges.len, 0);
    }

    proptest! {
        #[test]
        fn all_ranges_that_hold_a_number_are_found(
            ranges in prop::collection::vec((-4i8..4, -4i8..5, any::<bool>(), any::<bool>()), 0..20),
            removed in prop::collection::vec(0usize..20, 0..8),
            number in -5i8..6,
        ) {
            let range = |&(bottom, top, bottom_open, top_open): &(i8, i8, bool, bool)| Range {
                bottom: f64::from(bottom) / 2.0,
                top: f64::from(top) / 2.0,
                bottom_open,
                top_open,
            };
            let mut index = Ranges::default();
            for (key, given) in ranges.iter().enumerate() {
                index.insert(&range(given), key);
            }
            for &key in &removed {
                if let Some(given) = ranges.get(key) {
                    index.remove(&range(given), key);
                }
            }
            let mut found = Vec::new();
            index.find(f64::from(number) / 2.0, &mut found);
            found.sort_unstable();
            let holds = |key: &usize| range(&ranges[*key]).holds(f64::from(number) / 2.0);
            let kept = (0..ranges.len()).filter(|key| !removed.contains(key));
            prop_assert_eq!(index.len(), kept.clone().count());
            prop_assert_eq!(found, kept.filter(holds).collect::<Vec<_>>());
        }
    }
}
