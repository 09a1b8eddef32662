//! SendMessage: a queue accepts a message.

use std::borrow::Cow;

use api::sqs::{MessageAttributeValue, MessageSystemAttributeValue, SendMessageInput, SendMessageOutput};
use api::{Map, Text};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret, hex};

use super::reply::Reply;
use super::{Context, Decision, Draft, Materials, Setting};
use crate::queue::Queue;
use crate::records::{Deduplication, MessageSent, Record};
use crate::refusals;
use crate::rules::names;
use crate::rules::new_message::{AttributeDraft, MessageDraft, NewMessage};
use crate::state::State;
use crate::{QueueKey, Seq, message_id, sequence_number};
use collections::dedup::DedupKey;

/// SendMessage.
#[derive(Clone, Debug)]
pub struct SendMessage {
    /// Where to.
    pub queue: QueueKey,
    /// The message, or what is wrong with it whatever the queue.
    pub message: Result<NewMessage, Refusal>,
}

/// A message was accepted, now or, if it is a duplicate, before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The number from which its id is made, and its sequence number.
    pub seq: Seq,
    /// Whether the sequence number is told.
    pub fifo: bool,
    /// MD5 of the body.
    pub body_md5: [u8; 16],
    /// MD5 of the message attributes, if there are any.
    pub attributes_md5: Option<[u8; 16]>,
    /// MD5 of the system attributes, if there are any.
    pub system_attributes_md5: Option<[u8; 16]>,
}

impl Operation<State> for SendMessage {
    type Input = SendMessageInput;
    type Output = SendMessageOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    /// Reads the request; hashes and encodes the message.
    fn prepare(input: SendMessageInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = names::queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        if input.message_body.is_none() {
            return Err(refusals::parameter_missing("MessageBody"));
        }
        let draft = MessageDraft {
            body: input.message_body.unwrap_or_default(),
            delay_seconds: input.delay_seconds.map(i64::from),
            attributes: message_attributes(input.message_attributes),
            system_attributes: system_attributes(input.message_system_attributes),
            group: input.message_group_id,
            deduplication_id: input.message_deduplication_id,
            trace_header: asker.trace,
        };
        let message = draft.check(&asker.caller.principal, queue.is_fifo());
        Ok(SendMessage { queue, message })
    }

    /// Accepts the message, unless it is a duplicate of one that was accepted before.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let mut sending = Sending::new(queue, &context.setting, 1);
        let sent = self.message.as_ref().map_err(Refusal::clone).and_then(|message| {
            sending.check_size(message, "are invalid")?;
            sending.check_group(message).map_err(|fault| match fault {
                GroupFault::Missing => refusals::parameter_missing("MessageGroupId"),
                GroupFault::Other(refusal) => refusal,
            })?;
            Ok(sending.accept(message))
        });
        match sent {
            Ok(sent) => Decision::done(sending.drafts, Reply::Sent(sent)),
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), materials: &Materials<'_>) -> Result<SendMessageOutput, Malformed> {
        let Reply::Sent(sent) = reply else { return Err(Malformed) };
        Ok(output(&sent, materials.keys.secret))
    }
}

/// What the client is told of a message that was accepted.
pub(super) fn output(sent: &Sent, secret: &Secret) -> SendMessageOutput {
    SendMessageOutput {
        md5_of_message_body: Some(hex(&sent.body_md5).into()),
        md5_of_message_attributes: sent.attributes_md5.map(|md5| hex(&md5).into()),
        md5_of_message_system_attributes: sent.system_attributes_md5.map(|md5| hex(&md5).into()),
        message_id: Some(message_id(secret, sent.seq).into()),
        sequence_number: sent.fifo.then(|| sequence_number(sent.seq).into()),
    }
}

pub(super) fn message_attributes(map: Option<Map<MessageAttributeValue>>) -> Vec<AttributeDraft> {
    let entries = map.map(|map| map.0).unwrap_or_default();
    let draft = |(name, value): (Text, MessageAttributeValue)| AttributeDraft {
        name,
        data_type: value.data_type,
        text: value.string_value,
        binary: value.binary_value,
        has_lists: value.string_list_values.is_some_and(|list| !list.is_empty())
            || value.binary_list_values.is_some_and(|list| !list.is_empty()),
    };
    entries.into_iter().map(draft).collect()
}

pub(super) fn system_attributes(map: Option<Map<MessageSystemAttributeValue>>) -> Vec<AttributeDraft> {
    let entries = map.map(|map| map.0).unwrap_or_default();
    let draft = |(name, value): (Text, MessageSystemAttributeValue)| AttributeDraft {
        name,
        data_type: value.data_type,
        text: value.string_value,
        binary: value.binary_value,
        has_lists: false,
    };
    entries.into_iter().map(draft).collect()
}

/// What is wrong about a message's group or deduplication id; SendMessage and SendMessageBatch name the first
/// differently (facts/sqs.md § 10).
pub(super) enum GroupFault {
    Missing,
    Other(Refusal),
}

/// The acceptance of one message or several of a batch.
pub(super) struct Sending<'a, 's> {
    queue: &'s Queue,
    setting: &'s Setting<'s>,
    /// Accepted in this batch already.
    accepted: Vec<(DedupKey, Seq)>,
    pub(super) drafts: Vec<Draft<'a>>,
}

impl<'a, 's> Sending<'a, 's> {
    /// The acceptance of at most so many messages.
    pub(super) fn new(queue: &'s Queue, setting: &'s Setting<'s>, most: usize) -> Self {
        let drafts = Vec::with_capacity(most);
        Sending { queue, setting, accepted: Vec::new(), drafts }
    }

    /// The queue's own limit. AWS says that parameters "are invalid" or "cannot be validated".
    pub(super) fn check_size(&self, message: &NewMessage, what: &str) -> Result<(), Refusal> {
        let limit = self.queue.settings.maximum_message_bytes;
        if message.size > limit as usize {
            return Err(refusals::parameter_invalid(format!(
                "One or more parameters {what}. Reason: Message must be shorter than {limit} bytes."
            )));
        }
        Ok(())
    }

    /// What the queue's type demands and forbids.
    pub(super) fn check_group(&self, message: &NewMessage) -> Result<(), GroupFault> {
        match &self.queue.settings.fifo {
            None => match &message.deduplication_id {
                Some(id) => Err(GroupFault::Other(refusals::value_invalid(
                    id,
                    "MessageDeduplicationId",
                    "The request includes a parameter that is not valid for this queue type.",
                ))),
                None => Ok(()),
            },
            Some(fifo) => {
                if let Some(delay @ 1..) = message.delay_seconds {
                    return Err(GroupFault::Other(refusals::value_invalid(
                        delay,
                        "DelaySeconds",
                        "The request include parameter that is not valid for this queue type.",
                    )));
                }
                if message.group.is_none() {
                    return Err(GroupFault::Missing);
                }
                if message.deduplication_id.is_none() && !fifo.content_based {
                    return Err(GroupFault::Other(refusals::parameter_invalid(
                        "The queue should either have ContentBasedDeduplication enabled or \
                         MessageDeduplicationId provided explicitly",
                    )));
                }
                Ok(())
            }
        }
    }

    /// Accepts a message that has passed the checks.
    pub(super) fn accept(&mut self, message: &'a NewMessage) -> Sent {
        let sent = |seq, fifo| Sent {
            seq,
            fifo,
            body_md5: message.body_md5,
            attributes_md5: message.attributes_md5,
            system_attributes_md5: message.system_attributes_md5,
        };
        let now = self.setting.now;
        let deduplication = match &self.queue.settings.fifo {
            None => None,
            Some(fifo) => {
                let in_group = fifo.scope_in_force_is_group(now);
                let id: &'a Text = message.deduplication_id.as_ref().unwrap_or(&message.content_hash);
                let key = DedupKey::new(id, message.group.as_deref().filter(|_| in_group));
                let before = self.accepted.iter().find(|(other, _)| *other == key).map(|&(_, seq)| seq);
                if let Some(before) = before.or_else(|| self.queue.dedup.find(key, now)) {
                    return sent(before, true);
                }
                Some((Deduplication { id: Cow::Borrowed(id), in_group }, key))
            }
        };
        let seq = Seq(self.setting.numbers.draw());
        let deduplication = deduplication.map(|(deduplication, key)| {
            self.accepted.push((key, seq));
            deduplication
        });
        let delay_seconds = match deduplication {
            // On FIFO the queue's own delay counts, when it falls due.
            Some(_) => 0,
            None => message.delay_seconds.unwrap_or(self.queue.settings.delay_seconds),
        };
        let fifo = deduplication.is_some();
        self.drafts.push(Draft {
            record: Record::MessageSent(MessageSent {
                queue: self.queue.id,
                seq,
                origin: seq,
                sent: now,
                group: message.group.as_deref().map(Cow::Borrowed),
                deduplication,
                delay_seconds,
                forwarded: false,
            }),
            tail: Cow::Borrowed(&message.payload),
        });
        sent(seq, fifo)
    }
}
