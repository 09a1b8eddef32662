//! JSON to the evaluator's values and back.

use jsonata_core::value::JValue;
use serde_json::{Map, Number, Value};

use crate::size::DEPTH;

/// How many bytes a value takes, counted as a text of it would be; none if it is more than `most`, or if the value is nested deeper than a
/// state may have it. Values may be shared many times over, so the count stops there.
pub(super) fn size(value: &JValue, most: usize) -> Option<usize> {
    let mut sum = 0;
    let mut rest = vec![(value, 0)];
    while let Some((value, depth)) = rest.pop() {
        sum += match value {
            JValue::String(text) => text.len() + 2,
            JValue::Array(items) => {
                rest.extend(items.iter().map(|item| (item, depth + 1)));
                2 + items.len()
            }
            JValue::Object(members) => {
                rest.extend(members.values().map(|member| (member, depth + 1)));
                2 + members.keys().map(|name| name.len() + 4).sum::<usize>()
            }
            _ => 4,
        };
        // A value of each byte that is left suffices: so the list of what is to be visited stays short too.
        if sum > most || rest.len() > most || depth > DEPTH {
            return None;
        }
    }
    Some(sum)
}

/// The JSON of a result; none for what JSON cannot express.
pub(super) fn to_json(value: &JValue) -> Option<Value> {
    Some(match value {
        JValue::Null => Value::Null,
        JValue::Bool(truth) => Value::Bool(*truth),
        JValue::Number(number) => Value::Number(to_number(*number)?),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => Value::Array(items.iter().filter_map(to_json).collect()),
        JValue::Object(members) => {
            let members = members.iter().filter_map(|(name, value)| Some((name.clone(), to_json(value)?)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        // As in JavaScript's JSON, functions are no values.
        JValue::Undefined | JValue::Lambda(_) | JValue::Builtin { .. } | JValue::Regex { .. } => return None,
    })
}

/// A whole number without a fraction, as JavaScript writes it.
fn to_number(number: f64) -> Option<Number> {
    if number.fract() == 0.0 && number.abs() < 9.2e18 {
        Some(Number::from(number as i64))
    } else {
        Number::from_f64(number)
    }
}
