//! ListQueueTags: a queue's tags.

use api::sqs::{ListQueueTagsInput, ListQueueTagsOutput};
use kernel::{Caller, Refusal};

use super::reply::{Reply, to_map};
use super::{Decision, Setting};
use crate::rules::names::queue_of_url;
use crate::state::State;
use crate::{QueueKey, refusals};

/// ListQueueTags.
#[derive(Clone, Debug)]
pub struct ListQueueTags {
    /// Of which queue.
    pub queue: QueueKey,
}

impl ListQueueTags {
    /// Reads the request.
    pub fn prepare(input: &ListQueueTagsInput, caller: &Caller) -> Result<Self, Refusal> {
        Ok(ListQueueTags { queue: queue_of_url(input.queue_url.as_deref(), caller)? })
    }

    /// Tells all of them.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        match state.queue(&self.queue) {
            Some(queue) => Decision::answer(Reply::Tags(queue.tags.clone())),
            None => refusals::queue_missing().into(),
        }
    }

    /// The answer; without tags it has no `Tags` (facts/sqs.md § 2).
    pub fn present(tags: &[(String, String)]) -> ListQueueTagsOutput {
        ListQueueTagsOutput { tags: to_map(tags) }
    }
}
