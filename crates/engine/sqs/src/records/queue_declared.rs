//! A queue as it is from now on: written when it is created, whenever its configuration changes, and when it is purged.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_str, put_u64};

use crate::rules::settings::Settings;
use crate::{QueueId, QueueKey, Seq};

/// The whole configuration of a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueDeclared {
    /// Its number, never reused.
    pub id: QueueId,
    /// Account, region and name.
    pub key: QueueKey,
    /// Its attributes.
    pub settings: Settings,
    /// Its tags, sorted by key.
    pub tags: Vec<(String, String)>,
    /// When it was created.
    pub created: Time,
    /// When its attributes were last set.
    pub modified: Time,
    /// Messages up to this number were purged.
    pub purged_through: Seq,
    /// When it was last purged.
    pub purged: Option<Time>,
}

impl QueueDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_u64(out, self.created.0);
        put_u64(out, self.modified.0);
        put_u64(out, self.purged_through.0);
        put_u64(out, self.purged.map_or(0, |time| time.0));
        put_list(out, &self.tags, |out, (key, value)| {
            put_str(out, key);
            put_str(out, value);
        });
        self.settings.encode(out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(QueueDeclared {
            id: QueueId(reader.u64()?),
            key: QueueKey::decode(reader)?,
            created: Time(reader.u64()?),
            modified: Time(reader.u64()?),
            purged_through: Seq(reader.u64()?),
            purged: Some(reader.u64()?).filter(|&at| at != 0).map(Time),
            tags: reader.list(|reader| Ok((reader.str()?.to_owned(), reader.str()?.to_owned())))?,
            settings: Settings::decode(reader)?,
        })
    }
}
