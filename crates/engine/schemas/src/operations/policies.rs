//! GetResourcePolicy, PutResourcePolicy and DeleteResourcePolicy: who else may use a registry. A policy is kept and told; nobody is asked
//! for it, since a request names registries of its own account alone.

use api::schemas::{
    DeleteResourcePolicyInput, DeleteResourcePolicyOutput, GetResourcePolicyInput, GetResourcePolicyOutput,
    PutResourcePolicyInput, PutResourcePolicyOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, uuid_text};
use resources::policy::document::parse;

use super::registries::{known, own};
use super::{Context, Decision, Reply, Setting, decided, done, text};
use crate::records::{Policy, Record, RegistryDeclared};
use crate::rules::names;
use crate::state::State;
use crate::{RegistryKey, limits, refusals};

/// GetResourcePolicy.
#[derive(Clone, Debug)]
pub struct GetResourcePolicy(RegistryKey);

impl Operation<State> for GetResourcePolicy {
    type Input = GetResourcePolicyInput;
    type Output = GetResourcePolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetResourcePolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        names::registry(input.registry_name.as_ref(), asker).map(GetResourcePolicy)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(known(state, &self.0).and_then(|known| match &known.policy {
            Some(policy) => Ok(Decision::answer(Reply::Policy(policy.clone()))),
            None => Err(refusals::missing("Policy of the registry", &self.0.name)),
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<GetResourcePolicyOutput, Malformed> {
        let Reply::Policy(policy) = reply else { return Err(Malformed) };
        Ok(GetResourcePolicyOutput { policy: text(policy.document), revision_id: text(policy.revision) })
    }
}

/// PutResourcePolicy.
#[derive(Clone, Debug)]
pub struct PutResourcePolicy {
    registry: RegistryKey,
    document: String,
    revision: Option<String>,
}

impl Operation<State> for PutResourcePolicy {
    type Input = PutResourcePolicyInput;
    type Output = PutResourcePolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutResourcePolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let registry = names::registry(input.registry_name.as_ref(), asker)?;
        let document = input.policy.as_deref().unwrap_or_default();
        if document.len() > limits::POLICY_BYTES {
            return Err(refusals::bad_request(format!(
                "Policy is longer than {} bytes.",
                limits::POLICY_BYTES
            )));
        }
        if parse(document).is_none() {
            return Err(refusals::bad_request("Policy is not a valid policy document."));
        }
        let revision = input.revision_id.as_deref().map(str::to_owned);
        Ok(PutResourcePolicy { registry, document: document.to_owned(), revision })
    }

    /// A revision that is named must be the one that is there.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.put(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<PutResourcePolicyOutput, Malformed> {
        let Reply::Policy(policy) = reply else { return Err(Malformed) };
        Ok(PutResourcePolicyOutput { policy: text(policy.document), revision_id: text(policy.revision) })
    }
}

impl PutResourcePolicy {
    fn put<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let registry = own(state, &self.registry)?;
        let revision = registry.policy.as_ref().map(|policy| &policy.revision);
        if self.revision.as_ref().is_some_and(|expected| Some(expected) != revision) {
            let text = "The RevisionId is not that of the registry's policy.";
            return Err(Refusal::new("PreconditionFailedException", text));
        }
        let revision = uuid_text(setting.secret.derive("revision of a policy", setting.numbers.draw()));
        let policy = Policy { document: self.document.clone(), revision };
        let registry = RegistryDeclared { policy: Some(policy.clone()), ..registry.clone() };
        Ok(done(vec![Record::RegistryDeclared(registry)], Reply::Policy(policy)))
    }
}

/// DeleteResourcePolicy.
#[derive(Clone, Debug)]
pub struct DeleteResourcePolicy(RegistryKey);

impl Operation<State> for DeleteResourcePolicy {
    type Input = DeleteResourcePolicyInput;
    type Output = DeleteResourcePolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: DeleteResourcePolicyInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        names::registry(input.registry_name.as_ref(), asker).map(DeleteResourcePolicy)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(own(state, &self.0).and_then(|known| match known.policy {
            Some(_) => {
                let registry = RegistryDeclared { policy: None, ..known.clone() };
                Ok(done(vec![Record::RegistryDeclared(registry)], Reply::Done))
            }
            None => Err(refusals::missing("Policy of the registry", &self.0.name)),
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteResourcePolicyOutput, Malformed> {
        reply.done()
    }
}
