//! A message was accepted. Its payload is the tail of the same record.

use std::borrow::Cow;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_str, put_u64};

use crate::{QueueId, Seq};

/// A queue has a message more; or a message that it has lies here now, because its segment was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageSent<'a> {
    /// Where to.
    pub queue: QueueId,
    /// Its number.
    pub seq: Seq,
    /// The number from which its message id is made: its own, unless it came from another queue.
    pub origin: Seq,
    /// When it was sent.
    pub sent: Time,
    /// Its `MessageGroupId`.
    pub group: Option<Cow<'a, str>>,
    /// What later messages are compared with (FIFO).
    pub deduplication: Option<Deduplication<'a>>,
    /// It stays hidden so many seconds from `sent` on; zero means the queue's own delay on a FIFO queue, none elsewhere.
    pub delay_seconds: u32,
    /// It was written before, in a segment that has been given up: nothing new has happened.
    pub forwarded: bool,
}

/// A FIFO message's deduplication id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deduplication<'a> {
    /// The id: given, or SHA-256 of the body in hexadecimal.
    pub id: Cow<'a, str>,
    /// Whether it was compared within its group only.
    pub in_group: bool,
}

const GROUP: u8 = 1;
const DEDUPLICATION: u8 = 2;
const IN_GROUP: u8 = 4;
const DELAY: u8 = 8;
const ORIGIN: u8 = 16;
const FORWARDED: u8 = 32;

impl<'a> MessageSent<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut flags = 0;
        flags |= if self.group.is_some() { GROUP } else { 0 };
        flags |= match &self.deduplication {
            None => 0,
            Some(Deduplication { in_group, .. }) => DEDUPLICATION | if *in_group { IN_GROUP } else { 0 },
        };
        flags |= if self.delay_seconds > 0 { DELAY } else { 0 };
        flags |= if self.origin != self.seq { ORIGIN } else { 0 };
        flags |= if self.forwarded { FORWARDED } else { 0 };
        out.push(flags);
        put_u64(out, self.queue.0);
        put_u64(out, self.seq.0);
        put_u64(out, self.sent.0);
        if let Some(group) = &self.group {
            put_str(out, group);
        }
        if let Some(deduplication) = &self.deduplication {
            put_str(out, &deduplication.id);
        }
        if self.delay_seconds > 0 {
            put_u64(out, self.delay_seconds.into());
        }
        if self.origin != self.seq {
            put_u64(out, self.origin.0);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        let queue = QueueId(reader.u64()?);
        let seq = Seq(reader.u64()?);
        let sent = Time(reader.u64()?);
        Ok(MessageSent {
            queue,
            seq,
            sent,
            group: if flags & GROUP != 0 { Some(reader.str()?.into()) } else { None },
            deduplication: if flags & DEDUPLICATION != 0 {
                Some(Deduplication { id: reader.str()?.into(), in_group: flags & IN_GROUP != 0 })
            } else {
                None
            },
            delay_seconds: if flags & DELAY != 0 { reader.u32()? } else { 0 },
            origin: if flags & ORIGIN != 0 { Seq(reader.u64()?) } else { seq },
            forwarded: flags & FORWARDED != 0,
        })
    }
}
