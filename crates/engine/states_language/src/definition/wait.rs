//! Reads the fields of Wait, Fail and Pass states.

use serde_json::Value;

use super::diagnostics::Code;
use super::fields::Bounds;
use super::reader::{Object, Reader};
use super::{Fail, Pass, QueryLanguage, ResultPath, Until};
use crate::jsonata::Expression;
use crate::jsonpath::Path;
use crate::template::Template;
use crate::timestamp;

impl Object<'_> {
    pub(super) fn wait(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Until> {
        match language {
            QueryLanguage::JsonPath => {
                self.exactly_one(&["Seconds", "Timestamp", "SecondsPath", "TimestampPath"], reader)
            }
            QueryLanguage::Jsonata => self.exactly_one(&["Seconds", "Timestamp"], reader),
        }
        if self.has("Seconds") || self.has("SecondsPath") {
            let bounds = Bounds::Whole(0, 99_999_999);
            return Some(Until::Seconds(self.amount("Seconds", bounds, language, reader)?));
        }
        if let Some(node) = self.get("TimestampPath") {
            return reader.reference(&node).map(|path| Until::Timestamp(Template::Path(path)));
        }
        let node = self.get("Timestamp")?;
        let text = reader.text(&node)?;
        if language == QueryLanguage::Jsonata
            && let Some(source) = Expression::within(text)
        {
            let expression = reader.expression(source, &node.place)?;
            return Some(Until::Timestamp(Template::Expression(expression)));
        }
        if timestamp::read(text).is_none() {
            reader.schema(&node.place, "String does not match RFC3339 timestamp");
        }
        Some(Until::Timestamp(Template::Literal(node.value.clone())))
    }

    pub(super) fn fail(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Fail {
        Fail { error: self.words("Error", language, reader), cause: self.words("Cause", language, reader) }
    }

    pub(super) fn pass(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Pass {
        if language == QueryLanguage::Jsonata {
            // A Pass state of JSONata has neither a result nor arguments; its output is made from its input.
            return Pass { parameters: None, result: None, result_path: ResultPath::Replaces };
        }
        let result = self.get("Result");
        if let Some(node) = &result
            && has_path(node.value)
        {
            reader.warning(
                Code::PassResultIsStatic,
                &node.place,
                "The Result of a Pass state is static: paths in it are not evaluated. Use Parameters instead",
            );
        }
        Pass {
            parameters: self.payload(language, reader),
            result: result.map(|node| node.value.clone()),
            result_path: self.result_path(reader),
        }
    }
}

/// Whether somebody seems to expect that a path in the value is evaluated.
fn has_path(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| {
            let path = value.as_str().is_some_and(|text| text.starts_with('$') && Path::parse(text).is_ok());
            (name.ends_with(".$") && path) || has_path(value)
        }),
        Value::Array(items) => items.iter().any(has_path),
        _ => false,
    }
}
