//! CreateTopic: a topic is made, or is there already.

use std::collections::BTreeMap;

use api::sns::CreateTopicInput;
use kernel::{Caller, Refusal};

use super::{Decision, Reply, Setting};
use crate::records::{Record, TopicDeclared};
use crate::state::State;
use crate::{TopicId, TopicKey, refusals};

/// CreateTopic.
#[derive(Clone, Debug)]
pub struct CreateTopic {
    /// Which.
    pub topic: TopicKey,
    /// What it is to have.
    pub attributes: BTreeMap<String, String>,
    /// What it is to be marked with.
    pub tags: BTreeMap<String, String>,
}

impl CreateTopic {
    /// Reads the request.
    pub fn prepare(input: &CreateTopicInput, caller: &Caller) -> Result<Self, Refusal> {
        let name = input.name.as_deref().unwrap_or_default().to_owned();
        let topic = TopicKey { account: caller.account.clone(), region: caller.region.clone(), name };
        let attributes = input.attributes.iter().flat_map(|map| &map.0);
        let attributes = attributes.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Ok(CreateTopic { topic, attributes, tags: BTreeMap::new() })
    }

    /// Makes it, unless it is there.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let arn = self.topic.arn().to_string();
        if let Some(topic) = state.topic(&self.topic) {
            if self.attributes.iter().any(|(name, value)| topic.attribute(name) != Some(value)) {
                return refusals::invalid(
                    "Attributes Reason: Topic already exists with different attributes",
                )
                .into();
            }
            return Decision::answer(Reply::Topic(arn));
        }
        let declared = TopicDeclared {
            id: TopicId(state.next_number()),
            key: self.topic.clone(),
            attributes: self.attributes.clone(),
            tags: self.tags.clone(),
            created: setting.now,
            subscriptions_deleted: 0,
        };
        Decision::done(vec![Record::TopicDeclared(Box::new(declared))], Reply::Topic(arn))
    }
}
