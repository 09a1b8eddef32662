//! A topic as it is from now on: written when it is created and whenever its configuration changes.

use std::collections::BTreeMap;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_pairs, put_u64};

use crate::{TopicId, TopicKey};

/// The whole configuration of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicDeclared {
    /// Its number, never reused.
    pub id: TopicId,
    /// Account, region and name.
    pub key: TopicKey,
    /// The attributes that were set, checked, as they are shown. Also `Policy`, once it is not the default, and
    /// `DataProtectionPolicy`, which has operations of its own.
    pub attributes: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created: Time,
    /// Subscriptions that were deleted until this was written.
    pub subscriptions_deleted: u64,
}

impl TopicDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_pairs(out, &self.attributes);
        put_pairs(out, &self.tags);
        put_u64(out, self.created.0);
        put_u64(out, self.subscriptions_deleted);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(TopicDeclared {
            id: TopicId(reader.u64()?),
            key: TopicKey::decode(reader)?,
            attributes: reader.pairs()?,
            tags: reader.pairs()?,
            created: Time(reader.u64()?),
            subscriptions_deleted: reader.u64()?,
        })
    }
}
