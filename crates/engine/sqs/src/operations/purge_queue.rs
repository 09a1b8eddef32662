//! PurgeQueue: a queue is emptied.

use api::sqs::{PurgeQueueInput, PurgeQueueOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::limits::PURGE_AGAIN_MILLIS;
use crate::records::{QueueDeclared, Record};
use crate::rules::names::queue_of_url;
use crate::state::State;
use crate::{QueueKey, Seq, refusals};

/// PurgeQueue.
#[derive(Clone, Debug)]
pub struct PurgeQueue {
    /// Which.
    pub queue: QueueKey,
}

impl Operation<State> for PurgeQueue {
    type Input = PurgeQueueInput;
    type Output = PurgeQueueOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: PurgeQueueInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(PurgeQueue { queue: queue_of_url(input.queue_url.as_deref(), asker.caller)? })
    }

    /// Gives up every message that was accepted until now: visible, in flight and delayed (facts/sqs.md § 2).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        if context.setting.limits.purge_waits
            && let Some(purged) = queue.purged
            && context.setting.now < purged + PURGE_AGAIN_MILLIS
        {
            let name = &self.queue.name;
            return Refusal::new(
                "PurgeQueueInProgress",
                format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds."),
            )
            .into();
        }
        let declaration = QueueDeclared {
            purged_through: Seq(context.setting.numbers.next().saturating_sub(1)),
            purged: Some(context.setting.now),
            ..queue.declaration()
        };
        Decision::done(vec![Record::QueueDeclared(Box::new(declaration)).into()], Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<PurgeQueueOutput, Malformed> {
        reply.done()
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key};
    use super::*;
    use crate::limits::Limits;
    use crate::records::MessageSent;

    fn send(world: &mut World, delay_seconds: u32) {
        world
            .ask(|state, context| {
                let seq = Seq(context.setting.numbers.draw());
                let sent = MessageSent {
                    queue: state.queue(&key("q")).unwrap().id,
                    seq,
                    origin: seq,
                    sent: context.setting.now,
                    group: None,
                    deduplication: None,
                    delay_seconds,
                    forwarded: false,
                };
                Decision::done(vec![Record::MessageSent(sent).into()], Reply::Done)
            })
            .unwrap();
    }

    #[test]
    fn a_purge_takes_what_was_sent_before_and_nothing_that_is_sent_after() {
        // facts/sqs.md § 2
        let mut world = World::new();
        let queue = world.create("q", &[("DelaySeconds", "7")]);
        send(&mut world, 0);
        send(&mut world, 7);
        let purge = PurgeQueue { queue: queue.clone() };
        assert_eq!(world.ask(|state, context| purge.decide(state, context)), Ok(Reply::Done));
        let counts = |world: &World| {
            let queue = world.state.queue(&key("q")).unwrap();
            (queue.visible_count, queue.delayed_count)
        };
        assert_eq!(counts(&world), (0, 0));
        send(&mut world, 0);
        assert_eq!(counts(&world), (1, 0));
        assert_eq!(world.state.queue(&queue).unwrap().settings.delay_seconds, 7, "the queue stays as it was");
    }

    #[test]
    fn a_queue_is_purged_once_a_minute_or_at_will() {
        // facts/sqs.md § 11
        let mut world = World::new();
        world.create("q", &[]);
        let purge = PurgeQueue { queue: key("q") };
        world.ask(|state, context| purge.decide(state, context)).unwrap();
        world.pass(59_999);
        let refusal = world.ask(|state, context| purge.decide(state, context)).unwrap_err();
        assert_eq!(refusal.shape, "PurgeQueueInProgress");
        assert_eq!(refusal.message, "Only one PurgeQueue operation on q is allowed every 60 seconds.");
        world.pass(1);
        world.ask(|state, context| purge.decide(state, context)).unwrap();
        world.limits = Limits::relaxed();
        world.ask(|state, context| purge.decide(state, context)).unwrap();
    }
}
