//! DeleteMessageBatch: a client is done with up to ten messages.

use api::sqs::{
    DeleteMessageBatchInput, DeleteMessageBatchOutput, DeleteMessageBatchRequestEntry,
    DeleteMessageBatchResultEntry,
};
use bytestring::ByteString;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::batch::{BatchOutcome, checked, present_failed};
use super::delete_message::dropped;
use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::records::{DropReason, DroppedMessage, MessagesDropped, Record};
use crate::rules::names;
use crate::state::State;
use crate::{QueueKey, refusals};

/// DeleteMessageBatch.
#[derive(Clone, Debug)]
pub struct DeleteMessageBatch {
    /// From where.
    pub queue: QueueKey,
    /// Handles by entry ids, or what is wrong with all of them.
    pub entries: Result<Vec<(ByteString, ByteString)>, Refusal>,
}

impl Operation<State> for DeleteMessageBatch {
    type Input = DeleteMessageBatchInput;
    type Output = DeleteMessageBatchOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteMessageBatchInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = names::queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let entry = |entry: DeleteMessageBatchRequestEntry| {
            (entry.id.unwrap_or_default(), entry.receipt_handle.unwrap_or_default())
        };
        let entries = checked(input.entries).map(|entries| entries.into_iter().map(entry).collect());
        Ok(DeleteMessageBatch { queue, entries })
    }

    /// Drops each message whose handle is good, all in one record.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let entries = match &self.entries {
            Ok(entries) => entries,
            Err(refusal) => return refusal.clone().into(),
        };
        let mut messages: Vec<DroppedMessage<'static>> = Vec::with_capacity(entries.len());
        let outcome = BatchOutcome::collect(entries.iter().map(|(id, handle)| {
            let result =
                dropped(state, queue, handle, context.setting.now).map_err(|fault| fault.in_batch(handle));
            let result = result.map(|message| {
                // The same message may stand in two entries.
                if let Some(message) = message.filter(|new| messages.iter().all(|old| old.seq != new.seq)) {
                    messages.push(message);
                }
            });
            (id.clone(), result)
        }));
        let record = MessagesDropped { queue: queue.id, reason: DropReason::Deleted, messages };
        let records = if record.messages.is_empty() {
            Vec::new()
        } else {
            vec![Record::MessagesDropped(record).into()]
        };
        Decision::done(records, Reply::DoneBatch(outcome))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteMessageBatchOutput, Malformed> {
        let Reply::DoneBatch(outcome) = reply else { return Err(Malformed) };
        let entry = |(id, ()): (ByteString, ())| DeleteMessageBatchResultEntry { id: Some(id) };
        Ok(DeleteMessageBatchOutput {
            successful: Some(outcome.successful.into_iter().map(entry).collect()),
            failed: present_failed(outcome.failed),
        })
    }
}
