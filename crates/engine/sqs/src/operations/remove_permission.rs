//! RemovePermission: a statement leaves a queue's policy.

use api::sqs::RemovePermissionInput;
use kernel::{Caller, Refusal};

use super::add_permission::with_policy;
use super::{Decision, Setting};
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

impl RemovePermission {
    /// Reads the request.
    pub fn prepare(input: &RemovePermissionInput, caller: &Caller) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), caller)?;
        Ok(RemovePermission { queue, label: policy::check_label(input.label.as_deref()) })
    }

    /// Removes it; with the last statement goes the policy.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let rest = self.label.as_ref().map_err(Refusal::clone);
        match rest.and_then(|label| policy::remove(queue.settings.policy.as_deref(), label)) {
            Ok(rest) => with_policy(queue, rest, setting),
            Err(refusal) => refusal.into(),
        }
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
        world.ask(|state, setting| remove.decide(state, setting)).unwrap();
        let rest = world.state.queue(&key("q")).unwrap().settings.policy.clone();
        assert_eq!(rest, Some(policy(&[statement("b")])));
    }
}
