//! GetTopicAttributes: what a topic is like.

use api::sns::{GetTopicAttributesInput, GetTopicAttributesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Reply, to_map};
use crate::rules::{arns, topic_attributes};
use crate::state::State;
use crate::{TopicKey, refusals};

/// GetTopicAttributes.
#[derive(Clone, Debug)]
pub struct GetTopicAttributes {
    /// Of which.
    pub topic: TopicKey,
}

impl Operation<State> for GetTopicAttributes {
    type Input = GetTopicAttributesInput;
    type Output = GetTopicAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetTopicAttributesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(GetTopicAttributes { topic: arns::topic_here(input.topic_arn.as_deref(), asker.caller)? })
    }

    /// Tells all of them.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match state.topic(&self.topic) {
            Some(topic) => {
                Decision::answer(Reply::Attributes(topic_attributes::show(topic, context.setting.now)))
            }
            None => refusals::topic_missing().into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<GetTopicAttributesOutput, Malformed> {
        let Reply::Attributes(attributes) = reply else { return Err(Malformed) };
        Ok(GetTopicAttributesOutput { attributes: Some(to_map(attributes)) })
    }
}
