//! What of an old segment still holds, so that it can be written again and the segment can go.

use kernel::{Extent, Ledger};

use crate::records::Record;
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub fn write_again(&self, record: &Record, at: Extent, ledger: &Ledger) -> Option<Record> {
        match record {
            Record::RegistryDeclared(record) => {
                self.registries.declared_at(&record.key, at).cloned().map(Record::RegistryDeclared)
            }
            Record::SchemaDeclared(record) => {
                self.schemas.declared_at(&record.key, at).cloned().map(Record::SchemaDeclared)
            }
            Record::VersionDeclared(record) => {
                self.versions.declared_at(&record.key, at).cloned().map(Record::VersionDeclared)
            }
            Record::DiscovererDeclared(record) => {
                self.discoverers.declared_at(&record.key, at).cloned().map(Record::DiscovererDeclared)
            }
            Record::RegistryDeleted(record) => record.again(at, ledger).map(Record::RegistryDeleted),
            Record::SchemaDeleted(record) => record.again(at, ledger).map(Record::SchemaDeleted),
            Record::VersionDeleted(record) => record.again(at, ledger).map(Record::VersionDeleted),
            Record::DiscovererDeleted(record) => record.again(at, ledger).map(Record::DiscovererDeleted),
        }
    }
}
