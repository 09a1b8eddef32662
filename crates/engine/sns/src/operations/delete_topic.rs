//! DeleteTopic: a topic goes, and its subscriptions with it.

use api::sns::DeleteTopicInput;
use kernel::{Caller, Refusal};

use super::{Decision, Reply, Setting};
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

impl DeleteTopic {
    /// Reads the request.
    pub fn prepare(input: &DeleteTopicInput, caller: &Caller) -> Result<Self, Refusal> {
        Ok(DeleteTopic { topic: arns::topic_here(input.topic_arn.as_deref(), caller)? })
    }

    /// Deletes it; one that is not there is gone already (facts/sns.md § 2). What it keeps to be replayed must be given up
    /// before (facts/sns.md § 10).
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        match state.topic(&self.topic) {
            None => Decision::answer(Reply::Done),
            Some(topic) if topic.is_archived() => {
                let text = "Invalid state: Cannot delete a topic with an ArchivePolicy";
                Refusal::new("InvalidStateException", text).into()
            }
            Some(topic) => super::done(vec![Record::TopicDeleted(state.deletion_of(topic))], Reply::Done),
        }
    }
}
