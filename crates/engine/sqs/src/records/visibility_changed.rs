//! Messages that were received stay hidden until another moment than was said before.

use std::borrow::Cow;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_u64};

use super::messages_received::ReceivedMessage;
use crate::{QueueId, Seq};

/// New visibility timeouts.
///
/// Each message's receives are said again, so that the record that said them first is no longer needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VisibilityChanged<'a> {
    /// In which queue.
    pub queue: QueueId,
    /// When it was asked for.
    pub at: Time,
    /// The `ReceiveRequestAttemptId` by whose repetition it was asked for.
    pub attempt: Option<Cow<'a, str>>,
    /// The messages.
    pub messages: Vec<ChangedMessage<'a>>,
}

/// One message with its new visibility.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangedMessage<'a> {
    /// Which, and how often it was received.
    pub message: ReceivedMessage<'a>,
    /// When it was last received.
    pub received: Time,
    /// When it can be received again; the record's `at`: now.
    pub until: Time,
}

impl<'a> VisibilityChanged<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.queue.0);
        put_u64(out, self.at.0);
        put_opt_str(out, self.attempt.as_deref());
        put_list(out, &self.messages, |out, changed| {
            put_u64(out, changed.message.seq.0);
            put_u64(out, changed.message.receives.into());
            put_u64(out, self.at - changed.message.first_received);
            put_opt_str(out, changed.message.group.as_deref());
            put_u64(out, self.at - changed.received);
            put_u64(out, changed.until - self.at);
        });
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let queue = QueueId(reader.u64()?);
        let at = Time(reader.u64()?);
        let attempt = reader.opt_str()?.map(Cow::Borrowed);
        let messages = reader.list(|reader| {
            Ok(ChangedMessage {
                message: ReceivedMessage {
                    seq: Seq(reader.u64()?),
                    receives: reader.u32()?,
                    first_received: Time(at.0.saturating_sub(reader.u64()?)),
                    group: reader.opt_str()?.map(Cow::Borrowed),
                },
                received: Time(at.0.saturating_sub(reader.u64()?)),
                until: at + reader.u64()?,
            })
        })?;
        Ok(VisibilityChanged { queue, at, attempt, messages })
    }
}
