//! A group of schedules as it is from now on, and its end.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_pairs, put_u64};
use resources::tags::Tags;

use crate::{GroupId, GroupKey};

/// The whole of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupDeclared {
    /// Its number, never reused.
    pub id: GroupId,
    /// Account, region and name.
    pub key: GroupKey,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created: Time,
    /// When it was changed last.
    pub modified: Time,
    /// The token with which it was made, hashed.
    pub token: u64,
    /// Whether its schedules are being deleted, and then itself.
    pub is_deleting: bool,
}

impl GroupDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_pairs(out, &self.tags);
        put_u64(out, self.created.0);
        put_u64(out, self.modified - self.created);
        put_u64(out, self.token);
        out.push(self.is_deleting.into());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key, tags) = (GroupId(reader.u64()?), GroupKey::decode(reader)?, reader.pairs()?);
        let created = Time(reader.u64()?);
        Ok(GroupDeclared {
            id,
            key,
            tags,
            created,
            modified: created + reader.u64()?,
            token: reader.u64()?,
            is_deleting: reader.u8()? != 0,
        })
    }
}

/// A group is gone. Its schedules went before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupDeleted {
    /// Its number.
    pub id: GroupId,
    /// The segments that may declare it.
    pub declared_in: Vec<u32>,
}

impl GroupDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(GroupDeleted { id: GroupId(reader.u64()?), declared_in: reader.list(Reader::u32)? })
    }
}
