//! Reads the fields of a Parallel state.

use super::reader::{Object, Reader};
use super::{Parallel, QueryLanguage, ResultPath};

impl Object<'_> {
    pub(super) fn parallel(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Parallel {
        self.require(&["Branches"], reader);
        let nodes = self.get("Branches").map(|node| reader.items(&node)).unwrap_or_default();
        let mut branches = Vec::new();
        for node in &nodes {
            if let Some(mut object) = reader.object(node) {
                object.get("Comment");
                branches.extend(object.flow(reader));
                object.close(reader);
            }
        }
        let json_path = language == QueryLanguage::JsonPath;
        Parallel {
            branches,
            parameters: self.payload(language, reader),
            result_selector: if json_path {
                self.templated("ResultSelector", language, reader)
            } else {
                None
            },
            result_path: if json_path { self.result_path(reader) } else { ResultPath::Replaces },
        }
    }
}
