//! A message stands in a queue with a history: it came from another queue, or its segment was given up.

use std::borrow::Cow;

use kernel::codec::{Malformed, Reader, put_opt_str, put_u64};
use kernel::{Extent, Place, Time};

use crate::{QueueId, Seq};

/// All that is known of one message that has been received or moved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessagePlaced<'a> {
    /// In which queue.
    pub queue: QueueId,
    /// Its number.
    pub seq: Seq,
    /// The number from which its message id is made.
    pub origin: Seq,
    /// The number that names it in a parcel; `origin`, unless a move task has made a new message of it since.
    pub copy: Seq,
    /// Where its payload lies; several messages may share one.
    pub extent: Extent,
    /// From when its retention period counts.
    pub sent: Time,
    /// Its `MessageGroupId`.
    pub group: Option<Cow<'a, str>>,
    /// The ARN of the queue that it was moved out of as a dead letter.
    pub dead_letter_source: Option<Cow<'a, str>>,
    /// Whether its deduplication id is now its message id, as on a FIFO dead-letter queue.
    pub deduplicates_by_id: bool,
    /// How often it has been received, here and in the queues that it was moved out of as a dead letter.
    pub receives: u32,
    /// How often of that in those other queues. An older record does not say it: zero.
    pub receives_elsewhere: u32,
    /// When first; zero if never.
    pub first_received: Time,
    /// When last; zero if never.
    pub received: Time,
    /// From when it can be received.
    pub visible: Time,
    /// Whether it was in flight (rather than waiting) when this was written.
    pub in_flight: bool,
}

const RENAMED: u8 = 4;
const RECEIVED_ELSEWHERE: u8 = 8;

impl<'a> MessagePlaced<'a> {
    /// What it takes in a record at the most.
    pub(crate) fn most_bytes(&self) -> usize {
        let texts = [&self.group, &self.dead_letter_source];
        118 + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for number in [
            self.queue.0,
            self.seq.0,
            self.origin.0,
            self.extent.place.segment().into(),
            self.extent.place.offset().into(),
            self.extent.len.into(),
            self.sent.0,
            self.receives.into(),
            self.first_received.0,
            self.received.0,
            self.visible.0,
        ] {
            put_u64(out, number);
        }
        let renamed = self.copy != self.origin;
        out.push(
            u8::from(self.in_flight)
                | u8::from(self.deduplicates_by_id) << 1
                | if renamed { RENAMED } else { 0 }
                | if self.receives_elsewhere > 0 { RECEIVED_ELSEWHERE } else { 0 },
        );
        put_opt_str(out, self.group.as_deref());
        put_opt_str(out, self.dead_letter_source.as_deref());
        if renamed {
            put_u64(out, self.copy.0);
        }
        if self.receives_elsewhere > 0 {
            put_u64(out, self.receives_elsewhere.into());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let queue = QueueId(reader.u64()?);
        let seq = Seq(reader.u64()?);
        let origin = Seq(reader.u64()?);
        let extent = Extent { place: Place::new(reader.u32()?, reader.u32()?), len: reader.u32()? };
        let sent = Time(reader.u64()?);
        let receives = reader.u32()?;
        let first_received = Time(reader.u64()?);
        let received = Time(reader.u64()?);
        let visible = Time(reader.u64()?);
        let flags = reader.u8()?;
        let group = reader.opt_str()?.map(Cow::Borrowed);
        let dead_letter_source = reader.opt_str()?.map(Cow::Borrowed);
        Ok(MessagePlaced {
            queue,
            seq,
            origin,
            copy: if flags & RENAMED != 0 { Seq(reader.u64()?) } else { origin },
            extent,
            sent,
            group,
            dead_letter_source,
            deduplicates_by_id: flags & 2 != 0,
            receives,
            receives_elsewhere: if flags & RECEIVED_ELSEWHERE != 0 { reader.u32()? } else { 0 },
            first_received,
            received,
            visible,
            in_flight: flags & 1 != 0,
        })
    }
}
