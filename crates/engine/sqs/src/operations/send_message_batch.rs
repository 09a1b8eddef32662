//! SendMessageBatch: a queue accepts up to ten messages, each for itself.

use bytestring::ByteString;
use kernel::Refusal;

use super::batch::BatchOutcome;
use super::reply::Reply;
use super::send_message::{GroupFault, Sending};
use super::{Decision, Setting};
use crate::rules::new_message::NewMessage;
use crate::state::State;
use crate::{QueueKey, refusals};

/// SendMessageBatch.
#[derive(Clone, Debug)]
pub struct SendMessageBatch {
    /// Where to.
    pub queue: QueueKey,
    /// The messages by their ids, or what is wrong with all of them.
    pub entries: Result<Vec<(ByteString, Result<NewMessage, Refusal>)>, Refusal>,
}

impl SendMessageBatch {
    /// Accepts each message that is right. One without a group or deduplication id that FIFO demands fails the whole
    /// batch (facts/sqs.md § 10).
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let entries = match &self.entries {
            Ok(entries) => entries,
            Err(refusal) => return refusal.clone().into(),
        };
        let mut sending = Sending::new(state, queue, setting);
        let mut results = Vec::with_capacity(entries.len());
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
            results.push((id.clone(), result));
        }
        Decision::done(sending.drafts, Reply::SentBatch(BatchOutcome::collect(results.into_iter())))
    }
}
