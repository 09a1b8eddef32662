//! Reads `Retry` and `Catch`.

use super::reader::{Object, Reader};
use super::{Catcher, QueryLanguage, Retrier};
use crate::failure::names;

/// The most seconds of AWS's fields (developer guide, "Handling errors in Step Functions workflows").
const SECONDS: i64 = 99_999_999;
const MAX_DELAY: i64 = 31_622_400;

impl Object<'_> {
    pub(super) fn retry(&mut self, reader: &mut Reader<'_>) -> Vec<Retrier> {
        let Some(node) = self.get("Retry") else { return Vec::new() };
        let nodes = reader.array(&node);
        let count = nodes.len();
        let mut retriers = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let Some(mut object) = reader.object(node) else { continue };
            object.get("Comment");
            let errors = object.error_equals(at + 1 == count, reader);
            let mut whole =
                |name: &str, least, most| object.get(name).and_then(|node| reader.whole(&node, least, most));
            let interval_seconds = whole("IntervalSeconds", 1, SECONDS).unwrap_or(1);
            let max_attempts = whole("MaxAttempts", 0, SECONDS).unwrap_or(3);
            let max_delay_seconds = whole("MaxDelaySeconds", 1, MAX_DELAY);
            let backoff_rate =
                object.get("BackoffRate").and_then(|node| reader.number(&node, 1.0, f64::MAX)).unwrap_or(2.0);
            let jitter =
                object.get("JitterStrategy").and_then(|node| reader.one_of(&node, &["NONE", "FULL"]));
            if max_delay_seconds.is_some_and(|most| most <= interval_seconds) {
                reader.schema(&object.place, "MaxDelaySeconds must be greater than IntervalSeconds");
            }
            object.close(reader);
            retriers.push(Retrier {
                errors,
                interval_seconds,
                max_attempts: max_attempts.unsigned_abs(),
                backoff_rate,
                max_delay_seconds,
                full_jitter: jitter == Some("FULL"),
            });
        }
        retriers
    }

    pub(super) fn catch(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Vec<Catcher> {
        let Some(node) = self.get("Catch") else { return Vec::new() };
        let nodes = reader.array(&node);
        let count = nodes.len();
        let mut catchers = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let Some(mut object) = reader.object(node) else { continue };
            object.check_language(language, reader);
            object.get("Comment");
            let errors = object.error_equals(at + 1 == count, reader);
            object.require(&["Next"], reader);
            let next = object.get("Next").and_then(|node| reader.text(&node).map(str::to_owned));
            catchers.push(Catcher {
                errors,
                next: next.unwrap_or_default(),
                result_path: match language {
                    QueryLanguage::JsonPath => object.result_path(reader),
                    QueryLanguage::Jsonata => Default::default(),
                },
                output: match language {
                    QueryLanguage::JsonPath => None,
                    QueryLanguage::Jsonata => object.templated("Output", language, reader),
                },
                assign: object.assign(language, reader),
            });
            object.close(reader);
        }
        catchers
    }

    /// `ErrorEquals`: `States.ALL` stands alone, in the last place.
    fn error_equals(&mut self, last: bool, reader: &mut Reader<'_>) -> Vec<String> {
        self.require(&["ErrorEquals"], reader);
        let Some(node) = self.get("ErrorEquals") else { return Vec::new() };
        let nodes = reader.items(&node);
        let errors: Vec<_> = nodes.iter().filter_map(|node| reader.text(node).map(str::to_owned)).collect();
        if errors.iter().any(|error| error == names::ALL) && (errors.len() > 1 || !last) {
            reader.schema(
                &node.place,
                "States.ALL must appear alone in ErrorEquals, and must be in the last Retrier or Catcher",
            );
        }
        errors
    }
}
