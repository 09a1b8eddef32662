//! A receive can still be repeated under its attempt id; said again since the segment that told it is given up.

use std::borrow::Cow;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_str, put_u64};

use crate::{QueueId, Seq};

/// What a receive under a `ReceiveRequestAttemptId` gave. Nothing new has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptRemembered<'a> {
    /// From which queue.
    pub queue: QueueId,
    /// The `ReceiveRequestAttemptId`.
    pub attempt: Cow<'a, str>,
    /// When it was received.
    pub at: Time,
    /// Until when its messages stay hidden.
    pub until: Time,
    /// The messages, with the receive counts that they had.
    pub messages: Vec<(Seq, u32)>,
}

impl<'a> AttemptRemembered<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.queue.0);
        put_str(out, &self.attempt);
        put_u64(out, self.at.0);
        put_u64(out, self.until.0);
        put_list(out, &self.messages, |out, (seq, receives)| {
            put_u64(out, seq.0);
            put_u64(out, (*receives).into());
        });
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(AttemptRemembered {
            queue: QueueId(reader.u64()?),
            attempt: Cow::Borrowed(reader.str()?),
            at: Time(reader.u64()?),
            until: Time(reader.u64()?),
            messages: reader.list(|reader| Ok((Seq(reader.u64()?), reader.u32()?)))?,
        })
    }
}
