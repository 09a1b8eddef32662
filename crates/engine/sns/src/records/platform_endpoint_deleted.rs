//! An application on somebody's device is gone.

use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::EndpointId;

/// A platform endpoint was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformEndpointDeleted {
    /// Which.
    pub id: EndpointId,
    /// The segments that may still declare it.
    pub declared_in: Vec<u32>,
}

impl PlatformEndpointDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(PlatformEndpointDeleted { id: EndpointId(reader.u64()?), declared_in: reader.list(Reader::u32)? })
    }
}
