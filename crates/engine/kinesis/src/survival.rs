//! What of an old segment still holds, so that it can be written again and the segment can go.

use kernel::{Extent, Ledger, Seq};

use crate::records::Record;
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub fn write_again(&self, record: &Record, at: Extent, ledger: &Ledger) -> Option<Record> {
        match record {
            Record::StreamDeclared(record) => {
                let declared = self.streams.declared_at(&record.key, at).cloned();
                declared.map(Box::new).map(Record::StreamDeclared)
            }
            Record::ShardDeclared(record) => {
                self.shards.declared_at(&record.key, at).cloned().map(Record::ShardDeclared)
            }
            Record::ConsumerDeclared(record) => {
                let declared = self.consumers.declared_at(&record.key, at).cloned();
                declared.map(Box::new).map(Record::ConsumerDeclared)
            }
            Record::AccountDeclared(record) => {
                self.accounts.declared_at(&record.key, at).cloned().map(Record::AccountDeclared)
            }
            Record::StreamDeleted(record) => record.again(at, ledger).map(Record::StreamDeleted),
            Record::ShardDeleted(record) => record.again(at, ledger).map(Record::ShardDeleted),
            Record::ConsumerDeleted(record) => record.again(at, ledger).map(Record::ConsumerDeleted),
            Record::AccountDeleted(record) => record.again(at, ledger).map(Record::AccountDeleted),
            Record::RecordsPut(record) => {
                let is_owed = self.owed.is_owed(record.series, Seq(record.last()), at);
                is_owed.then_some(Record::RecordsPut(*record))
            }
        }
    }
}
