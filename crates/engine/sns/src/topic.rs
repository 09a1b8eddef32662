//! A topic and its subscriptions, as they are remembered.

use std::collections::{BTreeMap, BTreeSet};

use collections::Dedup;
use kernel::{Arn, Time};
use resources::Standing;
use resources::policy::Policy;

use crate::archive::Keeping;
use crate::interests::Interests;
use crate::records::{SubscriptionDeclared, SubscriptionDeleted, TopicDeclared};
use crate::rules::delivery_policy::{DeliveryPolicy, Level};
use crate::{SubscriptionId, TopicId, TopicKey};

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// What the log says of it.
    pub declared: TopicDeclared,
    /// Its ARN, as text.
    pub arn: String,
    /// Its subscriptions, confirmed and pending.
    pub subscriptions: BTreeSet<SubscriptionId>,
    /// What the confirmed ones want.
    pub(crate) interests: Interests,
    /// What a FIFO topic keeps for replays.
    pub(crate) archive: Option<Keeping>,
    /// What a FIFO topic has had in the last five minutes.
    pub(crate) dedup: Dedup,
    pub(crate) dedup_due: Option<Time>,
    /// How many of `subscriptions` are pending.
    pub subscriptions_pending: u64,
    /// How many of `subscriptions` have a filter policy.
    pub filter_policies: usize,
    /// What its attribute `DeliveryPolicy` says.
    pub delivery_policy: Option<Box<DeliveryPolicy>>,
    /// What its attribute `Policy` says.
    pub(crate) policy: Option<Policy>,
    pub(crate) standing: Standing,
    /// In which segments its subscriptions may be declared, those included that have ended but can be restored; and how many in each.
    pub(crate) subscribed_in: BTreeMap<u32, u32>,
}

impl Topic {
    /// A subscription that is declared there is one of its own.
    pub(crate) fn count_in(&mut self, standing: &Standing) {
        for segment in standing.declared_in() {
            *self.subscribed_in.entry(segment).or_default() += 1;
        }
    }

    /// Undoes what [`Topic::count_in`] did.
    pub(crate) fn count_out(&mut self, standing: &Standing) {
        for segment in standing.declared_in() {
            if let Some(count) = self.subscribed_in.get_mut(&segment) {
                *count -= 1;
                if *count == 0 {
                    self.subscribed_in.remove(&segment);
                }
            }
        }
    }

    /// Its number.
    pub fn id(&self) -> TopicId {
        self.declared.id
    }

    /// Account, region, name.
    pub fn key(&self) -> &TopicKey {
        &self.declared.key
    }

    /// Whether it is a FIFO topic.
    pub fn is_fifo(&self) -> bool {
        self.declared.key.is_fifo()
    }

    /// The text of an attribute that was set.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.declared.attributes.get(name).map(String::as_str)
    }

    /// Whether it keeps what was published, to be replayed.
    pub fn is_archived(&self) -> bool {
        self.declared.attributes.contains_key("ArchivePolicy")
    }
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// What the log says of it.
    pub declared: SubscriptionDeclared,
    /// Its ARN, as text.
    pub arn: String,
    /// The queue that it feeds, if its protocol is `sqs`.
    pub queue: Option<Arn>,
    /// What its attribute `DeliveryPolicy` says.
    pub delivery_policy: Option<Box<DeliveryPolicy>>,
    pub(crate) standing: Standing,
}

impl Subscription {
    /// Its number.
    pub fn id(&self) -> SubscriptionId {
        self.declared.id
    }

    /// The text of an attribute that was set.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.declared.attributes.get(name).map(String::as_str)
    }

    /// Whether messages go out as they were published, without an envelope.
    pub fn is_raw(&self) -> bool {
        self.attribute("RawMessageDelivery").is_some_and(|raw| raw.eq_ignore_ascii_case("true"))
    }

    /// What its filter policy looks at.
    pub fn filter_scope(&self) -> patterns::Scope {
        match self.attribute("FilterPolicyScope") {
            Some("MessageBody") => patterns::Scope::MessageBody,
            _ => patterns::Scope::MessageAttributes,
        }
    }

    /// The queue that gets what cannot be delivered.
    pub fn dead_letters(&self) -> Option<Arn> {
        let policy: serde_json::Value = serde_json::from_str(self.attribute("RedrivePolicy")?).ok()?;
        policy.get("deadLetterTargetArn")?.as_str()?.parse().ok()
    }

    /// The fact that it is gone.
    pub(crate) fn deletion(&self) -> SubscriptionDeleted {
        SubscriptionDeleted { id: self.id(), declared_in: self.standing.declared_in().collect() }
    }

    /// Whether it gets messages at `now`: it is confirmed.
    pub fn is_confirmed(&self) -> bool {
        self.declared.confirmed.is_some()
    }

    /// When it is deleted unless it is confirmed before.
    pub fn pending_until(&self) -> Option<Time> {
        if self.is_confirmed() { None } else { Some(self.declared.created + crate::limits::PENDING_MILLIS) }
    }
}

/// The delivery policy among attributes, if there is one. What is no policy says nothing.
pub(crate) fn delivery_policy(
    attributes: &BTreeMap<String, String>,
    level: Level,
) -> Option<Box<DeliveryPolicy>> {
    DeliveryPolicy::parse(attributes.get("DeliveryPolicy")?, level).ok().map(Box::new)
}
