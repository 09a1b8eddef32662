//! Reads one state.

use super::diagnostics::Code;
use super::reader::{Node, Object, Reader};
use super::{Kind, PathField, QueryLanguage, State, Transition, Wait};

const TYPES: &[&str] = &["Task", "Wait", "Pass", "Succeed", "Fail", "Choice", "Parallel", "Map"];
/// Characters of a name.
const NAME: usize = 80;

impl Reader<'_> {
    pub(super) fn state(&mut self, name: &str, node: &Node<'_>) -> Option<State> {
        if name.is_empty() || name.chars().count() > NAME {
            let message = format!("State name length should be between 1 and {NAME} characters");
            self.error(Code::InvalidStateName, &node.place, message);
        }
        if !self.names.insert(name.to_owned()) {
            self.error(Code::DuplicateStateName, &node.place, format!("Duplicate State name: {name}"));
        }
        let mut object = self.object(node)?;
        object.require(&["Type"], self);
        let kind = object.get("Type").and_then(|node| self.one_of(&node, TYPES))?;
        let query_language = self.query_language(&mut object);
        object.check_language(query_language, self);
        object.get("Comment");
        // What is read here and cannot stand in a state of this type is not asked for, so it is noted as not supported.
        let json_path = query_language == QueryLanguage::JsonPath;
        let paths = json_path && kind != "Fail";
        let (input_path, output_path) = match paths {
            true => (object.path_field("InputPath", self), object.path_field("OutputPath", self)),
            false => (PathField::Whole, PathField::Whole),
        };
        let output = match !json_path && kind != "Fail" {
            true => object.templated("Output", query_language, self),
            false => None,
        };
        let assign = match matches!(kind, "Succeed" | "Fail") {
            true => None,
            false => object.assign(query_language, self),
        };
        let (retry, catch) = match matches!(kind, "Task" | "Parallel" | "Map") {
            true => (object.retry(self), object.catch(query_language, self)),
            false => (Vec::new(), Vec::new()),
        };
        let transition = match kind {
            "Choice" | "Fail" => None,
            "Succeed" => Some(Transition::End),
            _ => object.transition(self),
        };
        let kind = object.kind(kind, query_language, self);
        object.close(self);
        let name = name.to_owned();
        Some(State {
            name,
            query_language,
            kind: kind?,
            transition,
            input_path,
            output_path,
            output,
            assign,
            retry,
            catch,
        })
    }

    /// The language of a state: only the text `JSONPath` means JSONPath (recorded: github.com/floci-io/floci/pull/2972).
    fn query_language(&mut self, object: &mut Object<'_>) -> QueryLanguage {
        let Some(node) = object.get("QueryLanguage") else { return self.language };
        self.one_of(&node, &["JSONPath", "JSONata"]);
        match node.value.as_str() {
            Some("JSONPath") => {
                if self.language == QueryLanguage::Jsonata {
                    let message =
                        "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
                    self.schema(&object.place, message);
                }
                QueryLanguage::JsonPath
            }
            _ => QueryLanguage::Jsonata,
        }
    }
}

impl Object<'_> {
    fn kind(&mut self, kind: &str, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Kind> {
        Some(match kind {
            "Pass" => Kind::Pass(self.pass(language, reader)),
            "Task" => Kind::Task(Box::new(self.task(language, reader)?)),
            "Choice" => Kind::Choice(self.choice(language, reader)),
            "Wait" => Kind::Wait(Wait { until: self.wait(language, reader)? }),
            "Succeed" => Kind::Succeed,
            "Fail" => Kind::Fail(self.fail(language, reader)),
            "Parallel" => Kind::Parallel(self.parallel(language, reader)),
            _ => Kind::Map(Box::new(self.map(language, reader)?)),
        })
    }

    /// `Next` or `End`.
    fn transition(&mut self, reader: &mut Reader<'_>) -> Option<Transition> {
        let (next, end) = (self.get("Next"), self.get("End"));
        let end = end.and_then(|node| reader.truth(&node));
        match (next, end) {
            (Some(_), Some(true)) => {
                self.exactly_one(&["Next", "End"], reader);
                None
            }
            (Some(node), _) => reader.text(&node).map(|next| Transition::Next(next.to_owned())),
            (None, Some(true)) => Some(Transition::End),
            (None, _) => {
                reader
                    .schema(&self.place, "There should be exactly one of the following fields: [Next, End]");
                None
            }
        }
    }
}
