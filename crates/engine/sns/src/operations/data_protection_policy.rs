//! GetDataProtectionPolicy and PutDataProtectionPolicy: what is to be done about personal data in messages. It is remembered
//! and told; nothing is looked for in messages.

use api::sns::{
    GetDataProtectionPolicyInput, GetDataProtectionPolicyOutput, PutDataProtectionPolicyInput,
    PutDataProtectionPolicyOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal, Secret};
use serde_json::Value;

use super::{Context, Decision, Reply, redeclared};
use crate::rules::arns;
use crate::state::State;
use crate::{TopicKey, limits, refusals};

/// GetDataProtectionPolicy.
#[derive(Clone, Debug)]
pub struct GetDataProtectionPolicy {
    /// Of which topic.
    pub topic: TopicKey,
}

impl Operation<State> for GetDataProtectionPolicy {
    type Input = GetDataProtectionPolicyInput;
    type Output = GetDataProtectionPolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetDataProtectionPolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(GetDataProtectionPolicy { topic: topic(input.resource_arn.as_deref(), asker.caller)? })
    }

    /// Tells it.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        let policy = topic.attribute("DataProtectionPolicy").unwrap_or_default();
        Decision::answer(Reply::Policy(policy.to_owned()))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<GetDataProtectionPolicyOutput, Malformed> {
        let Reply::Policy(policy) = reply else { return Err(Malformed) };
        Ok(GetDataProtectionPolicyOutput { data_protection_policy: Some(policy.into()) })
    }
}

/// PutDataProtectionPolicy.
#[derive(Clone, Debug)]
pub struct PutDataProtectionPolicy {
    /// Of which topic.
    pub topic: TopicKey,
    /// What it is to be.
    pub policy: String,
}

impl Operation<State> for PutDataProtectionPolicy {
    type Input = PutDataProtectionPolicyInput;
    type Output = PutDataProtectionPolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutDataProtectionPolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let topic = topic(input.resource_arn.as_deref(), asker.caller)?;
        let policy = check(input.data_protection_policy.as_deref().unwrap_or_default(), &topic)?;
        Ok(PutDataProtectionPolicy { topic, policy })
    }

    /// Remembers it.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        redeclared(topic, |declared| {
            declared.attributes.insert("DataProtectionPolicy".to_owned(), self.policy.clone());
        })
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<PutDataProtectionPolicyOutput, Malformed> {
        reply.done()
    }
}

fn topic(arn: Option<&str>, caller: &Caller) -> Result<TopicKey, Refusal> {
    let topic = arns::topic(arn, "ResourceArn")?;
    if topic.region == caller.region { Ok(topic) } else { Err(refusals::invalid("ResourceArn")) }
}

/// Checks a policy's form (facts/sns.md § 2). In which words AWS refuses is not known.
pub(super) fn check(policy: &str, topic: &TopicKey) -> Result<String, Refusal> {
    let fault = |text: &str| Err(refusals::invalid(format_args!("DataProtectionPolicy Reason: {text}")));
    if topic.is_fifo() {
        return fault("FIFO topics do not support data protection policies");
    }
    if policy.chars().count() > limits::DATA_PROTECTION_CHARACTERS {
        return fault("the policy is longer than 30720 characters");
    }
    match serde_json::from_str(policy) {
        Ok(Value::Object(_)) => Ok(policy.to_owned()),
        _ => fault("failed to parse JSON."),
    }
}
