//! One comparison: `{"Variable": "$.total", "NumericGreaterThan": 100}`.

use std::cmp::Ordering;

use serde_json::Value;

use super::pattern::Pattern;
use crate::failure::Failure;
use crate::jsonpath::Path;
use crate::scope::Scope;
use crate::timestamp;

/// What a comparison tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Numeric(Order),
    String(Order),
    Timestamp(Order),
    Matches,
    IsPresent,
    IsNull,
    IsNumeric,
    IsString,
    IsBoolean,
    IsTimestamp,
}

/// Which results of a comparison hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

use Order::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};

/// The names of the comparisons. Those that have an order, and `BooleanEquals`, also exist with `Path` behind the name.
pub(crate) const COMPARISONS: &[(&str, Kind)] = &[
    ("BooleanEquals", Kind::Boolean),
    ("NumericEquals", Kind::Numeric(Equal)),
    ("NumericGreaterThan", Kind::Numeric(Greater)),
    ("NumericGreaterThanEquals", Kind::Numeric(GreaterOrEqual)),
    ("NumericLessThan", Kind::Numeric(Less)),
    ("NumericLessThanEquals", Kind::Numeric(LessOrEqual)),
    ("StringEquals", Kind::String(Equal)),
    ("StringGreaterThan", Kind::String(Greater)),
    ("StringGreaterThanEquals", Kind::String(GreaterOrEqual)),
    ("StringLessThan", Kind::String(Less)),
    ("StringLessThanEquals", Kind::String(LessOrEqual)),
    ("StringMatches", Kind::Matches),
    ("TimestampEquals", Kind::Timestamp(Equal)),
    ("TimestampGreaterThan", Kind::Timestamp(Greater)),
    ("TimestampGreaterThanEquals", Kind::Timestamp(GreaterOrEqual)),
    ("TimestampLessThan", Kind::Timestamp(Less)),
    ("TimestampLessThanEquals", Kind::Timestamp(LessOrEqual)),
    ("IsPresent", Kind::IsPresent),
    ("IsNull", Kind::IsNull),
    ("IsNumeric", Kind::IsNumeric),
    ("IsString", Kind::IsString),
    ("IsBoolean", Kind::IsBoolean),
    ("IsTimestamp", Kind::IsTimestamp),
];

impl Kind {
    /// Whether the comparison can compare with the value of a path.
    pub(crate) fn takes_path(self) -> bool {
        matches!(self, Kind::Boolean | Kind::Numeric(_) | Kind::String(_) | Kind::Timestamp(_))
    }
}

/// What the value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Value(Value),
    Path(Path),
    Pattern(Pattern),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) variable: Path,
    pub(crate) kind: Kind,
    pub(crate) operand: Operand,
}

impl Comparison {
    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        let found = self.variable.present(scope)?;
        let expected = match &self.operand {
            Operand::Value(value) => value.clone(),
            Operand::Path(path) => path.present(scope)?.ok_or_else(|| invalid(path))?,
            Operand::Pattern(_) => Value::Null,
        };
        if self.kind == Kind::IsPresent {
            return Ok(found.is_some() == (expected == Value::Bool(true)));
        }
        let value = found.ok_or_else(|| invalid(&self.variable))?;
        let is = |holds: bool| holds == (expected == Value::Bool(true));
        Ok(match self.kind {
            Kind::Boolean => value.is_boolean() && value == expected,
            Kind::Numeric(order) => {
                let numbers = value.as_f64().zip(expected.as_f64());
                holds(order, numbers.and_then(|(one, two)| one.partial_cmp(&two)))
            }
            Kind::String(order) => {
                let texts = value.as_str().zip(expected.as_str());
                holds(order, texts.map(|(one, two)| one.encode_utf16().cmp(two.encode_utf16())))
            }
            Kind::Timestamp(order) => {
                let read = |value: &Value| value.as_str().and_then(timestamp::read);
                holds(order, read(&value).zip(read(&expected)).map(|(one, two)| one.cmp(&two)))
            }
            Kind::Matches => match (&self.operand, value.as_str()) {
                (Operand::Pattern(pattern), Some(text)) => {
                    scope.work.take(text.len() / 8)?;
                    pattern.matches(text)
                }
                _ => false,
            },
            Kind::IsNull => is(value.is_null()),
            Kind::IsNumeric => is(value.is_number()),
            Kind::IsString => is(value.is_string()),
            Kind::IsBoolean => is(value.is_boolean()),
            Kind::IsTimestamp => is(value.as_str().and_then(timestamp::read).is_some()),
            Kind::IsPresent => false,
        })
    }

    pub(super) fn variables<'a>(&'a self, into: &mut Vec<&'a str>) {
        into.extend(self.variable.variable());
        if let Operand::Path(path) = &self.operand {
            into.extend(path.variable());
        }
    }
}

/// Whether an order holds; values of other types have none.
fn holds(order: Order, found: Option<Ordering>) -> bool {
    found.is_some_and(|found| match order {
        Equal => found.is_eq(),
        Less => found.is_lt(),
        Greater => found.is_gt(),
        LessOrEqual => found.is_le(),
        GreaterOrEqual => found.is_ge(),
    })
}

fn invalid(path: &Path) -> Failure {
    Failure::runtime(format!(
        "Invalid path '{}': The choice state's condition path references an invalid value.",
        path.as_str()
    ))
}
