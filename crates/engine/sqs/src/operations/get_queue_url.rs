//! GetQueueUrl: a queue's URL by its name.

use api::sqs::{GetQueueUrlInput, GetQueueUrlOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::rules::names;
use crate::state::State;
use crate::{QueueKey, refusals};

/// GetQueueUrl.
#[derive(Clone, Debug)]
pub struct GetQueueUrl {
    /// The name in the caller's region, and in the account that was named or else the caller's.
    pub queue: QueueKey,
}

impl Operation<State> for GetQueueUrl {
    type Input = GetQueueUrlInput;
    type Output = GetQueueUrlOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetQueueUrlInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let name = input.queue_name.as_deref().ok_or_else(|| refusals::parameter_missing("QueueName"))?;
        let owner = input.queue_owner_aws_account_id.as_deref().filter(|owner| !owner.is_empty());
        let queue = QueueKey {
            account: owner.unwrap_or(&asker.caller.account).to_owned(),
            region: asker.caller.region.clone(),
            name: name.to_owned(),
        };
        Ok(GetQueueUrl { queue })
    }

    /// Tells the URL, if there is such a queue.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match state.queue(&self.queue) {
            Some(queue) => Decision::answer(Reply::QueueUrl(queue.key.clone())),
            None => refusals::queue_missing().into(),
        }
    }

    /// The answer. `base` is how the client reached the server, such as `http://localhost:4566`.
    fn present(reply: Reply, _: &(), materials: &Materials<'_>) -> Result<GetQueueUrlOutput, Malformed> {
        let Reply::QueueUrl(queue) = reply else { return Err(Malformed) };
        Ok(GetQueueUrlOutput { queue_url: Some(names::url(materials.base, &queue).into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key, prepare};
    use super::*;

    #[test]
    fn a_queue_is_found_by_its_name_in_its_own_account_and_region_only() {
        // facts/sqs.md § 2
        let mut world = World::new();
        world.create("q", &[]);
        for (queue, found) in [
            (key("q"), true),
            (key("Q"), false),
            (QueueKey { account: "111111111111".to_owned(), ..key("q") }, false),
            (QueueKey { region: "eu-west-1".to_owned(), ..key("q") }, false),
        ] {
            let get = GetQueueUrl { queue: queue.clone() };
            let answer = world.ask(|state, context| get.decide(state, context));
            match answer {
                Ok(answer) => assert!(found && answer == Reply::QueueUrl(queue)),
                Err(refusal) => assert!(!found && refusal == refusals::queue_missing()),
            }
        }
    }

    #[test]
    fn a_queue_of_another_account_can_be_named() {
        // facts/sqs.md § 2
        for (owner, account) in [(None, "000000000000"), (Some("111111111111".into()), "111111111111")] {
            let input = GetQueueUrlInput { queue_name: Some("q".into()), queue_owner_aws_account_id: owner };
            let get = prepare::<GetQueueUrl>(input).unwrap();
            assert_eq!(get.queue, QueueKey { account: account.to_owned(), ..key("q") });
        }
        let refusal = prepare::<GetQueueUrl>(GetQueueUrlInput::default()).unwrap_err();
        assert_eq!(refusal.message, "The request must contain the parameter QueueName.");
    }
}
