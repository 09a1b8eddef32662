//! How far a replay has come, said again since the segment that told it last is given up.

use kernel::codec::{Malformed, Reader, put_u64};

use crate::SubscriptionId;

/// A replay has handed on everything up to a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayAdvanced {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// Which of its replays: the number that it began with.
    pub began: u64,
    /// The last message.
    pub through: u64,
}

impl ReplayAdvanced {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.subscription.0);
        put_u64(out, self.began);
        put_u64(out, self.through);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ReplayAdvanced {
            subscription: SubscriptionId(reader.u64()?),
            began: reader.u64()?,
            through: reader.u64()?,
        })
    }
}
