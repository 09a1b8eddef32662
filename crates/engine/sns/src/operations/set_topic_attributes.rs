//! SetTopicAttributes: a topic gets another attribute, or none.

use api::sns::{SetTopicAttributesInput, SetTopicAttributesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::subscribe::LARGE_MESSAGES;
use super::{Context, Decision, Reply, redeclared};
use crate::archive::{ARCHIVE_BEGAN, ARCHIVE_SERIES};
use crate::rules::arns;
use crate::rules::topic_attributes::{self, Fault};
use crate::state::State;
use crate::topic::Topic;
use crate::{TopicKey, limits, refusals};

/// SetTopicAttributes.
#[derive(Clone, Debug)]
pub struct SetTopicAttributes {
    /// Of which.
    pub topic: TopicKey,
    /// Which attribute.
    pub name: String,
    /// To what.
    pub value: String,
}

impl Operation<State> for SetTopicAttributes {
    type Input = SetTopicAttributesInput;
    type Output = SetTopicAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SetTopicAttributesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(SetTopicAttributes {
            topic: arns::topic_here(input.topic_arn.as_deref(), asker.caller)?,
            name: input.attribute_name.as_deref().unwrap_or_default().to_owned(),
            value: input.attribute_value.as_deref().unwrap_or_default().to_owned(),
        })
    }

    /// Sets it.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        let mut attributes = topic.declared.attributes.clone();
        match topic_attributes::set(
            &mut attributes,
            &self.name,
            &self.value,
            &self.topic,
            context.setting.now,
        ) {
            Ok(()) => {}
            Err(Fault::Unknown) => return refusals::invalid("AttributeName").into(),
            Err(Fault::Value(text)) => return refusals::invalid(text).into(),
        }
        if self.name == "MaximumMessageSize" && !can_be_large(state, topic, &self.value) {
            return refusals::invalid(LARGE_MESSAGES).into();
        }
        // A topic with no archive before it begins one now.
        match (topic.is_archived(), attributes.contains_key("ArchivePolicy")) {
            (false, true) => {
                attributes.insert(ARCHIVE_SERIES.to_owned(), context.setting.numbers.draw().to_string());
            }
            (true, false) => attributes.retain(|name, _| ![ARCHIVE_BEGAN, ARCHIVE_SERIES].contains(&&**name)),
            _ => {}
        }
        redeclared(topic, |declared| declared.attributes = attributes)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<SetTopicAttributesOutput, Malformed> {
        reply.done()
    }
}

/// Whether all subscribers can take messages of this size (facts/sns.md § 3).
fn can_be_large(state: &State, topic: &Topic, size: &str) -> bool {
    let is_fast = |protocol: &str| matches!(protocol, "sqs" | "lambda" | "firehose");
    size.parse::<usize>().is_ok_and(|size| size <= limits::MESSAGE_BYTES)
        || topic.subscriptions.len() <= limits::LARGE_MESSAGE_SUBSCRIPTIONS && { topic.subscriptions.iter() }
            .filter_map(|&id| state.subscription(id))
            .all(|subscription| is_fast(&subscription.declared.protocol))
}
