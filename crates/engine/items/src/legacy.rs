//! The parameters that are older than expressions, as the same trees: `Expected`, `AttributeUpdates`, filters and `KeyConditions`
//! (facts/dynamodb.md § 9).

use crate::Fault;
use crate::expression::{Comparison, Condition, KeyCondition, KeyTest, Operand, Path};
use crate::update::{Term, Update};
use crate::value::{Type, Value};

/// What is expected of an attribute, as a request has it; values in bytes.
#[derive(Clone, Debug, Default)]
pub struct Expectation<'r> {
    /// The attribute.
    pub name: &'r str,
    /// `Exists`.
    pub exists: Option<bool>,
    /// `Value`.
    pub value: Option<Vec<u8>>,
    /// `ComparisonOperator`.
    pub operator: Option<&'r str>,
    /// `AttributeValueList`.
    pub list: Option<Vec<Vec<u8>>>,
}

fn wrong(text: impl std::fmt::Display) -> Fault {
    Fault::invalid(format!("One or more parameter values were invalid: {text}"))
}

impl Expectation<'_> {
    /// The condition of `Expected`.
    pub fn condition(self) -> Result<Condition, Fault> {
        let name = self.name;
        if let Some(operator) = self.operator {
            if self.value.is_some() || self.exists.is_some() {
                let what = if self.exists.is_some() { "Exists" } else { "Value" };
                return Err(wrong(format_args!(
                    "{what} and ComparisonOperator cannot be used together for Attribute: {name}"
                )));
            }
            return tested(name, operator, self.list.unwrap_or_default());
        }
        if self.list.is_some() {
            return Err(wrong(format_args!(
                "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
            )));
        }
        match (self.exists, self.value) {
            (None | Some(true), Some(value)) => {
                Ok(Condition::Compare(path(name), Comparison::Equal, Operand::Value(value)))
            }
            (Some(false), None) => Ok(absent(name)),
            (Some(false), Some(_)) => {
                Err(wrong(format_args!("Value cannot be used when Exists is false for Attribute: {name}")))
            }
            (Some(true), None) => {
                Err(wrong(format_args!("Value must be provided when Exists is true for Attribute: {name}")))
            }
            (None, None) => {
                Err(wrong(format_args!("Value must be provided when Exists is null for Attribute: {name}")))
            }
        }
    }
}

fn path(name: &str) -> Operand {
    Operand::Path(Path::of(name))
}

fn absent(name: &str) -> Condition {
    Condition::Not(Box::new(Condition::Exists(Path::of(name))))
}

/// The condition of an operator, as filters and `Expected` have it.
pub fn tested(name: &str, operator: &str, list: Vec<Vec<u8>>) -> Result<Condition, Fault> {
    check(operator, &list)?;
    let mut values = list.into_iter();
    let mut next = || Operand::Value(values.next().unwrap_or_default());
    let compared = |comparison, value| Condition::Compare(path(name), comparison, value);
    Ok(match operator {
        "EQ" => compared(Comparison::Equal, next()),
        "NE" => compared(Comparison::NotEqual, next()),
        "LE" => compared(Comparison::LessOrEqual, next()),
        "LT" => compared(Comparison::Less, next()),
        "GE" => compared(Comparison::GreaterOrEqual, next()),
        "GT" => compared(Comparison::Greater, next()),
        "NULL" => absent(name),
        "NOT_NULL" => Condition::Exists(Path::of(name)),
        "CONTAINS" => Condition::Contains(path(name), next()),
        // It is false of an attribute that is missing.
        "NOT_CONTAINS" => Condition::And(
            Box::new(Condition::Exists(Path::of(name))),
            Box::new(Condition::Not(Box::new(Condition::Contains(path(name), next())))),
        ),
        "BEGINS_WITH" => Condition::BeginsWith(path(name), next()),
        "IN" => Condition::In(path(name), values.map(Operand::Value).collect()),
        _ => {
            let low = next();
            Condition::Between(path(name), low, next())
        }
    })
}

/// AWS's names of operators.
const OPERATORS: &[&str] = &[
    "IN",
    "NULL",
    "BETWEEN",
    "LT",
    "NOT_CONTAINS",
    "EQ",
    "GT",
    "NOT_NULL",
    "NE",
    "LE",
    "BEGINS_WITH",
    "GE",
    "CONTAINS",
];

/// Names of which AWS's model has a list. The path is not told as AWS does, which counts members.
fn check_one_of(value: &str, path: &str, values: &[&str]) -> Result<(), Fault> {
    match values.contains(&value) {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
            values.join(", ")
        ))),
    }
}

fn check(operator: &str, list: &[Vec<u8>]) -> Result<(), Fault> {
    check_one_of(operator, "comparisonOperator", OPERATORS)?;
    let count = list.len();
    let is_right = match operator {
        "NULL" | "NOT_NULL" => count == 0,
        "IN" => count > 0,
        "BETWEEN" => count == 2,
        _ => count == 1,
    };
    if !is_right {
        return Err(wrong(format_args!(
            "Invalid number of argument(s) for the {operator} ComparisonOperator"
        )));
    }
    let kinds = || list.iter().map(|value| Value::of(value).kind());
    let Some(first) = kinds().next() else { return Ok(()) };
    if kinds().any(|kind| kind != first) {
        return Err(wrong("AttributeValues inside AttributeValueList must be of same type"));
    }
    let is_fit = match operator {
        "EQ" | "NE" => true,
        "LE" | "LT" | "GE" | "GT" | "BETWEEN" | "IN" => first.is_ordered(),
        "BEGINS_WITH" => matches!(first, Type::S | Type::B),
        // Scalars alone.
        _ => matches!(first, Type::S | Type::N | Type::B | Type::Bool | Type::Null),
    };
    if !is_fit {
        return Err(wrong(format_args!(
            "ComparisonOperator {operator} is not valid for {} AttributeValue type",
            first.name()
        )));
    }
    if operator == "BETWEEN" && Value::of(&list[0]).content() > Value::of(&list[1]).content() {
        return Err(Fault::invalid(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        ));
    }
    Ok(())
}

/// Conditions as one; none if there are none.
pub fn joined(conditions: impl IntoIterator<Item = Condition>, is_or: bool) -> Option<Condition> {
    conditions.into_iter().reduce(|one, other| match is_or {
        true => Condition::Or(Box::new(one), Box::new(other)),
        false => Condition::And(Box::new(one), Box::new(other)),
    })
}

/// The test of an operator of `KeyConditions`.
pub fn key_tested(name: &str, operator: &str, list: Vec<Vec<u8>>) -> Result<KeyCondition, Fault> {
    check(operator, &list)?;
    let mut values = list.into_iter();
    let mut next = || values.next().unwrap_or_default();
    let test = match operator {
        "EQ" => KeyTest::Is(Comparison::Equal, next()),
        "LE" => KeyTest::Is(Comparison::LessOrEqual, next()),
        "LT" => KeyTest::Is(Comparison::Less, next()),
        "GE" => KeyTest::Is(Comparison::GreaterOrEqual, next()),
        "GT" => KeyTest::Is(Comparison::Greater, next()),
        "BEGINS_WITH" => KeyTest::BeginsWith(next()),
        "BETWEEN" => {
            let low = next();
            KeyTest::Between(low, next())
        }
        _ => return Err(Fault::invalid("Attempted conditional constraint is not an indexable operation")),
    };
    Ok(KeyCondition { name: name.into(), test })
}

/// Adds an entry of `AttributeUpdates` to an update.
pub fn put_update(
    update: &mut Update,
    name: &str,
    action: Option<&str>,
    value: Option<Vec<u8>>,
) -> Result<(), Fault> {
    let (path, action) = (Path::of(name), action.unwrap_or("PUT"));
    check_one_of(action, "action", &["ADD", "PUT", "DELETE"])?;
    let Some(value) = value else {
        if action != "DELETE" {
            return Err(wrong("Only DELETE action is allowed when no attribute value is specified"));
        }
        update.removes.push(path);
        return Ok(());
    };
    let kind = Value::of(&value).kind();
    match action {
        "PUT" => update.sets.push((path, Term::Value(value))),
        "DELETE" if kind.member().is_some() => update.deletes.push((path, value)),
        "DELETE" => {
            return Err(wrong(format_args!(
                "DELETE action with value is not supported for the type {}",
                kind.name()
            )));
        }
        _ if kind.member().is_some() || matches!(kind, Type::N | Type::L) => update.adds.push((path, value)),
        _ => return Err(wrong(format_args!("ADD action is not supported for the type {}", kind.name()))),
    }
    Ok(())
}
