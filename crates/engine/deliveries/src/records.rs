//! What the log says of deliveries. The kinds of these records are those of the service that delivers.

use kernel::codec::{Malformed, Reader, put_list, put_u64};
use kernel::parcel::Ended;
use kernel::{Extent, Ledger, Time};

/// A delivery was tried and failed, and is to be tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryFailed {
    /// Its number.
    pub number: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed last.
    pub at: Time,
    /// When it is to be tried again.
    pub due: Time,
}

impl DeliveryFailed {
    /// Appends its bytes, without a kind.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.number);
        put_u64(out, self.attempts.into());
        put_u64(out, self.at.0);
        put_u64(out, self.due - self.at);
    }

    /// Reads what [`DeliveryFailed::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (number, attempts, at) = (reader.u64()?, reader.u32()?, Time(reader.u64()?));
        Ok(DeliveryFailed { number, attempts, at, due: at + reader.u64()? })
    }
}

/// Deliveries are over: they arrived, or were given up without a dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveriesEnded {
    /// Their numbers, with the segments that hold their payloads.
    pub ended: Vec<Ended>,
}

impl DeliveriesEnded {
    /// Appends its bytes, without a kind.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.ended, |out, ended| {
            put_u64(out, ended.number);
            put_u64(out, ended.segment.into());
        });
    }

    /// Reads what [`DeliveriesEnded::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let ended = reader.list(|reader| Ok(Ended { number: reader.u64()?, segment: reader.u32()? }))?;
        Ok(DeliveriesEnded { ended })
    }
}

/// What has to be recorded again of deliveries that are over, when the record at `at` goes: those whose segments are still there.
pub fn ended_again(ended: &[Ended], at: Extent, ledger: &Ledger) -> Vec<Ended> {
    ended.iter().copied().filter(|ended| ledger.needs_tombstone(ended.segment, at)).collect()
}
