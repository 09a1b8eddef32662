//! The keys of patterns that share a place in the index.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

/// A few keys: nearly always one.
#[derive(Clone, Debug)]
pub(super) enum Keys<K> {
    One(K),
    Many(BTreeSet<K>),
}

impl<K: Ord + Copy> Keys<K> {
    pub fn len(&self) -> usize {
        match self {
            Keys::One(_) => 1,
            Keys::Many(keys) => keys.len(),
        }
    }

    pub fn add_to(&self, found: &mut Vec<K>) {
        match self {
            Keys::One(key) => found.push(*key),
            Keys::Many(keys) => found.extend(keys),
        }
    }

    pub fn insert(&mut self, key: K) {
        match self {
            Keys::One(other) => *self = Keys::Many([*other, key].into()),
            Keys::Many(keys) => {
                keys.insert(key);
            }
        }
    }

    /// Removes a key. Returns whether none is left.
    pub fn remove(&mut self, key: K) -> bool {
        match self {
            Keys::One(only) => *only == key,
            Keys::Many(keys) => {
                keys.remove(&key);
                keys.is_empty()
            }
        }
    }
}

pub(super) fn put<V: Ord, K: Ord + Copy>(map: &mut BTreeMap<V, Keys<K>>, value: V, key: K) {
    match map.entry(value) {
        Entry::Vacant(free) => {
            free.insert(Keys::One(key));
        }
        Entry::Occupied(mut taken) => taken.get_mut().insert(key),
    }
}

pub(super) fn take<V: Ord + Borrow<Q>, Q: Ord + ?Sized, K: Ord + Copy>(
    map: &mut BTreeMap<V, Keys<K>>,
    value: &Q,
    key: K,
) {
    if map.get_mut(value).is_some_and(|keys| keys.remove(key)) {
        map.remove(value);
    }
}
