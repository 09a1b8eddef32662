//! Subscribe: an endpoint is to get what is published to a topic.

use std::collections::BTreeMap;

use api::sns::{SubscribeInput, SubscribeOutput};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Caller, Demand, Operation, Refusal, Secret};
use notification::Protocol;

use super::{Context, Decision, Notice, Reply, Setting};
use crate::ids::subscription_uuid;
use crate::records::{Confirmation, Record, SubscriptionDeclared};
use crate::rules::subscription_attributes::{self, Whose};
use crate::rules::{arns, endpoints, pairs};
use crate::state::State;
use crate::topic::Topic;
use crate::{SubscriptionId, TopicKey, limits, refusals};

/// Subscribe.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// To which topic.
    pub topic: TopicKey,
    /// How messages get there.
    pub protocol: Protocol,
    /// Where to.
    pub endpoint: String,
    /// What the subscription is to have, not checked yet.
    pub attributes: BTreeMap<String, String>,
    /// Whether the ARN is told although the subscription is pending.
    pub return_arn: bool,
    /// Who asks.
    pub caller: Caller,
    /// The URL under which the client reached this server, for the link in the question.
    pub base: String,
}

impl Operation<State> for Subscribe {
    type Input = SubscribeInput;
    type Output = SubscribeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    /// Reads the request. Whether a queue or a function exists is not asked before something is to be delivered to it.
    fn prepare(input: SubscribeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let topic = arns::topic_here(input.topic_arn.as_deref(), asker.caller)?;
        let protocol = endpoints::protocol(input.protocol.as_deref().unwrap_or_default())?;
        let endpoint = input.endpoint.as_deref().unwrap_or_default();
        endpoints::check(protocol, endpoint)?;
        if topic.is_fifo() {
            if protocol != Protocol::Sqs {
                return Err(refusals::invalid(format_args!("Invalid protocol type: {}", protocol.name())));
            }
        } else if protocol == Protocol::Sqs && endpoint.ends_with(".fifo") {
            // With the prefix twice, as AWS has it (facts/sns.md § 4).
            return Err(refusals::invalid(
                "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
            ));
        }
        Ok(Subscribe {
            topic,
            protocol,
            endpoint: endpoint.to_owned(),
            attributes: pairs(&input.attributes),
            return_arn: input.return_subscription_arn.unwrap_or(false),
            caller: asker.caller.clone(),
            base: asker.base.to_owned(),
        })
    }

    /// Makes it, unless it is there.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match self.try_decide(state, &context.setting) {
            Ok(decision) => decision,
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<SubscribeOutput, Malformed> {
        let Reply::Subscription(arn) = reply else { return Err(Malformed) };
        Ok(SubscribeOutput { subscription_arn: Some(arn.into()) })
    }
}

impl Subscribe {
    fn try_decide(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'_>, Refusal> {
        let topic = state.topic(&self.topic).ok_or_else(refusals::topic_missing)?;
        let whose = Whose {
            topic: &self.topic,
            archived: topic.is_archived(),
            protocol: self.protocol,
            endpoint: &self.endpoint,
            owner: &self.caller.account,
        };
        let invalid = |fault: String| refusals::invalid(format_args!("Attributes Reason: {fault}"));
        let attributes = subscription_attributes::of_new(&self.attributes, &whose).map_err(invalid)?;
        if let Some(subscription) = state.subscription_to(topic.id(), self.protocol.name(), &self.endpoint) {
            let in_force = &subscription.declared.attributes;
            let same = |(name, given): (&String, &String)| {
                subscription_attributes::says_the_same(in_force, name, given)
            };
            if !self.attributes.iter().all(same) {
                let text = "Attributes Reason: Subscription already exists with different attributes";
                return Err(refusals::invalid(text));
            }
            let pending = !subscription.is_confirmed();
            let notices =
                if pending { vec![Notice::Confirm(subscription.id(), &self.base)] } else { Vec::new() };
            let reply = self.reply(&subscription.arn, pending);
            return Ok(super::telling(Vec::new(), notices, reply));
        }
        let asks = endpoints::asks_first(self.protocol, &self.endpoint, &self.caller.account);
        self.check_what_is_there(state, topic)?;
        if setting.limits.quotas {
            self.check_quotas(state, topic, asks, attributes.contains_key("FilterPolicy"))?;
        }
        let id = SubscriptionId(setting.numbers.draw());
        let uuid = subscription_uuid(setting.secret, id);
        let arn = format!("{}:{uuid}", topic.arn);
        let confirmed = Confirmation {
            at: setting.now,
            authenticated: true,
            // What its owner subscribed without a question cannot be ended by whoever finds a link.
            authenticate_on_unsubscribe: false,
        };
        let declared = SubscriptionDeclared {
            id,
            uuid,
            topic: topic.id(),
            protocol: self.protocol.name().to_owned(),
            endpoint: self.endpoint.clone(),
            owner: self.caller.account.clone(),
            principal: principal(&self.caller),
            attributes,
            created: setting.now,
            confirmed: (!asks).then_some(confirmed),
            ended: None,
        };
        let notices = if asks { vec![Notice::Confirm(id, &self.base)] } else { Vec::new() };
        let records = vec![Record::SubscriptionDeclared(Box::new(declared))];
        Ok(super::telling(records, notices, self.reply(&arn, asks)))
    }

    /// A mobile endpoint must exist, and a topic of long messages takes only some protocols.
    fn check_what_is_there(&self, state: &State, topic: &Topic) -> Result<(), Refusal> {
        if self.protocol == Protocol::Application && state.platforms.endpoint(&self.endpoint).is_none() {
            return Err(refusals::endpoint_missing());
        }
        if topic.message_bytes() > limits::MESSAGE_BYTES {
            let is_fast = matches!(self.protocol, Protocol::Sqs | Protocol::Lambda | Protocol::Firehose);
            if !is_fast || topic.subscriptions.len() >= limits::LARGE_MESSAGE_SUBSCRIPTIONS {
                return Err(refusals::invalid(LARGE_MESSAGES));
            }
        }
        Ok(())
    }

    /// What the topic and the account have room for.
    fn check_quotas(
        &self,
        state: &State,
        topic: &Topic,
        pending: bool,
        filtered: bool,
    ) -> Result<(), Refusal> {
        let most = if topic.is_fifo() { limits::FIFO_SUBSCRIPTIONS } else { limits::SUBSCRIPTIONS };
        // In which words AWS refuses is not known.
        let exceeded = |text: &'static str| Refusal::new("SubscriptionLimitExceededException", text);
        if topic.subscriptions.len() >= most {
            return Err(exceeded("Maximum number of subscriptions per topic has been reached"));
        }
        let account = state.subscribed_by(&self.caller.account);
        if pending && account.pending >= limits::PENDING_SUBSCRIPTIONS {
            return Err(exceeded("Maximum number of pending subscriptions per account has been reached"));
        }
        if filtered { check_filter_quotas(state, topic, &self.caller.account) } else { Ok(()) }
    }

    fn reply(&self, arn: &str, pending: bool) -> Reply {
        let shown = if pending && !self.return_arn { "pending confirmation" } else { arn };
        Reply::Subscription(shown.to_owned())
    }
}

/// That it is refused is documented; in which words is not known (facts/sns.md § 3).
pub(super) const LARGE_MESSAGES: &str = "MaximumMessageSize Reason: messages of more than 256 KiB are for topics of at \
                                         most 100 subscriptions, all of them of the protocols sqs, lambda or firehose";

/// One more filter policy must have room (facts/sns.md § 11). In which words AWS refuses is not known.
pub(super) fn check_filter_quotas(state: &State, topic: &Topic, account: &str) -> Result<(), Refusal> {
    let exceeded = |text: &'static str| Err(Refusal::new("FilterPolicyLimitExceededException", text));
    if topic.filter_policies >= limits::FILTER_POLICIES {
        return exceeded("The limit of filter policies per topic has been reached");
    }
    if state.subscribed_by(account).filtered >= limits::ACCOUNT_FILTER_POLICIES {
        return exceeded("The limit of filter policies per account has been reached");
    }
    Ok(())
}

/// The ARN of who asks, as `SubscriptionPrincipal` shows it: in the local posture, the account itself.
fn principal(caller: &Caller) -> String {
    format!("arn:{}:iam::{}:root", Arn::partition_of(&caller.region), caller.account)
}
