//! Who gets a published message: the subscriptions that want it, each in its form.

use std::borrow::Cow;

use collections::DedupKey;
use kernel::parcel::{Deduplicates, Delivery, Form};
use kernel::{Attribute, Body, Offer, ParcelSent, Sender, Taken, Undelivered};
use notification::{Notification, Protocol, SignatureVersion};
use patterns::Event;

use crate::SubscriptionId;
use crate::operations::publish::Published;
use crate::operations::{Context, Setting};
use crate::rules::post::Post;
use crate::state::State;
use crate::topic::{Subscription, Topic};

/// What decides who gets a message.
#[derive(Clone, Copy, Debug)]
pub struct Content<'c> {
    /// The text.
    pub message: &'c str,
    /// The text taken apart, if that has been done.
    pub event: Option<&'c Event<'static>>,
    /// The attributes.
    pub attributes: &'c [Attribute],
    /// Message and attributes together, in bytes.
    pub size: usize,
}

impl<'c> From<&'c Post> for Content<'c> {
    fn from(post: &'c Post) -> Self {
        Content {
            message: &post.message,
            event: post.body.event(),
            attributes: &post.attributes,
            size: post.size,
        }
    }
}

impl<'c> From<&'c Notification> for Content<'c> {
    fn from(notification: &'c Notification) -> Self {
        let attributes = &notification.attributes;
        let size = notification.message.len() + attributes.iter().map(Attribute::size).sum::<usize>();
        Content { message: &notification.message, event: None, attributes, size }
    }
}

impl State {
    /// Publishes a message to a topic: hands it to all who are to have it, as one body. A FIFO topic that has had it in the last
    /// five minutes answers with the number that it had then. If more than `at_once` subscriptions of a standard topic want it,
    /// they get it later, in steps.
    pub(crate) fn post<'a>(
        &self,
        topic: &Topic,
        post: &'a Post,
        at_once: usize,
        context: &mut Context<'a, '_>,
    ) -> Published {
        let fifo = topic.is_fifo();
        self.body_readers.learn(topic.key(), topic.reads_bodies());
        let deduplication_id = match &post.deduplication_id {
            Some(id) => Some(id),
            None => Some(&post.content_hash).filter(|hash| !hash.is_empty()),
        };
        let mut deduplicates = None;
        if let (Some(id), Some(group)) = (deduplication_id, &post.group)
            && fifo
        {
            let scope = topic.deduplicates();
            let key = DedupKey::new(id, (scope == Deduplicates::InGroup).then_some(&**group));
            if let Some(before) = topic.dedup.find(key, context.setting.now) {
                return Published { number: before.0, fifo };
            }
            deduplicates = Some(scope);
        }
        let parcel = ParcelSent {
            deduplicates,
            archived_millis: topic.archive_millis().unwrap_or(0),
            group: post.group.as_deref().map(Cow::Borrowed),
            deduplication_id: deduplication_id.map(|id| Cow::Borrowed(&**id)),
            ..self.parcel(topic.id().0, topic.signature_version().style(), &context.setting)
        };
        let number = parcel.number;
        let body = context.body(parcel, &post.payload[..]);
        // Its number is told, whoever gets it.
        context.keep(body);
        // The messages of a FIFO topic come to every queue in the order in which they were published.
        let at_once = if fifo { usize::MAX } else { at_once };
        self.hand_out(topic, &Content::from(post), (body, number), at_once, context);
        Published { number, fifo }
    }

    /// Hands a message to all of its topic's subscriptions that want it; or to none, if they are more than `at_once`, who then get it
    /// later, in steps.
    pub(crate) fn hand_out(
        &self,
        topic: &Topic,
        content: &Content<'_>,
        message: (Body, u64),
        at_once: usize,
        context: &mut Context<'_, '_>,
    ) {
        let wanting = topic.interests.wanting(content, SubscriptionId(0), at_once);
        if wanting.more {
            self.put_off_takers(message.0, SubscriptionId(0), context);
        } else {
            self.hand_to_all(&wanting.subscriptions, topic, content, message, context);
        }
    }

    /// Hands a message to some of its topic's subscriptions. Who did not take it is told.
    pub(crate) fn hand_to_all(
        &self,
        subscriptions: &[SubscriptionId],
        topic: &Topic,
        content: &Content<'_>,
        message: (Body, u64),
        context: &mut Context<'_, '_>,
    ) {
        for subscription in subscriptions.iter().filter_map(|id| self.subscriptions.get(id)) {
            if let Some(undelivered) = self.hand_to(subscription, topic, content, message, context) {
                context.undelivered(undelivered);
            }
        }
    }

    /// Hands a message to a subscription. If its queue refuses it, the message gets into its dead-letter queue, if it has one that
    /// takes it; so with a telephone that text messages do not reach. Who did not take it is returned.
    fn hand_to(
        &self,
        subscription: &Subscription,
        topic: &Topic,
        content: &Content<'_>,
        (body, message): (Body, u64),
        context: &mut Context<'_, '_>,
    ) -> Option<Undelivered> {
        let Setting { now, limits, numbers, secret, .. } = context.setting;
        let raw = subscription.is_raw();
        let form = |protocol| Form { recipient: subscription.id().0, raw, protocol, replayed: false };
        let offer = |to, attributes, is_dead_letter, protocol| Offer {
            to,
            body,
            must_be_allowed: limits.queue_policies.then_some(sender(&topic.arn)),
            size: content.size,
            attributes,
            form: form(protocol),
            deduplicates_by_content: false,
            is_dead_letter,
        };
        let (protocol, reason) = match &subscription.queue {
            Some(queue) => match context.offer(&offer(queue, content.attributes.len(), false, 0)) {
                Taken::Refused(_, reason) => (0, reason),
                Taken::Taken | Taken::Duplicate => return None,
            },
            None => {
                let protocol = Protocol::from_name(&subscription.declared.protocol);
                let number = protocol.map_or(0, |protocol| protocol as u8);
                let (key, to) = (topic.key(), &subscription.declared.endpoint);
                let reaches = || self.platforms.reaches(&key.account, &key.region, to, limits.sms_sandbox);
                if protocol != Some(Protocol::Sms) || reaches() {
                    let delivery =
                        Delivery { number: numbers.draw(), form: form(number), ..Delivery::default() };
                    context.parcel(body).deliveries.push(delivery);
                    return None;
                }
                (number, "the telephone wants no messages, or is not verified in the sandbox")
            }
        };
        // A letter that has too many attributes for a queue is dead for that reason: it gets there all the same.
        let dead_letters = subscription.dead_letters();
        let letter = dead_letters.as_ref().map(|queue| context.offer(&offer(queue, 0, true, protocol)));
        Some(Undelivered {
            message_id: Some(notification::message_id(secret, message)),
            published_to: Some(topic.arn.clone()),
            sender_arn: subscription.arn.clone(),
            protocol: subscription.declared.protocol.clone(),
            destination: subscription.declared.endpoint.clone(),
            at: now,
            attempts: 1,
            reason: reason.to_owned(),
            is_dead_letter: letter == Some(Taken::Taken),
        })
    }
}

/// A topic as what queues are asked about.
pub(crate) fn sender(topic_arn: &str) -> Sender<'_> {
    Sender { arn: topic_arn, service: "sns.amazonaws.com" }
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
