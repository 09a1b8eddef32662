//! The patterns whose anchor is on one path, found by the values of an event at that path.
//!
//! Each condition of a constraint is stored where matching values lead: under the value, a prefix or a suffix
//! of a text, a part of it, a range of numbers. Conditions that nearly any value matches (`anything-but`,
//! `exists`) are stored once for all patterns with the same condition, and evaluated once per event.

mod heads;
mod keys;
mod pieces;
mod ranges;

use std::collections::BTreeMap;

use heads::Heads;
use keys::{Keys, put, take};
use pieces::Pieces;
use ranges::Ranges;

use crate::address::Address;
use crate::condition::Condition;
use crate::event::Value;
use crate::letters::fold;

/// The patterns of one path.
#[derive(Clone, Debug)]
pub(crate) struct PathIndex<K> {
    strings: BTreeMap<Box<str>, Keys<K>>,
    /// Comparable numbers, by the bits of the double.
    numbers: BTreeMap<u64, Keys<K>>,
    /// Other numbers, as written.
    spellings: BTreeMap<Box<str>, Keys<K>>,
    addresses: BTreeMap<Address, Keys<K>>,
    words: BTreeMap<Word, Keys<K>>,
    /// All other conditions: most paths have none of them.
    more: Option<Box<More<K>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    True,
    False,
    Null,
}

/// Conditions that do not name a value.
#[derive(Clone, Debug)]
struct More<K> {
    prefixes: Heads<K>,
    /// Suffixes, reversed.
    suffixes: Heads<K>,
    /// These three contain case-folded texts.
    equal: BTreeMap<Box<str>, Keys<K>>,
    folded_prefixes: Heads<K>,
    folded_suffixes: Heads<K>,
    pieces: Pieces<K>,
    ranges: Ranges<K>,
    /// All other conditions, by their content.
    judged: BTreeMap<String, (Condition, Keys<K>)>,
    /// Number of keys in `judged`.
    judged_keys: usize,
}

impl<K> Default for PathIndex<K> {
    fn default() -> Self {
        PathIndex {
            strings: BTreeMap::new(),
            numbers: BTreeMap::new(),
            spellings: BTreeMap::new(),
            addresses: BTreeMap::new(),
            words: BTreeMap::new(),
            more: None,
        }
    }
}

impl<K> Default for More<K> {
    fn default() -> Self {
        More {
            prefixes: Heads::default(),
            suffixes: Heads::default(),
            equal: BTreeMap::new(),
            folded_prefixes: Heads::default(),
            folded_suffixes: Heads::default(),
            pieces: Pieces::default(),
            ranges: Ranges::default(),
            judged: BTreeMap::new(),
            judged_keys: 0,
        }
    }
}

/// The place of a condition.
enum Stand<'c> {
    String(&'c str),
    Number(u64),
    Spelling(&'c str),
    Address(&'c Address),
    Word(Word),
    Prefix(&'c str),
    Suffix(&'c str),
    Equal(String),
    FoldedPrefix(String),
    FoldedSuffix(String),
    Piece(&'c str),
    Range(&'c crate::number::Range),
    Judged,
}

/// The estimated cost of a condition as an anchor: the number of patterns that are compared without a match.
///
/// Many numbers find a range, and nearly all values match the evaluated conditions.
const RANGE: usize = 8;
const JUDGED: usize = 64;

fn stand(condition: &Condition) -> Stand<'_> {
    match condition {
        Condition::String(text) => Stand::String(text),
        Condition::Number(_, Some(number)) => Stand::Number(number.to_bits()),
        Condition::Number(text, None) => Stand::Spelling(text),
        Condition::Address(address) => Stand::Address(address),
        Condition::True => Stand::Word(Word::True),
        Condition::False => Stand::Word(Word::False),
        Condition::Null => Stand::Word(Word::Null),
        Condition::Prefix(text) => Stand::Prefix(text),
        Condition::Suffix(text) => Stand::Suffix(text),
        Condition::EqualIgnoringCase(text) => Stand::Equal(fold(text)),
        Condition::PrefixIgnoringCase(text) => Stand::FoldedPrefix(fold(text)),
        Condition::SuffixIgnoringCase(text) => Stand::FoldedSuffix(fold(text)),
        Condition::Wildcard(wildcard) => match (wildcard.whole(), wildcard.first(), wildcard.last()) {
            (Some(text), ..) => Stand::String(text),
            (None, first, last) if first.len() + last.len() > 0 => {
                if first.len() >= last.len() {
                    Stand::Prefix(first)
                } else {
                    Stand::Suffix(last)
                }
            }
            _ => wildcard.longest_middle().map_or(Stand::Judged, Stand::Piece),
        },
        Condition::Within(range) if range.bottom.to_bits() == range.top.to_bits() => {
            Stand::Number(range.bottom.to_bits())
        }
        Condition::Within(range) => Stand::Range(range),
        _ => Stand::Judged,
    }
}

fn turned(text: &str, most: usize) -> Vec<u8> {
    text.bytes().rev().take(most).collect()
}

impl<K: Ord + Copy> PathIndex<K> {
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
            && self.numbers.is_empty()
            && self.spellings.is_empty()
            && self.addresses.is_empty()
            && self.words.is_empty()
            && self.more.as_ref().is_none_or(|more| more.is_empty())
    }

    /// Returns the approximate number of patterns that are compared without a match where these conditions
    /// are stored.
    pub fn crowd(&self, conditions: &[Condition]) -> usize {
        let of = |keys: Option<&Keys<K>>| keys.map_or(0, Keys::len);
        let more = |crowd: &dyn Fn(&More<K>) -> usize| self.more.as_deref().map_or(0, crowd);
        let crowds = conditions.iter().map(|condition| match stand(condition) {
            Stand::String(text) => of(self.strings.get(text)),
            Stand::Number(number) => of(self.numbers.get(&number)),
            Stand::Spelling(text) => of(self.spellings.get(text)),
            Stand::Address(address) => of(self.addresses.get(address)),
            Stand::Word(word) => of(self.words.get(&word)),
            Stand::Prefix(text) => 1 + more(&|more| more.prefixes.crowd(text.as_bytes())),
            Stand::Suffix(text) => 1 + more(&|more| more.suffixes.crowd(&turned(text, usize::MAX))),
            Stand::Equal(text) => 1 + more(&|more| of(more.equal.get(&*text))),
            Stand::FoldedPrefix(text) => 1 + more(&|more| more.folded_prefixes.crowd(text.as_bytes())),
            Stand::FoldedSuffix(text) => {
                1 + more(&|more| more.folded_suffixes.crowd(&turned(&text, usize::MAX)))
            }
            Stand::Piece(text) => 2 + more(&|more| more.pieces.crowd(text)),
            Stand::Range(_) => RANGE + more(&|more| more.ranges.len()),
            Stand::Judged => JUDGED + more(&|more| more.judged_keys),
        });
        crowds.sum()
    }

    pub fn insert(&mut self, key: K, conditions: &[Condition]) {
        for condition in conditions.iter().filter(|condition| **condition != Condition::Absent) {
            match stand(condition) {
                Stand::String(text) => put(&mut self.strings, text.into(), key),
                Stand::Number(number) => put(&mut self.numbers, number, key),
                Stand::Spelling(text) => put(&mut self.spellings, text.into(), key),
                Stand::Address(address) => put(&mut self.addresses, *address, key),
                Stand::Word(word) => put(&mut self.words, word, key),
                stand => self.more.get_or_insert_default().insert(key, condition, stand),
            }
        }
    }

    pub fn remove(&mut self, key: K, conditions: &[Condition]) {
        for condition in conditions.iter().filter(|condition| **condition != Condition::Absent) {
            match stand(condition) {
                Stand::String(text) => take(&mut self.strings, text, key),
                Stand::Number(number) => take(&mut self.numbers, &number, key),
                Stand::Spelling(text) => take(&mut self.spellings, text, key),
                Stand::Address(address) => take(&mut self.addresses, address, key),
                Stand::Word(word) => take(&mut self.words, &word, key),
                stand => {
                    if let Some(more) = &mut self.more {
                        more.remove(key, condition, stand);
                    }
                }
            }
        }
        if self.more.as_ref().is_some_and(|more| more.is_empty()) {
            self.more = None;
        }
    }

    /// Adds the patterns that these values may match.
    pub fn find<'v, 'a: 'v>(&self, values: impl Iterator<Item = &'v Value<'a>> + Clone, found: &mut Vec<K>) {
        for value in values.clone() {
            let keys = match value {
                Value::String(text) => {
                    if !self.addresses.is_empty()
                        && let Some(keys) =
                            Address::parse(text).and_then(|address| self.addresses.get(&address))
                    {
                        keys.add_to(found);
                    }
                    if let Some(more) = &self.more {
                        more.find_text(text, found);
                    }
                    self.strings.get(&**text)
                }
                Value::Number { value: Some(number), .. } => {
                    if let Some(more) = &self.more {
                        more.ranges.find(*number, found);
                    }
                    self.numbers.get(&number.to_bits())
                }
                Value::Number { text, value: None } => self.spellings.get(&**text),
                Value::True => self.words.get(&Word::True),
                Value::False => self.words.get(&Word::False),
                Value::Null => self.words.get(&Word::Null),
            };
            if let Some(keys) = keys {
                keys.add_to(found);
            }
        }
        if let Some(more) = &self.more {
            for (condition, keys) in more.judged.values() {
                if values.clone().any(|value| condition.met_by(value)) {
                    keys.add_to(found);
                }
            }
        }
    }
}

impl<K: Ord + Copy> More<K> {
    fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
            && self.suffixes.is_empty()
            && self.equal.is_empty()
            && self.folded_prefixes.is_empty()
            && self.folded_suffixes.is_empty()
            && self.pieces.is_empty()
            && self.ranges.is_empty()
            && self.judged.is_empty()
    }

    fn insert(&mut self, key: K, condition: &Condition, stand: Stand<'_>) {
        match stand {
            Stand::Prefix(text) => self.prefixes.insert(text.as_bytes(), key),
            Stand::Suffix(text) => self.suffixes.insert(&turned(text, usize::MAX), key),
            Stand::Equal(text) => put(&mut self.equal, text.into(), key),
            Stand::FoldedPrefix(text) => self.folded_prefixes.insert(text.as_bytes(), key),
            Stand::FoldedSuffix(text) => self.folded_suffixes.insert(&turned(&text, usize::MAX), key),
            Stand::Piece(text) => self.pieces.insert(text, key),
            Stand::Range(range) => self.ranges.insert(range, key),
            _ => {
                let what = format!("{condition:?}");
                match self.judged.get_mut(&what) {
                    Some((_, keys)) => {
                        let before = keys.len();
                        keys.insert(key);
                        self.judged_keys += keys.len() - before;
                    }
                    None => {
                        self.judged.insert(what, (condition.clone(), Keys::One(key)));
                        self.judged_keys += 1;
                    }
                }
            }
        }
    }

    fn remove(&mut self, key: K, condition: &Condition, stand: Stand<'_>) {
        match stand {
            Stand::Prefix(text) => self.prefixes.remove(text.as_bytes(), key),
            Stand::Suffix(text) => self.suffixes.remove(&turned(text, usize::MAX), key),
            Stand::Equal(text) => take(&mut self.equal, &*text, key),
            Stand::FoldedPrefix(text) => self.folded_prefixes.remove(text.as_bytes(), key),
            Stand::FoldedSuffix(text) => self.folded_suffixes.remove(&turned(&text, usize::MAX), key),
            Stand::Piece(text) => self.pieces.remove(text, key),
            Stand::Range(range) => self.ranges.remove(range, key),
            _ => {
                let what = format!("{condition:?}");
                let Some((_, keys)) = self.judged.get_mut(&what) else { return };
                let before = keys.len();
                if keys.remove(key) {
                    self.judged.remove(&what);
                    self.judged_keys -= 1;
                } else {
                    self.judged_keys -= before - keys.len();
                }
            }
        }
    }

    fn find_text(&self, text: &str, found: &mut Vec<K>) {
        if !self.prefixes.is_empty() {
            self.prefixes.find(text.as_bytes(), found);
        }
        if !self.suffixes.is_empty() {
            self.suffixes.find(&turned(text, self.suffixes.longest()), found);
        }
        if !self.pieces.is_empty() {
            self.pieces.find(text, found);
        }
        if self.equal.is_empty() && self.folded_prefixes.is_empty() && self.folded_suffixes.is_empty() {
            return;
        }
        let folded = fold(text);
        if let Some(keys) = self.equal.get(&*folded) {
            keys.add_to(found);
        }
        self.folded_prefixes.find(folded.as_bytes(), found);
        self.folded_suffixes.find(&turned(&folded, self.folded_suffixes.longest()), found);
    }
}
