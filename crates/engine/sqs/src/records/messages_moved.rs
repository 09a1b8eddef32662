//! Messages went from one queue to others of this server, in one step: dead letters, and what a move task moves.

use kernel::codec::{Malformed, Reader, put_list};

use super::message_placed::MessagePlaced;
use super::messages_dropped::MessagesDropped;

/// Messages changed queues. One record, so that no crash finds a message in both queues or in none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessagesMoved<'a> {
    /// What is no longer where it was.
    pub dropped: MessagesDropped<'a>,
    /// What is somewhere else.
    pub placed: Vec<MessagePlaced<'a>>,
}

impl<'a> MessagesMoved<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.dropped.encode(out);
        put_list(out, &self.placed, |out, placed| placed.encode(out));
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(MessagesMoved {
            dropped: MessagesDropped::decode(reader)?,
            placed: reader.list(MessagePlaced::decode)?,
        })
    }
}
