//! Key conditions: one test for each attribute of a key.

use super::condition::{Comparison, Condition, Operand};
use super::path::Path;
use crate::Fault;
use crate::value::{Type, Value};

/// The parameter's name.
pub(super) const NAME: &str = "KeyConditionExpression";

/// How an attribute of a key is tested.
#[derive(Clone, PartialEq, Debug)]
pub enum KeyTest {
    /// By a comparison that is not `<>`.
    Is(Comparison, Vec<u8>),
    /// It lies between two values, or is one of them.
    Between(Vec<u8>, Vec<u8>),
    /// It begins with a value.
    BeginsWith(Vec<u8>),
}

/// A test of an attribute of a key.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyCondition {
    /// The attribute.
    pub name: Box<str>,
    /// The test.
    pub test: KeyTest,
}

impl KeyTest {
    /// The values that the attribute is compared with.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        let (first, second) = match self {
            KeyTest::Is(_, value) | KeyTest::BeginsWith(value) => (value, None),
            KeyTest::Between(low, high) => (low, Some(high)),
        };
        [Some(first), second].into_iter().flatten().map(|value| Value::of(value))
    }
}

/// Takes a condition apart. Errors: it is no conjunction of tests of which each is about one attribute.
pub(super) fn of(condition: Condition) -> Result<Vec<KeyCondition>, Fault> {
    let mut tests = Vec::new();
    collect(condition, &mut tests)?;
    for (at, test) in tests.iter().enumerate() {
        if tests[..at].iter().any(|other: &KeyCondition| other.name == test.name) {
            return Err(Fault::invalid(
                "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
            ));
        }
    }
    Ok(tests)
}

fn collect(condition: Condition, tests: &mut Vec<KeyCondition>) -> Result<(), Fault> {
    let misused = |operator: &str| {
        Err(Fault::invalid(format!("Invalid operator used in KeyConditionExpression: {operator}")))
    };
    let test = match condition {
        Condition::And(one, other) => {
            collect(*one, tests)?;
            return collect(*other, tests);
        }
        Condition::Compare(_, Comparison::NotEqual, _) => return misused("<>"),
        Condition::Compare(left, comparison, right) => match (left, right) {
            (Operand::Path(path), Operand::Value(value)) => {
                KeyCondition { name: name(&path)?, test: KeyTest::Is(comparison, value) }
            }
            (Operand::Value(value), Operand::Path(path)) => {
                KeyCondition { name: name(&path)?, test: KeyTest::Is(turned(comparison), value) }
            }
            (Operand::Path(_), Operand::Path(_)) => {
                return Err(Fault::invalid(
                    "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
                ));
            }
            (Operand::Size(_), _) | (_, Operand::Size(_)) => return misused("size"),
            (Operand::Value(_), Operand::Value(_)) => {
                return Err(Fault::invalid(
                    "Invalid condition in KeyConditionExpression: No key attribute specified",
                ));
            }
        },
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) => {
            KeyCondition { name: name(&path)?, test: KeyTest::Between(low, high) }
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(value)) => {
            KeyCondition { name: name(&path)?, test: KeyTest::BeginsWith(value) }
        }
        Condition::Between(..) | Condition::BeginsWith(..) => {
            return Err(Fault::invalid(
                "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
            ));
        }
        Condition::Or(..) => return misused("OR"),
        Condition::Not(inner) => {
            return misused(match *inner {
                Condition::Exists(_) => "attribute_not_exists",
                _ => "NOT",
            });
        }
        Condition::In(..) => return misused("IN"),
        Condition::Exists(_) => return misused("attribute_exists"),
        Condition::Is(..) => return misused("attribute_type"),
        Condition::Contains(..) => return misused("contains"),
    };
    tests.push(test);
    Ok(())
}

fn name(path: &Path) -> Result<Box<str>, Fault> {
    if !path.is_root() {
        return Err(Fault::invalid(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: {}",
            path.root()
        )));
    }
    Ok(path.root().into())
}

/// The comparison that holds with its operands exchanged.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

impl KeyCondition {
    /// Whether a value of this type can be tested.
    pub fn fits(&self, kind: Type) -> bool {
        self.test.values().all(|value| value.kind() == kind)
    }
}
