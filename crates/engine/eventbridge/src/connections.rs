//! Connections, API destinations, archives and replays, as they are remembered: by account, region and name.

use std::ops::Bound;

use kernel::{Arn, Extent, Ledger};
use resources::{Declarations, Declared};

use crate::ids::ResourceKey;
use crate::records::{
    ArchiveDeclared, ConnectionDeclared, ConnectionState, DestinationDeclared, ReplayDeclared,
    ResourceDeleted,
};
use crate::state::State;

macro_rules! declared {
    ($($Declared:ident),*) => {$(
        impl Declared for $Declared {
            type Key = ResourceKey;

            fn id(&self) -> u64 {
                self.id.0
            }

            fn key(&self) -> &ResourceKey {
                &self.key
            }
        }
    )*};
}

declared!(ConnectionDeclared, DestinationDeclared, ArchiveDeclared, ReplayDeclared);

/// The resources of an account in a region whose names begin with `prefix`, after a name.
pub(crate) fn belonging_to<'s, T: Declared<Key = ResourceKey>>(
    all: &'s Declarations<T>,
    owner: &ResourceKey,
    prefix: &'s str,
    after: Option<&String>,
) -> impl Iterator<Item = &'s T> + use<'s, T> {
    let key = |name: &str| ResourceKey { name: name.to_owned(), ..owner.clone() };
    let from = match after {
        Some(after) if after.as_str() >= prefix => Bound::Excluded(key(after)),
        _ => Bound::Included(key(prefix)),
    };
    let (account, region) = (owner.account.clone(), owner.region.clone());
    all.range((from, Bound::Unbounded)).take_while(move |it| {
        let key = it.key();
        key.account == account && key.region == region && key.name.starts_with(prefix)
    })
}

/// The API destination that an ARN names.
pub(crate) fn destination_by_arn<'s>(
    all: &'s Declarations<DestinationDeclared>,
    arn: &Arn,
) -> Option<&'s DestinationDeclared> {
    let (key, unique) = ResourceKey::from_arn(arn, "api-destination")?;
    all.get(&key).filter(|destination| destination.unique == unique)
}

impl State {
    /// All connections, by key.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionDeclared> {
        self.connections.iter()
    }

    /// All API destinations, by key.
    pub fn destinations(&self) -> impl Iterator<Item = &DestinationDeclared> {
        self.destinations.iter()
    }

    /// The connection that an ARN names.
    pub(crate) fn connection(&self, arn: &str) -> Option<&ConnectionDeclared> {
        let (key, unique) = ResourceKey::from_arn(&arn.parse().ok()?, "connection")?;
        self.connections.get(&key).filter(|connection| connection.unique == unique)
    }

    /// The API destination that an ARN names.
    pub(crate) fn destination(&self, arn: &Arn) -> Option<&DestinationDeclared> {
        destination_by_arn(&self.destinations, arn)
    }

    /// `ApiDestinationState`: it is active while its connection is authorized (recorded by LocalStack's tests against AWS).
    pub(crate) fn is_active(&self, destination: &DestinationDeclared) -> bool {
        let connection = self.connection(&destination.connection);
        connection.is_some_and(|connection| connection.state == ConnectionState::Authorized)
    }

    pub(crate) fn connection_declared(
        &mut self,
        record: &ConnectionDeclared,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        match record.state {
            ConnectionState::Authorizing => self.authorizing.insert(record.key.clone()),
            _ => self.authorizing.remove(&record.key),
        };
        self.connections.declare(record, at, ledger);
    }

    pub(crate) fn connection_deleted(&mut self, record: &ResourceDeleted, at: Extent, ledger: &mut Ledger) {
        self.connections.delete(record, at, ledger);
        if self.connections.get(&record.key).is_none() {
            self.authorizing.remove(&record.key);
        }
    }
}
