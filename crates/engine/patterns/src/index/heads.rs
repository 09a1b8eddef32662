//! Prefixes, found by any text that begins with them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::keys::{Keys, put, take};

/// Keys by prefix. Suffixes are stored as prefixes of reversed texts.
#[derive(Clone, Debug)]
pub(super) struct Heads<K> {
    heads: BTreeMap<Box<[u8]>, Keys<K>>,
    /// The length of the longest prefix, in bytes.
    longest: usize,
}

impl<K> Default for Heads<K> {
    fn default() -> Self {
        Heads { heads: BTreeMap::new(), longest: 0 }
    }
}

impl<K: Ord + Copy> Heads<K> {
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Returns the number of keys of a prefix.
    pub fn crowd(&self, head: &[u8]) -> usize {
        self.heads.get(head).map_or(0, Keys::len)
    }

    pub fn insert(&mut self, head: &[u8], key: K) {
        self.longest = self.longest.max(head.len());
        put(&mut self.heads, head.into(), key);
    }

    pub fn remove(&mut self, head: &[u8], key: K) {
        take(&mut self.heads, head, key);
    }

    /// Adds the keys of all prefixes of a text: a few searches in the sorted prefixes, each for a shorter
    /// part of the text.
    pub fn find(&self, text: &[u8], found: &mut Vec<K>) {
        let mut rest = &text[..text.len().min(self.longest)];
        loop {
            let up_to = (Bound::Unbounded, Bound::Included(rest));
            let Some((head, keys)) = self.heads.range::<[u8], _>(up_to).next_back() else { return };
            let common = head.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < head.len() {
                // A longer prefix of the text would be sorted between this one and the text.
                rest = &rest[..common];
                continue;
            }
            keys.add_to(found);
            match common.checked_sub(1) {
                Some(shorter) => rest = &rest[..shorter],
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_heads_of_a_text_are_found(
            heads in prop::collection::vec("[ab]{0,5}", 0..12), removed in 0usize..12, text in "[abc]{0,7}",
        ) {
            let mut index = Heads::default();
            for (key, head) in heads.iter().enumerate() {
                index.insert(head.as_bytes(), key);
            }
            if let Some(head) = heads.get(removed) {
                index.remove(head.as_bytes(), removed);
            }
            let mut found = Vec::new();
            index.find(text.as_bytes(), &mut found);
            found.sort_unstable();
            let expected: Vec<usize> =
                (0..heads.len()).filter(|&key| key != removed && text.starts_with(&heads[key])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
