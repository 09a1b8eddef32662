//! What can be asked of queues: one file an operation.
//!
//! An operation has three parts. `prepare` runs where the request was read: it looks at the request alone, checks what
//! can be checked without state, and does what costs by the byte (hashes, encoding). `decide` runs in the engine, looks
//! at the state, and says which facts to record and what to answer; it changes nothing. `present` runs where the
//! request came from and turns the reply into the answer's shape.

use kernel::Demand;

pub use crate::records::Draft;
use crate::state::State;

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// What the caller hears.
pub type Outcome<'a> = kernel::Outcome<'a, State>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, crate::limits::Limits>;

/// A request that has been prepared.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each is documented where its struct is.
pub enum Command {
    SendMessage(send_message::SendMessage),
    SendMessageBatch(send_message_batch::SendMessageBatch),
    ReceiveMessage(receive_message::ReceiveMessage),
    DeleteMessage(delete_message::DeleteMessage),
    DeleteMessageBatch(delete_message_batch::DeleteMessageBatch),
    DeleteAndReceiveMessages(delete_and_receive_messages::DeleteAndReceiveMessages),
    ChangeMessageVisibility(change_message_visibility::ChangeMessageVisibility),
    ChangeMessageVisibilityBatch(change_message_visibility_batch::ChangeMessageVisibilityBatch),
    CreateQueue(create_queue::CreateQueue),
    DeleteQueue(delete_queue::DeleteQueue),
    PurgeQueue(purge_queue::PurgeQueue),
    GetQueueUrl(get_queue_url::GetQueueUrl),
    ListQueues(list_queues::ListQueues),
    GetQueueAttributes(get_queue_attributes::GetQueueAttributes),
    SetQueueAttributes(set_queue_attributes::SetQueueAttributes),
    AddPermission(add_permission::AddPermission),
    RemovePermission(remove_permission::RemovePermission),
    ListDeadLetterSourceQueues(list_dead_letter_source_queues::ListDeadLetterSourceQueues),
    TagQueue(tag_queue::TagQueue),
    UntagQueue(untag_queue::UntagQueue),
    ListQueueTags(list_queue_tags::ListQueueTags),
    StartMessageMoveTask(start_message_move_task::StartMessageMoveTask),
    CancelMessageMoveTask(cancel_message_move_task::CancelMessageMoveTask),
    ListMessageMoveTasks(list_message_move_tasks::ListMessageMoveTasks),
    PeekMessages(peek_messages::PeekMessages),
}

pub mod reply;
pub use reply::Reply;

mod shapes;
pub use shapes::{Plan, needs, prepare, present};

pub(crate) mod batch;
pub use batch::BatchOutcome;
pub(crate) mod dead_letters;

pub mod send_message;
pub mod send_message_batch;

pub mod receive_message;
pub use crate::due::Receive;

pub mod delete_message;
pub mod delete_message_batch;

pub mod delete_and_receive_messages;

pub mod change_message_visibility;
pub mod change_message_visibility_batch;

pub mod create_queue;
pub mod delete_queue;
pub mod get_queue_attributes;
pub mod get_queue_url;
pub mod list_queues;
pub mod purge_queue;
pub mod set_queue_attributes;

pub mod add_permission;
pub mod remove_permission;

pub mod peek_messages;

pub mod list_queue_tags;
pub mod tag_queue;
pub mod untag_queue;

pub mod cancel_message_move_task;
pub mod list_dead_letter_source_queues;
pub mod list_message_move_tasks;
pub mod start_message_move_task;

impl Command {
    /// Decides it.
    pub fn decide<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Decision<'a> {
        match self {
            Command::SendMessage(command) => command.decide(state, setting),
            Command::SendMessageBatch(command) => command.decide(state, setting),
            Command::ReceiveMessage(command) => command.decide(state, setting),
            Command::DeleteMessage(command) => command.decide(state, setting),
            Command::DeleteMessageBatch(command) => command.decide(state, setting),
            Command::DeleteAndReceiveMessages(command) => command.decide(state, setting),
            Command::ChangeMessageVisibility(command) => command.decide(state, setting),
            Command::ChangeMessageVisibilityBatch(command) => command.decide(state, setting),
            Command::CreateQueue(command) => command.decide(state, setting),
            Command::DeleteQueue(command) => command.decide(state, setting),
            Command::PurgeQueue(command) => command.decide(state, setting),
            Command::GetQueueUrl(command) => command.decide(state, setting),
            Command::ListQueues(command) => command.decide(state, setting),
            Command::GetQueueAttributes(command) => command.decide(state, setting),
            Command::SetQueueAttributes(command) => command.decide(state, setting),
            Command::AddPermission(command) => command.decide(state, setting),
            Command::RemovePermission(command) => command.decide(state, setting),
            Command::ListDeadLetterSourceQueues(command) => command.decide(state, setting),
            Command::TagQueue(command) => command.decide(state, setting),
            Command::UntagQueue(command) => command.decide(state, setting),
            Command::ListQueueTags(command) => command.decide(state, setting),
            Command::StartMessageMoveTask(command) => command.decide(state, setting),
            Command::CancelMessageMoveTask(command) => command.decide(state, setting),
            Command::ListMessageMoveTasks(command) => command.decide(state, setting),
            Command::PeekMessages(command) => command.decide(state, setting),
        }
    }

    /// Decides the second step, when the facts of the first are applied. What it asks of the disk is left out if there is no room.
    pub fn decide_the_rest<'a>(
        &'a self,
        deleted: BatchOutcome<()>,
        state: &State,
        setting: &Setting<'_>,
    ) -> Decision<'a> {
        match self {
            Command::DeleteAndReceiveMessages(command) => command.decide_the_rest(deleted, state, setting),
            // No other has steps.
            _ => Decision::answer(Reply::DoneBatch(deleted)),
        }
    }

    /// What it may write to the log.
    pub fn demand(&self) -> Demand {
        match self {
            Command::GetQueueUrl(_)
            | Command::ListQueues(_)
            | Command::GetQueueAttributes(_)
            | Command::ListDeadLetterSourceQueues(_)
            | Command::ListQueueTags(_)
            | Command::ListMessageMoveTasks(_)
            | Command::PeekMessages(_) => Demand::Nothing,
            Command::PurgeQueue(_) | Command::DeleteQueue(_) => Demand::Purge,
            // Its second half is a receive, and is left out where only deletes are possible.
            Command::DeleteMessage(_)
            | Command::DeleteMessageBatch(_)
            | Command::DeleteAndReceiveMessages(_) => Demand::Delete,
            Command::ReceiveMessage(_)
            | Command::ChangeMessageVisibility(_)
            | Command::ChangeMessageVisibilityBatch(_)
            | Command::RemovePermission(_)
            | Command::UntagQueue(_)
            | Command::CancelMessageMoveTask(_) => Demand::Change,
            Command::SendMessage(_)
            | Command::SendMessageBatch(_)
            | Command::CreateQueue(_)
            | Command::SetQueueAttributes(_)
            | Command::AddPermission(_)
            | Command::TagQueue(_)
            | Command::StartMessageMoveTask(_) => Demand::Growth,
        }
    }
}
