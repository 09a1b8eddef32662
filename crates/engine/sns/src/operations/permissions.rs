//! AddPermission and RemovePermission: a topic's policy gets one more statement, or one less.

use api::sns::{AddPermissionInput, AddPermissionOutput, RemovePermissionInput, RemovePermissionOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Reply, redeclared};
use crate::rules::arns;
use crate::rules::policy::{self, Permission};
use crate::state::State;
use crate::topic::Topic;
use crate::{TopicKey, refusals};

/// AddPermission.
#[derive(Clone, Debug)]
pub struct AddPermission {
    /// To which topic's policy.
    pub topic: TopicKey,
    /// Who may do what.
    pub permission: Permission,
}

impl Operation<State> for AddPermission {
    type Input = AddPermissionInput;
    type Output = AddPermissionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: AddPermissionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let topic = arns::topic_here(input.topic_arn.as_deref(), asker.caller)?;
        let accounts: Vec<&str> = input.aws_account_id.iter().flatten().map(|account| &**account).collect();
        let actions: Vec<&str> = input.action_name.iter().flatten().map(|action| &**action).collect();
        let label = input.label.as_deref().unwrap_or_default();
        Ok(AddPermission { topic, permission: Permission::new(label, &accounts, &actions)? })
    }

    /// Adds it.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        match policy::add(&policy_of(topic), &self.topic, &self.permission) {
            Ok(policy) => with_policy(topic, policy),
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<AddPermissionOutput, Malformed> {
        reply.done()
    }
}

/// RemovePermission.
#[derive(Clone, Debug)]
pub struct RemovePermission {
    /// From which topic's policy.
    pub topic: TopicKey,
    /// Under which label it was added.
    pub label: String,
}

impl Operation<State> for RemovePermission {
    type Input = RemovePermissionInput;
    type Output = RemovePermissionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: RemovePermissionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let topic = arns::topic_here(input.topic_arn.as_deref(), asker.caller)?;
        Ok(RemovePermission { topic, label: input.label.as_deref().unwrap_or_default().to_owned() })
    }

    /// Removes it, if it is there.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(topic) = state.topic(&self.topic) else { return refusals::topic_missing().into() };
        match policy::remove(&policy_of(topic), &self.label) {
            Some(policy) => with_policy(topic, policy),
            None => Decision::answer(Reply::Done),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<RemovePermissionOutput, Malformed> {
        reply.done()
    }
}

fn policy_of(topic: &Topic) -> String {
    topic.attribute("Policy").map_or_else(|| policy::default_policy(topic.key()), str::to_owned)
}

fn with_policy<'a>(topic: &Topic, policy: String) -> Decision<'a> {
    redeclared(topic, |declared| drop(declared.attributes.insert("Policy".to_owned(), policy)))
}
