//! ChangeMessageVisibility: a client needs longer for a message, or gives it back.

use api::sqs::{ChangeMessageVisibilityInput, ChangeMessageVisibilityOutput};
use bytestring::ByteString;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time};

use super::receive_message::group_name;
use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::queue::Queue;
use crate::records::{ChangedMessage, ReceivedMessage, Record, VisibilityChanged};
use crate::rules::handle::Handle;
use crate::rules::names;
use crate::state::State;
use crate::{QueueKey, limits, refusals};

/// ChangeMessageVisibility.
#[derive(Clone, Debug)]
pub struct ChangeMessageVisibility {
    /// In which queue.
    pub queue: QueueKey,
    /// Which receive of which message.
    pub handle: ByteString,
    /// Hidden for so long from now on, or what is wrong with that.
    pub visibility_seconds: Result<u32, Refusal>,
}

impl Operation<State> for ChangeMessageVisibility {
    type Input = ChangeMessageVisibilityInput;
    type Output = ChangeMessageVisibilityOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: ChangeMessageVisibilityInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = names::queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let handle = input.receipt_handle.ok_or_else(|| refusals::parameter_missing("ReceiptHandle"))?;
        if input.visibility_timeout.is_none() {
            return Err(refusals::parameter_missing("VisibilityTimeout"));
        }
        let visibility_seconds = visibility_seconds(input.visibility_timeout);
        Ok(ChangeMessageVisibility { queue, handle, visibility_seconds })
    }

    /// Hides the message for another time, counted from now.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let changed = self
            .visibility_seconds
            .as_ref()
            .map_err(Refusal::clone)
            .and_then(|&seconds| changed(queue, &self.handle, seconds, context.setting.now));
        match changed {
            Err(refusal) => refusal.into(),
            Ok(message) => {
                Decision::done(vec![record(queue, context.setting.now, vec![message])], Reply::Done)
            }
        }
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ChangeMessageVisibilityOutput, Malformed> {
        reply.done()
    }
}

pub(super) fn visibility_seconds(given: Option<i32>) -> Result<u32, Refusal> {
    match given {
        None => Err(refusals::parameter_missing("VisibilityTimeout")),
        Some(seconds @ 0..=43_200) => Ok(seconds as u32),
        Some(seconds) => Err(refusals::value_invalid(
            seconds,
            "VisibilityTimeout",
            "Must be >= 0 and <= 43200, if provided.",
        )),
    }
}

pub(super) fn record(
    queue: &Queue,
    now: Time,
    messages: Vec<ChangedMessage<'static>>,
) -> super::Draft<'static> {
    Record::VisibilityChanged(VisibilityChanged { queue: queue.id, at: now, attempt: None, messages }).into()
}

/// The message with its new visibility. On a standard queue any of its handles will do, as long as it is there: it may be
/// visible again, or somebody else may have received it since. On FIFO the receive must still hide it (facts/sqs.md § 6).
///
/// That AWS takes an older handle of a standard queue for a message in other hands was observed of AWS; its documentation warns
/// only that such a handle may not delete.
pub(super) fn changed(
    queue: &Queue,
    text: &str,
    seconds: u32,
    now: Time,
) -> Result<ChangedMessage<'static>, Refusal> {
    let handle = Handle::from_text(text)
        .filter(|handle| handle.queue == queue.id)
        .ok_or_else(|| refusals::handle_invalid(text))?;
    let touched = queue
        .touched
        .get(&handle.seq)
        .filter(|touched| !queue.is_expired(touched.sent, now))
        .filter(|touched| !queue.is_fifo() || touched.in_flight && touched.receives == handle.receive)
        .ok_or_else(|| refusals::not_in_flight(text))?;
    let limit = limits::VISIBILITY_SECONDS;
    if (now - touched.received) + u64::from(seconds) * 1000 > u64::from(limit) * 1000 {
        return Err(refusals::value_invalid(
            seconds,
            "VisibilityTimeout",
            &format!("Total VisibilityTimeout for the message is beyond the limit [{limit} seconds]"),
        ));
    }
    Ok(ChangedMessage {
        message: ReceivedMessage {
            seq: handle.seq,
            receives: touched.receives,
            first_received: touched.first_received,
            group: group_name(queue, touched.group),
        },
        received: touched.received,
        until: now.plus_seconds(seconds.into()),
    })
}
