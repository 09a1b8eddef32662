//! AddPermission: a queue's policy gets one more statement.

use api::sqs::{AddPermissionInput, AddPermissionOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::reply::Reply;
use super::{Context, Decision, Materials, Setting};
use crate::queue::Queue;
use crate::records::{QueueDeclared, Record};
use crate::rules::names::queue_of_url;
use crate::rules::policy::{self, Permission};
use crate::rules::settings::Settings;
use crate::state::State;
use crate::{QueueKey, refusals};

/// AddPermission.
#[derive(Clone, Debug)]
pub struct AddPermission {
    /// Which queue.
    pub queue: QueueKey,
    /// Who may do what.
    pub permission: Result<Permission, Refusal>,
}

impl Operation<State> for AddPermission {
    type Input = AddPermissionInput;
    type Output = AddPermissionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: AddPermissionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let accounts: Option<Vec<&str>> = input
            .aws_account_ids
            .as_ref()
            .map(|accounts| accounts.iter().map(|account| &**account).collect());
        let actions: Vec<&str> = input.actions.iter().flatten().map(|action| &**action).collect();
        let permission = Permission::new(input.label.as_deref(), accounts.as_deref(), &actions);
        Ok(AddPermission { queue, permission })
    }

    /// Adds it.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let policy =
            self.permission.as_ref().map_err(Refusal::clone).and_then(|permission| {
                policy::add(queue.settings.policy.as_deref(), &self.queue, permission)
            });
        match policy {
            Ok(policy) => with_policy(queue, Some(policy), &context.setting),
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<AddPermissionOutput, Malformed> {
        reply.done()
    }
}

/// The queue gets another policy, or none.
pub(super) fn with_policy<'a>(queue: &Queue, policy: Option<String>, setting: &Setting<'_>) -> Decision<'a> {
    let settings = Settings { policy, ..queue.settings.clone() };
    let declaration = QueueDeclared { settings, modified: setting.now, ..queue.declaration() };
    Decision::done(vec![Record::QueueDeclared(Box::new(declaration)).into()], Reply::Done)
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key, prepare};
    use super::super::remove_permission::RemovePermission;
    use super::*;

    #[test]
    fn permissions_make_a_policy_that_goes_with_the_last_of_them() {
        // facts/sqs.md § 9
        let mut world = World::new();
        let queue = world.create("q", &[]);
        let policy = |world: &World| world.state.queue(&key("q")).unwrap().settings.policy.clone();
        let permission = Permission::new(Some("a"), Some(&["111111111111"]), &["SendMessage"]);
        let add = AddPermission { queue: queue.clone(), permission };
        assert_eq!(world.ask(|state, context| add.decide(state, context)), Ok(Reply::Done));
        assert!(policy(&world).unwrap().contains("\"Sid\":\"a\""));
        let refusal = world.ask(|state, context| add.decide(state, context)).unwrap_err();
        assert_eq!(refusal.message, "Value a for parameter Label is invalid. Reason: Already exists.");
        let remove = RemovePermission { queue, label: Ok("a".to_owned()) };
        assert_eq!(world.ask(|state, context| remove.decide(state, context)), Ok(Reply::Done));
        assert_eq!(policy(&world), None);
        let refusal = world.ask(|state, context| remove.decide(state, context)).unwrap_err();
        assert_eq!(refusal.message, "Value a for parameter Label is invalid. Reason: can't find label.");
    }

    #[test]
    fn absent_accounts_are_another_fault_than_no_accounts() {
        // facts/sqs.md § 9
        let input = |accounts| AddPermissionInput {
            queue_url: Some("/000000000000/q".into()),
            label: Some("a".into()),
            aws_account_ids: accounts,
            actions: Some(vec!["SendMessage".into()]),
        };
        for (accounts, shape) in [
            (None, Some("MissingRequiredParameterException")),
            (Some(vec![]), Some("InvalidParameterValueException")),
            (Some(vec!["111111111111".into()]), None),
        ] {
            let add = prepare::<AddPermission>(input(accounts)).unwrap();
            assert_eq!(add.permission.err().map(|refusal| refusal.shape), shape);
        }
    }
}
