//! TagResource, UntagResource and ListTagsForResource: what a topic is marked with.

use api::sns::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, UntagResourceInput,
};
use kernel::Refusal;
use resources::tags::{Tags, added, removed};

use super::{Decision, Reply, Setting, redeclared};
use crate::rules::{arns, tags};
use crate::state::State;
use crate::{TopicKey, refusals};

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource {
    /// Which topic.
    pub topic: TopicKey,
    /// The tags.
    pub tags: Tags,
}

impl TagResource {
    /// Reads the request.
    pub fn prepare(input: &TagResourceInput) -> Result<Self, Refusal> {
        let topic = arns::topic(input.resource_arn.as_deref(), "ResourceArn")?;
        Ok(TagResource { topic, tags: tags::check(input.tags.as_deref())? })
    }

    /// Adds them; a tag of the same key is replaced.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::resource_missing().into() };
        let all = added(&topic.declared.tags, &self.tags);
        match tags::check_count(&all) {
            Ok(()) => redeclared(topic, |declared| declared.tags = all),
            Err(refusal) => refusal.into(),
        }
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource {
    /// Which topic.
    pub topic: TopicKey,
    /// The tags' keys.
    pub keys: Vec<String>,
}

impl UntagResource {
    /// Reads the request.
    pub fn prepare(input: &UntagResourceInput) -> Result<Self, Refusal> {
        let topic = arns::topic(input.resource_arn.as_deref(), "ResourceArn")?;
        let keys = input.tag_keys.iter().flatten().map(ToString::to_string).collect();
        Ok(UntagResource { topic, keys })
    }

    /// Takes them away, those that are there.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::resource_missing().into() };
        redeclared(topic, |declared| declared.tags = removed(&topic.declared.tags, &self.keys))
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource {
    /// Which topic.
    pub topic: TopicKey,
}

impl ListTagsForResource {
    /// Reads the request.
    pub fn prepare(input: &ListTagsForResourceInput) -> Result<Self, Refusal> {
        Ok(ListTagsForResource { topic: arns::topic(input.resource_arn.as_deref(), "ResourceArn")? })
    }

    /// Tells them, by key.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::resource_missing().into() };
        Decision::answer(Reply::Attributes(topic.declared.tags.clone().into_iter().collect()))
    }

    /// The answer.
    pub fn present(tags: Vec<(String, String)>) -> ListTagsForResourceOutput {
        let tag = |(key, value): (String, String)| Tag { key: Some(key.into()), value: Some(value.into()) };
        ListTagsForResourceOutput { tags: Some(tags.into_iter().map(tag).collect()) }
    }
}
