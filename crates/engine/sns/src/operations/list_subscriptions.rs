//! ListSubscriptions and ListSubscriptionsByTopic: who is subscribed, oldest first, page by page.

use std::ops::Bound;

use api::sns::{
    ListSubscriptionsByTopicInput, ListSubscriptionsByTopicOutput, ListSubscriptionsInput,
    ListSubscriptionsOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Reply};
use crate::rules::arns;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::topic::Subscription;
use crate::{SubscriptionId, TopicKey, refusals};

/// ListSubscriptions.
#[derive(Clone, Debug)]
pub struct ListSubscriptions {
    /// The account that owns the subscriptions.
    pub account: String,
    /// The region of their topics.
    pub region: String,
    /// Which of them.
    pub page: Page,
    after: Option<SubscriptionId>,
}

/// ListSubscriptionsByTopic.
#[derive(Clone, Debug)]
pub struct ListSubscriptionsByTopic {
    /// Whose.
    pub topic: TopicKey,
    /// Which of them.
    pub page: Page,
    after: Option<SubscriptionId>,
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

impl Operation<State> for ListSubscriptions {
    type Input = ListSubscriptionsInput;
    type Output = ListSubscriptionsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListSubscriptionsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        let (page, after) = page(input.next_token.as_deref())?;
        Ok(ListSubscriptions { account, region, page, after })
    }

    /// Tells of those that an account owns in a region.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let is_theirs = |subscription: &&Subscription| {
            let topic = || state.topic_of(subscription.declared.topic);
            subscription.declared.owner == self.account
                && topic().is_some_and(|topic| topic.key().region == self.region)
        };
        let all = state.subscriptions.range(from(self.after)).map(|(_, subscription)| subscription);
        let items = all.filter(is_theirs).map(|subscription| item(state, subscription));
        Decision::answer(Reply::Subscriptions(self.page.fill(items)))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListSubscriptionsOutput, Malformed> {
        let Reply::Subscriptions(listed) = reply else { return Err(Malformed) };
        Ok(ListSubscriptionsOutput {
            subscriptions: Some(listed.items.into_iter().map(shape).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}

impl Operation<State> for ListSubscriptionsByTopic {
    type Input = ListSubscriptionsByTopicInput;
    type Output = ListSubscriptionsByTopicOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListSubscriptionsByTopicInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let topic = arns::topic_here(input.topic_arn.as_deref(), asker.caller)?;
        let (page, after) = page(input.next_token.as_deref())?;
        Ok(ListSubscriptionsByTopic { topic, page, after })
    }

    /// Tells of those of a topic.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        let all = topic.subscriptions.range(from(self.after)).filter_map(|&id| state.subscription(id));
        let items = all.map(|subscription| item(state, subscription));
        Decision::answer(Reply::Subscriptions(self.page.fill(items)))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListSubscriptionsByTopicOutput, Malformed> {
        let Reply::Subscriptions(listed) = reply else { return Err(Malformed) };
        Ok(ListSubscriptionsByTopicOutput {
            subscriptions: Some(listed.items.into_iter().map(shape).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}

/// The page that a token begins, and the subscription before it.
fn page(token: Option<&str>) -> Result<(Page, Option<SubscriptionId>), Refusal> {
    let page = pages::page(token)?;
    let after = pages::after_number(&page)?.map(SubscriptionId);
    Ok((page, after))
}

/// All subscriptions after one.
fn from(after: Option<SubscriptionId>) -> (Bound<SubscriptionId>, Bound<SubscriptionId>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// A subscription by its number, which the token of the next page names.
fn item(state: &State, subscription: &Subscription) -> (String, ListedSubscription) {
    let topic = state.topic_of(subscription.declared.topic);
    let topic = topic.map(|topic| topic.arn.clone()).unwrap_or_default();
    (subscription.id().0.to_string(), listed(subscription, topic))
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
