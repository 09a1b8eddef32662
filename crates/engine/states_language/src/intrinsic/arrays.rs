//! Functions of arrays.

use std::collections::BTreeSet;

use serde_json::Value;

use super::evaluate::{Outcome, Refused};
use super::maths::integer;
use crate::scope::Work;

/// Numbers that `States.ArrayRange` makes at most (AWS's documentation).
const RANGE: i64 = 1000;

pub(super) fn array(value: &Value) -> Result<&Vec<Value>, Refused> {
    value.as_array().ok_or_else(|| "The first argument must be an array.".into())
}

pub(super) fn contains(items: &Value, value: &Value) -> Outcome {
    Ok(Value::Bool(array(items)?.contains(value)))
}

pub(super) fn length(items: &Value) -> Outcome {
    Ok(Value::from(array(items)?.len()))
}

/// The item with this index, from 0.
pub(super) fn item(items: &Value, index: &Value) -> Outcome {
    let index = integer(index)?;
    let item = usize::try_from(index).ok().and_then(|index| items.get(index));
    array(items)?;
    item.cloned().ok_or_else(|| Refused(format!("The index {index} is outside of the array.")))
}

/// The items in groups; the last may be shorter.
pub(super) fn partition(items: &Value, size: &Value) -> Outcome {
    let size = usize::try_from(integer(size)?).ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| Refused::from("The chunk size must be a positive integer."))?;
    let chunks = array(items)?.chunks(size);
    Ok(Value::Array(chunks.map(|chunk| Value::Array(chunk.to_vec())).collect()))
}

/// The numbers from `start` to `end`, which is included.
pub(super) fn range(start: &Value, end: &Value, step: &Value) -> Outcome {
    let (start, end, step) = (integer(start)?, integer(end)?, integer(step)?);
    if step == 0 {
        return Err("The step must not be 0.".into());
    }
    let count = (i128::from(end) - i128::from(start)) / i128::from(step);
    if (end > start) != (step > 0) && end != start {
        return Ok(Value::Array(Vec::new()));
    }
    if count >= i128::from(RANGE) {
        return Err(Refused(format!("The array must not have more than {RANGE} items.")));
    }
    Ok((0..=count as i64).map(|n| start + n * step).collect())
}

/// The items without those that equal an earlier one.
pub(super) fn unique(items: &Value, work: &Work) -> Outcome {
    let items = array(items)?;
    work.take(items.len()).map_err(|_| Refused::from("The array is too long."))?;
    // Texts of values tell what equals what: objects differ by the order of names only after sorting.
    let mut seen = BTreeSet::new();
    let unique = items.iter().filter(|item| seen.insert(sorted(item).to_string()));
    Ok(Value::Array(unique.cloned().collect()))
}

/// The value with the names of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        _ => value.clone(),
    }
}
