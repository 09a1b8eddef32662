//! An application on somebody's device as it is from now on: written when it is made and whenever its attributes change.

use std::collections::BTreeMap;

use kernel::codec::{Malformed, Reader, put_pairs, put_str, put_u64};

use crate::{ApplicationId, ApplicationKey, EndpointId};

/// The whole of a platform endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformEndpointDeclared {
    /// Its number, never reused.
    pub id: EndpointId,
    /// The last word of its ARN.
    pub uuid: String,
    /// Of which application.
    pub application: ApplicationId,
    /// What the application is called: an endpoint may be known before its application is.
    pub application_key: ApplicationKey,
    /// `Token`, `Enabled` and, if there is some, `CustomUserData`.
    pub attributes: BTreeMap<String, String>,
}

impl PlatformEndpointDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_str(out, &self.uuid);
        put_u64(out, self.application.0);
        self.application_key.encode(out);
        put_pairs(out, &self.attributes);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(PlatformEndpointDeclared {
            id: EndpointId(reader.u64()?),
            uuid: reader.str()?.to_owned(),
            application: ApplicationId(reader.u64()?),
            application_key: ApplicationKey::decode(reader)?,
            attributes: reader.pairs()?,
        })
    }
}
