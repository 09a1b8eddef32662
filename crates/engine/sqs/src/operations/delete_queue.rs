//! DeleteQueue: a queue goes, and its messages with it.

use api::sqs::DeleteQueueInput;
use kernel::{Caller, Refusal};

use super::reply::Reply;
use super::{Decision, Setting};
use crate::records::{QueueDeleted, Record};
use crate::rules::names::queue_of_url;
use crate::state::State;
use crate::{QueueKey, refusals};

/// DeleteQueue.
#[derive(Clone, Debug)]
pub struct DeleteQueue {
    /// Which.
    pub queue: QueueKey,
}

impl DeleteQueue {
    /// Reads the request.
    pub fn prepare(input: &DeleteQueueInput, caller: &Caller) -> Result<Self, Refusal> {
        Ok(DeleteQueue { queue: queue_of_url(input.queue_url.as_deref(), caller)? })
    }

    /// Deletes it, whatever is in it.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let declared_in = queue.standing.declared_in().collect();
        let record = QueueDeleted { id: queue.id, at: setting.now, declared_in };
        Decision::done(vec![Record::QueueDeleted(record).into()], Reply::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key};
    use super::*;

    #[test]
    fn a_queue_is_deleted_once() {
        // facts/sqs.md §§ 2, 11
        let mut world = World::new();
        world.create("q", &[]);
        let delete = DeleteQueue { queue: key("q") };
        assert_eq!(world.ask(|state, setting| delete.decide(state, setting)), Ok(Reply::Done));
        assert!(world.state.queue(&key("q")).is_none());
        let refusal = world.ask(|state, setting| delete.decide(state, setting)).unwrap_err();
        assert_eq!(
            (refusal.shape, &*refusal.message),
            ("QueueDoesNotExist", "The specified queue does not exist.")
        );
    }
}
