//! A connection as it is from now on: written when it is created and whenever anything about it changes.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_opt_str, put_str, put_u64};

use crate::rules::credentials::{Credentials, Parameters, Scheme, optional, put_optional};
use crate::{ConnectionId, ResourceKey};
use resources::Key as _;

/// A connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionDeclared {
    /// Its number, never reused.
    pub id: ConnectionId,
    /// Drawn anew whenever the credentials change: a token that was fetched with other credentials does not count.
    pub version: u64,
    /// Account, region and name.
    pub key: ResourceKey,
    /// The last part of its ARN.
    pub unique: String,
    /// The last part of its secret's ARN.
    pub secret: String,
    /// `Description`.
    pub description: Option<String>,
    /// `KmsKeyIdentifier`, which is kept for those who ask.
    pub kms_key: Option<String>,
    /// `AuthorizationType`.
    pub scheme: Scheme,
    /// With what it authorizes requests; nothing after DeauthorizeConnection.
    pub credentials: Option<Credentials>,
    /// `InvocationHttpParameters`.
    pub parameters: Option<Parameters>,
    /// `ConnectionState`.
    pub state: ConnectionState,
    /// `StateReason`.
    pub reason: Option<String>,
    /// When it was created.
    pub created: Time,
    /// When it was changed last.
    pub modified: Time,
    /// When it was authorized last.
    pub authorized: Option<Time>,
}

/// The states in which a connection stays until something happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionState {
    /// Requests can be authorized.
    Authorized,
    /// The first token is being fetched.
    Authorizing,
    /// The credentials are gone, or do not fetch a token.
    Deauthorized,
}

impl ConnectionState {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            ConnectionState::Authorized => "AUTHORIZED",
            ConnectionState::Authorizing => "AUTHORIZING",
            ConnectionState::Deauthorized => "DEAUTHORIZED",
        }
    }
}

impl ConnectionDeclared {
    /// Its ARN (facts/eventbridge.md § 8).
    pub fn arn(&self) -> String {
        self.key.arn("connection", &self.unique)
    }

    /// The ARN of its secret (facts/eventbridge.md § 8).
    pub fn secret_arn(&self) -> String {
        let ResourceKey { account, region, name } = &self.key;
        format!("arn:aws:secretsmanager:{region}:{account}:secret:events!connection/{name}/{}", self.secret)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_u64(out, self.version);
        self.key.encode(out);
        put_str(out, &self.unique);
        put_str(out, &self.secret);
        for text in [&self.description, &self.kms_key, &self.reason] {
            put_opt_str(out, text.as_deref());
        }
        out.push(self.scheme as u8);
        out.push(self.state as u8);
        put_optional(out, self.credentials.as_ref(), Credentials::encode);
        put_optional(out, self.parameters.as_ref(), Parameters::encode);
        put_u64(out, self.created.0);
        put_u64(out, self.modified.0);
        put_optional(out, self.authorized.as_ref(), |at, out| put_u64(out, at.0));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, version, key) = (ConnectionId(reader.u64()?), reader.u64()?, ResourceKey::decode(reader)?);
        let (unique, secret) = (reader.str()?.to_owned(), reader.str()?.to_owned());
        let mut text = || Ok(reader.opt_str()?.map(str::to_owned));
        let (description, kms_key, reason) = (text()?, text()?, text()?);
        let scheme = match reader.u8()? {
            0 => Scheme::Basic,
            1 => Scheme::OAuth,
            2 => Scheme::ApiKey,
            _ => return Err(Malformed),
        };
        let state = match reader.u8()? {
            0 => ConnectionState::Authorized,
            1 => ConnectionState::Authorizing,
            2 => ConnectionState::Deauthorized,
            _ => return Err(Malformed),
        };
        Ok(ConnectionDeclared {
            id,
            version,
            key,
            unique,
            secret,
            description,
            kms_key,
            scheme,
            state,
            reason,
            credentials: optional(reader, Credentials::decode)?,
            parameters: optional(reader, Parameters::decode)?,
            created: Time(reader.u64()?),
            modified: Time(reader.u64()?),
            authorized: optional(reader, |reader| reader.u64().map(Time))?,
        })
    }
}
