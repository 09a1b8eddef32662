//! Publish: a message for all who have subscribed to a topic; or for one endpoint, or one telephone.

use api::sns::{PublishInput, PublishOutput};
use bytestring::ByteString;
use kernel::{Caller, Refusal, Secret};

use super::{Decision, Outcome, Posting, Reply, Setting};
use crate::rules::arns;
use crate::rules::post::{Post, PostDraft, Surroundings};
use crate::state::State;
use crate::topic::Topic;
use crate::{TopicKey, refusals};

/// Publish to a topic.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where to.
    pub topic: TopicKey,
    /// What, or what is wrong with it whatever the topic.
    pub post: Result<Post, Refusal>,
}

/// A message was published, now or, if it is a duplicate, before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// The number from which its id is made.
    pub number: u64,
    /// Whether it has a sequence number.
    pub fifo: bool,
}

impl Publish {
    /// Reads the request; hashes and encodes the message.
    pub fn prepare(
        input: PublishInput,
        caller: &Caller,
        base: &str,
        trace: Option<&ByteString>,
    ) -> Result<Self, Refusal> {
        let given = [&input.topic_arn, &input.target_arn, &input.phone_number];
        if given.into_iter().flatten().count() != 1 {
            return Err(refusals::invalid("TopicArn or TargetArn Reason: no value for required parameter"));
        }
        if let Some(number) = &input.phone_number {
            return Err(refusals::invalid(format_args!(
                "PhoneNumber Reason: {number} is not valid to publish to"
            )));
        }
        let (arn, parameter) = match (&input.topic_arn, &input.target_arn) {
            (Some(arn), _) => (arn, "TopicArn"),
            (None, Some(arn)) => (arn, "TargetArn"),
            (None, None) => return Err(refusals::invalid("TopicArn")),
        };
        let topic = arns::topic(Some(arn), parameter).map_err(|refusal| match parameter {
            "TargetArn" => {
                refusals::invalid("TargetArn Reason: No endpoint found for the target arn specified")
            }
            _ => refusal,
        })?;
        if topic.region != caller.region {
            return Err(refusals::invalid("TopicArn"));
        }
        let draft = PostDraft {
            message: input.message,
            subject: input.subject,
            structure: input.message_structure,
            attributes: input.message_attributes.map(|map| map.0).unwrap_or_default(),
            group: input.message_group_id,
            deduplication_id: input.message_deduplication_id,
        };
        let around =
            Surroundings { target_arn: arn, endpoint: None, fifo: topic.is_fifo(), base, trace, path: "" };
        Ok(Publish { post: draft.check(&around), topic })
    }

    /// Hands it on to be published.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let post = match &self.post {
            Ok(post) => post,
            Err(refusal) => return refusal.clone().into(),
        };
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        if let Err(refusal) = check_for(topic, post) {
            return refusal.into();
        }
        Decision {
            records: Vec::new(),
            notices: Vec::new(),
            outcome: Outcome::Post(Posting { topic: topic.id(), posts: vec![post], ids: None }),
        }
    }

    /// The answer.
    pub fn present(published: Published, secret: &Secret) -> PublishOutput {
        PublishOutput {
            message_id: Some(notification::message_id(secret, published.number).into()),
            sequence_number: published.fifo.then(|| kernel::sequence_number(published.number).into()),
        }
    }
}

/// What a topic demands of a message (facts/sns.md § 5).
pub(super) fn check_for(topic: &Topic, post: &Post) -> Result<(), Refusal> {
    if post.size > topic.message_bytes() {
        return Err(refusals::invalid("Message too long"));
    }
    if !topic.is_fifo() {
        return match post.deduplication_id {
            Some(_) => Err(refusals::invalid(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid \
                 for this topic type",
            )),
            None => Ok(()),
        };
    }
    if post.group.is_none() {
        return Err(refusals::invalid("The MessageGroupId parameter is required for FIFO topics"));
    }
    let by_content = topic.attribute("ContentBasedDeduplication").is_some_and(|on| on == "true");
    if post.deduplication_id.is_none() && !by_content {
        return Err(refusals::invalid(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        ));
    }
    Ok(())
}

impl Posting<'_> {
    /// The answer, once each message has its number.
    pub fn answer(&self, published: Vec<Published>) -> Reply {
        match &self.ids {
            None => published.first().copied().map_or(Reply::Done, Reply::Published),
            Some(ids) => Reply::PublishedBatch(ids.iter().cloned().zip(published).collect()),
        }
    }
}
