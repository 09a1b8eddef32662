//! A bus is gone. It had no rules any more.

use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::{BusId, BusKey};

/// A bus was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusDeleted {
    /// Which.
    pub id: BusId,
    /// What it was called: another may be called so now.
    pub key: BusKey,
    /// The segments that may still declare it.
    pub declared_in: Vec<u32>,
}

impl BusDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(BusDeleted {
            id: BusId(reader.u64()?),
            key: BusKey::decode(reader)?,
            declared_in: reader.list(Reader::u32)?,
        })
    }
}
