//! How much of an archive the store for retained data has: written when it has kept more.

use kernel::codec::{Malformed, Reader, put_u64};

use crate::ArchiveId;

/// The store has the events of an archive up to a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveCounted {
    /// Which archive.
    pub id: ArchiveId,
    /// The number.
    pub through: u64,
    /// A day, counted from 1970.
    pub day: u64,
    /// How many of the events that the store has came on that day.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// By how many seconds the time of an event was ahead of its coming, of all events at the most.
    pub ahead: u32,
    /// By how many it was behind.
    pub behind: u32,
}

impl ArchiveCounted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (ahead, behind) = (self.ahead.into(), self.behind.into());
        for number in [self.id.0, self.through, self.day, self.events, self.bytes, ahead, behind] {
            put_u64(out, number);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ArchiveCounted {
            id: ArchiveId(reader.u64()?),
            through: reader.u64()?,
            day: reader.u64()?,
            events: reader.u64()?,
            bytes: reader.u64()?,
            ahead: reader.u32()?,
            behind: reader.u32()?,
        })
    }
}
