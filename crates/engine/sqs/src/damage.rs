//! Messages whose bytes on disk are not those that were written.

use kernel::Extent;

use crate::operations::receive_message::group_name;
use crate::records::Draft;
use crate::records::{DropReason, DroppedMessage, MessagesDropped, Record};
use crate::state::State;
use crate::{QueueId, Seq};

impl State {
    /// The fact that a message, which a client was to get from this place, cannot be read: it leaves the queue, so that it blocks
    /// nobody, and its segment stays until its retention period has ended. Nothing if it is not in the queue any more, or lies
    /// elsewhere.
    pub fn damaged(&self, id: QueueId, seq: Seq, at: Extent) -> Option<Draft<'static>> {
        let queue = self.queues.get(&id)?;
        let touched = queue.touched.get(&seq).filter(|touched| touched.extent == at)?;
        let message = DroppedMessage { seq, place: at.place, group: group_name(queue, touched.group) };
        let dropped = MessagesDropped { queue: id, reason: DropReason::Damaged, messages: vec![message] };
        Some(Record::MessagesDropped(dropped).into())
    }

    /// How many messages were set aside since they could not be read, as far as the log still says so.
    pub fn set_aside(&self) -> u64 {
        self.set_aside.len() as u64
    }
}
