//! GetSubscriptionAttributes: what a subscription is like.

use api::sns::{GetSubscriptionAttributesInput, GetSubscriptionAttributesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Reply, to_map};
use crate::refusals;
use crate::rules::arns;
use crate::rules::delivery_policy::DeliveryPolicy;
use crate::rules::subscription_attributes::DEFAULT_SCOPE;
use crate::state::State;
use crate::topic::{Subscription, Topic};

/// GetSubscriptionAttributes.
#[derive(Clone, Debug)]
pub struct GetSubscriptionAttributes {
    /// Of which.
    pub arn: String,
}

impl Operation<State> for GetSubscriptionAttributes {
    type Input = GetSubscriptionAttributesInput;
    type Output = GetSubscriptionAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetSubscriptionAttributesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(GetSubscriptionAttributes { arn: arns::subscription(input.subscription_arn.as_deref())? })
    }

    /// Tells all of them.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let found = state.subscription_by_arn(&self.arn);
        match found
            .and_then(|subscription| Some((subscription, state.topic_of(subscription.declared.topic)?)))
        {
            Some((subscription, topic)) => {
                Decision::answer(Reply::Attributes(shown(state, subscription, topic)))
            }
            None => refusals::subscription_missing().into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<GetSubscriptionAttributesOutput, Malformed> {
        let Reply::Attributes(attributes) = reply else { return Err(Malformed) };
        Ok(GetSubscriptionAttributesOutput { attributes: Some(to_map(attributes)) })
    }
}

/// facts/sns.md § 4
fn shown(state: &State, subscription: &Subscription, topic: &Topic) -> Vec<(String, String)> {
    let declared = &subscription.declared;
    let authenticated = declared.confirmed.is_some_and(|confirmed| confirmed.authenticated);
    let mut shown = vec![
        ("ConfirmationWasAuthenticated", authenticated.to_string()),
        ("Endpoint", declared.endpoint.clone()),
        ("Owner", declared.owner.clone()),
        ("PendingConfirmation", (!subscription.is_confirmed()).to_string()),
        ("Protocol", declared.protocol.clone()),
        ("RawMessageDelivery", subscription.is_raw().to_string()),
        ("SubscriptionArn", subscription.arn.clone()),
        ("SubscriptionPrincipal", declared.principal.clone()),
        ("TopicArn", topic.arn.clone()),
    ];
    if let Some(policy) = subscription.attribute("FilterPolicy") {
        // The scope is not told before there is a policy, even if it was set.
        let scope = subscription.attribute("FilterPolicyScope").unwrap_or(DEFAULT_SCOPE);
        shown.push(("FilterPolicy", policy.to_owned()));
        shown.push(("FilterPolicyScope", scope.to_owned()));
    }
    if matches!(declared.protocol.as_str(), "http" | "https") {
        let effective = DeliveryPolicy::show_effective_subscription(
            topic.delivery_policy.as_deref(),
            subscription.delivery_policy.as_deref(),
        );
        shown.push(("EffectiveDeliveryPolicy", effective));
    }
    if let Some(status) = subscription.attribute("ReplayStatus") {
        let has_begun = state.replay_has_begun(subscription.id());
        shown.push(("ReplayStatus", if has_begun { "In progress" } else { status }.to_owned()));
    }
    for name in ["DeliveryPolicy", "RedrivePolicy", "ReplayPolicy", "SubscriptionRoleArn"] {
        if let Some(value) = subscription.attribute(name) {
            shown.push((name, value.to_owned()));
        }
    }
    shown.sort_by_key(|&(name, _)| name);
    shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
