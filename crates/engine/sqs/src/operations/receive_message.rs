//! ReceiveMessage: up to ten messages are given to a client and hidden from others, or the client waits for one.

use std::borrow::Cow;
use std::sync::Arc;

use api::sqs::{Message, ReceiveMessageInput, ReceiveMessageOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Extent, Operation, Refusal, Time};

use super::dead_letters::DeadLetters;
use super::reply::Reply;
use super::{Context, Decision, Draft, Materials, Outcome, Setting};
use crate::due::{Receive, Waiter};
use crate::queue::{Queue, Source, Touched};
use crate::records::{ChangedMessage, MessagesReceived, ReceivedMessage, Record, VisibilityChanged};
use crate::rules::handle::{GroupHint, Handle};
use crate::rules::names;
use crate::rules::new_message::check_id;
use crate::rules::selection::{Candidate, select};
use crate::rules::shown::Shown;
use crate::state::State;
use crate::{QueueId, QueueKey, Seq, limits, refusals};

/// ReceiveMessage.
#[derive(Clone, Debug)]
pub struct ReceiveMessage {
    /// From where.
    pub queue: QueueKey,
    /// What is asked for, or what is wrong with it whatever the queue.
    pub request: Result<Receive, Refusal>,
}

impl Receive {
    fn prepare(input: &ReceiveMessageInput) -> Result<Receive, Refusal> {
        let within = |value: Option<i32>, range: std::ops::RangeInclusive<i32>, name: &str, reason: &str| {
            match value {
                Some(value) if !range.contains(&value) => Err(refusals::value_invalid(value, name, reason)),
                value => Ok(value.map(|value| value as u32)),
            }
        };
        let most = within(
            input.max_number_of_messages,
            1..=10,
            "MaxNumberOfMessages",
            "Must be between 1 and 10, if provided.",
        )?;
        let visibility_seconds = within(
            input.visibility_timeout,
            0..=43_200,
            "VisibilityTimeout",
            "Must be >= 0 and <= 43200, if provided.",
        )?;
        let wait_seconds = within(
            input.wait_time_seconds,
            0..=20,
            "WaitTimeSeconds",
            "Must be >= 0 and <= 20, if provided.",
        )?;
        if let Some(attempt) = &input.receive_request_attempt_id {
            check_id(attempt, "ReceiveRequestAttemptId")?;
        }
        let attempt = input.receive_request_attempt_id.clone();
        Ok(Receive { most: most.unwrap_or(1), visibility_seconds, wait_seconds, attempt })
    }
}

/// Messages for a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// The queue.
    pub queue: QueueId,
    /// The messages; none if the client waited in vain.
    pub messages: Vec<Delivered>,
}

/// One message for a client: what the engine knows of it. The rest lies in its record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivered {
    /// Where its record lies.
    pub extent: Extent,
    /// Its number.
    pub seq: Seq,
    /// The number from which its id is made.
    pub origin: Seq,
    /// The number that names it in the parcel that holds it, if one does.
    pub copy: Seq,
    /// When it was sent.
    pub sent: Time,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When first.
    pub first_received: Time,
    /// When: this time.
    pub received: Time,
    /// The queue that it was moved out of as a dead letter.
    pub dead_letter_source: Option<Arc<Source>>,
    /// Whether its deduplication id is its message id.
    pub deduplicates_by_id: bool,
}

impl Delivered {
    /// A message that has been received or moved, as its queue knows it.
    pub(crate) fn of_touched(seq: Seq, touched: &Touched) -> Self {
        Delivered {
            extent: touched.extent,
            seq,
            origin: touched.origin,
            copy: touched.copy,
            sent: touched.sent,
            receives: touched.receives,
            first_received: touched.first_received,
            received: touched.received,
            dead_letter_source: touched.dead_letter_source.clone(),
            deduplicates_by_id: touched.deduplicates_by_id,
        }
    }

    /// What the client who gets it from this queue can name it by.
    pub fn handle(&self, queue: QueueId) -> Handle {
        self.handle_with(queue, GroupHint::Unknown)
    }

    /// The same; the handle says where the message is found even if a crash forgets this receive.
    pub fn handle_with(&self, queue: QueueId, group: GroupHint) -> Handle {
        Handle { queue, seq: self.seq, receive: self.receives, received: self.received, group }
    }
}

/// Dead letters that one receive moves out of its way at the most, so that no receive takes long.
const DEAD_LETTERS: usize = 128;

impl Operation<State> for ReceiveMessage {
    type Input = ReceiveMessageInput;
    type Output = ReceiveMessageOutput;
    type Plan = Shown;

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: ReceiveMessageInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    /// Reads the request: what is asked of the queue, and what of the messages is to be shown.
    fn prepare_with_plan(input: ReceiveMessageInput, asker: &Asker<'_>) -> Result<(Self, Shown), Refusal> {
        let queue = names::queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let (shown, request) = match Shown::prepare(&input) {
            Ok(shown) => (shown, Receive::prepare(&input)),
            Err(refusal) => (Shown::default(), Err(refusal)),
        };
        Ok((ReceiveMessage { queue, request }, shown))
    }

    /// Gives what is there; if there is nothing, lets the client wait if it wants to.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let request = match &self.request {
            Ok(request) => request,
            Err(refusal) => return refusal.clone().into(),
        };
        if let Some(attempt) = &request.attempt
            && !queue.is_fifo()
        {
            return refusals::value_invalid(
                attempt,
                "ReceiveRequestAttemptId",
                "The request includes a parameter that is not valid for this queue type.",
            )
            .into();
        }
        let wait_seconds = request.wait_seconds.unwrap_or(queue.settings.wait_seconds);
        if queue.in_flight_count >= limits::IN_FLIGHT && !queue.is_fifo() && wait_seconds == 0 {
            return refusals::too_many_in_flight().into();
        }
        let (facts, received) = receive(state, queue, request, &context.setting);
        let outcome = if received.messages.is_empty() && wait_seconds > 0 {
            let until = context.setting.now.plus_seconds(wait_seconds.into());
            Outcome::Wait((
                queue.id,
                Waiter { ticket: context.setting.ticket, request: request.clone(), until },
            ))
        } else {
            Outcome::Reply(Ok(Reply::Received(received)))
        };
        Decision::with(facts, outcome)
    }

    /// PeekMessages is answered as a receive is.
    fn present(
        reply: Reply,
        shown: &Shown,
        materials: &Materials<'_>,
    ) -> Result<ReceiveMessageOutput, Malformed> {
        let received = match reply {
            Reply::Received(received) => received,
            Reply::Peeked(peeked) => peeked.received,
            _ => return Err(Malformed),
        };
        Ok(ReceiveMessageOutput { messages: messages(&received, shown, materials)? })
    }
}

/// Messages as the client wants to see them; absent if there are none.
pub(super) fn messages(
    received: &Received,
    shown: &Shown,
    materials: &Materials<'_>,
) -> Result<Option<Vec<Message>>, Malformed> {
    let messages = shown.present(received, materials.records, &materials.keys)?;
    Ok((!messages.is_empty()).then_some(messages))
}

/// What a receive would give at this moment, and the facts that follow if it does.
pub(crate) fn receive(
    state: &State,
    queue: &Queue,
    request: &Receive,
    setting: &Setting<'_>,
) -> (Vec<Draft<'static>>, Received) {
    let now = setting.now;
    if let Some(repeated) = repeat(queue, request, now) {
        return repeated;
    }
    let room = limits::IN_FLIGHT.saturating_sub(queue.in_flight_count);
    let most = (request.most as usize).min(room as usize);
    let mut dead_letters = DeadLetters::new(state, queue, setting);
    let mut messages: Vec<Delivered> = Vec::new();
    let mut received: Vec<ReceivedMessage<'static>> = Vec::new();
    if most > 0 {
        select(queue, now, &mut |candidate: Candidate<'_>| {
            if dead_letters.take(&candidate) {
                return dead_letters.len() < DEAD_LETTERS;
            }
            let touched = candidate.touched;
            let receives = touched.map_or(0, |touched| touched.receives).saturating_add(1);
            let first_received =
                touched.filter(|touched| touched.receives > 0).map_or(now, |touched| touched.first_received);
            received.push(ReceivedMessage {
                seq: candidate.seq,
                receives,
                first_received,
                group: candidate.group_name.map(|name| Cow::Owned(name.to_owned())),
            });
            messages.push(Delivered {
                extent: candidate.extent,
                seq: candidate.seq,
                origin: touched.map_or(candidate.seq, |touched| touched.origin),
                copy: touched.map_or(candidate.seq, |touched| touched.copy),
                sent: candidate.sent,
                receives,
                first_received,
                received: now,
                dead_letter_source: touched.and_then(|touched| touched.dead_letter_source.clone()),
                deduplicates_by_id: touched.is_some_and(|touched| touched.deduplicates_by_id),
            });
            messages.len() < most
        });
    }
    let mut drafts = dead_letters.into_drafts();
    if !received.is_empty() {
        let visibility_seconds = request.visibility_seconds.unwrap_or(queue.settings.visibility_seconds);
        drafts.push(
            Record::MessagesReceived(MessagesReceived {
                queue: queue.id,
                at: now,
                until: now.plus_seconds(visibility_seconds.into()),
                attempt: request.attempt.as_ref().map(|id| Cow::Owned(id.to_string())),
                messages: received,
            })
            .into(),
        );
    }
    (drafts, Received { queue: queue.id, messages })
}

/// The same messages again, with the same handles, if the receive repeats one whose messages nobody has touched since;
/// their visibility timeout begins anew (facts/sqs.md § 7).
fn repeat(queue: &Queue, request: &Receive, now: Time) -> Option<(Vec<Draft<'static>>, Received)> {
    let id = request.attempt.as_ref()?;
    // Nothing can be repeated of an attempt whose messages are not known any more.
    let attempt = queue.attempts.find(id, now).filter(|attempt| !attempt.messages.is_empty())?;
    let visibility_seconds = request.visibility_seconds.unwrap_or(queue.settings.visibility_seconds);
    let until = now.plus_seconds(visibility_seconds.into());
    let mut messages = Vec::with_capacity(attempt.messages.len());
    let mut changed = Vec::with_capacity(attempt.messages.len());
    for &(seq, receives) in &attempt.messages {
        let touched = queue.touched.get(&seq)?;
        if !touched.in_flight || touched.receives != receives || touched.visible != attempt.until {
            return None;
        }
        messages.push(Delivered::of_touched(seq, touched));
        changed.push(ChangedMessage {
            message: ReceivedMessage {
                seq,
                receives,
                first_received: touched.first_received,
                group: group_name(queue, touched.group),
            },
            received: touched.received,
            until,
        });
    }
    let record = VisibilityChanged {
        queue: queue.id,
        at: now,
        attempt: Some(Cow::Owned(id.to_string())),
        messages: changed,
    };
    Some((vec![Record::VisibilityChanged(record).into()], Received { queue: queue.id, messages }))
}

/// A group's id, for a record.
pub(crate) fn group_name(queue: &Queue, number: u32) -> Option<Cow<'static, str>> {
    let name = queue.groups.get(number)?.name()?;
    Some(Cow::Owned(name.to_owned()))
}
