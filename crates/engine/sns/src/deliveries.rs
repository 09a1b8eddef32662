//! Deliveries to subscriptions: to whom an attempt goes, and what follows from its end.

use kernel::parcel::{Ended, Form};
use kernel::{Extent, Ledger, ParcelSent, Time};

use deliveries::Pace;
pub use deliveries::{Outcome, Pending};

use crate::records::{DeliveriesEnded, DeliveryFailed, Record};
use crate::rules::retries;
use crate::state::State;
use crate::topic::Subscription;
use crate::{EndpointId, SubscriptionId};

/// An attempt that is to be made now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The delivery's number.
    pub number: u64,
    /// Where its parcel lies.
    pub parcel: Extent,
    /// In which form.
    pub form: Form,
    /// How often it was tried before.
    pub attempts: u32,
    /// To whom: of a subscriber, what is known of it; of others the parcel itself says it.
    pub subscriber: Option<Subscriber>,
    /// The device, of a mobile push.
    pub device: Option<Device>,
}

/// What a deliverer must know of a mobile device.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Device {
    /// The platform of its application: `GCM`, `APNS`, …
    pub platform: String,
    /// Its token there.
    pub token: String,
    /// What was stored with it.
    pub custom_user_data: Option<String>,
}

/// What a deliverer must know of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscriber {
    /// Its protocol's name.
    pub protocol: String,
    /// Where to.
    pub endpoint: String,
    /// Its ARN.
    pub arn: String,
    /// The content type that its policy, or its topic's, wants; absent: the usual one.
    pub content_type: Option<String>,
}

/// What follows from an attempt's end.
#[derive(Debug)]
pub enum Consequence {
    /// A fact.
    Record(Record),
    /// The delivery is given up: its dead letter goes to this queue, and with it the delivery ends.
    DeadLetter {
        /// The delivery's end.
        ended: Ended,
        /// The queue's ARN.
        queue: kernel::Arn,
        /// The topic's ARN.
        topic: String,
        /// In which form the letter is read: as it would have been delivered.
        form: Form,
    },
}

impl State {
    /// A parcel was sent: the deliveries among its takers are pending, and those that it ends are over.
    pub fn parcel_sent(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        self.message_accepted(parcel, at, ledger);
        self.note_replayed(parcel, at, ledger);
        self.archive(parcel, at, ledger);
        let State { subscriptions, platforms, deliveries, .. } = self;
        // Who has not subscribed has no number: the parcel itself names him.
        let exists = |recipient| {
            recipient == 0
                || subscriptions.contains_key(&SubscriptionId(recipient))
                || platforms.endpoints.contains_key(&EndpointId(recipient))
        };
        deliveries.take(parcel, at, ledger, exists);
        self.wide.take(parcel, at, ledger);
    }

    /// The next attempt that is to be made, while fewer than `at_most` are; it is under way from then on.
    pub fn next_attempt(&mut self, now: Time, at_most: usize) -> Option<Attempt> {
        let State { subscriptions, topics, deliveries, .. } = self;
        let attempt = deliveries.next_attempt(now, at_most, |recipient| {
            let subscription = subscriptions.get(&SubscriptionId(recipient))?;
            let millis = retries::millis_between(topics.get(&subscription.declared.topic)?, subscription)?;
            Some(Pace { key: recipient, micros: millis * 1000, at_once: 1 })
        })?;
        let subscription = self.subscriptions.get(&SubscriptionId(attempt.form.recipient));
        let subscriber = subscription.map(|subscription| Subscriber {
            protocol: subscription.declared.protocol.clone(),
            endpoint: subscription.declared.endpoint.clone(),
            arn: subscription.arn.clone(),
            content_type: self
                .topics
                .get(&subscription.declared.topic)
                .and_then(|topic| retries::content_type(topic, subscription)),
        });
        Some(Attempt {
            number: attempt.number,
            parcel: attempt.parcel,
            form: attempt.form,
            attempts: attempt.attempts,
            subscriber,
            device: self.device(&attempt.form, subscription),
        })
    }

    /// The device that a mobile push goes to; none if it cannot have it any more.
    fn device(&self, form: &Form, subscription: Option<&Subscription>) -> Option<Device> {
        let endpoint = match subscription {
            Some(subscription) => self.platforms.endpoint(&subscription.declared.endpoint),
            None => self.platforms.endpoints.get(&EndpointId(form.recipient)),
        };
        let endpoint = endpoint.filter(|endpoint| endpoint.is_enabled())?;
        let application =
            self.platforms.application_of(endpoint).filter(|application| application.is_enabled())?;
        Some(Device {
            platform: application.declared.key.platform.clone(),
            token: endpoint.token().to_owned(),
            custom_user_data: endpoint.declared.attributes.get("CustomUserData").cloned(),
        })
    }

    /// What follows from an attempt's end; nothing if the delivery is over already.
    pub fn attempt_ended(&self, number: u64, outcome: Outcome, now: Time) -> Option<Consequence> {
        let pending = self.deliveries.get(number)?;
        let ended = pending.ended(number);
        let over = || Consequence::Record(Record::DeliveriesEnded(DeliveriesEnded { ended: vec![ended] }));
        if outcome == Outcome::Delivered {
            return Some(over());
        }
        let attempts = pending.attempts + 1;
        let subscription = self.subscriptions.get(&SubscriptionId(pending.form.recipient));
        let topic = subscription.and_then(|subscription| self.topics.get(&subscription.declared.topic));
        let retry = match outcome {
            Outcome::Failed => retries::retry_after(topic, subscription, pending.form.protocol, attempts),
            _ => None,
        };
        if let Some(millis) = retry {
            let failed = DeliveryFailed { number, attempts, at: now, due: now + millis };
            return Some(Consequence::Record(Record::DeliveryFailed(failed)));
        }
        // What a topic asks somebody who has not subscribed yet is no message that could be lost.
        let subscriber = subscription.filter(|subscription| subscription.is_confirmed());
        match (topic, subscriber.and_then(|subscription| subscription.dead_letters())) {
            (Some(topic), Some(queue)) => {
                let topic = topic.arn.clone();
                Some(Consequence::DeadLetter { ended, queue, topic, form: pending.form })
            }
            _ => Some(over()),
        }
    }

    /// All deliveries that are not over, by number.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.deliveries.iter()
    }

    /// How many deliveries are not over; the subscriptions that are still to get a message for many count as one.
    pub fn deliveries_pending(&self) -> usize {
        self.deliveries.len() + self.wide.len()
    }

    /// How many messages some subscriptions are still to get, since there are more of them than one turn has time for.
    pub fn messages_in_steps(&self) -> usize {
        self.wide.len()
    }

    /// Whether this delivery is not over.
    pub fn is_pending(&self, number: u64) -> bool {
        self.deliveries.get(number).is_some() || self.wide.contains(number)
    }
}
