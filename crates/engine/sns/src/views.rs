//! What may be seen of topics by whoever only looks.

use kernel::retained::Keep;

use crate::state::State;
use crate::topic::{Subscription, Topic};

/// A topic and who has subscribed.
#[derive(Debug)]
pub struct TopicView<'a> {
    /// The topic.
    pub topic: &'a Topic,
    /// Messages of its archive that the store for retained data does not have yet.
    pub owed: u64,
    /// Its subscriptions, oldest first.
    pub subscriptions: Vec<SubscriptionView<'a>>,
}

/// A subscription and what it has still to get.
#[derive(Debug)]
pub struct SubscriptionView<'a> {
    /// The subscription.
    pub subscription: &'a Subscription,
    /// Deliveries that are not over.
    pub pending: usize,
}

impl State {
    /// All topics, by account, region and name.
    pub fn topics(&self) -> impl Iterator<Item = TopicView<'_>> {
        self.names.values().filter_map(|id| self.topics.get(id)).map(|topic| TopicView {
            topic,
            owed: self.owed_by(topic),
            subscriptions: topic
                .subscriptions
                .iter()
                .filter_map(|id| self.subscriptions.get(id))
                .map(|subscription| SubscriptionView {
                    subscription,
                    pending: self.deliveries.pending_of(subscription.id().0),
                })
                .collect(),
        })
    }

    /// What all archives owe to the store. For a planted fault of the simulator.
    #[doc(hidden)]
    pub fn owed(&self) -> impl Iterator<Item = Keep> + '_ {
        self.archives.all_owed()
    }

    /// Deliveries to nobody who has subscribed that are not over.
    pub fn deliveries_pending_directly(&self) -> usize {
        let subscribed = self.subscriptions.keys().map(|&id| self.deliveries.pending_of(id.0));
        self.deliveries_pending() - subscribed.sum::<usize>()
    }
}
