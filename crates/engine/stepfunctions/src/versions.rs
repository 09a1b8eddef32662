//! Versions and aliases of state machines, as they are remembered.

use std::collections::BTreeMap;

use kernel::{Extent, Ledger};
use resources::Standing;

use crate::MachineId;
use crate::records::{AliasDeclared, AliasDeleted, Record, VersionDeleted, VersionPublished};

/// What is remembered, with where it is declared.
#[derive(Clone, Debug)]
pub(crate) struct Known<T> {
    pub(crate) declared: T,
    pub(crate) standing: Standing,
}

/// All versions and aliases.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    pub(crate) versions: BTreeMap<(MachineId, u64), Known<VersionPublished>>,
    pub(crate) aliases: BTreeMap<(MachineId, String), Known<AliasDeclared>>,
}

impl Versions {
    pub(crate) fn version(&self, machine: MachineId, number: u64) -> Option<&VersionPublished> {
        self.versions.get(&(machine, number)).map(|known| &known.declared)
    }

    pub(crate) fn alias(&self, machine: MachineId, name: &str) -> Option<&AliasDeclared> {
        self.aliases.get(&(machine, name.to_owned())).map(|known| &known.declared)
    }

    /// The versions of a state machine, the earliest first.
    pub(crate) fn of(&self, machine: MachineId) -> impl DoubleEndedIterator<Item = &VersionPublished> {
        self.versions.range((machine, 0)..=(machine, u64::MAX)).map(|(_, known)| &known.declared)
    }

    /// The aliases of a state machine, by name.
    pub(crate) fn aliases_of(&self, machine: MachineId) -> impl Iterator<Item = &AliasDeclared> {
        let from = self.aliases.range((machine, String::new())..);
        from.take_while(move |(key, _)| key.0 == machine).map(|(_, known)| &known.declared)
    }

    /// The names of the aliases that lead to a version.
    pub(crate) fn aliases_to(&self, machine: MachineId, version: u64) -> Vec<String> {
        let leads = |alias: &&AliasDeclared| alias.routing.iter().any(|route| route.0 == version);
        self.aliases_of(machine).filter(leads).map(|alias| alias.name.clone()).collect()
    }

    /// Returns whether the version is new.
    pub(crate) fn published(&mut self, record: &VersionPublished, at: Extent, ledger: &mut Ledger) -> bool {
        let key = (record.machine, record.number);
        let before = self.versions.remove(&key).map(|known| known.standing);
        let is_new = before.is_none();
        let standing = Standing::declared(at, before, ledger);
        self.versions.insert(key, Known { declared: record.clone(), standing });
        is_new
    }

    /// Returns the version that is gone.
    pub(crate) fn version_deleted(
        &mut self,
        record: &VersionDeleted,
        at: Extent,
        ledger: &mut Ledger,
    ) -> Option<VersionPublished> {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        let known = self.versions.remove(&(record.machine, record.number))?;
        known.standing.end(ledger);
        Some(known.declared)
    }

    pub(crate) fn alias_declared(&mut self, record: &AliasDeclared, at: Extent, ledger: &mut Ledger) {
        let key = (record.machine, record.name.clone());
        let before = self.aliases.remove(&key).map(|known| known.standing);
        let standing = Standing::declared(at, before, ledger);
        self.aliases.insert(key, Known { declared: record.clone(), standing });
    }

    pub(crate) fn alias_deleted(&mut self, record: &AliasDeleted, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        if let Some(known) = self.aliases.remove(&(record.machine, record.name.clone())) {
            known.standing.end(ledger);
        }
    }

    /// The fact that a version is gone.
    pub(crate) fn version_deletion(&self, machine: MachineId, number: u64) -> VersionDeleted {
        let known = self.versions.get(&(machine, number));
        let declared_in = known.map(|known| known.standing.declared_in().collect());
        VersionDeleted { machine, number, declared_in: declared_in.unwrap_or_default() }
    }

    /// The fact that an alias is gone.
    pub(crate) fn alias_deletion(&self, machine: MachineId, name: &str) -> AliasDeleted {
        let known = self.aliases.get(&(machine, name.to_owned()));
        let declared_in = known.map(|known| known.standing.declared_in().collect());
        AliasDeleted { machine, name: name.to_owned(), declared_in: declared_in.unwrap_or_default() }
    }

    /// The facts after which a state machine has none.
    pub(crate) fn deletions(&self, machine: MachineId) -> impl Iterator<Item = Record> + '_ {
        let aliases = self.aliases_of(machine);
        let aliases =
            aliases.map(move |alias| Record::AliasDeleted(self.alias_deletion(machine, &alias.name)));
        let versions = self.of(machine);
        let versions = versions
            .map(move |version| Record::VersionDeleted(self.version_deletion(machine, version.number)));
        aliases.chain(versions)
    }
}
