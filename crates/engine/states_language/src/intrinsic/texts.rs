//! Functions of texts and objects.

use serde_json::{Map, Value};

use super::evaluate::{Outcome, Refused};

/// A quoted text without its escapes.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        plain.push(match c {
            '\\' => match characters.clone().next() {
                Some(escaped @ ('\'' | '{' | '}' | '\\')) => {
                    characters.next();
                    escaped
                }
                _ => c,
            },
            c => c,
        });
    }
    plain
}

/// Puts values at the places `{}` of a template.
pub(super) fn format(template: &Value, values: &[Value]) -> Outcome {
    let template = template.as_str().ok_or_else(|| Refused::from("The template must be a string."))?;
    let mut text = String::new();
    let mut values = values.iter();
    let mut characters = template.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('\'' | '{' | '}' | '\\')) => text.push(escaped),
                Some(other) => text.extend(['\\', other]),
                None => text.push('\\'),
            },
            '{' => {
                if characters.next() != Some('}') {
                    return Err("matching '}' not found for '{'.".into());
                }
                let value =
                    values.next().ok_or("The number of arguments do not match the occurrences of {}.")?;
                write_as_java(value, &mut text);
            }
            '}' => return Err("matching '{' not found for '}'.".into()),
            c => text.push(c),
        }
    }
    if values.next().is_some() {
        return Err("The number of arguments do not match the occurrences of {}.".into());
    }
    Ok(Value::String(text))
}

/// A value as Java's `toString` writes it: `{Id=1, Tags=[a, b]}` (facts/stepfunctions.md § 14).
fn write_as_java(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => into.push_str(text),
        Value::Array(items) => {
            into.push('[');
            for (at, item) in items.iter().enumerate() {
                into.push_str(if at == 0 { "" } else { ", " });
                write_as_java(item, into);
            }
            into.push(']');
        }
        Value::Object(members) => {
            into.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                into.push_str(if at == 0 { "" } else { ", " });
                into.push_str(name);
                into.push('=');
                write_as_java(value, into);
            }
            into.push('}');
        }
        other => into.push_str(&other.to_string()),
    }
}

/// The parts of a text between delimiters, of which each is one character; empty parts are dropped.
pub(super) fn split(text: &Value, delimiters: &Value) -> Outcome {
    let (Some(text), Some(delimiters)) = (text.as_str(), delimiters.as_str()) else {
        return Err("Both arguments must be strings.".into());
    };
    let parts = text.split(|c| delimiters.contains(c)).filter(|part| !part.is_empty());
    Ok(parts.collect())
}

/// The value that a text of JSON writes; null for blanks.
pub(super) fn to_json(text: &Value) -> Outcome {
    let text = text.as_str().ok_or_else(|| Refused::from("The argument must be a string."))?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| Refused(format!("Invalid JSON: {error}")))?;
    // AWS gives 0 for "-0" (facts/stepfunctions.md § 14).
    Ok(if text.trim() == "-0" { Value::from(0) } else { value })
}

/// The names of both objects; a value of the second replaces one of the first.
pub(super) fn merge(one: &Value, two: &Value, deep: &Value) -> Outcome {
    let (Value::Object(one), Value::Object(two)) = (one, two) else {
        return Err("The first two arguments must be objects.".into());
    };
    match deep {
        Value::Bool(false) => {
            let mut merged: Map<_, _> = one.clone();
            merged.extend(two.clone());
            Ok(Value::Object(merged))
        }
        _ => Err("Only the shallow merging mode is supported: the third argument must be false.".into()),
    }
}
