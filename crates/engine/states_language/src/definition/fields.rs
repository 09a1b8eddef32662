//! Fields that several kinds of states have.

use serde_json::Value;

use super::reader::{Node, Object, Reader};
use super::template::path_or_call;
use super::{PathField, QueryLanguage, ResultPath};
use crate::jsonata::Expression;
use crate::jsonpath::{Path, ReferencePath};
use crate::template::Template;

/// Bounds of a number in a field.
#[derive(Clone, Copy)]
pub(super) enum Bounds {
    Whole(i64, i64),
    Number(f64, f64),
}

/// Fields that only JSONPath states have. The text for them is recorded (github.com/floci-io/floci/issues/2968).
const JSONPATH_ONLY: &[&str] = &[
    "InputPath",
    "OutputPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "ItemsPath",
    "MaxConcurrencyPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "ErrorPath",
    "CausePath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
    "MaxItemsPath",
    "MaxItemsPerBatchPath",
    "MaxInputBytesPerBatchPath",
];
const JSONATA_ONLY: &[&str] = &["Arguments", "Output", "Items", "Condition"];

/// What gives the value of a field.
enum Given<'v> {
    /// A path in `NamePath`.
    Path(Node<'v>),
    /// An expression, with the field.
    Expression(&'v str, Node<'v>),
    /// The field itself.
    Value(Node<'v>),
}

impl<'v> Object<'v> {
    /// Notes the fields that belong to the other language, and counts them as asked for.
    pub(super) fn check_language(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) {
        let (set, other, foreign) = match language {
            QueryLanguage::JsonPath => ("JSONPath", "JSONata", JSONATA_ONLY),
            QueryLanguage::Jsonata => ("JSONata", "JSONPath", JSONPATH_ONLY),
        };
        for name in foreign {
            if self.has(name) {
                self.get(name);
                reader.schema(
                    &self.place,
                    format!(
                        "The QueryLanguage is set to '{set}', but field '{name}' is only supported for the \
                         '{other}' QueryLanguage"
                    ),
                );
            }
        }
    }

    /// `Parameters` of JSONPath or `Arguments` of JSONata.
    pub(super) fn payload(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Template> {
        let name = match language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::Jsonata => "Arguments",
        };
        self.templated(name, language, reader)
    }

    pub(super) fn templated(
        &mut self,
        name: &str,
        language: QueryLanguage,
        reader: &mut Reader<'_>,
    ) -> Option<Template> {
        self.get(name).map(|node| reader.template(&node, language))
    }

    /// `Assign`: an object whose names are variables.
    pub(super) fn assign(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Template> {
        let node = self.get("Assign")?;
        let members = reader.object(&node)?;
        for name in members.members.keys() {
            let plain = match language {
                QueryLanguage::JsonPath => name.strip_suffix(".$").unwrap_or(name),
                QueryLanguage::Jsonata => name,
            };
            let mut characters = plain.chars();
            let identifier = characters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
                && characters.all(|c| c.is_alphanumeric() || c == '_');
            // AWS's limit on names of variables is 80 characters (developer guide, "Passing data between states with variables").
            if !identifier || plain == "states" || plain.chars().count() > 80 {
                reader.schema(&node.place, format!("'{plain}' is not a valid variable name"));
            }
        }
        Some(reader.template(&node, language))
    }

    pub(super) fn path_field(&mut self, name: &str, reader: &mut Reader<'_>) -> PathField {
        match self.get(name) {
            None => PathField::Whole,
            Some(node) if node.value.is_null() => PathField::Nothing,
            Some(node) => reader.path(&node).map_or(PathField::Whole, PathField::Path),
        }
    }

    pub(super) fn result_path(&mut self, reader: &mut Reader<'_>) -> ResultPath {
        let Some(node) = self.get("ResultPath") else { return ResultPath::Replaces };
        if node.value.is_null() {
            return ResultPath::Discarded;
        }
        match node.value.as_str().map(ReferencePath::parse) {
            Some(Ok(path)) if path.as_str() == "$" => ResultPath::Replaces,
            Some(Ok(path)) => ResultPath::Into(path),
            _ => {
                reader.schema(&node.place, "Value is not a Reference Path");
                ResultPath::Replaces
            }
        }
    }

    /// What gives the value of a field: the field itself, an expression in it, or a path (`NamePath`).
    fn given(&mut self, name: &str, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Given<'v>> {
        let path_name = format!("{name}Path");
        let node = self.get(name);
        if language == QueryLanguage::JsonPath {
            self.at_most_one(&[name, &path_name], reader);
            if let Some(node) = self.get(&path_name) {
                return Some(Given::Path(node));
            }
        }
        let node = node?;
        match node.value.as_str().and_then(Expression::within) {
            Some(source) if language == QueryLanguage::Jsonata => Some(Given::Expression(source, node)),
            _ => Some(Given::Value(node)),
        }
    }

    /// A number that is written, that an expression gives, or that is at a path (`NamePath`).
    pub(super) fn amount(
        &mut self,
        name: &str,
        bounds: Bounds,
        language: QueryLanguage,
        reader: &mut Reader<'_>,
    ) -> Option<Template> {
        let node = match self.given(name, language, reader)? {
            Given::Path(node) => return reader.reference(&node).map(Template::Path),
            Given::Expression(source, node) => {
                return reader.expression(source, &node.place).map(Template::Expression);
            }
            Given::Value(node) => node,
        };
        match bounds {
            Bounds::Whole(least, most) => reader.whole(&node, least, most).map(Value::from),
            Bounds::Number(least, most) => reader.number(&node, least, most).map(|_| node.value.clone()),
        }
        .map(Template::Literal)
    }

    /// A text that is written, that an expression gives, or that a path or call gives (`NamePath`).
    pub(super) fn words(
        &mut self,
        name: &str,
        language: QueryLanguage,
        reader: &mut Reader<'_>,
    ) -> Option<Template> {
        match self.given(name, language, reader)? {
            Given::Path(node) => {
                let parsed = reader.text(&node).and_then(path_or_call);
                if parsed.is_none() {
                    let message = format!(
                        "The value for the field '{name}Path' must be a valid JSONPath or a valid intrinsic function call"
                    );
                    reader.schema(&node.place, message);
                }
                parsed
            }
            Given::Expression(source, node) => {
                reader.expression(source, &node.place).map(Template::Expression)
            }
            Given::Value(node) if node.value.is_string() => Some(Template::Literal(node.value.clone())),
            Given::Value(node) => {
                reader.expected("String", &node);
                None
            }
        }
    }
}

impl Reader<'_> {
    pub(super) fn path(&mut self, node: &Node<'_>) -> Option<Path> {
        let path = node.value.as_str().map(Path::parse);
        match path {
            Some(Ok(path)) => Some(path),
            _ => {
                self.schema(&node.place, "Value is not a valid JSONPath");
                None
            }
        }
    }

    /// A path of names and indexes below the input or a variable.
    pub(super) fn reference(&mut self, node: &Node<'_>) -> Option<Path> {
        match node.value.as_str().map(Path::parse) {
            Some(Ok(path)) if path.is_reference() => Some(path),
            _ => {
                self.schema(&node.place, "Value is not a Reference Path");
                None
            }
        }
    }
}
