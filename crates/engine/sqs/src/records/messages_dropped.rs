//! Messages are gone from a queue: deleted, expired, or moved to another one.

use std::borrow::Cow;

use kernel::Place;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_u64};
use kernel::gather::in_records;

use crate::{QueueId, Seq, TaskId};

/// Why messages are gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    /// A client deleted them.
    Deleted,
    /// Their retention period ended.
    Expired,
    /// They were received too often and are in the dead-letter queue now.
    DeadLettered,
    /// A move task took them.
    Moved(TaskId),
    /// It was said before, in a segment that has been given up.
    Forwarded,
    /// Their bytes on disk are not those that were written. They are set aside: the segment stays until their retention period
    /// has ended.
    Damaged,
}

/// Messages that a queue has no longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessagesDropped<'a> {
    /// Which queue.
    pub queue: QueueId,
    /// Why.
    pub reason: DropReason,
    /// Which messages.
    pub messages: Vec<DroppedMessage<'a>>,
}

/// One message that is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DroppedMessage<'a> {
    /// Which.
    pub seq: Seq,
    /// Where it last lay. As long as that segment exists, this fact must be kept.
    pub place: Place,
    /// Its group, by which it is found.
    pub group: Option<Cow<'a, str>>,
}

impl DroppedMessage<'_> {
    /// What it takes in a record at the most.
    pub(crate) fn most_bytes(&self) -> usize {
        26 + self.group.as_ref().map_or(0, |group| group.len())
    }
}

impl<'a> MessagesDropped<'a> {
    /// Messages that are gone from a queue, in as many records as they need.
    pub(crate) fn of(
        queue: QueueId,
        reason: DropReason,
        messages: Vec<DroppedMessage<'a>>,
    ) -> impl Iterator<Item = Self> {
        let records = in_records(messages, DroppedMessage::most_bytes).into_iter();
        records.map(move |messages| MessagesDropped { queue, reason, messages })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.queue.0);
        match self.reason {
            DropReason::Deleted => out.push(1),
            DropReason::Expired => out.push(2),
            DropReason::DeadLettered => out.push(3),
            DropReason::Moved(task) => {
                out.push(4);
                put_u64(out, task.0);
            }
            DropReason::Forwarded => out.push(5),
            DropReason::Damaged => out.push(6),
        }
        put_list(out, &self.messages, |out, message| {
            put_u64(out, message.seq.0);
            put_u64(out, message.place.segment().into());
            put_u64(out, message.place.offset().into());
            put_opt_str(out, message.group.as_deref());
        });
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(MessagesDropped {
            queue: QueueId(reader.u64()?),
            reason: match reader.u8()? {
                1 => DropReason::Deleted,
                2 => DropReason::Expired,
                3 => DropReason::DeadLettered,
                4 => DropReason::Moved(TaskId(reader.u64()?)),
                5 => DropReason::Forwarded,
                6 => DropReason::Damaged,
                _ => return Err(Malformed),
            },
            messages: reader.list(|reader| {
                Ok(DroppedMessage {
                    seq: Seq(reader.u64()?),
                    place: Place::new(reader.u32()?, reader.u32()?),
                    group: reader.opt_str()?.map(Cow::Borrowed),
                })
            })?,
        })
    }
}
