//! ListQueueTags: a queue's tags.

use api::sqs::{ListQueueTagsInput, ListQueueTagsOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::reply::{Reply, to_map};
use super::{Context, Decision, Materials};
use crate::rules::names::queue_of_url;
use crate::state::State;
use crate::{QueueKey, refusals};

/// ListQueueTags.
#[derive(Clone, Debug)]
pub struct ListQueueTags {
    /// Of which queue.
    pub queue: QueueKey,
}

impl Operation<State> for ListQueueTags {
    type Input = ListQueueTagsInput;
    type Output = ListQueueTagsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListQueueTagsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(ListQueueTags { queue: queue_of_url(input.queue_url.as_deref(), asker.caller)? })
    }

    /// Tells all of them.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match state.queue(&self.queue) {
            Some(queue) => Decision::answer(Reply::Tags(queue.tags.clone())),
            None => refusals::queue_missing().into(),
        }
    }

    /// The answer; without tags it has no `Tags` (facts/sqs.md § 2).
    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListQueueTagsOutput, Malformed> {
        let Reply::Tags(tags) = reply else { return Err(Malformed) };
        Ok(ListQueueTagsOutput { tags: to_map(&tags) })
    }
}
