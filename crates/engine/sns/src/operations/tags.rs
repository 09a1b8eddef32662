//! TagResource, UntagResource and ListTagsForResource: what a topic is marked with.

use api::sns::{
    ListTagsForResourceInput, ListTagsForResourceOutput, Tag, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};
use resources::tags::{Tags, added, removed};

use super::{Context, Decision, Reply, redeclared};
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

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let topic = arns::topic(input.resource_arn.as_deref(), "ResourceArn")?;
        Ok(TagResource { topic, tags: tags::check(input.tags.as_deref())? })
    }

    /// Adds them; a tag of the same key is replaced.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::resource_missing().into() };
        let all = added(&topic.declared.tags, &self.tags);
        match tags::check_count(&all) {
            Ok(()) => redeclared(topic, |declared| declared.tags = all),
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<TagResourceOutput, Malformed> {
        reply.done()
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

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let topic = arns::topic(input.resource_arn.as_deref(), "ResourceArn")?;
        let keys = input.tag_keys.iter().flatten().map(ToString::to_string).collect();
        Ok(UntagResource { topic, keys })
    }

    /// Takes them away, those that are there.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::resource_missing().into() };
        redeclared(topic, |declared| declared.tags = removed(&topic.declared.tags, &self.keys))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsForResource.
#[derive(Clone, Debug)]
pub struct ListTagsForResource {
    /// Which topic.
    pub topic: TopicKey,
}

impl Operation<State> for ListTagsForResource {
    type Input = ListTagsForResourceInput;
    type Output = ListTagsForResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsForResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(ListTagsForResource { topic: arns::topic(input.resource_arn.as_deref(), "ResourceArn")? })
    }

    /// Tells them, by key.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::resource_missing().into() };
        Decision::answer(Reply::Attributes(topic.declared.tags.clone().into_iter().collect()))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListTagsForResourceOutput, Malformed> {
        let Reply::Attributes(tags) = reply else { return Err(Malformed) };
        let tag = |(key, value): (String, String)| Tag { key: Some(key.into()), value: Some(value.into()) };
        Ok(ListTagsForResourceOutput { tags: Some(tags.into_iter().map(tag).collect()) })
    }
}
