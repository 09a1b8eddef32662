//! Functions of numbers.

use serde_json::Value;

use super::evaluate::{Outcome, Refused};
use crate::random::{Java, Random};

/// A number as `Math.round` of Java: the nearest integer, halves upwards. AWS rounds arguments first (facts/stepfunctions.md § 14).
pub(crate) fn round(value: f64) -> i64 {
    (value + 0.5).floor() as i64
}

/// An argument that must be a number, rounded.
pub(super) fn integer(value: &Value) -> Result<i64, Refused> {
    match value.as_i64() {
        Some(number) => Ok(number),
        None => value.as_f64().map(round).ok_or_else(|| Refused(format!("{value} is not a number."))),
    }
}

/// An argument within Java's `int`, as AWS's documentation bounds these functions.
fn int(value: &Value) -> Result<i64, Refused> {
    let number = integer(value)?;
    match i32::try_from(number) {
        Ok(_) => Ok(number),
        Err(_) => Err(Refused(format!("{value} is not between -2147483648 and 2147483647."))),
    }
}

pub(super) fn add(one: &Value, two: &Value) -> Outcome {
    let sum = int(one)? + int(two)?;
    int(&Value::from(sum))?;
    Ok(Value::from(sum))
}

/// A number from `start` to below `end`.
pub(super) fn random(start: &Value, end: &Value, seed: Option<&Value>, random: &Random) -> Outcome {
    let (start, end) = (int(start)?, int(end)?);
    if start >= end {
        return Err("The start number must be less than the end number.".into());
    }
    let width = end - start;
    let offset = match seed {
        None => random.below(width.unsigned_abs()) as i64,
        Some(seed) => (Java::new(integer(seed)?).unit() * width as f64) as i64,
    };
    Ok(Value::from(start + offset))
}
