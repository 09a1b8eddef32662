//! How far a replay has come, when the parcel that said it is no longer needed for anything else.

use kernel::codec::{Malformed, Reader, put_i64, put_u64};

use crate::ReplayId;

/// A replay has handed on everything up to an event of the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayAdvanced {
    /// Which replay.
    pub id: ReplayId,
    /// The event's number in the archive.
    pub through: u64,
    /// The event's time, in seconds since 1970.
    pub last: i64,
}

impl ReplayAdvanced {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_u64(out, self.through);
        put_i64(out, self.last);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ReplayAdvanced { id: ReplayId(reader.u64()?), through: reader.u64()?, last: reader.i64()? })
    }
}
