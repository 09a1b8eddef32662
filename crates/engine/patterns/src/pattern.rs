//! A pattern in the form in which it is compared with events, and the comparison.
//!
//! A pattern is a choice of clauses; a clause is a list of fields that must all be met. They are met together only if
//! no two of them were found in different elements of one array.

use std::collections::BTreeSet;

use crate::condition::Condition;
use crate::event::{Event, Scope};

/// What must hold of the values at one path.
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
    /// Each clause names its constraints, in the order of their paths (by UTF-16 units, as Java has it). The order
    /// matters to [`Condition::Absent`]: it is judged by the array elements that the constraints before it chose.
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
        // Without arrays of objects nothing has to fit together.
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
/// Events as people make them need a few steps for each value. Names that occur twice in one object can be arranged so
/// that the choices multiply; the engine's one thread must not be held up by that.
const STEPS: u32 = 1_000_000;

/// A search in vain that took fewer steps is as cheaply repeated.
const WORTH_REMEMBERING: u32 = 8;

/// The search for a choice of array elements that meets a clause.
///
/// Constraints are taken in order; for each, the scopes of the values that meet it are tried. A choice binds the arrays
/// that it lies in to the elements that it lies in.
struct Search<'e, 'a> {
    event: &'e Event<'a>,
    wanted: Vec<Wanted>,
    /// The scopes that are bound, of different arrays.
    bound: Vec<u32>,
    /// What was tried in vain: from which constraint on, and the bound scopes that mattered to it.
    failed: BTreeSet<(u32, Vec<u32>)>,
    steps: u32,
}

struct Wanted {
    /// The scopes of the values that meet the constraint, ascending, each once.
    meets: Vec<u32>,
    /// If absence will do: the scopes of all values.
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
            // Values of an array stand behind the scopes within it, so the text's order need not be that of scopes.
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

    /// Whether the constraints from `index` on can be met under what is bound.
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

    /// The first scope from `from` on that fits what is bound.
    fn first_fitting(&self, scopes: &[u32], mut from: usize) -> Option<usize> {
        while let Some(&scope) = scopes.get(from) {
            let Some(rival) = self.rival(scope) else { return Some(from) };
            // Of this array only what lies within the bound element fits; the rest can be leapt over.
            let array = self.event.array(self.event.scope(rival).array);
            let next = if scope < rival { rival } else { array.end };
            from += scopes[from..].partition_point(|&scope| scope < next);
        }
        None
    }

    /// The bound scope that excludes this one: another element of an array that this one lies in.
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

    /// Of what is bound, that which the constraints from `index` on can feel. Elements in which none of their values lie
    /// are all the same to them.
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
