//! An archive as it is from now on: written when it is created and whenever it changes.

use kernel::codec::{Malformed, Reader, put_opt_str, put_str, put_u64};
use kernel::{Series, Time};

use crate::{ArchiveId, BusKey, ResourceKey, RuleId};
use resources::Key as _;

/// An archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveDeclared {
    /// Its number, never reused.
    pub id: ArchiveId,
    /// Account, region and name.
    pub key: ResourceKey,
    /// `EventSourceArn`: the bus whose events it keeps.
    pub bus: BusKey,
    /// The rule that sends events to it.
    pub rule: RuleId,
    /// The last part of its ARN, as its rule's target names it.
    pub unique: String,
    /// `Description`.
    pub description: Option<String>,
    /// `EventPattern`.
    pub pattern: Option<String>,
    /// `KmsKeyIdentifier`, which is kept for those who ask.
    pub kms_key: Option<String>,
    /// `RetentionDays`; zero: for ever.
    pub retention_days: u32,
    /// Why it keeps no events any more, if it does not: `StateReason`.
    pub disabled: Option<String>,
    /// When it was created.
    pub created: Time,
}

impl ArchiveDeclared {
    /// Its ARN.
    pub fn arn(&self) -> String {
        self.key.plain_arn("archive")
    }

    /// What it keeps in the store for retained data.
    pub fn series(&self) -> Series {
        Series(self.id.0)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        self.bus.encode(out);
        put_str(out, &self.unique);
        for text in [&self.description, &self.pattern, &self.kms_key, &self.disabled] {
            put_opt_str(out, text.as_deref());
        }
        for number in [self.rule.0, self.retention_days.into(), self.created.0] {
            put_u64(out, number);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key) = (ArchiveId(reader.u64()?), ResourceKey::decode(reader)?);
        let (bus, unique) = (BusKey::decode(reader)?, reader.str()?.to_owned());
        let mut text = || Ok(reader.opt_str()?.map(str::to_owned));
        let (description, pattern, kms_key, disabled) = (text()?, text()?, text()?, text()?);
        Ok(ArchiveDeclared {
            id,
            key,
            bus,
            unique,
            description,
            pattern,
            kms_key,
            disabled,
            rule: RuleId(reader.u64()?),
            retention_days: reader.u32()?,
            created: Time(reader.u64()?),
        })
    }
}
