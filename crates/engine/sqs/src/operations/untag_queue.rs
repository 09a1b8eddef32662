//! UntagQueue: a queue loses tags.

use api::sqs::{UntagQueueInput, UntagQueueOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::tags;

use super::reply::Reply;
use super::tag_queue::{pairs_of, with_tags};
use super::{Context, Decision, Materials};
use crate::rules::names::queue_of_url;
use crate::state::State;
use crate::{QueueKey, refusals};

/// UntagQueue.
#[derive(Clone, Debug)]
pub struct UntagQueue {
    /// Which queue.
    pub queue: QueueKey,
    /// The keys of the tags.
    pub keys: Result<Vec<String>, Refusal>,
}

impl Operation<State> for UntagQueue {
    type Input = UntagQueueInput;
    type Output = UntagQueueOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagQueueInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        Ok(UntagQueue::new(queue, input.tag_keys.iter().flatten().map(|key| &**key)))
    }

    /// Removes those that it has; the others do no harm (facts/sqs.md § 2).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        match &self.keys {
            Ok(keys) => with_tags(queue, tags::removed(pairs_of(&queue.tags), keys)),
            Err(refusal) => refusal.clone().into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UntagQueueOutput, Malformed> {
        reply.done()
    }
}

impl UntagQueue {
    /// Reads the keys, of which there must be some.
    pub fn new<'a>(queue: QueueKey, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        let keys = if keys.is_empty() { Err(refusals::parameter_missing("TagKeys")) } else { Ok(keys) };
        UntagQueue { queue, keys }
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key};
    use super::*;

    #[test]
    fn a_missing_queue_is_told_before_missing_keys() {
        let mut world = World::new();
        let untag = UntagQueue::new(key("q"), []);
        let refusal = world.ask(|state, context| untag.decide(state, context)).unwrap_err();
        assert_eq!(refusal.shape, "QueueDoesNotExist");
        world.create("q", &[]);
        let refusal = world.ask(|state, context| untag.decide(state, context)).unwrap_err();
        assert_eq!(refusal.message, "The request must contain the parameter TagKeys.");
    }
}
