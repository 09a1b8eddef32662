//! What the log says of schemas.
//!
//! | kind | record |
//! |---|---|
//! | 144 | [`RegistryDeclared`] |
//! | 145 | [`RegistryDeleted`] |
//! | 146 | [`SchemaDeclared`] |
//! | 147 | [`SchemaDeleted`] |
//! | 148 | [`VersionDeclared`] |
//! | 149 | [`VersionDeleted`] |
//! | 150 | [`DiscovererDeclared`] |
//! | 151 | [`DiscovererDeleted`] |
//!
//! All are configuration: a restart reads them in the order in which they were written, and heads of declarations can be long.

mod registry;
pub use registry::{Policy, RegistryDeclared};

mod schema;
pub use schema::{SchemaDeclared, VersionDeclared};

mod discoverer;
pub use discoverer::DiscovererDeclared;

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};
use resources::Deleted;

use crate::{DiscovererKey, RegistryKey, SchemaKey, VersionKey};

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 144..=151;

/// A registry is gone. Its schemas went before.
pub type RegistryDeleted = Deleted<RegistryKey>;

/// A schema is gone. Its versions went with it.
pub type SchemaDeleted = Deleted<SchemaKey>;

/// A version of a schema is gone.
pub type VersionDeleted = Deleted<VersionKey>;

/// A discoverer is gone.
pub type DiscovererDeleted = Deleted<DiscovererKey>;

/// A fact about schemas.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its type is.
pub enum Record {
    RegistryDeclared(RegistryDeclared),
    RegistryDeleted(RegistryDeleted),
    SchemaDeclared(SchemaDeclared),
    SchemaDeleted(SchemaDeleted),
    VersionDeclared(VersionDeclared),
    VersionDeleted(VersionDeleted),
    DiscovererDeclared(DiscovererDeclared),
    DiscovererDeleted(DiscovererDeleted),
}

impl kernel::service::Record<'_> for Record {
    fn is_configuration(&self) -> bool {
        true
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::RegistryDeclared(record) => {
                out.push(144);
                record.encode(out);
            }
            Record::RegistryDeleted(record) => {
                out.push(145);
                record.encode(out);
            }
            Record::SchemaDeclared(record) => {
                out.push(146);
                record.encode(out);
            }
            Record::SchemaDeleted(record) => {
                out.push(147);
                record.encode(out);
            }
            Record::VersionDeclared(record) => {
                out.push(148);
                record.encode(out);
            }
            Record::VersionDeleted(record) => {
                out.push(149);
                record.encode(out);
            }
            Record::DiscovererDeclared(record) => {
                out.push(150);
                record.encode(out);
            }
            Record::DiscovererDeleted(record) => {
                out.push(151);
                record.encode(out);
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            144 => Record::RegistryDeclared(RegistryDeclared::decode(reader)?),
            145 => Record::RegistryDeleted(Deleted::decode(reader)?),
            146 => Record::SchemaDeclared(SchemaDeclared::decode(reader)?),
            147 => Record::SchemaDeleted(Deleted::decode(reader)?),
            148 => Record::VersionDeclared(VersionDeclared::decode(reader)?),
            149 => Record::VersionDeleted(Deleted::decode(reader)?),
            150 => Record::DiscovererDeclared(DiscovererDeclared::decode(reader)?),
            151 => Record::DiscovererDeleted(Deleted::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
