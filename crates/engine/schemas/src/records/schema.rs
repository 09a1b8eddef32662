//! A schema as it is from now on, and a version of one, which never changes.

use std::sync::Arc;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_opt_str, put_pairs, put_str, put_u64};
use resources::tags::Tags;
use resources::{Declared, Key};

use crate::inference::Dialect;
use crate::{SchemaKey, VersionKey};

/// The whole of a schema, without its versions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaDeclared {
    /// Its number, never reused.
    pub id: u64,
    /// Registry and name.
    pub key: SchemaKey,
    /// `Description`.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// When it was changed last.
    pub modified: Time,
    /// The number of the version that was added last.
    pub latest: u64,
    /// The `ClientTokenId` of the change that was made last, hashed; zero if it had none.
    pub token: u64,
}

impl Declared for SchemaDeclared {
    type Key = SchemaKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &SchemaKey {
        &self.key
    }
}

impl SchemaDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_opt_str(out, self.description.as_deref());
        put_pairs(out, &self.tags);
        for number in [self.modified.0, self.latest, self.token] {
            put_u64(out, number);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(SchemaDeclared {
            id: reader.u64()?,
            key: SchemaKey::decode(reader)?,
            description: reader.opt_str()?.map(str::to_owned),
            tags: reader.pairs()?,
            modified: Time(reader.u64()?),
            latest: reader.u64()?,
            token: reader.u64()?,
        })
    }
}

/// A version of a schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionDeclared {
    /// Of which schema, and which version.
    pub key: VersionKey,
    /// `Type`.
    pub dialect: Dialect,
    /// When it was added.
    pub created: Time,
    /// `Content`.
    pub content: Arc<str>,
}

impl Declared for VersionDeclared {
    type Key = VersionKey;

    /// No version of a schema has a number that another one had.
    fn id(&self) -> u64 {
        self.key.version
    }

    fn key(&self) -> &VersionKey {
        &self.key
    }
}

impl VersionDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        out.push(matches!(self.dialect, Dialect::Draft4).into());
        put_u64(out, self.created.0);
        put_str(out, &self.content);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let key = VersionKey::decode(reader)?;
        let dialect = match reader.u8()? {
            0 => Dialect::OpenApi3,
            1 => Dialect::Draft4,
            _ => return Err(Malformed),
        };
        Ok(VersionDeclared { key, dialect, created: Time(reader.u64()?), content: reader.str()?.into() })
    }
}
