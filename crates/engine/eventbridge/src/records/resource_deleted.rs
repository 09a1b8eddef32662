//! A connection, an API destination, an archive or a replay is gone.

use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::ResourceKey;

/// A connection, an API destination, an archive or a replay was deleted: the kind of the record says which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceDeleted {
    /// Its number.
    pub id: u64,
    /// Account, region and name.
    pub key: ResourceKey,
    /// The segments that may still declare it.
    pub declared_in: Vec<u32>,
}

impl ResourceDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ResourceDeleted {
            id: reader.u64()?,
            key: ResourceKey::decode(reader)?,
            declared_in: reader.list(Reader::u32)?,
        })
    }
}
