//! How large a value is as JSON, without writing it.

use serde_json::Value;

/// Levels of a value. `serde_json` reads at most 127, and whatever a state returns will be read again.
pub(crate) const DEPTH: usize = 125;

/// Whether a value takes at most so many bytes as JSON, and can be read again.
pub(crate) fn fits(value: &Value, most: usize) -> bool {
    let mut sum = 0;
    let mut rest = vec![(value, 0)];
    while let Some((value, depth)) = rest.pop() {
        sum += match value {
            Value::Null | Value::Bool(true) => 4,
            Value::Bool(false) => 5,
            Value::Number(number) => number.to_string().len(),
            Value::String(text) => quoted(text),
            Value::Array(items) => {
                rest.extend(items.iter().map(|item| (item, depth + 1)));
                2 + items.len().saturating_sub(1)
            }
            Value::Object(members) => {
                rest.extend(members.values().map(|member| (member, depth + 1)));
                let names: usize = members.keys().map(|name| quoted(name) + 1).sum();
                2 + names + members.len().saturating_sub(1)
            }
        };
        if sum > most || depth > DEPTH {
            return false;
        }
    }
    true
}

/// The bytes of a text in quotes.
fn quoted(text: &str) -> usize {
    let escapes: usize =
        text.bytes().filter(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')).map(escape).sum();
    text.len() + 2 + escapes
}

/// The bytes that an escape adds.
fn escape(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 1,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_size_is_that_of_the_text(
            texts in proptest::collection::vec("(\\PC|[\u{0}-\u{1f}\"\\\\]){0,8}", 0..4),
            number in any::<i64>(),
            float in -1e9f64..1e9,
        ) {
            let members = texts.iter().map(|text| (text.clone(), serde_json::json!([text, number, null, true, false, {}, []])));
            let value = serde_json::json!([members.collect::<serde_json::Map<_, _>>(), float, [[]]]);
            let bytes = value.to_string().len();
            prop_assert!(fits(&value, bytes) && !fits(&value, bytes - 1), "{}", value);
        }
    }
}
