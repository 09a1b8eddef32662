//! An activity, and its end.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_pairs, put_u64};
use resources::tags::Tags;

use crate::{ActivityId, MachineKey};

/// The whole of an activity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActivityDeclared {
    /// Its number, never reused.
    pub id: ActivityId,
    /// Account, region and name.
    pub key: MachineKey,
    /// When it was made.
    pub created: Time,
    /// Its tags.
    pub tags: Tags,
}

impl ActivityDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_u64(out, self.created.0);
        put_pairs(out, &self.tags);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key) = (ActivityId(reader.u64()?), MachineKey::decode(reader)?);
        Ok(ActivityDeclared { id, key, created: Time(reader.u64()?), tags: reader.pairs()? })
    }
}

/// An activity is gone. Tasks that it has stay until they are too late.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActivityDeleted {
    /// Its number.
    pub id: ActivityId,
    /// The segments that may declare it.
    pub declared_in: Vec<u32>,
}
