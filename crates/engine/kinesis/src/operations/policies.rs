//! PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy (facts/kinesis.md § 16).

use api::kinesis::{
    DeleteResourcePolicyInput, DeleteResourcePolicyOutput, GetResourcePolicyInput, GetResourcePolicyOutput,
    PutResourcePolicyInput, PutResourcePolicyOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal};
use resources::Faults;

use super::resource::Resource;
use super::{Context, Decision, Materials, Reply, decided, text};
use crate::rules::permissions;
use crate::state::State;

/// PutResourcePolicy.
#[derive(Clone, Debug)]
pub struct PutResourcePolicy(Resource, Caller, String);

impl Operation<State> for PutResourcePolicy {
    type Input = PutResourcePolicyInput;
    type Output = PutResourcePolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutResourcePolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let policy = faults.required(input.policy.as_deref(), "policy").to_owned();
        faults.refusal()?;
        permissions::check_text(&policy)?;
        Ok(PutResourcePolicy(Resource::named(input.resource_arn.as_ref())?, asker.caller.clone(), policy))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let found = self.0.find(state, &self.1, "PutResourcePolicy", &context.setting);
        decided(found.map(|found| found.with_policy(Some(self.2.clone()))))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<PutResourcePolicyOutput, Malformed> {
        reply.done()
    }
}

/// GetResourcePolicy. Without a policy the answer is an empty document.
#[derive(Clone, Debug)]
pub struct GetResourcePolicy(Resource, Caller);

impl Operation<State> for GetResourcePolicy {
    type Input = GetResourcePolicyInput;
    type Output = GetResourcePolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetResourcePolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(GetResourcePolicy(Resource::named(input.resource_arn.as_ref())?, asker.caller.clone()))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(
            self.0
                .find(state, &self.1, "GetResourcePolicy", &context.setting)
                .map(|found| Decision::answer(Reply::Text(found.policy().unwrap_or("{}").to_owned()))),
        )
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<GetResourcePolicyOutput, Malformed> {
        Ok(GetResourcePolicyOutput { policy: text(reply.text()?) })
    }
}

/// DeleteResourcePolicy.
#[derive(Clone, Debug)]
pub struct DeleteResourcePolicy(Resource, Caller);

impl Operation<State> for DeleteResourcePolicy {
    type Input = DeleteResourcePolicyInput;
    type Output = DeleteResourcePolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: DeleteResourcePolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteResourcePolicy(Resource::named(input.resource_arn.as_ref())?, asker.caller.clone()))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let found = self.0.find(state, &self.1, "DeleteResourcePolicy", &context.setting);
        decided(found.map(|found| found.with_policy(None)))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteResourcePolicyOutput, Malformed> {
        reply.done()
    }
}
