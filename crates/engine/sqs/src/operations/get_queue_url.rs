//! GetQueueUrl: a queue's URL by its name.

use super::reply::Reply;
use super::{Decision, Setting};
use crate::state::State;
use crate::{QueueKey, refusals};

/// GetQueueUrl.
#[derive(Clone, Debug)]
pub struct GetQueueUrl {
    /// The name in the caller's region, and in the account that was named or else the caller's.
    pub queue: QueueKey,
}

impl GetQueueUrl {
    /// Tells the URL, if there is such a queue.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        match state.queue(&self.queue) {
            Some(queue) => Decision::answer(Reply::QueueUrl(queue.key.clone())),
            None => refusals::queue_missing().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key};
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
            let answer = world.ask(|state, setting| get.decide(state, setting));
            match answer {
                Ok(answer) => assert!(found && answer == Reply::QueueUrl(queue)),
                Err(refusal) => assert!(!found && refusal == refusals::queue_missing()),
            }
        }
    }
}
