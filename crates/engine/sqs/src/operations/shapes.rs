//! From the API's shapes to commands, and from replies to the API's shapes.

use api::Text;
use api::sqs::{Request, Response};
use bytes::Bytes;
use kernel::codec::Malformed;
use kernel::{Caller, Extent, Refusal};
use notification::Keys;

use super::*;
use crate::rules::shown::Shown;
use crate::{QueueId, Seq};

/// What has to be remembered of a request until it is answered.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) operation: api::sqs::Operation,
    pub(super) shown: Shown,
}

/// Prepares a request: checks what needs no state, does what costs by the byte. `trace` is the request's trace header.
pub fn prepare(request: Request, caller: &Caller, trace: Option<Text>) -> Result<(Command, Plan), Refusal> {
    use api::sqs::Operation;
    let mut shown = Shown::default();
    let (operation, command) = match request {
        Request::AddPermission(input) => (
            Operation::AddPermission,
            Command::AddPermission(add_permission::AddPermission::prepare(&input, caller)?),
        ),
        Request::CancelMessageMoveTask(input) => (
            Operation::CancelMessageMoveTask,
            Command::CancelMessageMoveTask(cancel_message_move_task::CancelMessageMoveTask::prepare(input)?),
        ),
        Request::ChangeMessageVisibility(input) => (
            Operation::ChangeMessageVisibility,
            Command::ChangeMessageVisibility(change_message_visibility::ChangeMessageVisibility::prepare(
                input, caller,
            )?),
        ),
        Request::ChangeMessageVisibilityBatch(input) => (
            Operation::ChangeMessageVisibilityBatch,
            Command::ChangeMessageVisibilityBatch(
                change_message_visibility_batch::ChangeMessageVisibilityBatch::prepare(input, caller)?,
            ),
        ),
        Request::CreateQueue(input) => (
            Operation::CreateQueue,
            Command::CreateQueue(create_queue::CreateQueue::prepare(&input, caller)?),
        ),
        Request::DeleteAndReceiveMessages(input) => {
            let (command, what) =
                delete_and_receive_messages::DeleteAndReceiveMessages::prepare(input, caller)?;
            shown = what;
            (Operation::DeleteAndReceiveMessages, Command::DeleteAndReceiveMessages(command))
        }
        Request::DeleteMessage(input) => (
            Operation::DeleteMessage,
            Command::DeleteMessage(delete_message::DeleteMessage::prepare(input, caller)?),
        ),
        Request::DeleteMessageBatch(input) => (
            Operation::DeleteMessageBatch,
            Command::DeleteMessageBatch(delete_message_batch::DeleteMessageBatch::prepare(input, caller)?),
        ),
        Request::DeleteQueue(input) => (
            Operation::DeleteQueue,
            Command::DeleteQueue(delete_queue::DeleteQueue::prepare(&input, caller)?),
        ),
        Request::GetQueueAttributes(input) => (
            Operation::GetQueueAttributes,
            Command::GetQueueAttributes(get_queue_attributes::GetQueueAttributes::prepare(&input, caller)?),
        ),
        Request::GetQueueUrl(input) => (
            Operation::GetQueueUrl,
            Command::GetQueueUrl(get_queue_url::GetQueueUrl::prepare(&input, caller)?),
        ),
        Request::ListDeadLetterSourceQueues(input) => (
            Operation::ListDeadLetterSourceQueues,
            Command::ListDeadLetterSourceQueues(
                list_dead_letter_source_queues::ListDeadLetterSourceQueues::prepare(&input, caller)?,
            ),
        ),
        Request::ListMessageMoveTasks(input) => (
            Operation::ListMessageMoveTasks,
            Command::ListMessageMoveTasks(list_message_move_tasks::ListMessageMoveTasks::prepare(&input)?),
        ),
        Request::ListQueueTags(input) => (
            Operation::ListQueueTags,
            Command::ListQueueTags(list_queue_tags::ListQueueTags::prepare(&input, caller)?),
        ),
        Request::ListQueues(input) => {
            (Operation::ListQueues, Command::ListQueues(list_queues::ListQueues::prepare(&input, caller)?))
        }
        Request::PurgeQueue(input) => {
            (Operation::PurgeQueue, Command::PurgeQueue(purge_queue::PurgeQueue::prepare(&input, caller)?))
        }
        Request::ReceiveMessage(input) => {
            let (command, what) = receive_message::ReceiveMessage::prepare(&input, caller)?;
            shown = what;
            (Operation::ReceiveMessage, Command::ReceiveMessage(command))
        }
        Request::RemovePermission(input) => (
            Operation::RemovePermission,
            Command::RemovePermission(remove_permission::RemovePermission::prepare(&input, caller)?),
        ),
        Request::SendMessage(input) => (
            Operation::SendMessage,
            Command::SendMessage(send_message::SendMessage::prepare(input, caller, trace)?),
        ),
        Request::SendMessageBatch(input) => (
            Operation::SendMessageBatch,
            Command::SendMessageBatch(send_message_batch::SendMessageBatch::prepare(input, caller, trace)?),
        ),
        Request::SetQueueAttributes(input) => (
            Operation::SetQueueAttributes,
            Command::SetQueueAttributes(set_queue_attributes::SetQueueAttributes::prepare(&input, caller)?),
        ),
        Request::StartMessageMoveTask(input) => (
            Operation::StartMessageMoveTask,
            Command::StartMessageMoveTask(start_message_move_task::StartMessageMoveTask::prepare(&input)?),
        ),
        Request::TagQueue(input) => {
            (Operation::TagQueue, Command::TagQueue(tag_queue::TagQueue::prepare(&input, caller)?))
        }
        Request::UntagQueue(input) => {
            (Operation::UntagQueue, Command::UntagQueue(untag_queue::UntagQueue::prepare(&input, caller)?))
        }
    };
    Ok((command, Plan { operation, shown }))
}

impl Plan {
    /// Messages as the client wants to see them; absent if there are none.
    fn messages(
        &self,
        received: &receive_message::Received,
        keys: &Keys<'_>,
        records: &[(Bytes, Bytes)],
    ) -> Result<Option<Vec<api::sqs::Message>>, Malformed> {
        let messages = self.shown.present(received, records, keys)?;
        Ok((!messages.is_empty()).then_some(messages))
    }
}

/// Where the records lie that an answer needs, in the order in which it needs them.
pub fn needs(reply: &Reply) -> Vec<Extent> {
    match reply {
        Reply::Received(received) | Reply::DeletedAndReceived(_, received) => {
            received.messages.iter().map(|message| message.extent).collect()
        }
        Reply::Peeked(peeked) => peeked.received.messages.iter().map(|message| message.extent).collect(),
        _ => Vec::new(),
    }
}

impl Reply {
    /// The message at a position among those that the client is to get: its queue, its number, where it lies.
    pub fn given(&self, at: usize) -> Option<(QueueId, Seq, Extent)> {
        let (Reply::Received(received) | Reply::DeletedAndReceived(_, received)) = self else { return None };
        let message = received.messages.get(at)?;
        Some((received.queue, message.seq, message.extent))
    }

    /// Leaves out messages, by their positions in ascending order, whose records are gone.
    pub fn forget(&mut self, gone: &[usize]) {
        if let Reply::Received(received) | Reply::DeletedAndReceived(_, received) = self {
            for &at in gone.iter().rev() {
                received.messages.remove(at);
            }
        }
        if let Reply::Peeked(peeked) = self {
            for &at in gone.iter().rev() {
                peeked.received.messages.remove(at);
                peeked.conditions.remove(at);
            }
        }
    }
}

/// Turns a reply into the answer. `base` is the URL under which the client reached this server; `records` are heads and
/// tails of what [`needs`] asked for.
pub fn present(
    reply: Reply,
    plan: &Plan,
    base: &str,
    keys: &Keys<'_>,
    records: &[(Bytes, Bytes)],
) -> Result<Response, Malformed> {
    use api::sqs::*;
    Ok(match (plan.operation, reply) {
        (Operation::SendMessage, Reply::Sent(sent)) => {
            Response::SendMessage(send_message::SendMessage::present(&sent, keys.secret))
        }
        (Operation::SendMessageBatch, Reply::SentBatch(outcome)) => {
            Response::SendMessageBatch(send_message_batch::SendMessageBatch::present(outcome, keys.secret))
        }
        (Operation::ReceiveMessage, Reply::Peeked(peeked)) => {
            let messages = plan.messages(&peeked.received, keys, records)?;
            Response::ReceiveMessage(api::sqs::ReceiveMessageOutput { messages })
        }
        (Operation::ReceiveMessage, Reply::Received(received)) => {
            let messages = plan.messages(&received, keys, records)?;
            Response::ReceiveMessage(ReceiveMessageOutput { messages })
        }
        (Operation::DeleteAndReceiveMessages, Reply::DeletedAndReceived(deleted, received)) => {
            let messages = plan.messages(&received, keys, records)?;
            Response::DeleteAndReceiveMessages(
                delete_and_receive_messages::DeleteAndReceiveMessages::present(deleted, messages),
            )
        }
        (Operation::DeleteMessage, Reply::Done) => Response::DeleteMessage(DeleteMessageOutput {}),
        (Operation::DeleteMessageBatch, Reply::DoneBatch(outcome)) => {
            Response::DeleteMessageBatch(delete_message_batch::DeleteMessageBatch::present(outcome))
        }
        (Operation::ChangeMessageVisibility, Reply::Done) => {
            Response::ChangeMessageVisibility(ChangeMessageVisibilityOutput {})
        }
        (Operation::ChangeMessageVisibilityBatch, Reply::DoneBatch(outcome)) => {
            Response::ChangeMessageVisibilityBatch(
                change_message_visibility_batch::ChangeMessageVisibilityBatch::present(outcome),
            )
        }
        (Operation::CreateQueue, Reply::QueueUrl(queue)) => {
            Response::CreateQueue(create_queue::CreateQueue::present(&queue, base))
        }
        (Operation::DeleteQueue, Reply::Done) => Response::DeleteQueue(DeleteQueueOutput {}),
        (Operation::PurgeQueue, Reply::Done) => Response::PurgeQueue(PurgeQueueOutput {}),
        (Operation::GetQueueUrl, Reply::QueueUrl(queue)) => {
            Response::GetQueueUrl(get_queue_url::GetQueueUrl::present(&queue, base))
        }
        (Operation::ListQueues, Reply::QueueUrls(page)) => {
            Response::ListQueues(list_queues::ListQueues::present(&page, base))
        }
        (Operation::GetQueueAttributes, Reply::Attributes(attributes)) => {
            Response::GetQueueAttributes(get_queue_attributes::GetQueueAttributes::present(&attributes))
        }
        (Operation::SetQueueAttributes, Reply::Done) => {
            Response::SetQueueAttributes(SetQueueAttributesOutput {})
        }
        (Operation::AddPermission, Reply::Done) => Response::AddPermission(AddPermissionOutput {}),
        (Operation::RemovePermission, Reply::Done) => Response::RemovePermission(RemovePermissionOutput {}),
        (Operation::ListDeadLetterSourceQueues, Reply::QueueUrls(page)) => {
            Response::ListDeadLetterSourceQueues(
                list_dead_letter_source_queues::ListDeadLetterSourceQueues::present(&page, base),
            )
        }
        (Operation::TagQueue, Reply::Done) => Response::TagQueue(TagQueueOutput {}),
        (Operation::UntagQueue, Reply::Done) => Response::UntagQueue(UntagQueueOutput {}),
        (Operation::ListQueueTags, Reply::Tags(tags)) => {
            Response::ListQueueTags(list_queue_tags::ListQueueTags::present(&tags))
        }
        (Operation::StartMessageMoveTask, Reply::MoveStarted { task, source }) => {
            Response::StartMessageMoveTask(start_message_move_task::StartMessageMoveTask::present(
                task,
                &source,
                keys.secret,
            ))
        }
        (Operation::CancelMessageMoveTask, Reply::MoveCancelled { moved }) => {
            Response::CancelMessageMoveTask(cancel_message_move_task::CancelMessageMoveTask::present(moved))
        }
        (Operation::ListMessageMoveTasks, Reply::Moves(tasks)) => Response::ListMessageMoveTasks(
            list_message_move_tasks::ListMessageMoveTasks::present(&tasks, keys.secret),
        ),
        // Every operation decides on the reply of its own kind.
        _ => return Err(Malformed),
    })
}
