//! Which of a topic's subscriptions want a message, found without asking each.

use std::collections::BTreeSet;
use std::ops::Bound;

use kernel::{Attribute, AttributeValue};
use patterns::{Event, FilterPolicy, PatternSet, Scope};

use crate::SubscriptionId;
use crate::fanout::Content;
use crate::topic::Subscription;

/// What a topic's confirmed subscriptions want.
#[derive(Clone, Debug, Default)]
pub struct Interests {
    /// Those that want everything.
    all: BTreeSet<SubscriptionId>,
    /// Those whose policies are about the attributes.
    by_attributes: PatternSet<SubscriptionId>,
    /// Those whose policies are about the text.
    by_body: PatternSet<SubscriptionId>,
}

impl Interests {
    /// A subscription wants messages from now on.
    pub fn add(&mut self, subscription: &Subscription) {
        let id = subscription.id();
        let scope = subscription.filter_scope();
        let text = subscription.attribute("FilterPolicy").unwrap_or_default();
        // A policy was checked when it was set. One that an older version took and this one does not understand wants
        // nothing: a message too few is found sooner than one that was not meant for the subscriber.
        match FilterPolicy::parse(text, scope) {
            _ if text.is_empty() => drop(self.all.insert(id)),
            Ok(policy) if policy.accepts_all() => drop(self.all.insert(id)),
            Ok(policy) if scope == Scope::MessageBody => self.by_body.insert(id, policy.matcher()),
            Ok(policy) => self.by_attributes.insert(id, policy.matcher()),
            Err(_) => {}
        }
    }

    /// A subscription wants no messages any more.
    pub fn remove(&mut self, id: SubscriptionId) {
        if !self.all.remove(&id) && !self.by_attributes.remove(id) {
            self.by_body.remove(id);
        }
    }

    /// How many have a policy.
    pub fn filtered(&self) -> usize {
        self.by_attributes.len() + self.by_body.len()
    }

    /// Whether some look at the text.
    pub fn read_bodies(&self) -> bool {
        !self.by_body.is_empty()
    }

    /// Who wants a message, in the order in which they subscribed: the first of those after a subscription, at most so many.
    pub fn wanting(&self, content: &Content<'_>, after: SubscriptionId, at_most: usize) -> Wanting {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let all = self.all.range(behind).take(at_most.saturating_add(1));
        let mut subscriptions: Vec<SubscriptionId> = all.copied().collect();
        let mut add = |matching: Vec<SubscriptionId>| {
            subscriptions.extend(matching.into_iter().filter(|&id| id > after));
        };
        if !self.by_attributes.is_empty() {
            add(self.by_attributes.matching(&event_of(content.attributes)));
        }
        if !self.by_body.is_empty() {
            add(match content.event {
                Some(event) => self.by_body.matching(event),
                None => self.by_body.matching(&Event::from_json(content.message)),
            });
        }
        subscriptions.sort_unstable();
        let more = subscriptions.len() > at_most;
        subscriptions.truncate(at_most);
        Wanting { subscriptions, more }
    }
}

/// Subscriptions that want a message.
#[derive(Debug)]
pub struct Wanting {
    /// The first of them, in the order in which they subscribed.
    pub subscriptions: Vec<SubscriptionId>,
    /// Whether there are more.
    pub more: bool,
}

/// A message as a policy about attributes sees it: binary ones are passed over.
pub(crate) fn event_of(attributes: &[Attribute]) -> Event<'_> {
    Event::from_attributes(attributes.iter().filter_map(|attribute| match &attribute.value {
        AttributeValue::Text(text) => Some((&*attribute.name, &*attribute.data_type, &**text)),
        AttributeValue::Binary(_) => None,
    }))
}
