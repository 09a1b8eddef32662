//! An API destination as it is from now on: written when it is created and whenever it changes.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_opt_str, put_str, put_u64};

use crate::{DestinationId, ResourceKey};
use resources::Key as _;

/// An API destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestinationDeclared {
    /// Its number, never reused.
    pub id: DestinationId,
    /// Account, region and name.
    pub key: ResourceKey,
    /// The last part of its ARN.
    pub unique: String,
    /// `Description`.
    pub description: Option<String>,
    /// `ConnectionArn`.
    pub connection: String,
    /// `InvocationEndpoint`.
    pub endpoint: String,
    /// `HttpMethod`.
    pub method: String,
    /// `InvocationRateLimitPerSecond`.
    pub rate: u32,
    /// When it was created.
    pub created: Time,
    /// When it was changed last.
    pub modified: Time,
}

impl DestinationDeclared {
    /// Its ARN.
    pub fn arn(&self) -> String {
        self.key.arn("api-destination", &self.unique)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        put_opt_str(out, self.description.as_deref());
        for text in [&self.unique, &self.connection, &self.endpoint, &self.method] {
            put_str(out, text);
        }
        for number in [self.rate.into(), self.created.0, self.modified.0] {
            put_u64(out, number);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key) = (DestinationId(reader.u64()?), ResourceKey::decode(reader)?);
        let description = reader.opt_str()?.map(str::to_owned);
        let mut text = || Ok::<_, Malformed>(reader.str()?.to_owned());
        Ok(DestinationDeclared {
            id,
            key,
            description,
            unique: text()?,
            connection: text()?,
            endpoint: text()?,
            method: text()?,
            rate: reader.u32()?,
            created: Time(reader.u64()?),
            modified: Time(reader.u64()?),
        })
    }
}
