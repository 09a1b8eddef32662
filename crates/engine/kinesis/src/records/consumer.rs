//! A registered consumer as it is from now on, and the settings of an account.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_opt_str, put_pairs, put_u64};
use resources::tags::Tags;
use resources::{Declared, Key};

use crate::ConsumerKey;
use crate::ids::AccountKey;

/// The whole of a consumer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsumerDeclared {
    /// Its number, never reused.
    pub id: u64,
    /// Stream and name.
    pub key: ConsumerKey,
    /// When it was registered.
    pub created: Time,
    /// Its resource policy.
    pub policy: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

impl Declared for ConsumerDeclared {
    type Key = ConsumerKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &ConsumerKey {
        &self.key
    }
}

impl ConsumerDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_u64(out, self.created.0);
        put_opt_str(out, self.policy.as_deref());
        put_pairs(out, &self.tags);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ConsumerDeclared {
            id: reader.u64()?,
            key: ConsumerKey::decode(reader)?,
            created: Time(reader.u64()?),
            policy: reader.opt_str()?.map(str::to_owned),
            tags: reader.pairs()?,
        })
    }
}

/// The settings of an account in a region: `MinimumThroughputBillingCommitment`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountDeclared {
    /// The number of its first settings.
    pub id: u64,
    /// Which account.
    pub key: AccountKey,
    /// Whether the commitment is on.
    pub is_committed: bool,
    /// Since when it has been so.
    pub since: Time,
}

impl Declared for AccountDeclared {
    type Key = AccountKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &AccountKey {
        &self.key
    }
}

impl AccountDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        out.push(u8::from(self.is_committed));
        put_u64(out, self.since.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(AccountDeclared {
            id: reader.u64()?,
            key: AccountKey::decode(reader)?,
            is_committed: reader.u8()? != 0,
            since: Time(reader.u64()?),
        })
    }
}
