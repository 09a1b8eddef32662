//! A table as it is from now on.

use std::sync::Arc;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_pairs, put_str, put_u64};
use resources::tags::Tags;
use resources::{Declared, Key};

use crate::TableKey;
use crate::rules::definition::Definition;

/// The whole of a table, without its items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableDeclared {
    /// Its number, never reused.
    pub id: u64,
    /// Account, region and name.
    pub key: TableKey,
    /// How it is declared.
    pub definition: Arc<Definition>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created: Time,
}

impl Declared for TableDeclared {
    type Key = TableKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &TableKey {
        &self.key
    }
}

impl TableDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_str(out, &self.definition.to_json());
        put_pairs(out, &self.tags);
        put_u64(out, self.created.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(TableDeclared {
            id: reader.u64()?,
            key: TableKey::decode(reader)?,
            definition: Arc::new(Definition::from_json(reader.str()?).ok_or(Malformed)?),
            tags: reader.pairs()?,
            created: Time(reader.u64()?),
        })
    }
}
