//! ListSubscriptions and ListSubscriptionsByTopic: who is subscribed, oldest first, page by page.

use std::ops::Bound;

use api::sns::{
    ListSubscriptionsByTopicInput, ListSubscriptionsByTopicOutput, ListSubscriptionsInput,
    ListSubscriptionsOutput,
};
use kernel::{Caller, Refusal};

use super::{Decision, Reply, Setting};
use crate::rules::arns;
use crate::rules::pages::{self, Listed, Page};
use crate::state::State;
use crate::topic::Subscription;
use crate::{SubscriptionId, TopicKey, refusals};

/// ListSubscriptions or ListSubscriptionsByTopic.
#[derive(Clone, Debug)]
pub struct ListSubscriptions {
    /// Whose.
    pub whose: Whose,
    /// Which of them: those after this one, and how many.
    pub page: Page,
    after: Option<SubscriptionId>,
}

/// Whose subscriptions are listed.
#[derive(Clone, Debug)]
pub enum Whose {
    /// Those that an account owns in a region.
    Account(String, String),
    /// Those of a topic.
    Topic(TopicKey),
}

/// A subscription as a list tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedSubscription {
    /// Its ARN, or that it is pending.
    pub arn: String,
    /// The account that owns it.
    pub owner: String,
    /// How messages get there.
    pub protocol: String,
    /// Where to.
    pub endpoint: String,
    /// Of which topic.
    pub topic: String,
}

impl ListSubscriptions {
    /// Reads ListSubscriptions.
    pub fn prepare(input: &ListSubscriptionsInput, caller: &Caller) -> Result<Self, Refusal> {
        let whose = Whose::Account(caller.account.clone(), caller.region.clone());
        ListSubscriptions::new(whose, input.next_token.as_deref())
    }

    /// Reads ListSubscriptionsByTopic.
    pub fn prepare_by_topic(input: &ListSubscriptionsByTopicInput, caller: &Caller) -> Result<Self, Refusal> {
        let topic = arns::topic_here(input.topic_arn.as_deref(), caller)?;
        ListSubscriptions::new(Whose::Topic(topic), input.next_token.as_deref())
    }

    fn new(whose: Whose, token: Option<&str>) -> Result<Self, Refusal> {
        let page = pages::page(token)?;
        let after = pages::after_number(&page)?.map(SubscriptionId);
        Ok(ListSubscriptions { whose, page, after })
    }

    /// Tells of them.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let after = (self.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let item = |subscription: &Subscription| {
            let topic = state.topic_of(subscription.declared.topic);
            let topic = topic.map(|topic| topic.arn.clone()).unwrap_or_default();
            (subscription.id().0.to_string(), listed(subscription, topic))
        };
        let listed = match &self.whose {
            Whose::Account(account, region) => {
                let is_theirs = |subscription: &&Subscription| {
                    subscription.declared.owner == *account
                        && state
                            .topic_of(subscription.declared.topic)
                            .is_some_and(|topic| topic.key().region == *region)
                };
                let all = state.subscriptions.range(after).map(|(_, subscription)| subscription);
                self.page.fill(all.filter(is_theirs).map(item))
            }
            Whose::Topic(key) => {
                let Some(topic) = state.topic(key) else { return refusals::topic_missing().into() };
                let all = topic.subscriptions.range(after).filter_map(|&id| state.subscription(id));
                self.page.fill(all.map(item))
            }
        };
        Decision::answer(Reply::Subscriptions(listed))
    }

    /// The answer to ListSubscriptions.
    pub fn present(listed: Listed<ListedSubscription>) -> ListSubscriptionsOutput {
        ListSubscriptionsOutput {
            subscriptions: Some(listed.items.into_iter().map(shape).collect()),
            next_token: listed.next_token.map(Into::into),
        }
    }

    /// The answer to ListSubscriptionsByTopic.
    pub fn present_by_topic(listed: Listed<ListedSubscription>) -> ListSubscriptionsByTopicOutput {
        let ListSubscriptionsOutput { subscriptions, next_token } = ListSubscriptions::present(listed);
        ListSubscriptionsByTopicOutput { subscriptions, next_token }
    }
}

/// What has not been confirmed has no ARN here yet (AWS's documentation of ListSubscriptions).
fn listed(subscription: &Subscription, topic: String) -> ListedSubscription {
    let declared = &subscription.declared;
    let arn = if subscription.is_confirmed() { &subscription.arn } else { "PendingConfirmation" };
    ListedSubscription {
        arn: arn.to_owned(),
        owner: declared.owner.clone(),
        protocol: declared.protocol.clone(),
        endpoint: declared.endpoint.clone(),
        topic,
    }
}

fn shape(listed: ListedSubscription) -> api::sns::Subscription {
    api::sns::Subscription {
        subscription_arn: Some(listed.arn.into()),
        owner: Some(listed.owner.into()),
        protocol: Some(listed.protocol.into()),
        endpoint: Some(listed.endpoint.into()),
        topic_arn: Some(listed.topic.into()),
    }
}
