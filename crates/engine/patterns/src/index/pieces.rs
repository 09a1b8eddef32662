//! Parts of texts, found by any text that contains them.

use std::collections::BTreeMap;

use super::keys::{Keys, put, take};

/// Maximum length of a part, in bytes.
const LONGEST: usize = 8;

/// In a longer text the parts are not searched: all of them are candidates.
const SEARCHED: usize = 4096;

/// Keys by short parts of texts.
#[derive(Clone, Debug)]
pub(super) struct Pieces<K> {
    /// By length and bytes.
    pieces: BTreeMap<(usize, u64), Keys<K>>,
}

impl<K> Default for Pieces<K> {
    fn default() -> Self {
        Pieces { pieces: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Pieces<K> {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns the number of keys of the part that a text is stored under.
    pub fn crowd(&self, text: &str) -> usize {
        self.pieces.get(&piece(text)).map_or(0, Keys::len)
    }

    /// Adds a key under a text's last bytes: in ordinary texts, ends differ more than beginnings.
    pub fn insert(&mut self, text: &str, key: K) {
        put(&mut self.pieces, piece(text), key);
    }

    pub fn remove(&mut self, text: &str, key: K) {
        take(&mut self.pieces, &piece(text), key);
    }

    /// Adds the keys of all parts that the text contains, and perhaps some more.
    pub fn find(&self, text: &str, found: &mut Vec<K>) {
        if text.len() > SEARCHED {
            return self.pieces.values().for_each(|keys| keys.add_to(found));
        }
        let mut length = 0;
        while let Some((&(next, _), _)) = self.pieces.range((length + 1, 0)..).next() {
            length = next;
            for window in text.as_bytes().windows(length) {
                if let Some(keys) = self.pieces.get(&(length, number(window))) {
                    keys.add_to(found);
                }
            }
        }
    }
}

fn piece(text: &str) -> (usize, u64) {
    let bytes = text.as_bytes();
    let last = &bytes[bytes.len().saturating_sub(LONGEST)..];
    (last.len(), number(last))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
