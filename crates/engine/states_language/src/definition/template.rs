//! Reads templates: payload templates with names that end with `.$`, and values with expressions in `{% %}`.

use serde_json::Value;

use super::QueryLanguage;
use super::diagnostics::Code;
use super::reader::{Node, Reader};
use crate::intrinsic::Call;
use crate::jsonata::{Expression, Refusal};
use crate::jsonpath::Path;
use crate::template::Template;

impl Reader<'_> {
    /// A payload template, or a value with expressions, by the language.
    pub(super) fn template(&mut self, node: &Node<'_>, language: QueryLanguage) -> Template {
        match language {
            QueryLanguage::JsonPath => self.payload(node.value, &node.place),
            QueryLanguage::Jsonata => self.expressions(node),
        }
    }

    /// AWS locates what is wrong with a payload template at the whole template.
    fn payload(&mut self, value: &Value, place: &str) -> Template {
        match value {
            Value::Object(members) => Template::Object(
                members
                    .iter()
                    .map(|(name, value)| match name.strip_suffix(".$") {
                        Some(plain) => (plain.to_owned(), self.dynamic(name, value, place)),
                        None => {
                            self.warn_if_path(name, value, place);
                            (name.clone(), self.payload(value, place))
                        }
                    })
                    .collect(),
            ),
            Value::Array(items) => {
                Template::Array(items.iter().map(|item| self.payload(item, place)).collect())
            }
            _ => Template::Literal(value.clone()),
        }
    }

    fn warn_if_path(&mut self, name: &str, value: &Value, place: &str) {
        let Some(text) = value.as_str() else { return };
        let path = text.starts_with('$') && Path::parse(text).is_ok();
        if path || (Call::looks_like(text) && Call::parse(text).is_ok()) {
            self.warning(
                Code::NoDollar,
                place,
                format!("The field '{name}' has a value that looks like a JSONPath or an intrinsic function call, but its name does not end with '.$'"),
            );
        }
    }

    /// The value of a member whose name ends with `.$`.
    fn dynamic(&mut self, name: &str, value: &Value, place: &str) -> Template {
        let parsed = value.as_str().and_then(path_or_call);
        parsed.unwrap_or_else(|| {
            self.schema(
                place,
                format!(
                    "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
                ),
            );
            Template::Literal(Value::Null)
        })
    }

    fn expressions(&mut self, node: &Node<'_>) -> Template {
        let child = |value, step: String| Node { value, place: node.place.clone() + &step };
        match node.value {
            Value::String(text) => match Expression::within(text) {
                Some(source) => match self.expression(source, &node.place) {
                    Some(expression) => Template::Expression(expression),
                    None => Template::Literal(Value::Null),
                },
                None => Template::Literal(node.value.clone()),
            },
            Value::Array(items) => {
                let items = items.iter().enumerate();
                Template::Array(
                    items.map(|(at, item)| self.expressions(&child(item, format!("[{at}]")))).collect(),
                )
            }
            Value::Object(members) => Template::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), self.expressions(&child(value, format!("/{name}")))))
                    .collect(),
            ),
            value => Template::Literal(value.clone()),
        }
    }

    pub(super) fn expression(&mut self, source: &str, place: &str) -> Option<Expression> {
        match Expression::parse(source) {
            Ok(expression) => Some(expression),
            Err(Refusal::Invalid(message)) => {
                self.error(Code::InvalidJsonataExpression, place, message);
                None
            }
            Err(Refusal::Unsupported(names)) => {
                for name in names {
                    let message = format!("Reference to '{name}' at the top level is not supported.");
                    self.error(Code::UnsupportedJsonataExpression, place, message);
                }
                None
            }
        }
    }
}

/// A path or a call of an intrinsic function.
pub(super) fn path_or_call(text: &str) -> Option<Template> {
    if Call::looks_like(text) {
        Call::parse(text).ok().map(Template::Call)
    } else {
        Path::parse(text).ok().map(Template::Path)
    }
}
