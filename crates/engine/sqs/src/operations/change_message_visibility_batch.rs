//! ChangeMessageVisibilityBatch: new visibility timeouts for up to ten messages.

use api::sqs::{
    ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityBatchOutput,
    ChangeMessageVisibilityBatchRequestEntry, ChangeMessageVisibilityBatchResultEntry,
};
use bytestring::ByteString;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::batch::{BatchOutcome, checked, present_failed};
use super::change_message_visibility::{changed, record, visibility_seconds};
use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::rules::names;
use crate::state::State;
use crate::{QueueKey, refusals};

/// ChangeMessageVisibilityBatch.
#[derive(Clone, Debug)]
pub struct ChangeMessageVisibilityBatch {
    /// In which queue.
    pub queue: QueueKey,
    /// The entries, or what is wrong with all of them.
    pub entries: Result<Vec<Entry>, Refusal>,
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The entry's id.
    pub id: ByteString,
    /// Which receive of which message.
    pub handle: ByteString,
    /// Hidden for so long from now on, or what is wrong with that.
    pub visibility_seconds: Result<u32, Refusal>,
}

impl Operation<State> for ChangeMessageVisibilityBatch {
    type Input = ChangeMessageVisibilityBatchInput;
    type Output = ChangeMessageVisibilityBatchOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: ChangeMessageVisibilityBatchInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = names::queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let entry = |entry: ChangeMessageVisibilityBatchRequestEntry| Entry {
            id: entry.id.unwrap_or_default(),
            handle: entry.receipt_handle.unwrap_or_default(),
            visibility_seconds: visibility_seconds(entry.visibility_timeout),
        };
        let entries = checked(input.entries).map(|entries| entries.into_iter().map(entry).collect());
        Ok(ChangeMessageVisibilityBatch { queue, entries })
    }

    /// Hides each message for another time.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let entries = match &self.entries {
            Ok(entries) => entries,
            Err(refusal) => return refusal.clone().into(),
        };
        let mut messages = Vec::with_capacity(entries.len());
        let outcome = BatchOutcome::collect(entries.iter().map(|entry| {
            let seconds = entry.visibility_seconds.as_ref().map_err(Refusal::clone);
            let result =
                seconds.and_then(|&seconds| changed(queue, &entry.handle, seconds, context.setting.now));
            (entry.id.clone(), result.map(|message| messages.push(message)))
        }));
        let records =
            if messages.is_empty() { Vec::new() } else { vec![record(queue, context.setting.now, messages)] };
        Decision::done(records, Reply::DoneBatch(outcome))
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<ChangeMessageVisibilityBatchOutput, Malformed> {
        let Reply::DoneBatch(outcome) = reply else { return Err(Malformed) };
        let entry = |(id, ()): (ByteString, ())| ChangeMessageVisibilityBatchResultEntry { id: Some(id) };
        Ok(ChangeMessageVisibilityBatchOutput {
            successful: Some(outcome.successful.into_iter().map(entry).collect()),
            failed: present_failed(outcome.failed),
        })
    }
}
