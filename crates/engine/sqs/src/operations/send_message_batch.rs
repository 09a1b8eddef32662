//! SendMessageBatch: a queue accepts up to ten messages, each for itself.

use api::Text;
use api::sqs::{
    SendMessageBatchInput, SendMessageBatchOutput, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::batch::{BatchOutcome, checked, present_failed};
use super::reply::Reply;
use super::send_message::{GroupFault, Sending, Sent, message_attributes, output, system_attributes};
use super::{Context, Decision, Materials};
use crate::rules::names;
use crate::rules::new_message::{MessageDraft, NewMessage};
use crate::state::State;
use crate::{QueueKey, limits, refusals};

/// SendMessageBatch.
#[derive(Clone, Debug)]
pub struct SendMessageBatch {
    /// Where to.
    pub queue: QueueKey,
    /// The messages by their ids, or what is wrong with all of them.
    pub entries: Result<Vec<Entry>, Refusal>,
}

/// A message with its entry's id, or what is wrong with it.
pub type Entry = (Text, Result<NewMessage, Refusal>);

impl Operation<State> for SendMessageBatch {
    type Input = SendMessageBatchInput;
    type Output = SendMessageBatchOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    /// Reads the request; hashes and encodes the messages.
    fn prepare(input: SendMessageBatchInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = names::queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let entries = checked(input.entries).and_then(|entries| messages(entries, &queue, asker));
        Ok(SendMessageBatch { queue, entries })
    }

    /// Accepts each message that is right. One without a group or deduplication id that FIFO demands fails the whole
    /// batch (facts/sqs.md § 10).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let entries = match &self.entries {
            Ok(entries) => entries,
            Err(refusal) => return refusal.clone().into(),
        };
        let mut sending = Sending::new(queue, &context.setting, entries.len());
        let mut outcome = BatchOutcome::with_room(entries.len());
        for (id, message) in entries {
            let result = match message {
                Err(refusal) => Err(refusal.clone()),
                Ok(message) => match sending.check_group(message) {
                    Err(GroupFault::Missing) => {
                        return refusals::parameter_invalid(
                            "The request must contain the parameter MessageGroupId.",
                        )
                        .into();
                    }
                    Err(GroupFault::Other(refusal))
                        if queue.is_fifo() && message.delay_seconds.unwrap_or(0) == 0 =>
                    {
                        return refusal.into();
                    }
                    Err(GroupFault::Other(refusal)) => Err(refusal),
                    Ok(()) => {
                        sending.check_size(message, "cannot be validated").map(|()| sending.accept(message))
                    }
                },
            };
            outcome.put(id.clone(), result);
        }
        Decision::done(sending.drafts, Reply::SentBatch(outcome))
    }

    fn present(reply: Reply, _: &(), materials: &Materials<'_>) -> Result<SendMessageBatchOutput, Malformed> {
        let Reply::SentBatch(outcome) = reply else { return Err(Malformed) };
        let entry = |(id, sent): (Text, Sent)| {
            let sent = output(&sent, materials.keys.secret);
            SendMessageBatchResultEntry {
                id: Some(id),
                message_id: sent.message_id,
                md5_of_message_body: sent.md5_of_message_body,
                md5_of_message_attributes: sent.md5_of_message_attributes,
                md5_of_message_system_attributes: sent.md5_of_message_system_attributes,
                sequence_number: sent.sequence_number,
            }
        };
        Ok(SendMessageBatchOutput {
            successful: Some(outcome.successful.into_iter().map(entry).collect()),
            failed: present_failed(outcome.failed),
        })
    }
}

/// The messages of the entries, whose ids have been checked.
fn messages(
    entries: Vec<SendMessageBatchRequestEntry>,
    queue: &QueueKey,
    asker: &Asker<'_>,
) -> Result<Vec<Entry>, Refusal> {
    let draft = |entry: SendMessageBatchRequestEntry| {
        let draft = MessageDraft {
            body: entry.message_body.unwrap_or_default(),
            delay_seconds: entry.delay_seconds.map(i64::from),
            attributes: message_attributes(entry.message_attributes),
            system_attributes: system_attributes(entry.message_system_attributes),
            group: entry.message_group_id,
            deduplication_id: entry.message_deduplication_id,
            trace_header: asker.trace,
        };
        (entry.id.unwrap_or_default(), draft)
    };
    let drafts: Vec<(Text, MessageDraft<'_>)> = entries.into_iter().map(draft).collect();
    let total = drafts.iter().map(|(_, draft)| draft.size()).sum();
    if total > limits::BATCH_BYTES {
        return Err(refusals::batch_too_long(total));
    }
    Ok(MessageDraft::check_all(drafts, &asker.caller.principal, queue.is_fifo()))
}
