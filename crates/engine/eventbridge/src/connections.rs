//! Connections, API destinations, archives and replays, as they are remembered: by account, region and name.

use std::collections::BTreeMap;
use std::ops::Bound;

use kernel::{Arn, Extent, Ledger};
use resources::Standing;

use crate::ids::ResourceKey;
use crate::records::{
    ArchiveDeclared, ConnectionDeclared, ConnectionState, DestinationDeclared, ReplayDeclared,
    ResourceDeleted,
};
use crate::state::State;

/// What can be declared by account, region and name.
pub trait Resource: Clone {
    /// Its number, never reused.
    fn id(&self) -> u64;
    /// Account, region and name.
    fn key(&self) -> &ResourceKey;
}

impl Resource for ConnectionDeclared {
    fn id(&self) -> u64 {
        self.id.0
    }
    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl Resource for DestinationDeclared {
    fn id(&self) -> u64 {
        self.id.0
    }
    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl Resource for ArchiveDeclared {
    fn id(&self) -> u64 {
        self.id.0
    }
    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl Resource for ReplayDeclared {
    fn id(&self) -> u64 {
        self.id.0
    }
    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

/// All resources of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Resources<T> {
    known: BTreeMap<ResourceKey, Known<T>>,
}

#[derive(Clone, Debug)]
struct Known<T> {
    declared: T,
    standing: Standing,
}

impl<T> Default for Resources<T> {
    fn default() -> Self {
        Resources { known: BTreeMap::new() }
    }
}

impl<T: Resource> Resources<T> {
    /// The resource of this name.
    pub(crate) fn get(&self, key: &ResourceKey) -> Option<&T> {
        Some(&self.known.get(key)?.declared)
    }

    /// All of them, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.known.values().map(|known| &known.declared)
    }

    /// Those of an account in a region whose names begin with `prefix`, after a name.
    pub(crate) fn of<'s>(
        &'s self,
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
        let theirs = self.known.range((from, Bound::Unbounded)).map(|(_, known)| &known.declared);
        theirs.take_while(move |it| {
            let key = it.key();
            key.account == account && key.region == region && key.name.starts_with(prefix)
        })
    }

    /// Applies a declaration.
    pub(crate) fn declare(&mut self, record: &T, at: Extent, ledger: &mut Ledger) {
        let before = match self.known.remove(record.key()) {
            Some(old) if old.declared.id() == record.id() => Some(old.standing),
            // Another that was called so: its deletion was written again behind this.
            Some(old) => {
                old.standing.end(ledger);
                None
            }
            None => None,
        };
        let standing = Standing::declared(at, before, ledger);
        self.known.insert(record.key().clone(), Known { declared: record.clone(), standing });
    }

    /// Applies a deletion.
    pub(crate) fn delete(&mut self, record: &ResourceDeleted, at: Extent, ledger: &mut Ledger) {
        for &segment in &record.declared_in {
            ledger.bury(at.place, segment);
        }
        if self.known.get(&record.key).is_some_and(|known| known.declared.id() == record.id)
            && let Some(known) = self.known.remove(&record.key)
        {
            known.standing.end(ledger);
        }
    }

    /// The fact that one is gone.
    pub(crate) fn deletion(&self, key: &ResourceKey) -> Option<ResourceDeleted> {
        let known = self.known.get(key)?;
        let declared_in = known.standing.declared_in().collect();
        Some(ResourceDeleted { id: known.declared.id(), key: key.clone(), declared_in })
    }

    /// The facts that all are gone.
    pub(crate) fn deletions(&self) -> impl Iterator<Item = ResourceDeleted> {
        self.known.keys().filter_map(|key| self.deletion(key))
    }

    /// The resource whose latest declaration is the record at `at`.
    pub(crate) fn declared_at(&self, key: &ResourceKey, at: Extent) -> Option<&T> {
        let known = self.known.get(key).filter(|known| known.standing.is_at(at));
        known.map(|known| &known.declared)
    }
}

impl Resources<DestinationDeclared> {
    /// The API destination that an ARN names.
    pub(crate) fn by_arn(&self, arn: &Arn) -> Option<&DestinationDeclared> {
        let (key, unique) = ResourceKey::from_arn(arn, "api-destination")?;
        self.get(&key).filter(|destination| destination.unique == unique)
    }
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
        self.destinations.by_arn(arn)
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
