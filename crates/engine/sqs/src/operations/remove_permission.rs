//! RemovePermission: a statement leaves a queue's policy.

use api::sqs::{RemovePermissionInput, RemovePermissionOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::add_permission::with_policy;
use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::rules::names::queue_of_url;
use crate::rules::policy;
use crate::state::State;
use crate::{QueueKey, refusals};

/// RemovePermission.
#[derive(Clone, Debug)]
pub struct RemovePermission {
    /// Which queue.
    pub queue: QueueKey,
    /// Under which label it was added.
    pub label: Result<String, Refusal>,
}

impl Operation<State> for RemovePermission {
    type Input = RemovePermissionInput;
    type Output = RemovePermissionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: RemovePermissionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        Ok(RemovePermission { queue, label: policy::check_label(input.label.as_deref()) })
    }

    /// Removes it; with the last statement goes the policy.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let rest = self.label.as_ref().map_err(Refusal::clone);
        match rest.and_then(|label| policy::remove(queue.settings.policy.as_deref(), label)) {
            Ok(rest) => with_policy(queue, rest, &context.setting),
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<RemovePermissionOutput, Malformed> {
        reply.done()
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key};
    use super::*;

    #[test]
    fn a_statement_of_the_owners_own_policy_can_be_removed_by_its_sid() {
        // facts/sqs.md § 9
        let mut world = World::new();
        let statement =
            |sid: &str| format!(r#"{{"Sid":"{sid}","Effect":"Deny","Principal":"*","Action":"*"}}"#);
        let policy = |statements: &[String]| format!(r#"{{"Statement":[{}]}}"#, statements.join(","));
        let both = policy(&[statement("a"), statement("b")]);
        let queue = world.create("q", &[("Policy", &both)]);
        let remove = RemovePermission { queue, label: Ok("a".to_owned()) };
        world.ask(|state, context| remove.decide(state, context)).unwrap();
        let rest = world.state.queue(&key("q")).unwrap().settings.policy.clone();
        assert_eq!(rest, Some(policy(&[statement("b")])));
    }
}
