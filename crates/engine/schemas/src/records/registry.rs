//! A registry as it is from now on.

use kernel::codec::{Malformed, Reader, put_opt_str, put_pairs, put_str, put_u64};
use resources::tags::Tags;
use resources::{Declared, Key};

use crate::RegistryKey;

/// The whole of a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistryDeclared {
    /// Its number, never reused.
    pub id: u64,
    /// Account, region and name.
    pub key: RegistryKey,
    /// `Description`.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// Its policy, if it has one.
    pub policy: Option<Policy>,
}

/// A registry's policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The document.
    pub document: String,
    /// `RevisionId`: each change has another one.
    pub revision: String,
}

impl Declared for RegistryDeclared {
    type Key = RegistryKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &RegistryKey {
        &self.key
    }
}

impl RegistryDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_opt_str(out, self.description.as_deref());
        put_pairs(out, &self.tags);
        put_opt_str(out, self.policy.as_ref().map(|policy| &*policy.document));
        put_str(out, self.policy.as_ref().map_or("", |policy| &policy.revision));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key) = (reader.u64()?, RegistryKey::decode(reader)?);
        let description = reader.opt_str()?.map(str::to_owned);
        let tags = reader.pairs()?;
        let (document, revision) = (reader.opt_str()?, reader.str()?);
        let policy =
            document.map(|document| Policy { document: document.to_owned(), revision: revision.to_owned() });
        Ok(RegistryDeclared { id, key, description, tags, policy })
    }
}
