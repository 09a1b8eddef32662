//! DeleteMessage: a client is done with a message.

use api::sqs::{DeleteMessageInput, DeleteMessageOutput};
use bytestring::ByteString;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time};

use super::receive_message::group_name;
use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::queue::Queue;
use crate::records::{DropReason, DroppedMessage, MessagesDropped, Record};
use crate::rules::handle::{GroupHint, Handle};
use crate::rules::names;
use crate::state::State;
use crate::{QueueKey, limits, refusals};

/// DeleteMessage.
#[derive(Clone, Debug)]
pub struct DeleteMessage {
    /// From where.
    pub queue: QueueKey,
    /// Which receive of which message.
    pub handle: ByteString,
}

impl Operation<State> for DeleteMessage {
    type Input = DeleteMessageInput;
    type Output = DeleteMessageOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteMessageInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = names::queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let handle = input.receipt_handle.ok_or_else(|| refusals::parameter_missing("ReceiptHandle"))?;
        Ok(DeleteMessage { queue, handle })
    }

    /// Drops the message; one that is gone already is no error.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        match dropped(state, queue, &self.handle, context.setting.now) {
            Err(DeleteFault::NotOurs) => refusals::handle_invalid(&self.handle).into(),
            Err(DeleteFault::Expired) => refusals::handle_expired(&self.handle).into(),
            Ok(None) => Decision::answer(Reply::Done),
            Ok(Some(message)) => {
                let record =
                    MessagesDropped { queue: queue.id, reason: DropReason::Deleted, messages: vec![message] };
                Decision::done(vec![Record::MessagesDropped(record).into()], Reply::Done)
            }
        }
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteMessageOutput, Malformed> {
        reply.done()
    }
}

/// Why a message is not deleted. A batch words it differently (facts/sqs.md § 6).
pub(super) enum DeleteFault {
    NotOurs,
    Expired,
}

impl DeleteFault {
    pub(super) fn in_batch(self, handle: &str) -> Refusal {
        match self {
            DeleteFault::NotOurs => refusals::handle_invalid(handle),
            DeleteFault::Expired => Refusal::new("ReceiptHandleIsInvalid", "The receipt handle has expired"),
        }
    }
}

/// What is to be dropped for this handle. A standard queue takes any handle of the message, whoever has received it
/// since; a FIFO queue only that of a receive that still hides it (facts/sqs.md § 6).
pub(super) fn dropped(
    state: &State,
    queue: &Queue,
    text: &str,
    now: Time,
) -> Result<Option<DroppedMessage<'static>>, DeleteFault> {
    let handle =
        Handle::from_text(text).filter(|handle| handle.queue == queue.id).ok_or(DeleteFault::NotOurs)?;
    let Some(touched) = queue.touched.get(&handle.seq) else {
        // The receive of a standard queue is answered before it is on disk: a crash may have forgotten it, and then the
        // message waits as if it had never been given.
        if queue.is_fifo() || !state.may_have_forgotten(handle.seq) {
            return Ok(None);
        }
        let is_old = now - handle.received > limits::HANDLE_MILLIS;
        if is_old && handle.group == GroupHint::Unknown {
            return Err(DeleteFault::Expired);
        }
        let waiting = queue.find_waiting(handle.seq, handle.group, now);
        return match waiting.filter(|(entry, _)| !queue.is_expired(entry.sent, now)) {
            None => Ok(None),
            Some(_) if is_old => Err(DeleteFault::Expired),
            Some((entry, group)) => Ok(Some(DroppedMessage {
                seq: handle.seq,
                place: entry.extent.place,
                group: group_name(queue, group),
            })),
        };
    };
    if queue.is_expired(touched.sent, now) {
        return Ok(None);
    }
    if queue.is_fifo() {
        if !touched.in_flight || touched.receives != handle.receive {
            return Err(DeleteFault::Expired);
        }
    } else if now - handle.received > limits::HANDLE_MILLIS {
        return Err(DeleteFault::Expired);
    }
    Ok(Some(DroppedMessage {
        seq: handle.seq,
        place: touched.extent.place,
        group: group_name(queue, touched.group),
    }))
}
