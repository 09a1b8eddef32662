//! What is remembered of all schemas, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, VecDeque};

use kernel::{Extent, Ledger};
use resources::{Declarations, Deleted};

use crate::inference::{Dialect, Shape, read};
use crate::records::{DiscovererDeclared, Record, RegistryDeclared, SchemaDeclared, VersionDeclared};
use crate::service::Waiter;
use crate::{DiscovererKey, RegistryKey, SchemaKey, VersionKey, limits};

/// All registries, schemas and discoverers.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) registries: Declarations<RegistryDeclared>,
    pub(crate) schemas: Declarations<SchemaDeclared>,
    pub(crate) versions: Declarations<VersionDeclared>,
    pub(crate) discoverers: Declarations<DiscovererDeclared>,
    /// The names of schemas, by their numbers.
    names: BTreeMap<u64, SchemaKey>,
    /// The shapes of discovered schemas in their latest versions, by the schemas' numbers.
    shapes: BTreeMap<u64, Shape>,
    /// Bytes of all contents.
    bytes: usize,

    // What follows is not in the log.
    is_replaying: bool,
    /// Requests that wait for what buses say.
    pub(crate) waiting: VecDeque<Waiter>,
    /// New versions that the default bus is still to be told of.
    pub(crate) announcements: VecDeque<VersionKey>,
}

/// Versions of which the default bus is still to be told, at the most. It is told in the turn in which they are added.
const ANNOUNCEMENTS: usize = 10_000;

impl State {
    /// The schema of this name.
    pub fn schema(&self, key: &SchemaKey) -> Option<&SchemaDeclared> {
        self.schemas.get(key)
    }

    /// The versions of a schema, the oldest first.
    pub fn versions_of(&self, schema: u64) -> impl DoubleEndedIterator<Item = &VersionDeclared> {
        let key = |version| VersionKey { schema, version };
        self.versions.range(key(0)..=key(u64::MAX))
    }

    /// All schemas, by key.
    pub fn schemas(&self) -> impl Iterator<Item = &SchemaDeclared> {
        self.schemas.iter()
    }

    /// All discoverers, by key.
    pub fn discoverers(&self) -> impl Iterator<Item = &DiscovererDeclared> {
        self.discoverers.iter()
    }

    /// The schemas of a registry, by name, from one on.
    pub(crate) fn schemas_from<'s>(
        &'s self,
        registry: &'s RegistryKey,
        from: std::ops::Bound<SchemaKey>,
    ) -> impl Iterator<Item = &'s SchemaDeclared> {
        let theirs = self.schemas.range((from, std::ops::Bound::Unbounded));
        theirs.take_while(move |schema| schema.key.registry == *registry)
    }

    /// The schemas of a registry, by name.
    pub(crate) fn schemas_in<'s>(
        &'s self,
        registry: &'s RegistryKey,
    ) -> impl Iterator<Item = &'s SchemaDeclared> {
        let first = SchemaKey { registry: registry.clone(), name: String::new() };
        self.schemas_from(registry, std::ops::Bound::Included(first))
    }

    /// How many registries an account has in a region.
    pub(crate) fn registries_of(&self, key: &RegistryKey) -> usize {
        let first = RegistryKey { name: String::new(), ..key.clone() };
        let theirs = self.registries.range(first..);
        theirs.take_while(|it| (&it.key.account, &it.key.region) == (&key.account, &key.region)).count()
    }

    /// How many discoverers an account has in a region.
    pub(crate) fn discoverers_of(&self, key: &DiscovererKey) -> usize {
        let first = DiscovererKey { id: String::new(), ..key.clone() };
        let theirs = self.discoverers.range(first..);
        theirs.take_while(|it| (&it.key.account, &it.key.region) == (&key.account, &key.region)).count()
    }

    /// The shape of a discovered schema in its latest version.
    pub(crate) fn shape(&self, schema: u64) -> Option<&Shape> {
        self.shapes.get(&schema)
    }

    /// The name of a schema, by its number.
    pub(crate) fn name(&self, schema: u64) -> Option<&SchemaKey> {
        self.names.get(&schema)
    }

    /// Whether the contents of all versions leave memory for another one.
    pub(crate) fn has_room_for(&self, content: &str) -> bool {
        self.bytes + content.len() <= limits::MEMORY_BYTES
    }

    /// Bytes of the contents of all versions.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Applies a record that lies at `at`.
    pub fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::RegistryDeclared(record) => {
                self.registries.declare(record, at, ledger);
            }
            Record::RegistryDeleted(record) => {
                self.registries.delete(record, at, ledger);
            }
            Record::SchemaDeclared(record) => {
                self.schemas.declare(record, at, ledger);
                self.names.insert(record.id, record.key.clone());
                self.learn(record.id);
            }
            Record::SchemaDeleted(record) => {
                if self.schemas.delete(record, at, ledger).is_some() {
                    self.names.remove(&record.id);
                    self.shapes.remove(&record.id);
                }
            }
            Record::VersionDeclared(record) => self.version_declared(record, at, ledger),
            Record::VersionDeleted(record) => self.version_deleted(record, at, ledger),
            Record::DiscovererDeclared(record) => {
                self.discoverers.declare(record, at, ledger);
            }
            Record::DiscovererDeleted(record) => {
                self.discoverers.delete(record, at, ledger);
            }
        }
    }

    fn version_declared(&mut self, record: &VersionDeclared, at: Extent, ledger: &mut Ledger) {
        self.bytes += record.content.len();
        match self.versions.declare(record, at, ledger) {
            // It was written again.
            Some(before) => self.bytes -= before.content.len(),
            None if !self.is_replaying && self.announcements.len() < ANNOUNCEMENTS => {
                self.announcements.push_back(record.key)
            }
            None => {}
        }
        self.learn(record.key.schema);
    }

    fn version_deleted(&mut self, record: &Deleted<VersionKey>, at: Extent, ledger: &mut Ledger) {
        let Some(gone) = self.versions.delete(record, at, ledger) else { return };
        self.bytes -= gone.content.len();
        self.learn(record.key.schema);
    }

    /// A log is about to be read. The shapes of schemas are looked at behind it.
    pub(crate) fn replaying(&mut self) {
        self.is_replaying = true;
    }

    /// A log has been read. The default bus was told of what it says.
    pub(crate) fn replayed(&mut self) {
        self.is_replaying = false;
        self.announcements.clear();
        let schemas: Vec<u64> = self.names.keys().copied().collect();
        schemas.into_iter().for_each(|schema| self.learn(schema));
    }

    /// Looks at the latest version of a schema, if it is a discovered one.
    fn learn(&mut self, schema: u64) {
        if self.is_replaying || !self.names.get(&schema).is_some_and(|name| name.registry.is_discovered()) {
            return;
        }
        let latest = self.versions_of(schema).next_back();
        let latest = latest.filter(|version| version.dialect == Dialect::OpenApi3);
        match latest.and_then(|version| read(&version.content)) {
            Some((_, shape)) => self.shapes.insert(schema, shape),
            None => self.shapes.remove(&schema),
        };
    }

    /// The facts that a schema is gone, with its versions.
    pub(crate) fn deletion_of_schema(&self, schema: &SchemaDeclared) -> Vec<Record> {
        let versions = self.versions_of(schema.id).filter_map(|version| self.versions.deletion(&version.key));
        let versions = versions.map(Record::VersionDeleted);
        versions.chain(self.schemas.deletion(&schema.key).map(Record::SchemaDeleted)).collect()
    }

    /// The facts after which nothing is left.
    pub fn reset(&self) -> Vec<Record> {
        let versions = self.versions.deletions().map(Record::VersionDeleted);
        let schemas = self.schemas.deletions().map(Record::SchemaDeleted);
        let registries = self.registries.deletions().map(Record::RegistryDeleted);
        let discoverers = self.discoverers.deletions().map(Record::DiscovererDeleted);
        versions.chain(schemas).chain(registries).chain(discoverers).collect()
    }
}
