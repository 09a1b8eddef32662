//! DeleteTopic: a topic goes, and its subscriptions with it.

use api::sns::{DeleteTopicInput, DeleteTopicOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Reply};
use crate::TopicKey;
use crate::records::Record;
use crate::rules::arns;
use crate::state::State;

/// DeleteTopic.
#[derive(Clone, Debug)]
pub struct DeleteTopic {
    /// Which.
    pub topic: TopicKey,
}

impl Operation<State> for DeleteTopic {
    type Input = DeleteTopicInput;
    type Output = DeleteTopicOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteTopicInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteTopic { topic: arns::topic_here(input.topic_arn.as_deref(), asker.caller)? })
    }

    /// Deletes it; one that is not there is gone already (facts/sns.md § 2). What it keeps to be replayed must be given up
    /// before (facts/sns.md § 10).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match state.topic(&self.topic) {
            None => Decision::answer(Reply::Done),
            Some(topic) if topic.is_archived() => {
                let text = "Invalid state: Cannot delete a topic with an ArchivePolicy";
                Refusal::new("InvalidStateException", text).into()
            }
            Some(topic) => super::done(vec![Record::TopicDeleted(state.deletion_of(topic))], Reply::Done),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<DeleteTopicOutput, Malformed> {
        reply.done()
    }
}
