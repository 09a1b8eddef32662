//! Whether an element passes a filter: Jayway's comparisons.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::evaluate::Places;
use super::filter::{Filter, Operand, Operator};
use crate::scope::Exhausted;

/// Whether the element passes.
pub(super) fn passes(filter: &Filter, element: &Value, places: &Places<'_>) -> Result<bool, Exhausted> {
    places.work.take(1)?;
    match filter {
        Filter::Any(filters) => {
            for filter in filters {
                if passes(filter, element, places)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Filter::All(filters) => {
            for filter in filters {
                if !passes(filter, element, places)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Filter::Not(filter) => Ok(!passes(filter, element, places)?),
        Filter::Exists(path) => Ok(places.find(path, element)?.is_some()),
        Filter::Test(left, operator, right) => {
            let left = value_of(left, element, places)?;
            if let Operand::Pattern(pattern) = right {
                let text = left.as_ref().and_then(text_of);
                places.work.take(text.as_ref().map_or(0, |text| text.len() / 8))?;
                return Ok(*operator == Operator::Matches && text.is_some_and(|text| pattern.is_match(&text)));
            }
            let right = value_of(right, element, places)?;
            test(left.as_ref(), *operator, right.as_ref(), places)
        }
    }
}

/// The value of an operand; none if its path leads nowhere.
fn value_of(operand: &Operand, element: &Value, places: &Places<'_>) -> Result<Option<Value>, Exhausted> {
    match operand {
        Operand::Path(path) => places.find(path, element),
        Operand::Value(value) => Ok(Some(value.clone())),
        Operand::Pattern(_) => Ok(None),
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn test(
    left: Option<&Value>,
    operator: Operator,
    right: Option<&Value>,
    places: &Places<'_>,
) -> Result<bool, Exhausted> {
    let (Some(left), Some(right)) = (left, right) else {
        return Ok(matches!(operator, Operator::NotEqual | Operator::NotSameTypeOrEqual | Operator::NotIn));
    };
    let same_type = std::mem::discriminant(left) == std::mem::discriminant(right);
    let items = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let lists = left.is_array() && right.is_array();
    if let (Some(one), two) = (left.as_array(), items(right)) {
        places.work.take(one.len().saturating_mul(two.len().max(1)))?;
    } else {
        places.work.take(items(right).len())?;
    }
    let within = |item: &Value, list: &Value| items(list).iter().any(|other| equal(item, other));
    Ok(match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::SameTypeAndEqual => same_type && equal(left, right),
        Operator::NotSameTypeOrEqual => !(same_type && equal(left, right)),
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::LessOrEqual => order(left, right).is_some_and(Ordering::is_le),
        Operator::Greater => order(left, right) == Some(Ordering::Greater),
        Operator::GreaterOrEqual => order(left, right).is_some_and(Ordering::is_ge),
        Operator::Matches => false,
        Operator::In => within(left, right),
        Operator::NotIn => !within(left, right),
        Operator::SubsetOf => lists && items(left).iter().all(|item| within(item, right)),
        Operator::AnyOf => lists && items(left).iter().any(|item| within(item, right)),
        Operator::NoneOf => lists && !items(left).iter().any(|item| within(item, right)),
        Operator::All => lists && items(right).iter().all(|item| within(item, left)),
        Operator::Contains => match (left, right) {
            (Value::String(text), Value::String(part)) => text.contains(part),
            _ => within(right, left),
        },
        Operator::Size => right.as_i64().is_some() && length(left).map(|n| n as i64) == right.as_i64(),
        Operator::Empty => right.as_bool().is_some() && length(left).map(|n| n == 0) == right.as_bool(),
        Operator::Exists => right.as_bool() == Some(true),
    })
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.encode_utf16().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    }
}

/// Jayway's equality: a number equals a text that writes it, but not the other way around unless it is written the same.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(one), Value::Number(two)) => compare(one, two) == Some(Ordering::Equal),
        (Value::Number(number), Value::String(text)) => {
            text.parse().is_ok_and(|other: Number| compare(number, &other) == Some(Ordering::Equal))
        }
        (Value::String(text), Value::Number(number)) => *text == number.to_string(),
        _ => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(one), Value::Number(two)) => compare(one, two),
        (Value::String(one), Value::String(two)) => Some(one.encode_utf16().cmp(two.encode_utf16())),
        _ => None,
    }
}

/// The order of two numbers: exactly if both are whole, else as doubles.
fn compare(one: &Number, two: &Number) -> Option<Ordering> {
    match (whole(one), whole(two)) {
        (Some(one), Some(two)) => Some(one.cmp(&two)),
        _ => one.as_f64()?.partial_cmp(&two.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}
