//! ListQueueTags: a queue's tags.

use super::reply::Reply;
use super::{Decision, Setting};
use crate::state::State;
use crate::{QueueKey, refusals};

/// ListQueueTags.
#[derive(Clone, Debug)]
pub struct ListQueueTags {
    /// Of which queue.
    pub queue: QueueKey,
}

impl ListQueueTags {
    /// Tells all of them.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        match state.queue(&self.queue) {
            Some(queue) => Decision::answer(Reply::Tags(queue.tags.clone())),
            None => refusals::queue_missing().into(),
        }
    }
}
