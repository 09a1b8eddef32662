//! A bus as it is from now on: written when it is created and whenever its configuration changes.

use std::collections::BTreeMap;

use api::eventbridge::{DeadLetterConfig, LogConfig};
use kernel::Time;
use kernel::codec::{Malformed, Reader, put_opt_str, put_pairs, put_u64};

use crate::rules::targets::Kept;
use crate::{BusId, BusKey};

/// The whole configuration of a bus.
#[derive(Clone, PartialEq, Debug)]
pub struct BusDeclared {
    /// Its number, never reused.
    pub id: BusId,
    /// Account, region and name.
    pub key: BusKey,
    /// `Description`.
    pub description: Option<String>,
    /// `KmsKeyIdentifier`, which is kept for those who ask.
    pub kms_key: Option<String>,
    /// `DeadLetterConfig`.
    pub dead_letters: Option<DeadLetterConfig>,
    /// `LogConfig`, which is kept for those who ask.
    pub log: Option<LogConfig>,
    /// Its policy.
    pub policy: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created: Time,
    /// When its configuration was changed last.
    pub modified: Time,
}

impl BusDeclared {
    /// A bus about which nothing is said.
    pub fn new(id: BusId, key: BusKey, now: Time) -> Self {
        BusDeclared {
            id,
            key,
            description: None,
            kms_key: None,
            dead_letters: None,
            log: None,
            policy: None,
            tags: BTreeMap::new(),
            created: now,
            modified: now,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        for text in [&self.description, &self.kms_key, &self.policy] {
            put_opt_str(out, text.as_deref());
        }
        self.dead_letters.put(out);
        self.log.put(out);
        put_pairs(out, &self.tags);
        put_u64(out, self.created.0);
        put_u64(out, self.modified.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key) = (BusId(reader.u64()?), BusKey::decode(reader)?);
        let mut text = || Ok(reader.opt_str()?.map(str::to_owned));
        let (description, kms_key, policy) = (text()?, text()?, text()?);
        Ok(BusDeclared {
            id,
            key,
            description,
            kms_key,
            policy,
            dead_letters: Kept::take(reader)?,
            log: Kept::take(reader)?,
            tags: reader.pairs()?,
            created: Time(reader.u64()?),
            modified: Time(reader.u64()?),
        })
    }
}
