//! DeleteQueue: a queue goes, and its messages with it.

use api::sqs::{DeleteQueueInput, DeleteQueueOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::reply::Reply;
use super::{Context, Decision, Materials};
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

impl Operation<State> for DeleteQueue {
    type Input = DeleteQueueInput;
    type Output = DeleteQueueOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteQueueInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteQueue { queue: queue_of_url(input.queue_url.as_deref(), asker.caller)? })
    }

    /// Deletes it, whatever is in it.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let declared_in = queue.standing.declared_in().collect();
        let record = QueueDeleted { id: queue.id, at: context.setting.now, declared_in };
        Decision::done(vec![Record::QueueDeleted(record).into()], Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteQueueOutput, Malformed> {
        reply.done()
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
        assert_eq!(world.ask(|state, context| delete.decide(state, context)), Ok(Reply::Done));
        assert!(world.state.queue(&key("q")).is_none());
        let refusal = world.ask(|state, context| delete.decide(state, context)).unwrap_err();
        assert_eq!(
            (refusal.shape, &*refusal.message),
            ("QueueDoesNotExist", "The specified queue does not exist.")
        );
    }
}
