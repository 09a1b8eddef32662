//! Many patterns, of which few match an event: found by what they demand, not by trying each.
//!
//! Of every clause of a pattern one constraint is its anchor. If it demands one of a few values, the pattern stands under
//! each of these; if it demands some value, under its path. Only patterns that an event finds by its own values are
//! compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::Address;
use crate::condition::Condition;
use crate::event::{Event, Value};
use crate::pattern::Pattern;

/// A compiled pattern of either grammar. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Matcher {
    pattern: Arc<Pattern>,
}

impl Matcher {
    pub(crate) fn new(pattern: Pattern) -> Self {
        Matcher { pattern: Arc::new(pattern) }
    }

    /// What demands nothing.
    pub(crate) fn of_all() -> Self {
        Matcher::new(Pattern { constraints: Box::default(), clauses: [Box::default()].into() })
    }

    /// Whether the event is as the pattern demands.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.pattern.matches(event)
    }
}

/// Patterns under keys (subscriptions, rules), to be compared with an event at once.
///
/// All patterns of a set are compared with one event, so a topic keeps a set for each scope. A subscription whose policy
/// accepts all need not be in a set.
///
/// What it costs: with patterns that demand a value which few others demand, about the same whatever their number.
/// Patterns that demand no particular value but a path (by `prefix`, `numeric`, `anything-but`, …) are compared with every
/// event that has this path; those that demand nothing (only `exists: false`) with every event.
#[derive(Clone, Debug)]
pub struct PatternSet<K> {
    members: BTreeMap<K, Member>,
    paths: BTreeMap<Box<str>, PathIndex<K>>,
    unanchored: BTreeSet<K>,
    /// No path is longer, in bytes.
    longest: usize,
}

#[derive(Clone, Debug)]
struct Member {
    matcher: Matcher,
    /// The anchor of each clause: a constraint's number.
    anchors: Box<[Option<u32>]>,
}

impl<K> Default for PatternSet<K> {
    fn default() -> Self {
        PatternSet {
            members: BTreeMap::new(),
            paths: BTreeMap::new(),
            unanchored: BTreeSet::new(),
            longest: 0,
        }
    }
}

impl<K: Ord + Copy> PatternSet<K> {
    /// A set without patterns.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none, so that an event need not be made.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Puts a pattern under a key, in place of what was there.
    pub fn insert(&mut self, key: K, matcher: &Matcher) {
        self.remove(key);
        let pattern = &*matcher.pattern;
        let anchors: Box<[Option<u32>]> =
            pattern.clauses.iter().map(|clause| self.anchor(pattern, clause)).collect();
        for &anchor in &anchors {
            let Some(constraint) = anchor.map(|anchor| &pattern.constraints[anchor as usize]) else {
                self.unanchored.insert(key);
                continue;
            };
            self.longest = self.longest.max(constraint.path.len());
            let index = match self.paths.get_mut(&constraint.path) {
                Some(index) => index,
                None => self.paths.entry(constraint.path.clone()).or_default(),
            };
            index.insert(key, &constraint.conditions);
        }
        self.members.insert(key, Member { matcher: matcher.clone(), anchors });
    }

    /// Takes out the pattern under a key; whether there was one.
    pub fn remove(&mut self, key: K) -> bool {
        let Some(member) = self.members.remove(&key) else { return false };
        let pattern = &*member.matcher.pattern;
        for anchor in member.anchors {
            let Some(constraint) = anchor.map(|anchor| &pattern.constraints[anchor as usize]) else {
                self.unanchored.remove(&key);
                continue;
            };
            if let Some(index) = self.paths.get_mut(&constraint.path) {
                index.remove(key, &constraint.conditions);
                if index.is_empty() {
                    self.paths.remove(&constraint.path);
                }
            }
        }
        true
    }

    /// The keys of the patterns that the event matches, ascending.
    pub fn matching(&self, event: &Event<'_>) -> Vec<K> {
        if event.is_unmatchable() {
            return Vec::new();
        }
        let mut found: Vec<K> = self.unanchored.iter().copied().collect();
        if self.paths.len() <= event.place_count() {
            for (path, index) in &self.paths {
                index.find(event.at(path).iter().map(|field| &field.value), &mut found);
            }
        } else {
            event.each_place(self.longest, |path, fields| {
                if let Some(index) = self.paths.get(path) {
                    index.find(fields.iter().map(|field| &field.value), &mut found);
                }
            });
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|key| self.members.get(key).is_some_and(|member| member.matcher.matches(event)));
        found
    }

    /// The constraint of a clause by which the pattern will be found least often in vain, as far as can be seen now.
    fn anchor(&self, pattern: &Pattern, clause: &[u32]) -> Option<u32> {
        let mut best: Option<((bool, usize, usize), u32)> = None;
        for &number in clause {
            let constraint = &pattern.constraints[number as usize];
            if constraint.conditions.contains(&Condition::Absent) {
                continue;
            }
            let exact = exact(&constraint.conditions);
            let index = self.paths.get(&constraint.path);
            let crowd = index.map_or(0, |index| index.crowd(&constraint.conditions));
            let rank = (!exact, crowd, constraint.conditions.len());
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, number));
            }
        }
        best.map(|(_, number)| number)
    }
}

/// Whether the conditions name all values that meet them.
fn exact(conditions: &[Condition]) -> bool {
    conditions.iter().all(|condition| {
        matches!(
            condition,
            Condition::String(_)
                | Condition::Number(..)
                | Condition::True
                | Condition::False
                | Condition::Null
                | Condition::Address(_)
        )
    })
}

/// The patterns whose anchor is on one path.
#[derive(Clone, Debug)]
struct PathIndex<K> {
    strings: BTreeMap<Box<str>, Keys<K>>,
    /// Numbers that are comparable, by the bits of the double.
    numbers: BTreeMap<u64, Keys<K>>,
    /// Numbers that are not, as written.
    spellings: BTreeMap<Box<str>, Keys<K>>,
    addresses: BTreeMap<Address, Keys<K>>,
    words: BTreeMap<Word, Keys<K>>,
    /// Those that any value may satisfy.
    others: BTreeSet<K>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    True,
    False,
    Null,
}

impl<K> Default for PathIndex<K> {
    fn default() -> Self {
        PathIndex {
            strings: BTreeMap::new(),
            numbers: BTreeMap::new(),
            spellings: BTreeMap::new(),
            addresses: BTreeMap::new(),
            words: BTreeMap::new(),
            others: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Copy> PathIndex<K> {
    fn is_empty(&self) -> bool {
        self.strings.is_empty()
            && self.numbers.is_empty()
            && self.spellings.is_empty()
            && self.addresses.is_empty()
            && self.words.is_empty()
            && self.others.is_empty()
    }

    /// How many patterns stand where one with these conditions would.
    fn crowd(&self, conditions: &[Condition]) -> usize {
        if !exact(conditions) {
            return self.others.len();
        }
        let of = |keys: Option<&Keys<K>>| keys.map_or(0, Keys::len);
        conditions
            .iter()
            .map(|condition| match condition {
                Condition::String(text) => of(self.strings.get(text)),
                Condition::Number(_, Some(number)) => of(self.numbers.get(&number.to_bits())),
                Condition::Number(text, None) => of(self.spellings.get(text)),
                Condition::Address(address) => of(self.addresses.get(address)),
                Condition::True => of(self.words.get(&Word::True)),
                Condition::False => of(self.words.get(&Word::False)),
                _ => of(self.words.get(&Word::Null)),
            })
            .sum()
    }

    fn insert(&mut self, key: K, conditions: &[Condition]) {
        if !exact(conditions) {
            self.others.insert(key);
            return;
        }
        for condition in conditions {
            match condition {
                Condition::String(text) => put(&mut self.strings, text.clone(), key),
                Condition::Number(_, Some(number)) => put(&mut self.numbers, number.to_bits(), key),
                Condition::Number(text, None) => put(&mut self.spellings, text.clone(), key),
                Condition::Address(address) => put(&mut self.addresses, **address, key),
                Condition::True => put(&mut self.words, Word::True, key),
                Condition::False => put(&mut self.words, Word::False, key),
                _ => put(&mut self.words, Word::Null, key),
            }
        }
    }

    fn remove(&mut self, key: K, conditions: &[Condition]) {
        if !exact(conditions) {
            self.others.remove(&key);
            return;
        }
        for condition in conditions {
            match condition {
                Condition::String(text) => take(&mut self.strings, text, key),
                Condition::Number(_, Some(number)) => take(&mut self.numbers, &number.to_bits(), key),
                Condition::Number(text, None) => take(&mut self.spellings, text, key),
                Condition::Address(address) => take(&mut self.addresses, address, key),
                Condition::True => take(&mut self.words, &Word::True, key),
                Condition::False => take(&mut self.words, &Word::False, key),
                _ => take(&mut self.words, &Word::Null, key),
            }
        }
    }

    /// Adds the patterns that these values may satisfy.
    fn find<'v, 'a: 'v>(&self, values: impl Iterator<Item = &'v Value<'a>>, found: &mut Vec<K>) {
        let mut any = false;
        for value in values {
            any = true;
            let keys = match value {
                Value::String(text) => {
                    if !self.addresses.is_empty()
                        && let Some(keys) =
                            Address::parse(text).and_then(|address| self.addresses.get(&address))
                    {
                        keys.add_to(found);
                    }
                    self.strings.get(&**text)
                }
                Value::Number { value: Some(number), .. } => self.numbers.get(&number.to_bits()),
                Value::Number { text, value: None } => self.spellings.get(&**text),
                Value::True => self.words.get(&Word::True),
                Value::False => self.words.get(&Word::False),
                Value::Null => self.words.get(&Word::Null),
            };
            if let Some(keys) = keys {
                keys.add_to(found);
            }
        }
        if any {
            found.extend(&self.others);
        }
    }
}

/// A few keys: nearly always one.
#[derive(Clone, Debug)]
enum Keys<K> {
    One(K),
    Many(BTreeSet<K>),
}

impl<K: Ord + Copy> Keys<K> {
    fn len(&self) -> usize {
        match self {
            Keys::One(_) => 1,
            Keys::Many(keys) => keys.len(),
        }
    }

    fn add_to(&self, found: &mut Vec<K>) {
        match self {
            Keys::One(key) => found.push(*key),
            Keys::Many(keys) => found.extend(keys),
        }
    }
}

fn put<V: Ord, K: Ord + Copy>(map: &mut BTreeMap<V, Keys<K>>, value: V, key: K) {
    match map.entry(value) {
        std::collections::btree_map::Entry::Vacant(free) => {
            free.insert(Keys::One(key));
        }
        std::collections::btree_map::Entry::Occupied(mut taken) => match taken.get_mut() {
            Keys::One(other) => *taken.get_mut() = Keys::Many([*other, key].into()),
            Keys::Many(keys) => {
                keys.insert(key);
            }
        },
    }
}

fn take<V: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized, K: Ord + Copy>(
    map: &mut BTreeMap<V, Keys<K>>,
    value: &Q,
    key: K,
) {
    let empty = match map.get_mut(value) {
        None => false,
        Some(Keys::One(only)) => *only == key,
        Some(Keys::Many(keys)) => {
            keys.remove(&key);
            keys.is_empty()
        }
    };
    if empty {
        map.remove(value);
    }
}
