//! ConfirmSubscription: whoever can read at the endpoint wants to be subscribed.

use api::sns::{ConfirmSubscriptionInput, ConfirmSubscriptionOutput};
use kernel::{Caller, Refusal};

use super::{Decision, Reply, Setting};
use crate::ids::subscription_of_token;
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
    /// Whether somebody signed the request.
    pub signed: bool,
}

impl ConfirmSubscription {
    /// Reads the request. It need not be signed, so the region is that of the topic, whatever the caller's.
    pub fn prepare(input: &ConfirmSubscriptionInput, caller: &Caller) -> Result<Self, Refusal> {
        let on = input.authenticate_on_unsubscribe.as_deref();
        let authenticate_on_unsubscribe = on.is_some_and(|on| on.eq_ignore_ascii_case("true"));
        if authenticate_on_unsubscribe && !caller.signed {
            let text = "AuthenticateOnUnsubscribe requires an authenticated request";
            return Err(Refusal::new("AuthorizationErrorException", text));
        }
        let token = input.token.as_deref().unwrap_or_default();
        let topic = input.topic_arn.as_deref().unwrap_or_default();
        let topic = arns::topic(Some(topic), "Topic").map_err(|_| refusals::invalid("Topic"))?;
        if token.len() != 128 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refusals::invalid("Token"));
        }
        let (token, signed) = (token.to_owned(), caller.signed);
        Ok(ConfirmSubscription { topic, token, authenticate_on_unsubscribe, signed })
    }

    /// Confirms it; one that is confirmed stays as it is.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let found = subscription_of_token(setting.secret, &self.token).and_then(|id| state.subscription(id));
        let Some(subscription) = found else {
            return Refusal::new("InvalidParameterException", "Invalid token").into();
        };
        if state.topic(&self.topic).map(|topic| topic.id()) != Some(subscription.declared.topic) {
            return refusals::invalid("Topic").into();
        }
        let reply = Reply::Subscription(subscription.arn.clone());
        if subscription.is_confirmed() {
            return Decision::answer(reply);
        }
        let confirmed = Confirmation {
            at: setting.now,
            authenticated: self.signed,
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
