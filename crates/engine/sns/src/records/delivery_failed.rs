//! A delivery was tried and failed, and is to be tried again.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_u64};

/// How a delivery stands after a failed attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryFailed {
    /// Which.
    pub number: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed last.
    pub at: Time,
    /// When it is to be tried again.
    pub due: Time,
}

impl DeliveryFailed {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.number);
        put_u64(out, self.attempts.into());
        put_u64(out, self.at.0);
        put_u64(out, self.due - self.at);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (number, attempts, at) = (reader.u64()?, reader.u32()?, Time(reader.u64()?));
        Ok(DeliveryFailed { number, attempts, at, due: at + reader.u64()? })
    }
}
