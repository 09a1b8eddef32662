//! DeleteAndReceiveMessages, which AWS does not have: a client is done with up to ten messages, and gets the next ones with the answer.
//!
//! It is DeleteMessageBatch and then ReceiveMessage without a wait, as if nobody's request had come between them. What is deleted is
//! gone before the receive looks: a message cannot be deleted and given, and a FIFO queue's group goes on with its next message.

use api::sqs::{
    DeleteAndReceiveMessagesInput, DeleteAndReceiveMessagesOutput, DeleteMessageBatchInput,
    ReceiveMessageInput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::batch::{BatchOutcome, present_failed};
use super::delete_message_batch::DeleteMessageBatch;
use super::receive_message::{ReceiveMessage, Received, messages};
use super::reply::Reply;
use super::{Context, Decision, Materials, Outcome};
use crate::rules::shown::Shown;
use crate::state::State;

/// Bytes that the receive can take for certain in the group of the deletes: more than it records but for dead letters.
const RECEIVE_BYTES: usize = 64 << 10;

/// DeleteAndReceiveMessages.
#[derive(Clone, Debug)]
pub struct DeleteAndReceiveMessages {
    /// What is done first.
    pub delete: DeleteMessageBatch,
    /// What is done then. It does not wait.
    pub receive: ReceiveMessage,
}

impl Operation<State> for DeleteAndReceiveMessages {
    type Input = DeleteAndReceiveMessagesInput;
    type Output = DeleteAndReceiveMessagesOutput;
    type Plan = Shown;

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteAndReceiveMessagesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    /// Reads the request: what is asked of the queue, and what of the messages is to be shown.
    fn prepare_with_plan(
        input: DeleteAndReceiveMessagesInput,
        asker: &Asker<'_>,
    ) -> Result<(Self, Shown), Refusal> {
        let receive = ReceiveMessageInput {
            queue_url: input.queue_url.clone(),
            message_system_attribute_names: input.message_system_attribute_names,
            message_attribute_names: input.message_attribute_names,
            max_number_of_messages: input.max_number_of_messages,
            visibility_timeout: input.visibility_timeout,
            wait_time_seconds: Some(0),
            ..ReceiveMessageInput::default()
        };
        let delete = DeleteMessageBatchInput { queue_url: input.queue_url, entries: input.entries };
        let delete = DeleteMessageBatch::prepare(delete, asker)?;
        let (receive, shown) = ReceiveMessage::prepare_with_plan(receive, asker)?;
        // AWS's SDKs check digests, and none of them knows this operation.
        Ok((DeleteAndReceiveMessages { delete, receive }, shown.without_digests()))
    }

    /// Drops what DeleteMessageBatch would. What is wrong with the receive, whatever the queue, is said before anything is done.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Decision { facts, outcome, .. } = self.delete.decide(state, context);
        match (outcome, &self.receive.request) {
            (Outcome::Reply(Ok(Reply::DoneBatch(_))), Err(refusal)) => refusal.clone().into(),
            (Outcome::Reply(Ok(Reply::DoneBatch(deleted))), Ok(_)) => {
                Decision::with(facts, Outcome::Again { step: deleted, room: RECEIVE_BYTES })
            }
            (outcome, _) => Decision::with(facts, outcome),
        }
    }

    /// Gives what is there now that the deleted are gone. (A standard queue that still has too many messages in flight refuses that,
    /// as it refuses a receive; what was deleted stays deleted.) On a disk that has room for deletes only, gives nothing.
    fn decide_again<'a>(
        &'a self,
        deleted: BatchOutcome<()>,
        state: &State,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        if context.setting.room < Demand::Change {
            return Decision::answer(match state.queue(&self.receive.queue) {
                Some(queue) => {
                    let nothing = Received { queue: queue.id, messages: Vec::new() };
                    Reply::DeletedAndReceived(deleted, nothing)
                }
                None => Reply::DoneBatch(deleted),
            });
        }
        let Decision { facts, outcome, .. } = self.receive.decide(state, context);
        let outcome = match outcome {
            Outcome::Reply(Ok(Reply::Received(received))) => {
                Outcome::Reply(Ok(Reply::DeletedAndReceived(deleted, received)))
            }
            outcome => outcome,
        };
        Decision::with(facts, outcome)
    }

    fn present(
        reply: Reply,
        shown: &Shown,
        materials: &Materials<'_>,
    ) -> Result<DeleteAndReceiveMessagesOutput, Malformed> {
        let Reply::DeletedAndReceived(deleted, received) = reply else { return Err(Malformed) };
        let messages = messages(&received, shown, materials)?;
        Ok(DeleteAndReceiveMessagesOutput { failed: present_failed(deleted.failed), messages })
    }
}

#[cfg(test)]
mod tests {
    use api::sqs::DeleteMessageBatchRequestEntry;

    use super::super::create_queue::testing::{ACCOUNT, World, prepare};
    use super::*;

    fn refusal(change: impl FnOnce(&mut DeleteAndReceiveMessagesInput)) -> &'static str {
        let mut world = World::new();
        world.create("q", &[]);
        let entry = DeleteMessageBatchRequestEntry { id: Some("a".into()), receipt_handle: Some("!".into()) };
        let mut input = DeleteAndReceiveMessagesInput {
            queue_url: Some(format!("http://localhost/{ACCOUNT}/q").into()),
            entries: Some(vec![entry]),
            ..DeleteAndReceiveMessagesInput::default()
        };
        change(&mut input);
        let both: DeleteAndReceiveMessages = match prepare(input) {
            Ok(both) => both,
            Err(refusal) => return refusal.shape,
        };
        let decided = world.ask(|state, context| {
            let decision = both.decide(state, context);
            match &decision.outcome {
                Outcome::Again { .. } => Decision::answer(Reply::Done),
                _ => {
                    assert!(decision.facts.is_empty(), "what is refused does nothing");
                    decision
                }
            }
        });
        decided.err().map_or("", |refusal| refusal.shape)
    }

    #[test]
    fn it_is_refused_where_one_of_the_two_is_before_anything_is_done() {
        assert_eq!(refusal(|_| {}), "");
        assert_eq!(refusal(|input| input.queue_url = None), "MissingRequiredParameterException");
        let elsewhere = format!("http://localhost/{ACCOUNT}/other");
        assert_eq!(refusal(|input| input.queue_url = Some(elsewhere.into())), "QueueDoesNotExist");
        assert_eq!(refusal(|input| input.entries = None), "EmptyBatchRequest");
        let twice = |input: &mut DeleteAndReceiveMessagesInput| {
            let entries = input.entries.clone();
            input.entries.iter_mut().for_each(|all| all.extend(entries.clone().into_iter().flatten()));
        };
        assert_eq!(refusal(twice), "BatchEntryIdsNotDistinct");
        assert_eq!(
            refusal(|input| input.max_number_of_messages = Some(11)),
            "InvalidParameterValueException"
        );
        assert_eq!(refusal(|input| input.visibility_timeout = Some(-1)), "InvalidParameterValueException");
        let names = Some(vec!["Colour".into()]);
        assert_eq!(refusal(|input| input.message_system_attribute_names = names), "InvalidAttributeName");
    }
}
