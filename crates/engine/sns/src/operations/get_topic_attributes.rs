//! GetTopicAttributes: what a topic is like.

use api::sns::{GetTopicAttributesInput, GetTopicAttributesOutput};
use kernel::{Caller, Refusal};

use super::{Decision, Reply, Setting, to_map};
use crate::rules::{arns, topic_attributes};
use crate::state::State;
use crate::{TopicKey, refusals};

/// GetTopicAttributes.
#[derive(Clone, Debug)]
pub struct GetTopicAttributes {
    /// Of which.
    pub topic: TopicKey,
}

impl GetTopicAttributes {
    /// Reads the request.
    pub fn prepare(input: &GetTopicAttributesInput, caller: &Caller) -> Result<Self, Refusal> {
        Ok(GetTopicAttributes { topic: arns::topic_here(input.topic_arn.as_deref(), caller)? })
    }

    /// Tells all of them.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        match state.topic(&self.topic) {
            Some(topic) => Decision::answer(Reply::Attributes(topic_attributes::show(topic, setting.now))),
            None => refusals::topic_missing().into(),
        }
    }

    /// The answer.
    pub fn present(attributes: Vec<(String, String)>) -> GetTopicAttributesOutput {
        GetTopicAttributesOutput { attributes: Some(to_map(attributes)) }
    }
}
