//! The items of a table in memory, its indexes, and what of it expires.
//!
//! An item is one allocation: its number, its key and its attributes in bytes. Indexes share it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use items::value::Item;
use kernel::{Extent, Ledger};
use resources::Standing;

use crate::limits::{ENTRY_OVERHEAD, ITEM_OVERHEAD};
use crate::rules::definition::Definition;

/// Bytes in front of an item's key: number, size, length of the key.
const HEAD: usize = 8 + 4 + 2;

/// An item in memory. Items are ordered by key.
#[derive(Clone, Debug)]
pub struct Held(Arc<[u8]>);

impl Held {
    /// An item of this number and key.
    pub fn new(id: u64, key: &[u8], content: &[u8]) -> Held {
        let size = Item(content).size() as u32;
        let mut bytes = Vec::with_capacity(HEAD + key.len() + content.len());
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&size.to_be_bytes());
        // A key has 7 KiB at the most (limits of key values, escaped).
        bytes.extend_from_slice(&(key.len() as u16).to_be_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(content);
        Held(bytes.into())
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        u64::from_be_bytes(self.head())
    }

    /// Bytes that count for limits and capacity.
    pub fn size(&self) -> usize {
        let [_, _, _, _, _, _, _, _, size @ .., _, _] = self.head::<HEAD>();
        u32::from_be_bytes(size) as usize
    }

    /// Its key in bytes.
    pub fn key(&self) -> &[u8] {
        let [.., high, low] = self.head::<HEAD>();
        let end = HEAD + usize::from(u16::from_be_bytes([high, low]));
        self.0.get(HEAD..end).unwrap_or_default()
    }

    /// Its attributes in bytes.
    pub fn content(&self) -> &[u8] {
        self.0.get(HEAD + self.key().len()..).unwrap_or_default()
    }

    /// Its attributes.
    pub fn item(&self) -> Item<'_> {
        Item(self.content())
    }

    fn head<const N: usize>(&self) -> [u8; N] {
        let mut head = [0; N];
        head.copy_from_slice(&self.0[..N]);
        head
    }

    /// Bytes of memory that it takes in its table.
    fn memory(&self) -> usize {
        self.0.len() + ITEM_OVERHEAD
    }
}

impl Borrow<[u8]> for Held {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> Ordering {
        self.key().cmp(other.key())
    }
}

/// The entries of an index.
#[derive(Debug, Default)]
struct Entries {
    /// The index's number.
    id: u64,
    entries: BTreeMap<Box<[u8]>, Held>,
    /// Bytes of the items in it.
    size: u64,
    /// Bytes of memory.
    memory: usize,
}

/// The items of a table.
#[derive(Debug, Default)]
pub struct Contents {
    /// How the table is declared.
    definition: Arc<Definition>,
    items: BTreeMap<Held, Standing>,
    indexes: Vec<Entries>,
    /// Seconds since 1970 and keys of what expires.
    expiries: BTreeSet<(u64, Box<[u8]>)>,
    /// Bytes of the items, as AWS counts them.
    size: u64,
    /// Bytes of memory.
    memory: usize,
    /// Behind which key items have yet to be put into indexes that were added, and among what expires.
    unfinished: Option<Vec<u8>>,
    /// The numbers of those indexes.
    new_indexes: Vec<u64>,
}

impl Contents {
    /// The table is declared so from now on. What is no longer needed is returned, to be forgotten in steps.
    pub fn declare(&mut self, definition: Arc<Definition>) -> Contents {
        let mut gone = Contents::default();
        let mut known: Vec<Entries> = std::mem::take(&mut self.indexes);
        for index in &definition.indexes {
            let entries = match known.iter().position(|entries| entries.id == index.id) {
                Some(at) => known.swap_remove(at),
                None => {
                    self.new_indexes.extend((!self.items.is_empty()).then_some(index.id));
                    self.unfinished = Some(Vec::new());
                    Entries { id: index.id, ..Entries::default() }
                }
            };
            self.indexes.push(entries);
        }
        gone.indexes = known;
        if definition.expires_by != self.definition.expires_by {
            gone.expiries = std::mem::take(&mut self.expiries);
            self.unfinished = Some(Vec::new());
        }
        gone.memory = gone.indexes.iter().map(|entries| entries.memory).sum();
        self.memory = self.memory.saturating_sub(gone.memory);
        if self.items.is_empty() {
            self.unfinished = None;
        }
        self.definition = definition;
        gone
    }

    /// How the table is declared.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The item of this key.
    pub fn get(&self, key: &[u8]) -> Option<&Held> {
        self.items.get_key_value(key).map(|(held, _)| held)
    }

    /// The item of this key, with the segments that may contain it.
    pub fn get_with_places(&self, key: &[u8]) -> Option<(&Held, Vec<u32>)> {
        self.items.get_key_value(key).map(|(held, standing)| (held, standing.declared_in().collect()))
    }

    /// Whether the record at `at` is the latest of the item of this key.
    pub fn is_at(&self, key: &[u8], at: Extent) -> bool {
        self.items.get(key).is_some_and(|standing| standing.is_at(at))
    }

    /// Items of the table, or of one of its indexes, whose keys lie between two bounds.
    pub fn range<'s>(
        &'s self,
        index: Option<usize>,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        forward: bool,
    ) -> Box<dyn Iterator<Item = &'s Held> + 's> {
        // A range of a map must not begin behind its end.
        if let (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) =
            bounds
            && low >= high
        {
            return Box::new(std::iter::empty());
        }
        match index.and_then(|at| self.indexes.get(at)) {
            Some(index) => {
                let range = index.entries.range::<[u8], _>(bounds).map(|(_, held)| held);
                if forward { Box::new(range) } else { Box::new(range.rev()) }
            }
            None => {
                let range = self.items.range::<[u8], _>(bounds).map(|(held, _)| held);
                if forward { Box::new(range) } else { Box::new(range.rev()) }
            }
        }
    }

    /// Items, and bytes as AWS counts them.
    pub fn measure(&self) -> (u64, u64) {
        (self.items.len() as u64, self.size)
    }

    /// The same of an index, and whether it is complete.
    pub fn measure_index(&self, at: usize) -> (u64, u64, bool) {
        let Some(index) = self.indexes.get(at) else { return (0, 0, true) };
        (index.entries.len() as u64, index.size, !self.new_indexes.contains(&index.id))
    }

    /// Whether an index is still being made.
    pub fn is_indexing(&self) -> bool {
        !self.new_indexes.is_empty()
    }

    /// Bytes of memory that all of it takes.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Bytes of memory that an item would take, in all of its indexes.
    pub fn memory_of(&self, key: &[u8], content: &[u8]) -> usize {
        let entries = (2 * key.len() + ENTRY_OVERHEAD) * self.indexes.len();
        HEAD + key.len() + content.len() + ITEM_OVERHEAD + entries
    }

    /// Applies that an item is as it is from now on.
    pub fn put(&mut self, key: &[u8], id: u64, content: &[u8], at: Extent, ledger: &mut Ledger) {
        let before = self.items.remove_entry(key);
        let standing = match before {
            Some((old, standing)) => {
                self.drop_entries(&old);
                if old.id() == id {
                    Some(standing)
                } else {
                    // Another of this key: its removal was written again behind this.
                    standing.end(ledger);
                    None
                }
            }
            None => None,
        };
        let held = Held::new(id, key, content);
        self.memory += held.memory();
        self.size += held.size() as u64;
        self.add_entries(&held);
        self.items.insert(held, Standing::declared(at, standing, ledger));
    }

    /// Applies that an item is gone.
    pub fn remove(&mut self, key: &[u8], id: u64, ledger: &mut Ledger) {
        if self.get(key).is_none_or(|held| held.id() != id) {
            return;
        }
        if let Some((old, standing)) = self.items.remove_entry(key) {
            self.drop_entries(&old);
            standing.end(ledger);
        }
    }

    /// The entries of an item in indexes and among what expires. One that is there already stays.
    fn add_entries(&mut self, held: &Held) {
        let definition = self.definition.clone();
        for (index, entries) in definition.indexes.iter().zip(&mut self.indexes) {
            if let Some(key) = definition.key_in_index(index, held.item(), held.key()) {
                let bytes = key.len() + ENTRY_OVERHEAD;
                if entries.entries.insert(key.into(), held.clone()).is_none() {
                    entries.size += held.size() as u64;
                    entries.memory += bytes;
                    self.memory += bytes;
                }
            }
        }
        if let Some(expiry) = definition.expiry(held.item()) {
            self.expiries.insert((expiry, held.key().into()));
        }
    }

    fn drop_entries(&mut self, held: &Held) {
        let definition = self.definition.clone();
        for (index, entries) in definition.indexes.iter().zip(&mut self.indexes) {
            if let Some(key) = definition.key_in_index(index, held.item(), held.key())
                && entries.entries.remove(&*key).is_some()
            {
                entries.size = entries.size.saturating_sub(held.size() as u64);
                let bytes = key.len() + ENTRY_OVERHEAD;
                entries.memory = entries.memory.saturating_sub(bytes);
                self.memory = self.memory.saturating_sub(bytes);
            }
        }
        if let Some(expiry) = definition.expiry(held.item()) {
            self.expiries.remove(&(expiry, held.key().into()));
        }
        self.memory = self.memory.saturating_sub(held.memory());
        self.size = self.size.saturating_sub(held.size() as u64);
    }

    /// When the first item expires, in seconds since 1970.
    pub fn first_expiry(&self) -> Option<u64> {
        self.expiries.first().map(|(seconds, _)| *seconds)
    }

    /// Keys of items that have expired before this second, at most so many.
    pub fn expired(&self, before: u64, most: usize) -> Vec<Box<[u8]>> {
        let due = self.expiries.iter().take_while(|(seconds, _)| *seconds < before);
        due.take(most).map(|(_, key)| key.clone()).collect()
    }

    /// What expired so long ago that it is not touched (facts/dynamodb.md § 16) is taken off the list.
    pub fn skip_expiries(&mut self, before: u64, most: usize) {
        for _ in 0..most {
            match self.expiries.first() {
                Some((seconds, _)) if *seconds < before => self.expiries.pop_first(),
                _ => return,
            };
        }
    }

    /// Whether items have yet to be put into indexes.
    pub fn has_work(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Puts the next items into indexes that were added, at most so many.
    pub fn work(&mut self, most: usize) {
        let Some(behind) = self.unfinished.take() else { return };
        let bounds = (Bound::Excluded(&behind[..]), Bound::Unbounded);
        let next: Vec<Held> =
            self.items.range::<[u8], _>(bounds).take(most).map(|(held, _)| held.clone()).collect();
        next.iter().for_each(|held| self.add_entries(held));
        match next.last() {
            Some(last) => self.unfinished = Some(last.key().to_vec()),
            None => self.new_indexes.clear(),
        }
    }

    /// Forgets what is left of a table that is gone, at most so many things. Says whether something is left.
    pub fn forget(&mut self, most: usize, ledger: &mut Ledger) -> bool {
        for _ in 0..most {
            let is_gone = if let Some((held, standing)) = self.items.pop_first() {
                self.memory = self.memory.saturating_sub(held.memory());
                standing.end(ledger);
                true
            } else if let Some(index) = self.indexes.last_mut() {
                if index.entries.pop_first().is_none() {
                    self.indexes.pop();
                }
                true
            } else {
                self.expiries.pop_first().is_some()
            };
            if !is_gone {
                self.memory = 0;
                return false;
            }
        }
        true
    }
}
