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

/// What a map of texts holds, by name; of two values of one name the last counts.
pub(crate) fn pairs(map: &Option<Map<Text>>) -> BTreeMap<String, String> {
    map.iter().flat_map(|map| &map.0).map(|(name, value)| (name.to_string(), value.to_string())).collect()
}
