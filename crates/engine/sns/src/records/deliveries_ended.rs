//! Deliveries are over: they arrived, or were given up without a dead-letter queue.

use kernel::codec::{Malformed, Reader, put_list, put_u64};
use kernel::parcel::Ended;

/// Deliveries that are over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveriesEnded {
    /// Which, with the segments that hold their payloads.
    pub ended: Vec<Ended>,
}

impl DeliveriesEnded {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.ended, |out, ended| {
            put_u64(out, ended.number);
            put_u64(out, ended.segment.into());
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let ended = reader.list(|reader| Ok(Ended { number: reader.u64()?, segment: reader.u32()? }))?;
        Ok(DeliveriesEnded { ended })
    }
}
