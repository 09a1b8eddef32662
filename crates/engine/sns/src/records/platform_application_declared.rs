//! An application on a mobile platform as it is from now on: written when it is made and whenever its attributes change.

use std::collections::BTreeMap;

use kernel::codec::{Malformed, Reader, put_pairs, put_u64};

use crate::{ApplicationId, ApplicationKey};

/// The whole of a platform application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformApplicationDeclared {
    /// Its number, never reused.
    pub id: ApplicationId,
    /// Account, region, platform and name.
    pub key: ApplicationKey,
    /// Its attributes, also those that are never shown: `PlatformCredential` and `PlatformPrincipal`.
    pub attributes: BTreeMap<String, String>,
}

impl PlatformApplicationDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_pairs(out, &self.attributes);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(PlatformApplicationDeclared {
            id: ApplicationId(reader.u64()?),
            key: ApplicationKey::decode(reader)?,
            attributes: reader.pairs()?,
        })
    }
}
