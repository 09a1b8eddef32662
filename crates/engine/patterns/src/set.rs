//! A set of many patterns, of which few match an event. An index finds candidates, without trying each
//! pattern.
//!
//! One constraint of each clause of a pattern is its anchor: the pattern is stored where matching values lead
//! (`index/mod.rs`). Only patterns that an event finds by its values, or by missing values, are compared with
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::condition::Condition;
use crate::event::Event;
use crate::index::PathIndex;
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

    /// Returns a matcher without constraints.
    pub(crate) fn of_all() -> Self {
        Matcher::new(Pattern { constraints: Box::default(), clauses: [Box::default()].into() })
    }

    /// Returns whether the event matches the pattern.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.pattern.matches(event)
    }
}

/// Patterns by key (subscriptions, rules), to be compared with an event at once.
///
/// All patterns of a set are compared with the same event, so a topic has a set for each scope. A
/// subscription whose policy accepts everything need not be in a set.
///
/// The cost is about the same for any number of patterns, if each requires something that few values match: a
/// value, a prefix, a suffix, a part of a text, or a range of numbers. Conditions that nearly all values
/// match (`anything-but`, `exists`) are evaluated once for all patterns with the same condition; then the
/// patterns whose condition holds are compared one by one.
#[derive(Clone, Debug)]
pub struct PatternSet<K> {
    members: BTreeMap<K, Member>,
    paths: BTreeMap<Box<str>, PathIndex<K>>,
    /// Patterns that match if there is no value at a path.
    absences: BTreeMap<Box<str>, BTreeSet<K>>,
    /// Patterns without constraints.
    unanchored: BTreeSet<K>,
    /// The length of the longest path, in bytes.
    longest: usize,
}

#[derive(Clone, Debug)]
struct Member {
    matcher: Matcher,
    /// The anchor of each clause: the index of a constraint.
    anchors: Box<[Option<u32>]>,
}

impl<K> Default for PatternSet<K> {
    fn default() -> Self {
        PatternSet {
            members: BTreeMap::new(),
            paths: BTreeMap::new(),
            absences: BTreeMap::new(),
            unanchored: BTreeSet::new(),
            longest: 0,
        }
    }
}

impl<K: Ord + Copy> PatternSet<K> {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of patterns.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether the set is empty, so that no event is needed.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a pattern with a key, and replaces an earlier one.
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
            if constraint.conditions.contains(&Condition::Absent) {
                self.absences.entry(constraint.path.clone()).or_default().insert(key);
                if constraint.conditions.len() == 1 {
                    continue;
                }
            }
            self.longest = self.longest.max(constraint.path.len());
            let index = match self.paths.get_mut(&constraint.path) {
                Some(index) => index,
                None => self.paths.entry(constraint.path.clone()).or_default(),
            };
            index.insert(key, &constraint.conditions);
        }
        self.members.insert(key, Member { matcher: matcher.clone(), anchors });
    }

    /// Removes the pattern with a key. Returns whether there was one.
    pub fn remove(&mut self, key: K) -> bool {
        let Some(member) = self.members.remove(&key) else { return false };
        let pattern = &*member.matcher.pattern;
        for anchor in member.anchors {
            let Some(constraint) = anchor.map(|anchor| &pattern.constraints[anchor as usize]) else {
                self.unanchored.remove(&key);
                continue;
            };
            if constraint.conditions.contains(&Condition::Absent)
                && let Some(keys) = self.absences.get_mut(&constraint.path)
            {
                keys.remove(&key);
                if keys.is_empty() {
                    self.absences.remove(&constraint.path);
                }
            }
            if let Some(index) = self.paths.get_mut(&constraint.path) {
                index.remove(key, &constraint.conditions);
                if index.is_empty() {
                    self.paths.remove(&constraint.path);
                }
            }
        }
        true
    }

    /// Returns the keys of the matching patterns, ascending.
    pub fn matching(&self, event: &Event<'_>) -> Vec<K> {
        let mut found = self.candidates(event);
        found.retain(|key| self.members.get(key).is_some_and(|member| member.matcher.matches(event)));
        found
    }

    /// Returns the keys of the patterns that are compared with the event, ascending: the matching ones, and
    /// some more.
    pub fn candidates(&self, event: &Event<'_>) -> Vec<K> {
        if event.is_unmatchable() {
            return Vec::new();
        }
        let mut found: Vec<K> = self.unanchored.iter().copied().collect();
        for (path, keys) in &self.absences {
            if event.at(path).is_empty() {
                found.extend(keys);
            }
        }
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
        found
    }

    /// Chooses the constraint of a clause that is expected to cause the fewest false candidates, given the
    /// current set.
    ///
    /// If absence suffices for all constraints, it is the first: no element was chosen before it, so it holds
    /// if the whole event has no value (see [`Pattern`]).
    fn anchor(&self, pattern: &Pattern, clause: &[u32]) -> Option<u32> {
        let mut best: Option<((usize, usize), u32)> = None;
        for &number in clause {
            let constraint = &pattern.constraints[number as usize];
            if constraint.conditions.contains(&Condition::Absent) {
                continue;
            }
            let empty = PathIndex::default();
            let index = self.paths.get(&constraint.path).unwrap_or(&empty);
            let rank = (index.crowd(&constraint.conditions), constraint.conditions.len());
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, number));
            }
        }
        best.map(|(_, number)| number).or(clause.first().copied())
    }
}
