//! A subscription is gone: somebody ended it, or nobody confirmed it in time.

use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::SubscriptionId;

/// A subscription was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriptionDeleted {
    /// Which.
    pub id: SubscriptionId,
    /// The segments that may still declare it.
    pub declared_in: Vec<u32>,
}

impl SubscriptionDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(SubscriptionDeleted { id: SubscriptionId(reader.u64()?), declared_in: reader.list(Reader::u32)? })
    }
}
