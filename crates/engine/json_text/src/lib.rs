//! JSON as text: checked, without blanks, taken apart without being copied.

use std::borrow::Cow;

use memchr::memchr2;
use serde::de::IgnoredAny;

pub mod path;

pub mod template;

/// Whether a text is one JSON value. What nests deeper than 127 levels is not.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A JSON text without blanks between its tokens; strings and numbers keep their spelling.
pub fn compact(json: &str) -> Cow<'_, str> {
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let bytes = json.as_bytes();
    let (mut out, mut from, mut at) = (String::new(), 0, 0);
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' {
            at = string_end(bytes, at);
        } else if is_blank(byte) {
            out.push_str(json.get(from..at).unwrap_or_default());
            at += 1;
            from = at;
        } else {
            at += 1;
        }
    }
    if from == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(json.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote(&mut out, text);
    out
}

/// Appends a text as a JSON string.
pub fn quote(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.extend(["\"", text, "\""]);
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Where the string that begins at `at` ends.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if bytes.get(at - 1) == Some(&b'"') {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Where the value that begins at `at` ends, in JSON without blanks.
fn value_end(bytes: &[u8], at: usize) -> usize {
    let (mut at, mut depth) = (at, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 1 { at + 1 } else { at },
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The members of an object, or the items of an array, in JSON without blanks.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    json: &'a str,
    at: usize,
    has_names: bool,
}

impl<'a> Parts<'a> {
    /// The parts of a value; none if it has no parts.
    pub fn of(json: &'a str) -> Self {
        let is_container = json.starts_with(['{', '[']);
        Parts { json, at: if is_container { 1 } else { json.len() }, has_names: json.starts_with('{') }
    }
}

impl<'a> Iterator for Parts<'a> {
    /// The name with its quotes, which is empty for an item of an array; and the value.
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.json.as_bytes();
        if bytes.get(self.at) == Some(&b',') {
            self.at += 1;
        }
        if matches!(bytes.get(self.at), None | Some(b'}' | b']')) {
            return None;
        }
        let mut name = "";
        if self.has_names {
            let end = string_end(bytes, self.at);
            name = self.json.get(self.at..end)?;
            self.at = end + 1;
        }
        let end = value_end(bytes, self.at);
        let value = self.json.get(self.at..end)?;
        self.at = end;
        Some((name, value))
    }
}

/// Whether a name with its quotes is this one.
pub fn is_name(quoted: &str, name: &str) -> bool {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if inner.contains('\\') {
        return serde_json::from_str::<String>(quoted).is_ok_and(|text| text == name);
    }
    inner == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_and_strings_and_numbers_keep_their_spelling() {
        for (text, compacted) in [
            (
                " { \"a b\" :\n[ 1.50 , \"x \\\" y\",{ } ,[ ], true,null ] } ",
                r#"{"a b":[1.50,"x \" y",{},[],true,null]}"#,
            ),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            ("\t\"a b\"\r", r#""a b""#),
        ] {
            assert!(is_json(text));
            assert_eq!(compact(text), compacted);
        }
        assert!(!is_json("{") && !is_json("") && !is_json("1 2") && !is_json(&"[".repeat(200)));
    }

    #[test]
    fn a_value_is_taken_apart() {
        let parts = |json| Parts::of(json).collect::<Vec<_>>();
        assert_eq!(
            parts(r#"{"a":1,"b\"":{"c":[1,"]"]},"d":"e,}"}"#),
            [("\"a\"", "1"), ("\"b\\\"\"", r#"{"c":[1,"]"]}"#), ("\"d\"", "\"e,}\"")]
        );
        assert_eq!(parts("[[1],{},-2.5e3,null]"), [("", "[1]"), ("", "{}"), ("", "-2.5e3"), ("", "null")]);
        for nothing in ["{}", "[]", "1", "\"x\"", ""] {
            assert!(parts(nothing).is_empty());
        }
        assert!(is_name("\"b\\\"\"", "b\"") && is_name("\"a\"", "a") && !is_name("\"a\"", "b"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_apart_without_a_panic(text in r#"[\[\]{}",:\\ 1a]{0,24}"#) {
            let _ = (compact(&text).into_owned(), Parts::of(&text).count());
        }
    }
}
