//! The domain's own ideas.

pub mod arns;

pub mod topic_attributes;

pub mod tags;

pub mod policy;

pub mod endpoints;

pub mod subscription_attributes;

pub mod filter_policy;

pub mod retry_policy;

pub mod delivery_policy;

pub mod platforms;

pub mod telephones;

pub mod pages;

pub mod post;

pub mod retries;

use std::collections::BTreeMap;

use api::{Map, Text};
use serde_json::Value;

/// A JSON document, or what AWS says of a text that is none: the words of its parser (recorded of filter and redrive policies).
pub(crate) fn document(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| {
        // Ours may refuse what theirs takes, such as something after the document.
        let fault = patterns::json_fault(text).unwrap_or_else(|| error.to_string());
        format!("failed to parse JSON. {fault}")
    })
}

/// What a map of texts holds, by name; of two values of one name the last counts.
pub(crate) fn pairs(map: &Option<Map<Text>>) -> BTreeMap<String, String> {
    map.iter().flat_map(|map| &map.0).map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
