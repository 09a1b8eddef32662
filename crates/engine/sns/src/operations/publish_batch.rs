//! PublishBatch: up to ten messages to one topic.

use std::collections::BTreeSet;

use api::sns::{PublishBatchInput, PublishBatchOutput, PublishBatchResultEntry};
use bytestring::ByteString;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::publish::{Published, check_archive, check_for};
use super::{Context, Decision, Outcome, Reply, Step};
use crate::rules::arns;
use crate::rules::post::{Post, PostDraft, Surroundings};
use crate::state::State;
use crate::{TopicKey, limits, refusals};

/// What the head of a parcel takes, about.
const POST_HEAD_BYTES: usize = 48 << 10;

/// PublishBatch.
#[derive(Clone, Debug)]
pub struct PublishBatch {
    /// Where to.
    pub topic: TopicKey,
    /// The entries, or what is wrong with them whatever the topic: one that is wrong fails all (facts/sns.md § 5).
    pub entries: Result<Vec<(ByteString, Post)>, Refusal>,
}

impl Operation<State> for PublishBatch {
    type Input = PublishBatchInput;
    type Output = PublishBatchOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    /// Reads the request; hashes and encodes the messages.
    fn prepare(input: PublishBatchInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let arn = input.topic_arn.unwrap_or_default();
        let topic = arns::topic(Some(&arn), "TopicArn")?;
        if topic.region != asker.caller.region {
            return Err(refusals::invalid("TopicArn"));
        }
        let entries = input.publish_batch_request_entries.unwrap_or_default();
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_deref().unwrap_or_default()).collect();
        if let Err(refusal) = check_ids(&ids) {
            return Ok(PublishBatch { topic, entries: Err(refusal) });
        }
        let mut posts = Vec::with_capacity(entries.len());
        for (at, entry) in entries.into_iter().enumerate() {
            let draft = PostDraft {
                message: entry.message,
                subject: entry.subject,
                structure: entry.message_structure,
                attributes: entry.message_attributes.map(|map| map.0).unwrap_or_default(),
                group: entry.message_group_id,
                deduplication_id: entry.message_deduplication_id,
            };
            let path = format!("publishBatchRequestEntries.{}.member.", at + 1);
            let fifo = topic.is_fifo();
            let around = Surroundings {
                target_arn: &arn,
                endpoint: None,
                fifo,
                base: asker.base,
                trace: asker.trace,
                path: &path,
            };
            match draft.check(&around) {
                Ok(post) => posts.push((entry.id.unwrap_or_default(), post)),
                Err(fault) => return Ok(PublishBatch { topic, entries: Err(fault.refusal) }),
            }
        }
        Ok(PublishBatch { topic, entries: Ok(posts) })
    }

    /// Publishes the first message, if all can be published. Each of the others is a step of its own: what one does counts for the
    /// next.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let entries = match &self.entries {
            Ok(entries) => entries,
            Err(refusal) => return refusal.clone().into(),
        };
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        if entries.iter().map(|(_, post)| post.size).sum::<usize>() > topic.message_bytes() {
            return Refusal::new(
                "BatchRequestTooLongException",
                "The length of all the messages put together is more than the limit.",
            )
            .into();
        }
        if let Some(refusal) = entries.iter().find_map(|(_, post)| check_for(topic, post).err()) {
            return refusal.into();
        }
        if let Err(refusal) = check_archive(topic, &context.setting) {
            return refusal.into();
        }
        self.decide_next(Vec::with_capacity(entries.len()), state, context)
    }

    fn decide_again<'a>(
        &'a self,
        step: Step<'a>,
        state: &State,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        match step {
            Step::Publish(published) => self.decide_next(published, state, context),
            // Nobody is told of a batch.
            Step::Tell(..) => Decision::silent(Vec::new()),
        }
    }

    /// The answer. Both lists are always there.
    fn present(reply: Reply, _: &(), secret: &Secret) -> Result<PublishBatchOutput, Malformed> {
        let Reply::PublishedBatch(published) = reply else { return Err(Malformed) };
        let entry = |(id, published): (ByteString, Published)| PublishBatchResultEntry {
            id: Some(id),
            message_id: Some(notification::message_id(secret, published.number).into()),
            sequence_number: published.fifo.then(|| kernel::sequence_number(published.number).into()),
        };
        Ok(PublishBatchOutput {
            successful: Some(published.into_iter().map(entry).collect()),
            failed: Some(Vec::new()),
        })
    }
}

impl PublishBatch {
    /// Publishes the message after those that were `published`.
    fn decide_next<'a>(
        &'a self,
        mut published: Vec<Published>,
        state: &State,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        let entries = self.entries.as_deref().unwrap_or_default();
        let at = published.len();
        let (Some(topic), Some((_, post))) = (state.topic(&self.topic), entries.get(at)) else {
            return refusals::topic_missing().into();
        };
        // All messages of a batch are published in one turn.
        let at_once = context.setting.limits.takers_at_once / entries.len();
        published.push(state.post(topic, post, at_once, context));
        let rest = &entries[at + 1..];
        let outcome = if rest.is_empty() {
            let ids = entries.iter().map(|(id, _)| id.clone());
            Outcome::Reply(Ok(Reply::PublishedBatch(ids.zip(published).collect())))
        } else {
            let room = rest.iter().map(|(_, post)| post.payload.len() + POST_HEAD_BYTES).sum();
            Outcome::Again { step: Step::Publish(published), room }
        };
        Decision::with(Vec::new(), outcome)
    }
}

/// facts/sns.md § 5
fn check_ids(ids: &[&str]) -> Result<(), Refusal> {
    if ids.is_empty() {
        return Err(Refusal::new(
            "EmptyBatchRequestException",
            "The batch request doesn't contain any entries.",
        ));
    }
    if ids.len() > limits::BATCH_ENTRIES {
        return Err(Refusal::new(
            "TooManyEntriesInBatchRequestException",
            "The batch request contains more entries than permissible.",
        ));
    }
    for id in ids {
        let wrong = |what: &str| {
            Refusal::new(
                "InvalidBatchEntryIdException",
                format!("The Id of a batch entry in the batch request {what}: {id}"),
            )
        };
        if id.len() > 80 {
            return Err(wrong("is too long"));
        }
        if id.is_empty()
            || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return Err(wrong("contains an impermissible character"));
        }
    }
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return Err(Refusal::new(
            "BatchEntryIdsNotDistinctException",
            "Two or more batch entries in the request have the same Id.",
        ));
    }
    Ok(())
}
