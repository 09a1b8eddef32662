//! Subscribe: an endpoint is to get what is published to a topic.

use std::collections::BTreeMap;

use api::sns::{SubscribeInput, SubscribeOutput};
use kernel::{Caller, Refusal};

use super::{Decision, Notice, Reply, Setting};
use crate::ids::subscription_uuid;
use crate::records::{Confirmation, Record, SubscriptionDeclared};
use crate::rules::arns;
use crate::state::State;
use crate::{SubscriptionId, TopicKey, refusals};

/// Subscribe.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// To which topic.
    pub topic: TopicKey,
    /// How messages get there.
    pub protocol: String,
    /// Where to.
    pub endpoint: String,
    /// What the subscription is to have.
    pub attributes: BTreeMap<String, String>,
    /// Whether the ARN is told although the subscription is pending.
    pub return_arn: bool,
    /// Who asks.
    pub caller: Caller,
    /// The URL under which the client reached this server, for the link in the question.
    pub base: String,
}

impl Subscribe {
    /// Reads the request.
    pub fn prepare(input: &SubscribeInput, caller: &Caller, base: &str) -> Result<Self, Refusal> {
        let attributes = input.attributes.iter().flat_map(|map| &map.0);
        Ok(Subscribe {
            topic: arns::topic(input.topic_arn.as_deref(), "TopicArn")?,
            protocol: input.protocol.as_deref().unwrap_or_default().to_owned(),
            endpoint: input.endpoint.as_deref().unwrap_or_default().to_owned(),
            attributes: attributes.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            return_arn: input.return_subscription_arn.unwrap_or(false),
            caller: caller.clone(),
            base: base.to_owned(),
        })
    }

    /// Makes it, unless it is there.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        let asks = matches!(self.protocol.as_str(), "http" | "https" | "email" | "email-json");
        if let Some(subscription) = state.subscription_to(topic.id(), &self.protocol, &self.endpoint) {
            let differs = |(name, value): (&String, &String)| subscription.attribute(name) != Some(value);
            if self.attributes.iter().any(differs) {
                let text = "Attributes Reason: Subscription already exists with different attributes";
                return refusals::invalid(text).into();
            }
            let pending = !subscription.is_confirmed();
            return Decision {
                notices: if pending {
                    vec![Notice::Confirm(subscription.id(), &self.base)]
                } else {
                    Vec::new()
                },
                ..Decision::answer(self.reply(&subscription.arn, pending))
            };
        }
        let id = SubscriptionId(state.next_number());
        let uuid = subscription_uuid(setting.secret, id);
        let arn = format!("{}:{uuid}", topic.arn);
        let declared = SubscriptionDeclared {
            id,
            uuid,
            topic: topic.id(),
            protocol: self.protocol.clone(),
            endpoint: self.endpoint.clone(),
            owner: self.caller.account.clone(),
            principal: format!("arn:aws:iam::{}:root", self.caller.account),
            attributes: self.attributes.clone(),
            created: setting.now,
            confirmed: (!asks).then_some(Confirmation {
                at: setting.now,
                authenticated: true,
                authenticate_on_unsubscribe: false,
            }),
        };
        Decision {
            notices: if asks { vec![Notice::Confirm(id, &self.base)] } else { Vec::new() },
            ..Decision::done(vec![Record::SubscriptionDeclared(Box::new(declared))], self.reply(&arn, asks))
        }
    }

    fn reply(&self, arn: &str, pending: bool) -> Reply {
        let shown = if pending && !self.return_arn { "pending confirmation" } else { arn };
        Reply::Subscription(shown.to_owned())
    }

    /// The answer.
    pub fn present(arn: String) -> SubscribeOutput {
        SubscribeOutput { subscription_arn: Some(arn.into()) }
    }
}
