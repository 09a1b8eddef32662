//! DeleteTopic: a topic goes, and its subscriptions with it.

use api::sns::DeleteTopicInput;
use kernel::Refusal;

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
    pub fn prepare(input: &DeleteTopicInput) -> Result<Self, Refusal> {
        Ok(DeleteTopic { topic: arns::topic(input.topic_arn.as_deref(), "TopicArn")? })
    }

    /// Deletes it; one that is not there is gone already (facts/sns.md § 2).
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let records = match state.topic(&self.topic) {
            Some(topic) => vec![Record::TopicDeleted(state.deletion_of(topic))],
            None => Vec::new(),
        };
        Decision::done(records, Reply::Done)
    }
}
