//! Reads the members of a definition's objects, and notes what is wrong with them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::diagnostics::{Code, Diagnostic, Diagnostics, Severity};
use super::{QueryLanguage, Resource};

/// What the reading of a whole definition shares.
pub(super) struct Reader<'t> {
    pub(super) diagnostics: Diagnostics,
    /// Whether a resource of a task exists.
    pub(super) recognizes: &'t dyn Fn(&Resource) -> bool,
    pub(super) serves: &'t dyn Fn(&Resource) -> bool,
    /// Whether the states that are read belong to an express execution.
    pub(super) express: bool,
    /// The language of the whole state machine.
    pub(super) language: QueryLanguage,
    /// The names of all states so far: they are unique in the whole state machine.
    pub(super) names: BTreeSet<String>,
}

impl Reader<'_> {
    pub(super) fn schema(&mut self, place: &str, message: impl Into<String>) {
        self.error(Code::SchemaValidationFailed, place, message);
    }

    pub(super) fn error(&mut self, code: Code, place: &str, message: impl Into<String>) {
        self.push(Severity::Error, code, Some(place), message.into());
    }

    pub(super) fn warning(&mut self, code: Code, place: &str, message: impl Into<String>) {
        self.push(Severity::Warning, code, Some(place), message.into());
    }

    pub(super) fn push(&mut self, severity: Severity, code: Code, place: Option<&str>, message: String) {
        let location = place.map(|place| if place.is_empty() { "/" } else { place }.to_owned());
        self.diagnostics.push(Diagnostic { severity, code, message, location });
    }

    /// A value that must be an object.
    pub(super) fn object<'v>(&mut self, node: &Node<'v>) -> Option<Object<'v>> {
        match node.value {
            Value::Object(members) => {
                Some(Object { members, place: node.place.clone(), asked: BTreeSet::new() })
            }
            _ => {
                self.expected("Object", node);
                None
            }
        }
    }

    /// A value that must be an array and not empty.
    pub(super) fn items<'v>(&mut self, node: &Node<'v>) -> Vec<Node<'v>> {
        if node.value.as_array().is_some_and(Vec::is_empty) {
            self.schema(&node.place, "Value cannot be empty");
        }
        self.array(node)
    }

    /// A value that must be an array.
    pub(super) fn array<'v>(&mut self, node: &Node<'v>) -> Vec<Node<'v>> {
        match node.value {
            Value::Array(items) => {
                let place = |at| format!("{}[{at}]", node.place);
                items.iter().enumerate().map(|(at, value)| Node { value, place: place(at) }).collect()
            }
            _ => {
                self.expected("Array", node);
                Vec::new()
            }
        }
    }

    /// A value that must be a text and not empty.
    pub(super) fn text<'v>(&mut self, node: &Node<'v>) -> Option<&'v str> {
        match node.value.as_str() {
            Some("") => {
                self.schema(&node.place, "Value cannot be empty");
                None
            }
            Some(text) => Some(text),
            None => {
                self.expected("String", node);
                None
            }
        }
    }

    pub(super) fn truth(&mut self, node: &Node<'_>) -> Option<bool> {
        if !node.value.is_boolean() {
            self.expected("Boolean", node);
        }
        node.value.as_bool()
    }

    /// A value that must be a whole number within bounds.
    pub(super) fn whole(&mut self, node: &Node<'_>, least: i64, most: i64) -> Option<i64> {
        let Some(number) = node.value.as_i64() else {
            self.expected("Integer", node);
            return None;
        };
        if number < least {
            self.schema(&node.place, format!("Minimum value is {least}"));
        } else if number > most {
            self.schema(&node.place, format!("Maximum value is {most}"));
        }
        Some(number)
    }

    /// A value that must be a number within bounds.
    pub(super) fn number(&mut self, node: &Node<'_>, least: f64, most: f64) -> Option<f64> {
        let Some(number) = node.value.as_f64() else {
            self.expected("Number", node);
            return None;
        };
        if number < least {
            self.schema(&node.place, format!("Minimum value is {least:?}"));
        } else if number > most {
            self.schema(&node.place, format!("Maximum value is {most:?}"));
        }
        Some(number)
    }

    /// A value that must be one of some texts.
    pub(super) fn one_of<'v>(&mut self, node: &Node<'v>, allowed: &[&str]) -> Option<&'v str> {
        let text = node.value.as_str();
        match text {
            Some(text) if allowed.contains(&text) => {}
            Some(_) => {
                let field = node.name();
                let allowed = allowed.join(", ");
                let message = format!("The field '{field}' should have one of these values: [{allowed}]");
                self.schema(&node.place, message);
            }
            None => self.expected("String", node),
        }
        text.filter(|text| allowed.contains(text))
    }

    pub(super) fn expected(&mut self, what: &str, node: &Node<'_>) {
        self.schema(&node.place, format!("Expected value of type {what}"));
    }
}

/// A value of the definition and where it is.
#[derive(Clone)]
pub(super) struct Node<'v> {
    pub(super) value: &'v Value,
    pub(super) place: String,
}

impl Node<'_> {
    /// The name of the member that holds the value.
    pub(super) fn name(&self) -> &str {
        self.place.rsplit('/').next().unwrap_or_default()
    }
}

/// An object whose members are asked for by name. What nobody has asked for does not belong there.
pub(super) struct Object<'v> {
    pub(super) members: &'v Map<String, Value>,
    pub(super) place: String,
    asked: BTreeSet<String>,
}

impl<'v> Object<'v> {
    pub(super) fn get(&mut self, name: &str) -> Option<Node<'v>> {
        self.asked.insert(name.to_owned());
        self.members.get(name).map(|value| Node { value, place: format!("{}/{name}", self.place) })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Notes the fields that are missing, in one diagnostic as AWS does.
    pub(super) fn require(&self, names: &[&str], reader: &mut Reader<'_>) {
        let missing: Vec<_> = names.iter().copied().filter(|name| !self.has(name)).collect();
        if !missing.is_empty() {
            reader.schema(&self.place, format!("These fields are required: [{}]", missing.join(", ")));
        }
    }

    /// Notes if not exactly one of the fields is there.
    pub(super) fn exactly_one(&self, names: &[&str], reader: &mut Reader<'_>) {
        let present = names.iter().filter(|name| self.has(name)).count();
        let names = names.join(", ");
        match present {
            0 => reader.schema(
                &self.place,
                format!("There should be exactly one of the following fields: [{names}]"),
            ),
            1 => {}
            _ => reader
                .schema(&self.place, format!("There should only be one of the following fields: [{names}]")),
        }
    }

    /// Notes if more than one of the fields is there.
    pub(super) fn at_most_one(&self, names: &[&str], reader: &mut Reader<'_>) {
        if names.iter().filter(|name| self.has(name)).count() > 1 {
            let names = names.join(", ");
            reader
                .schema(&self.place, format!("There should only be one of the following fields: [{names}]"));
        }
    }

    /// Notes the fields that nobody has asked for.
    pub(super) fn close(self, reader: &mut Reader<'_>) {
        for name in self.members.keys().filter(|name| !self.asked.contains(*name)) {
            reader.schema(&self.place, format!("Field '{name}' is not supported"));
        }
    }
}
