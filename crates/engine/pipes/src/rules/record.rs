//! A message of a source as filters, templates and targets see it.

use std::borrow::Cow;

use json_text::{Parts, compact, is_json, is_name};

/// A message as JSON without blanks, and the same with its body as JSON if it is JSON (AWS's documentation of EventBridge Pipes, "Implicit
/// body data parsing").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    text: String,
    /// Absent if it is the same.
    parsed: Option<String>,
}

impl Record {
    /// A message; `text` is JSON without blanks.
    pub fn new(text: String) -> Record {
        let parsed = parsed(&text);
        Record { text, parsed }
    }

    /// The message, with its body as a text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The message, with its body as an object or an array if it is one.
    pub fn parsed(&self) -> &str {
        self.parsed.as_deref().unwrap_or(&self.text)
    }

    /// A text of the message, such as `messageId`, or one of its attributes with `attributes` as the first name.
    pub fn find(&self, path: &[&str]) -> Option<String> {
        let mut json = &*self.text;
        for name in path {
            json = Parts::of(json).find(|(other, _)| is_name(other, name))?.1;
        }
        serde_json::from_str(json).ok()
    }
}

fn parsed(text: &str) -> Option<String> {
    let (_, body) = Parts::of(text).find(|(name, _)| is_name(name, "body"))?;
    let inner: Cow<'_, str> = serde_json::from_str::<String>(body).ok()?.into();
    if !inner.trim_start().starts_with(['{', '[']) || !is_json(&inner) {
        return None;
    }
    // Both are parts of one text.
    let at = body.as_ptr() as usize - text.as_ptr() as usize;
    let (before, behind) = (text.get(..at)?, text.get(at + body.len()..)?);
    Some(format!("{before}{}{behind}", compact(&inner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_json_is_json() {
        for (body, expected) in [
            (r#""plain""#, None),
            (r#""1""#, None),
            (r#""{""#, None),
            (r#""{\"a\": [1, \"x y\"]}""#, Some(r#"{"a":[1,"x y"]}"#)),
            (r#"" [ ]""#, Some("[]")),
        ] {
            let record =
                Record::new(format!("{{\"messageId\":\"m\",\"body\":{body},\"z\":{{\"y\":\"x\"}}}}"));
            let expected = expected.unwrap_or(body);
            assert_eq!(
                record.parsed(),
                format!("{{\"messageId\":\"m\",\"body\":{expected},\"z\":{{\"y\":\"x\"}}}}")
            );
            assert_eq!(record.find(&["messageId"]).as_deref(), Some("m"));
            assert_eq!(record.find(&["z", "y"]).as_deref(), Some("x"));
            assert_eq!(record.find(&["z", "a"]), None);
        }
    }
}
