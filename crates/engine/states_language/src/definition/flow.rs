//! Reads a whole definition, and flows within it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::diagnostics::{Code, Diagnostics, Severity};
use super::reader::{Node, Object, Reader};
use super::{Flow, QueryLanguage, StateMachine, Target};

/// Characters of a definition that errors of JSON quote (Jackson).
const QUOTED: usize = 500;

impl StateMachine {
    /// Reads and checks a definition. Returns the state machine if the definition has no errors, and what there is to say about it.
    ///
    /// The texts are those of AWS where they are recorded.
    pub fn parse(text: &str, target: &Target<'_>) -> (Option<StateMachine>, Diagnostics) {
        let mut reader = Reader {
            diagnostics: Diagnostics::default(),
            recognizes: target.recognizes,
            serves: target.serves,
            express: target.express,
            language: QueryLanguage::JsonPath,
            names: BTreeSet::new(),
        };
        let machine = reader.machine(text);
        let machine = machine.filter(|machine| {
            if !reader.diagnostics.has_errors() {
                machine.flow.check_transitions("", &mut reader);
                machine.flow.check_variables("", &BTreeSet::new(), &mut reader);
            }
            !reader.diagnostics.has_errors()
        });
        (machine, reader.diagnostics)
    }
}

impl Reader<'_> {
    fn machine(&mut self, text: &str) -> Option<StateMachine> {
        let value: Value = match serde_json::from_str(text) {
            _ if text.trim().is_empty() => Value::Null,
            Ok(value) => value,
            Err(error) => {
                self.not_json(text, &error);
                return None;
            }
        };
        if !value.is_object() {
            let message = "Definition must be a valid JSON object".to_owned();
            self.push(Severity::Error, Code::SchemaValidationFailed, None, message);
            return None;
        }
        let mut object = self.object(&Node { value: &value, place: String::new() })?;
        let comment = object.get("Comment").and_then(|node| node.value.as_str().map(str::to_owned));
        object.get("Version").and_then(|node| self.one_of(&node, &["1.0"]));
        if let Some(node) = object.get("QueryLanguage") {
            self.one_of(&node, &["JSONPath", "JSONata"]);
            if node.value.as_str() != Some("JSONPath") {
                self.language = QueryLanguage::Jsonata;
            }
        }
        let timeout = object.get("TimeoutSeconds").and_then(|node| self.whole(&node, 1, 99_999_999));
        let flow = object.flow(self);
        object.close(self);
        let timeout_seconds = timeout.map(i64::unsigned_abs);
        Some(StateMachine { comment, timeout_seconds, flow: flow? })
    }

    /// The text that is no JSON, in the words of Jackson for a word that is none of JSON's.
    fn not_json(&mut self, text: &str, error: &serde_json::Error) {
        let quoted: String = text.chars().take(QUOTED).collect();
        let more = text.chars().count().saturating_sub(QUOTED);
        let truncated = if more > 0 { format!("[truncated {more} chars]") } else { String::new() };
        let word: String =
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let (message, column) = if word.chars().next().is_some_and(char::is_alphabetic) {
            let column = text.len() - text.trim_start().len() + word.chars().count() + 1;
            let expected = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
            (format!("Unrecognized token '{word}': was expecting {expected}"), column)
        } else {
            let message = error.to_string();
            let plain = message.rsplit_once(" at line ").map_or(message.as_str(), |(plain, _)| plain);
            (plain.to_owned(), error.column())
        };
        let line = error.line().max(1);
        let source = format!("[Source: (String)\"{quoted}\"{truncated}; line: {line}, column: {column}]");
        let message = format!("{message}\n at {source}");
        self.push(Severity::Error, Code::InvalidJsonDescription, Some(&source), message);
    }
}

impl Object<'_> {
    /// `StartAt` and `States`.
    pub(super) fn flow(&mut self, reader: &mut Reader<'_>) -> Option<Flow> {
        self.require(&["States", "StartAt"], reader);
        let start_at = self.get("StartAt").and_then(|node| reader.text(&node).map(str::to_owned));
        let node = self.get("States")?;
        let object = reader.object(&node)?;
        if object.members.is_empty() {
            reader.schema(&node.place, "Value cannot be empty");
        }
        let mut states = BTreeMap::new();
        for (name, value) in object.members {
            let place = format!("{}/{name}", node.place);
            if let Some(state) = reader.state(name, &Node { value, place }) {
                states.insert(name.clone(), state);
            }
        }
        Some(Flow { start_at: start_at?, states })
    }
}
