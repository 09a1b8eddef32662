//! The managed rule through which an archive gets events, as AWS shows it.

use api::Map;
use api::eventbridge::{InputTransformer, Target};
use json_text::{Parts, compact, is_name};
use kernel::Arn;

use crate::records::ArchiveDeclared;

/// `ManagedBy` of the rules of archives (recorded by moto's tests and users of AWS).
pub const MANAGED_BY: &str = "prod.vhs.events.aws.internal";

/// `StateReason` of an archive whose rule was taken from it (recorded by a user of AWS).
pub const RULE_TAKEN: &str = "Managed rule for the archive was forcefully deleted.";

/// Events that no replay has handed on (AWS's documentation, "Preventing replayed events from being delivered to an archive").
const NOT_REPLAYED: &str = "\"replay-name\":[{\"exists\":false}]";

/// The name of an archive's rule.
pub fn rule_name(archive: &str) -> String {
    format!("Events-Archive-{archive}")
}

/// The pattern of an archive's rule: the archive's own, which is valid, for events that are not replayed.
pub fn rule_pattern(pattern: Option<&str>) -> String {
    let pattern = compact(pattern.unwrap_or("{}"));
    let mut text = String::from("{");
    for (name, value) in Parts::of(&pattern).filter(|(name, _)| !is_name(name, "replay-name")) {
        text.push_str(name);
        text.push(':');
        text.push_str(value);
        text.push(',');
    }
    text.push_str(NOT_REPLAYED);
    text.push('}');
    text
}

/// The target of an archive's rule (recorded by users of AWS).
pub fn target(archive: &ArchiveDeclared) -> Target {
    let (arn, unique, region) = (archive.arn(), &archive.unique, &archive.key.region);
    let template = format!(
        "{{\"archive-arn\": \"{arn}:{unique}\",\"event\": <aws.events.event.json>,\"ingestion-time\": <aws.events.event.ingestion-time>}}"
    );
    Target {
        id: Some(rule_name(&archive.key.name).into()),
        arn: Some(format!("arn:{}:events:{region}:::", Arn::partition_of(region)).into()),
        input_transformer: Some(InputTransformer {
            input_paths_map: Some(Map::default()),
            input_template: Some(template.into()),
        }),
        ..Target::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archives_rule_matches_what_the_archive_wants_but_no_replayed_events() {
        for (pattern, expected) in [
            (None, r#"{"replay-name":[{"exists":false}]}"#),
            (
                Some(r#"{ "source" : ["a"], "replay-name": ["r"] }"#),
                r#"{"source":["a"],"replay-name":[{"exists":false}]}"#,
            ),
        ] {
            let text = rule_pattern(pattern);
            assert_eq!(text, expected);
            assert!(crate::rules::pattern::parse(&text).is_ok());
        }
    }
}
