//! ConfirmSubscription: whoever can read at the endpoint wants to be subscribed.

use api::sns::{ConfirmSubscriptionInput, ConfirmSubscriptionOutput};
use kernel::Refusal;

use super::{Decision, Reply, Setting};
use crate::ids::confirmation_token;
use crate::records::{Confirmation, Record, SubscriptionDeclared};
use crate::rules::arns;
use crate::state::State;
use crate::{TopicKey, refusals};

/// ConfirmSubscription.
#[derive(Clone, Debug)]
pub struct ConfirmSubscription {
    /// Of which topic.
    pub topic: TopicKey,
    /// What the question said.
    pub token: String,
    /// Whether only the owner may end the subscription.
    pub authenticate_on_unsubscribe: bool,
}

impl ConfirmSubscription {
    /// Reads the request.
    pub fn prepare(input: &ConfirmSubscriptionInput) -> Result<Self, Refusal> {
        let on = input.authenticate_on_unsubscribe.as_deref();
        Ok(ConfirmSubscription {
            topic: arns::topic(input.topic_arn.as_deref(), "TopicArn")?,
            token: input.token.as_deref().unwrap_or_default().to_owned(),
            authenticate_on_unsubscribe: on.is_some_and(|on| on.eq_ignore_ascii_case("true")),
        })
    }

    /// Confirms it; one that is confirmed stays so.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        let of_topic = topic.subscriptions.iter().filter_map(|&id| state.subscription(id));
        let found = { of_topic }.find(|other| confirmation_token(setting.secret, other.id()) == self.token);
        let Some(subscription) = found else { return refusals::invalid("Token").into() };
        let reply = Reply::Subscription(subscription.arn.clone());
        if subscription.is_confirmed() {
            return Decision::answer(reply);
        }
        let confirmed = Confirmation {
            at: setting.now,
            authenticated: false,
            authenticate_on_unsubscribe: self.authenticate_on_unsubscribe,
        };
        let declared = SubscriptionDeclared { confirmed: Some(confirmed), ..subscription.declared.clone() };
        Decision::done(vec![Record::SubscriptionDeclared(Box::new(declared))], reply)
    }

    /// The answer.
    pub fn present(arn: String) -> ConfirmSubscriptionOutput {
        ConfirmSubscriptionOutput { subscription_arn: Some(arn.into()) }
    }
}
