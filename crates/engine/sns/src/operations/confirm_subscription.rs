//! ConfirmSubscription: whoever can read at the endpoint wants to be subscribed.

use api::sns::{ConfirmSubscriptionInput, ConfirmSubscriptionOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Reply};
use crate::ids::{subscription_of_token, subscription_uuid};
use crate::records::{Confirmation, Record, SubscriptionDeclared};
use crate::rules::arns;
use crate::state::State;
use crate::{SubscriptionId, TopicKey, refusals};

/// Digits of the shortest text that is taken for a token. Where AWS draws the line is not known.
const SHORTEST_TOKEN: usize = 64;

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

impl Operation<State> for ConfirmSubscription {
    type Input = ConfirmSubscriptionInput;
    type Output = ConfirmSubscriptionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    /// Reads the request. It need not be signed; then nothing but the topic says the region.
    fn prepare(input: ConfirmSubscriptionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let on = input.authenticate_on_unsubscribe.as_deref();
        let authenticate_on_unsubscribe = on.is_some_and(|on| on.eq_ignore_ascii_case("true"));
        if authenticate_on_unsubscribe && !asker.caller.signed {
            let text = "AuthenticateOnUnsubscribe requires an authenticated request";
            return Err(Refusal::new("AuthorizationErrorException", text));
        }
        let token = input.token.as_deref().unwrap_or_default();
        let topic = input.topic_arn.as_deref().unwrap_or_default();
        let topic = arns::topic(Some(topic), "Topic").map_err(|_| refusals::invalid("Topic"))?;
        if asker.caller.signed && topic.region != asker.caller.region {
            return Err(refusals::invalid("Topic"));
        }
        // Recorded: `randomtoken` is no token at all; what looks like one (AWS's have 288 digits) but confirms nothing is the
        // wrong one.
        if token.len() < SHORTEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::new("InvalidParameterException", "Invalid token"));
        }
        let (token, signed) = (token.to_owned(), asker.caller.signed);
        Ok(ConfirmSubscription { topic, token, authenticate_on_unsubscribe, signed })
    }

    /// Confirms it; one that is confirmed stays as it is. One that somebody else than its owner has ended is made anew.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let id = subscription_of_token(context.setting.secret, &self.token);
        let subscription = id.and_then(|id| state.subscription(id));
        let parted = id.and_then(|id| state.parted.get(&id));
        let Some(declared) =
            subscription.map(|known| &known.declared).or(parted.map(|parted| &parted.declared))
        else {
            return refusals::invalid("Token").into();
        };
        let topic = state.topic(&self.topic).filter(|topic| topic.id() == declared.topic);
        let Some(topic) = topic else { return refusals::invalid("Topic").into() };
        // What has ended may have been subscribed again since.
        let there = || state.subscription_to(declared.topic, &declared.protocol, &declared.endpoint);
        let subscription = subscription.or_else(there);
        if let Some(subscription) = subscription.filter(|subscription| subscription.is_confirmed()) {
            return Decision::answer(Reply::Subscription(subscription.arn.clone()));
        }
        let confirmed = Some(Confirmation {
            at: context.setting.now,
            authenticated: self.signed,
            authenticate_on_unsubscribe: self.authenticate_on_unsubscribe,
        });
        let declared = match subscription {
            Some(pending) => SubscriptionDeclared { confirmed, ..pending.declared.clone() },
            None => {
                let id = SubscriptionId(context.setting.numbers.draw());
                let uuid = subscription_uuid(context.setting.secret, id);
                let created = context.setting.now;
                SubscriptionDeclared { id, uuid, created, confirmed, ended: None, ..declared.clone() }
            }
        };
        let reply = Reply::Subscription(format!("{}:{}", topic.arn, declared.uuid));
        super::done(vec![Record::SubscriptionDeclared(Box::new(declared))], reply)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ConfirmSubscriptionOutput, Malformed> {
        let Reply::Subscription(arn) = reply else { return Err(Malformed) };
        Ok(ConfirmSubscriptionOutput { subscription_arn: Some(arn.into()) })
    }
}
