//! Rules of a Choice state in JSONPath: comparisons of a value, joined by `And`, `Or`, `Not`.

mod comparison;
mod pattern;

pub(crate) use comparison::{COMPARISONS, Comparison, Kind, Operand};
pub(crate) use pattern::Pattern;

use crate::failure::Failure;
use crate::scope::Scope;

/// A condition that is true or false of an input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Comparison),
}

impl Condition {
    /// Whether the condition holds. Errors: a path that leads nowhere.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        match self {
            Condition::And(conditions) => {
                for condition in conditions {
                    if !condition.holds(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Or(conditions) => {
                for condition in conditions {
                    if condition.holds(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Condition::Not(condition) => Ok(!condition.holds(scope)?),
            Condition::Compare(comparison) => comparison.holds(scope),
        }
    }

    /// Adds the variables that the condition reads.
    pub(crate) fn variables<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Condition::And(conditions) | Condition::Or(conditions) => {
                conditions.iter().for_each(|condition| condition.variables(into));
            }
            Condition::Not(condition) => condition.variables(into),
            Condition::Compare(comparison) => comparison.variables(into),
        }
    }
}
