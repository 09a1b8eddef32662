//! Many patterns, of which few match an event: found by what they demand, not by trying each.
//!
//! Of every clause of a pattern one constraint is its anchor: the pattern stands where values that meet it lead
//! (`index/mod.rs`). Only patterns that an event finds by its own values, or by what it lacks, are compared with it.

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
/// What it costs: about the same whatever the number of patterns, if each demands something that few values meet, a value, a
/// beginning, an end or a part of a text, or a range of numbers. What nearly all values meet (`anything-but`, `exists`) is
/// judged once for all patterns that say the same; then those whose judgement is good are compared one by one.
#[derive(Clone, Debug)]
pub struct PatternSet<K> {
    members: BTreeMap<K, Member>,
    paths: BTreeMap<Box<str>, PathIndex<K>>,
    /// Those that are content with no value at a path.
    absences: BTreeMap<Box<str>, BTreeSet<K>>,
    /// Those that demand nothing.
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
            absences: BTreeMap::new(),
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

    /// Takes out the pattern under a key; whether there was one.
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

    /// The keys of the patterns that the event matches, ascending.
    pub fn matching(&self, event: &Event<'_>) -> Vec<K> {
        let mut found = self.candidates(event);
        found.retain(|key| self.members.get(key).is_some_and(|member| member.matcher.matches(event)));
        found
    }

    /// The keys of the patterns that are compared with the event, ascending: those that it matches, and some more.
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

    /// The constraint of a clause by which the pattern will be found least often in vain, as far as can be seen now.
    ///
    /// Where absence will do in all of them it is the first: nothing has been chosen before it, so it holds if there is no
    /// value in the whole event (see [`Pattern`]).
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
