//! What the log says about queues: facts, one file a kind. Numbers are never reused; retired kinds stay listed.
//!
//! | kind | name | class | since |
//! |---|---|---|---|
//! | 2 | `queue_declared` | configuration | 1 |
//! | 3 | `queue_deleted` | configuration | 1 |
//! | 4 | `move_task_declared` | configuration | 1 |
//! | 16 | `message_sent` | flow | 1 |
//! | 17 | `messages_received` | flow | 1 |
//! | 18 | `visibility_changed` | flow | 1 |
//! | 19 | `messages_dropped` | flow | 1 |
//! | 20 | `message_placed` | flow | 1 |
//! | 21 | `messages_moved` | flow | 1 |
//! | 22 | `attempt_remembered` | flow | 1 |
//!
//! Configuration is applied before all flow when a log is read, so a record of the flow always meets the queue that it
//! speaks of in its latest form. Every record can be applied to a state that has seen more or less than the one it was
//! decided on: segments that are no longer needed go, and with them facts about what is long dead.

mod queue_declared;
pub use queue_declared::QueueDeclared;

mod queue_deleted;
pub use queue_deleted::QueueDeleted;

mod move_task_declared;
pub use move_task_declared::{MoveStatus, MoveTaskDeclared};

mod message_sent;
pub use message_sent::{Deduplication, MessageSent};

mod messages_received;
pub use messages_received::{MessagesReceived, ReceivedMessage};

mod visibility_changed;
pub use visibility_changed::{ChangedMessage, VisibilityChanged};

mod messages_dropped;
pub use messages_dropped::{DropReason, DroppedMessage, MessagesDropped};

mod message_placed;
pub use message_placed::MessagePlaced;

mod messages_moved;
pub use messages_moved::MessagesMoved;

mod attempt_remembered;
pub use attempt_remembered::AttemptRemembered;

use kernel::codec::{Malformed, Reader};

/// A fact about queues with the payload that is stored with it.
pub type Draft<'a> = kernel::Fact<'a, Record<'a>>;

/// A fact about queues.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its struct is.
pub enum Record<'a> {
    QueueDeclared(Box<QueueDeclared>),
    QueueDeleted(QueueDeleted),
    MoveTaskDeclared(Box<MoveTaskDeclared>),
    MessageSent(MessageSent<'a>),
    MessagesReceived(MessagesReceived<'a>),
    VisibilityChanged(VisibilityChanged<'a>),
    MessagesDropped(MessagesDropped<'a>),
    MessagePlaced(Box<MessagePlaced<'a>>),
    MessagesMoved(MessagesMoved<'a>),
    AttemptRemembered(AttemptRemembered<'a>),
}

impl<'a> Record<'a> {
    /// Whether it is applied in the first of the two passes over a log.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Record::QueueDeclared(_) | Record::QueueDeleted(_) | Record::MoveTaskDeclared(_))
    }

    /// Writes kind and content.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::QueueDeclared(record) => {
                out.push(2);
                record.encode(out);
            }
            Record::QueueDeleted(record) => {
                out.push(3);
                record.encode(out);
            }
            Record::MoveTaskDeclared(record) => {
                out.push(4);
                record.encode(out);
            }
            Record::MessageSent(record) => {
                out.push(16);
                record.encode(out);
            }
            Record::MessagesReceived(record) => {
                out.push(17);
                record.encode(out);
            }
            Record::VisibilityChanged(record) => {
                out.push(18);
                record.encode(out);
            }
            Record::MessagesDropped(record) => {
                out.push(19);
                record.encode(out);
            }
            Record::MessagePlaced(record) => {
                out.push(20);
                record.encode(out);
            }
            Record::MessagesMoved(record) => {
                out.push(21);
                record.encode(out);
            }
            Record::AttemptRemembered(record) => {
                out.push(22);
                record.encode(out);
            }
        }
    }

    /// Reads what [`Record::encode`] wrote.
    pub fn decode(bytes: &'a [u8]) -> Result<Record<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            2 => Record::QueueDeclared(Box::new(QueueDeclared::decode(reader)?)),
            3 => Record::QueueDeleted(QueueDeleted::decode(reader)?),
            4 => Record::MoveTaskDeclared(Box::new(MoveTaskDeclared::decode(reader)?)),
            16 => Record::MessageSent(MessageSent::decode(reader)?),
            17 => Record::MessagesReceived(MessagesReceived::decode(reader)?),
            18 => Record::VisibilityChanged(VisibilityChanged::decode(reader)?),
            19 => Record::MessagesDropped(MessagesDropped::decode(reader)?),
            20 => Record::MessagePlaced(Box::new(MessagePlaced::decode(reader)?)),
            21 => Record::MessagesMoved(MessagesMoved::decode(reader)?),
            22 => Record::AttemptRemembered(AttemptRemembered::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests;
