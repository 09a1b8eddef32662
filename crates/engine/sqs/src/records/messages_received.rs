//! Messages were given to a client and are hidden until a moment.

use std::borrow::Cow;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_u64};

use crate::{QueueId, Seq};

/// One receive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessagesReceived<'a> {
    /// From which queue.
    pub queue: QueueId,
    /// When.
    pub at: Time,
    /// Until when the messages stay hidden.
    pub until: Time,
    /// The `ReceiveRequestAttemptId`, under which the same receive can be asked for again.
    pub attempt: Option<Cow<'a, str>>,
    /// The messages, in the order in which they were given.
    pub messages: Vec<ReceivedMessage<'a>>,
}

/// One message of a receive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceivedMessage<'a> {
    /// Which.
    pub seq: Seq,
    /// How often it has been received, this time included.
    pub receives: u32,
    /// When it was first received.
    pub first_received: Time,
    /// Its group, by which it is found.
    pub group: Option<Cow<'a, str>>,
}

impl<'a> MessagesReceived<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.queue.0);
        put_u64(out, self.at.0);
        put_u64(out, self.until - self.at);
        put_opt_str(out, self.attempt.as_deref());
        put_list(out, &self.messages, |out, message| {
            put_u64(out, message.seq.0);
            put_u64(out, message.receives.into());
            put_u64(out, self.at - message.first_received);
            put_opt_str(out, message.group.as_deref());
        });
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let queue = QueueId(reader.u64()?);
        let at = Time(reader.u64()?);
        let until = at + reader.u64()?;
        Ok(MessagesReceived {
            queue,
            at,
            until,
            attempt: reader.opt_str()?.map(Cow::Borrowed),
            messages: reader.list(|reader| {
                Ok(ReceivedMessage {
                    seq: Seq(reader.u64()?),
                    receives: reader.u32()?,
                    first_received: Time(at.0.saturating_sub(reader.u64()?)),
                    group: reader.opt_str()?.map(Cow::Borrowed),
                })
            })?,
        })
    }
}
