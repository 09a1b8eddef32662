//! SetSubscriptionAttributes: a subscription gets another attribute, or none.

use std::collections::BTreeMap;

use api::sns::{SetSubscriptionAttributesInput, SetSubscriptionAttributesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::subscribe::check_filter_quotas;
use super::{Context, Decision, Reply, Setting};
use crate::records::{Record, SubscriptionDeclared};
use crate::refusals;
use crate::replay::REPLAY_BEGAN;
use crate::rules::subscription_attributes::{self, Whose};
use crate::rules::{arns, endpoints};
use crate::state::State;

/// SetSubscriptionAttributes.
#[derive(Clone, Debug)]
pub struct SetSubscriptionAttributes {
    /// Of which.
    pub arn: String,
    /// Which attribute.
    pub name: String,
    /// To what; nothing, to take it away.
    pub value: Option<String>,
}

impl Operation<State> for SetSubscriptionAttributes {
    type Input = SetSubscriptionAttributesInput;
    type Output = SetSubscriptionAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SetSubscriptionAttributesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(SetSubscriptionAttributes {
            arn: arns::subscription(input.subscription_arn.as_deref())?,
            name: input.attribute_name.as_deref().unwrap_or_default().to_owned(),
            value: input.attribute_value.as_deref().map(str::to_owned),
        })
    }

    /// Sets it, at once: AWS takes up to 15 minutes for filter policies (facts/sns.md § 11).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match self.try_decide(state, &context.setting) {
            Ok(decision) => decision,
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<SetSubscriptionAttributesOutput, Malformed> {
        reply.done()
    }
}

impl SetSubscriptionAttributes {
    fn try_decide(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'_>, Refusal> {
        let subscription = state.subscription_by_arn(&self.arn).ok_or_else(refusals::subscription_missing)?;
        let declared = &subscription.declared;
        let topic = state.topic_of(declared.topic).ok_or_else(refusals::subscription_missing)?;
        let whose = Whose {
            topic: topic.key(),
            archived: topic.is_archived(),
            protocol: endpoints::protocol(&declared.protocol)?,
            endpoint: &declared.endpoint,
            owner: &declared.owner,
        };
        let mut attributes = declared.attributes.clone();
        subscription_attributes::set(&mut attributes, &self.name, self.value.as_deref(), &whose)
            .map_err(refusals::invalid)?;
        let is_filtered = |attributes: &BTreeMap<String, String>| attributes.contains_key("FilterPolicy");
        if setting.limits.quotas && is_filtered(&attributes) && !is_filtered(&declared.attributes) {
            check_filter_quotas(state, topic, &declared.owner)?;
        }
        if attributes == declared.attributes {
            return Ok(Decision::answer(Reply::Done));
        }
        if self.name == "ReplayPolicy" {
            // Another replay, even if it is the same over again.
            match attributes.contains_key("ReplayPolicy") {
                true => attributes.insert(REPLAY_BEGAN.to_owned(), setting.numbers.draw().to_string()),
                false => attributes.remove(REPLAY_BEGAN),
            };
        }
        let declared = SubscriptionDeclared { attributes, ..declared.clone() };
        Ok(super::done(vec![Record::SubscriptionDeclared(Box::new(declared))], Reply::Done))
    }
}
