//! An application on a mobile platform is gone, and its endpoints with it.

use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::ApplicationId;

/// A platform application was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformApplicationDeleted {
    /// Which.
    pub id: ApplicationId,
    /// The segments that may still declare it or its endpoints.
    pub declared_in: Vec<u32>,
}

impl PlatformApplicationDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let id = ApplicationId(reader.u64()?);
        Ok(PlatformApplicationDeleted { id, declared_in: reader.list(Reader::u32)? })
    }
}
