//! A compiled pattern, and its comparison with events.
//!
//! A pattern is a list of alternative clauses. A clause is a list of constraints that must all match. They
//! match together only if no two of their values are in different elements of one array.

use std::collections::BTreeSet;

use crate::condition::Condition;
use crate::event::{Event, Scope};

/// The constraint on the values at one path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constraint {
    pub path: Box<str>,
    /// Any of these suffices.
    pub conditions: Box<[Condition]>,
}

/// Clauses that share their constraints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern {
    pub constraints: Box<[Constraint]>,
    /// Each clause lists its constraints, in the order of their paths (by UTF-16 units, as in Java). The
    /// order matters to [`Condition::Absent`], which is evaluated within the array elements that the earlier
    /// constraints chose.
    pub clauses: Box<[Box<[u32]>]>,
}

impl Pattern {
    pub fn matches(&self, event: &Event<'_>) -> bool {
        !event.is_unmatchable() && self.clauses.iter().any(|clause| self.clause_matches(clause, event))
    }

    fn clause_matches(&self, clause: &[u32], event: &Event<'_>) -> bool {
        if event.has_scopes() {
            return Search::of(self, clause, event).is_some_and(|mut search| search.succeeds(0));
        }
        // Without arrays of objects there is no choice of elements.
        clause.iter().all(|&constraint| {
            let constraint = &self.constraints[constraint as usize];
            let fields = event.at(&constraint.path);
            if fields.is_empty() {
                return constraint.conditions.contains(&Condition::Absent);
            }
            fields
                .iter()
                .any(|field| constraint.conditions.iter().any(|condition| condition.met_by(&field.value)))
        })
    }
}

/// After this many steps a search gives up and the pattern does not match.
///
/// Ordinary events need a few steps per value. Names that occur twice in one object can make the choices
/// multiply; that must not block the engine.
const STEPS: u32 = 1_000_000;

/// A failed search with fewer steps is cheaper to repeat than to remember.
const WORTH_REMEMBERING: u32 = 8;

/// The search for a choice of array elements that matches a clause.
///
/// Constraints are tried in order; for each, the scopes of its matching values are tried. A choice binds each
/// array that contains the value to the element that contains it.
struct Search<'e, 'a> {
    event: &'e Event<'a>,
    wanted: Vec<Wanted>,
    /// The bound scopes, of different arrays.
    bound: Vec<u32>,
    /// Failed searches: the index of the first constraint, and the bound scopes that affect it.
    failed: BTreeSet<(u32, Vec<u32>)>,
    steps: u32,
}

struct Wanted {
    /// The scopes of the values that match the constraint, ascending, without duplicates.
    meets: Vec<u32>,
    /// If absence suffices: the scopes of all values.
    absent: Option<Vec<u32>>,
}

impl<'e, 'a> Search<'e, 'a> {
    fn of(pattern: &Pattern, clause: &[u32], event: &'e Event<'a>) -> Option<Self> {
        let mut wanted = Vec::with_capacity(clause.len());
        for &constraint in clause {
            let constraint = &pattern.constraints[constraint as usize];
            let fields = event.at(&constraint.path);
            let mut meets: Vec<u32> = fields
                .iter()
                .filter(|field| constraint.conditions.iter().any(|condition| condition.met_by(&field.value)))
                .map(|field| field.scope)
                .collect();
            // Values of an array come after the scopes inside of it, so the order of the text may differ from
            // that of the scopes.
            meets.sort_unstable();
            meets.dedup();
            let absent = constraint.conditions.contains(&Condition::Absent).then(|| {
                let mut all: Vec<u32> = fields.iter().map(|field| field.scope).collect();
                all.sort_unstable();
                all.dedup();
                all
            });
            if meets.is_empty() && absent.is_none() {
                return None;
            }
            wanted.push(Wanted { meets, absent });
        }
        Some(Search { event, wanted, bound: Vec::new(), failed: BTreeSet::new(), steps: 0 })
    }

    /// Returns whether the constraints from `index` on can match under the bound scopes.
    fn succeeds(&mut self, index: usize) -> bool {
        if index == self.wanted.len() {
            return true;
        }
        if !self.failed.is_empty() && self.failed.contains(&(index as u32, self.relevant(index))) {
            return false;
        }
        let steps_before = self.steps;
        if let Some(present) = &self.wanted[index].absent
            && self.first_fitting(present, 0).is_none()
            && self.succeeds(index + 1)
        {
            return true;
        }
        let mut from = 0;
        while let Some(position) = self.first_fitting(&self.wanted[index].meets, from) {
            self.steps += 1;
            if self.steps > STEPS {
                return false;
            }
            let before = self.bound.len();
            self.bind(self.wanted[index].meets[position]);
            if self.succeeds(index + 1) {
                return true;
            }
            self.bound.truncate(before);
            from = position + 1;
        }
        if self.steps - steps_before >= WORTH_REMEMBERING {
            self.failed.insert((index as u32, self.relevant(index)));
        }
        false
    }

    /// Returns the first scope from `from` on that is compatible with the bound scopes.
    fn first_fitting(&self, scopes: &[u32], mut from: usize) -> Option<usize> {
        while let Some(&scope) = scopes.get(from) {
            let Some(rival) = self.rival(scope) else { return Some(from) };
            // Of this array only the bound element is compatible; the rest is skipped.
            let array = self.event.array(self.event.scope(rival).array);
            let next = if scope < rival { rival } else { array.end };
            from += scopes[from..].partition_point(|&scope| scope < next);
        }
        None
    }

    /// Returns the bound scope that excludes this one: another element of an array that contains it.
    fn rival(&self, mut scope: u32) -> Option<u32> {
        while scope != 0 {
            let Scope { parent, array, .. } = self.event.scope(scope);
            let rival = self.bound.iter().find(|&&bound| self.event.scope(bound).array == array);
            if let Some(&rival) = rival
                && rival != scope
            {
                return Some(rival);
            }
            scope = parent;
        }
        None
    }

    fn bind(&mut self, mut scope: u32) {
        while scope != 0 {
            if !self.bound.contains(&scope) {
                self.bound.push(scope);
            }
            scope = self.event.scope(scope).parent;
        }
    }

    /// Returns the bound scopes that constraints from `index` onward depend on. Elements without values of
    /// those constraints make no difference to them.
    fn relevant(&self, index: usize) -> Vec<u32> {
        let lies_in = |first: u32, end: u32| {
            self.wanted[index..].iter().any(|wanted| {
                let scopes = wanted.absent.as_ref().unwrap_or(&wanted.meets);
                scopes.get(scopes.partition_point(|&scope| scope < first)).is_some_and(|&scope| scope < end)
            })
        };
        let mut relevant: Vec<u32> = self
            .bound
            .iter()
            .filter_map(|&scope| {
                let Scope { array: number, end, .. } = self.event.scope(scope);
                let array = self.event.array(number);
                if !lies_in(array.first, array.end) {
                    None
                } else if lies_in(scope, end) {
                    Some(scope)
                } else {
                    Some(u32::MAX - number)
                }
            })
            .collect();
        relevant.sort_unstable();
        relevant
    }
}
