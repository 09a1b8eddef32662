//! Who gets a published message: the subscriptions that want it, each in its form.

use std::borrow::Cow;

use collections::DedupKey;
use kernel::parcel::{Deduplicates, Delivery, Form, Offer, Taken};
use kernel::{Arn, ParcelSent, Rests, Time};
use notification::{Protocol, SignatureVersion};

use crate::operations::publish::Published;
use crate::operations::{Context, Setting};
use crate::rules::post::Post;
use crate::service::Effect;
use crate::state::State;
use crate::topic::Topic;

/// What becomes of a message that is published.
#[derive(Debug)]
pub enum FanOut<'a> {
    /// It goes to all who want it; but for those who do not take it.
    Parcel(ParcelSent<'a>, Vec<Refused>),
    /// A FIFO topic has had it in the last five minutes, under this number.
    Duplicate(u64),
}

/// A subscription that wanted a message which its endpoint does not take: for whoever wonders where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The number of the message.
    pub message: u64,
    /// When it was published.
    pub at: Time,
    /// The topic's ARN.
    pub topic_arn: String,
    /// The subscription's.
    pub subscription_arn: String,
    /// `sqs`, or `sms`.
    pub protocol: String,
    /// The queue's ARN, or the telephone's number.
    pub endpoint: String,
    /// Why.
    pub reason: &'static str,
    /// Whether the subscription's dead-letter queue has it.
    pub is_dead_letter: bool,
}

impl State {
    /// Publishes a message to a topic: hands it to all who are to have it. What nobody gets is remembered by its number alone.
    pub(crate) fn post<'a>(
        &self,
        topic: &Topic,
        post: &'a Post,
        context: &mut Context<'a, '_>,
    ) -> (Published, Vec<(Rests, Effect)>) {
        let fifo = topic.is_fifo();
        self.body_readers.learn(topic.key(), topic.reads_bodies());
        match self.fan_out(topic, post, context) {
            FanOut::Duplicate(number) => (Published { number, fifo }, Vec::new()),
            FanOut::Parcel(parcel, refused) => {
                let number = parcel.number;
                let payload = if parcel.is_needed() { &post.payload[..] } else { &[] };
                context.hand(parcel, payload);
                let effect = |refused| (Rests::OnEverything, Effect::Refused(Box::new(refused)));
                (Published { number, fifo }, refused.into_iter().map(effect).collect())
            }
        }
    }

    /// A message to a topic as one parcel for all who are to have it. Those whose queue refuses it get it into their
    /// dead-letter queue, if they have one that takes it; so do telephones that text messages do not reach.
    pub fn fan_out<'a>(&self, topic: &Topic, post: &'a Post, context: &Context<'_, '_>) -> FanOut<'a> {
        let Setting { now, limits, numbers, .. } = context.setting;
        let deduplication_id = match &post.deduplication_id {
            Some(id) => Some(id),
            None => Some(&post.content_hash).filter(|hash| !hash.is_empty()),
        };
        let mut deduplicates = None;
        if let (Some(id), Some(group)) = (deduplication_id, &post.group)
            && topic.is_fifo()
        {
            let scope = topic.deduplicates();
            let key = DedupKey::new(id, (scope == Deduplicates::InGroup).then_some(&**group));
            if let Some(before) = topic.dedup.find(key, now) {
                return FanOut::Duplicate(before.0);
            }
            deduplicates = Some(scope);
        }
        let mut parcel = ParcelSent {
            deduplicates,
            archived_millis: topic.archive_millis().unwrap_or(0),
            group: post.group.as_deref().map(Cow::Borrowed),
            deduplication_id: deduplication_id.map(|id| Cow::Borrowed(&**id)),
            ..self.parcel(topic.id().0, topic.signature_version().style(), &context.setting)
        };
        let mut refused = Vec::new();
        let wanting = topic.interests.wanting(post);
        for subscription in wanting.iter().filter_map(|id| self.subscriptions.get(id)) {
            let raw = subscription.is_raw();
            let form = |text| Form { subscription: subscription.id().0, raw, text, replayed: false };
            let offer = |queue: &Arn, attributes: usize, is_dead_letter: bool, text: u8| {
                context.targets.offer(&Offer {
                    to: queue,
                    seq: numbers.next(),
                    now,
                    group: post.group.as_deref(),
                    deduplication_id: deduplication_id.map(|id| &**id),
                    size: post.size,
                    attributes,
                    form: form(text),
                    is_dead_letter,
                    must_be_allowed: limits.queue_policies.then_some(&*topic.arn),
                })
            };
            // A letter that has too many attributes for a queue is dead for that reason: it gets there all the same.
            let letter = |text| subscription.dead_letters().map(|queue| offer(&queue, 0, true, text));
            let (taken, reason) = match &subscription.queue {
                Some(queue) => match offer(queue, post.attributes.len(), false, 0) {
                    Taken::Refused(reason) => (letter(0), Some(reason)),
                    taken => (Some(taken), None),
                },
                None => {
                    let protocol = Protocol::from_name(&subscription.declared.protocol);
                    let text = protocol.map_or(0, |protocol| protocol as u8);
                    let (key, to) = (topic.key(), &subscription.declared.endpoint);
                    let reaches =
                        || self.platforms.reaches(&key.account, &key.region, to, limits.sms_sandbox);
                    match protocol {
                        Some(Protocol::Sms) if !reaches() => (
                            letter(text),
                            Some("the telephone wants no messages, or is not verified in the sandbox"),
                        ),
                        _ => {
                            let form = form(text);
                            let delivery =
                                Delivery { number: numbers.draw(), form, attempts: 0, due_after: 0 };
                            parcel.deliveries.push(delivery);
                            continue;
                        }
                    }
                }
            };
            let is_taken = matches!(taken, Some(Taken::Copy(_)));
            if let Some(Taken::Copy(copy)) = taken {
                numbers.draw();
                parcel.copies.push(copy);
            }
            refused.extend(reason.map(|reason| Refused {
                message: parcel.number,
                at: now,
                topic_arn: topic.arn.clone(),
                subscription_arn: subscription.arn.clone(),
                protocol: subscription.declared.protocol.clone(),
                endpoint: subscription.declared.endpoint.clone(),
                reason,
                is_dead_letter: is_taken,
            }));
        }
        FanOut::Parcel(parcel, refused)
    }
}

impl Topic {
    /// Whether some of its subscriptions choose by the text of messages.
    pub fn reads_bodies(&self) -> bool {
        self.interests.read_bodies()
    }

    /// Among which of its messages a FIFO topic compares deduplication ids (facts/sns.md § 10).
    pub fn deduplicates(&self) -> Deduplicates {
        match self.attribute("FifoThroughputScope") {
            Some("MessageGroup") => Deduplicates::InGroup,
            _ => Deduplicates::All,
        }
    }

    /// How its messages are signed.
    pub fn signature_version(&self) -> SignatureVersion {
        match self.attribute("SignatureVersion") {
            Some("2") => SignatureVersion::Two,
            _ => SignatureVersion::One,
        }
    }

    /// The longest message that it takes, in bytes.
    pub fn message_bytes(&self) -> usize {
        let limit = self.attribute("MaximumMessageSize").and_then(|limit| limit.parse().ok());
        limit.unwrap_or(crate::limits::MESSAGE_BYTES)
    }
}
