//! What of an old segment still holds, so that it can be written again and the segment can go.

use kernel::{Extent, Ledger};

use crate::records::Record;
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub fn write_again<'a>(&self, record: Record<'a>, at: Extent, ledger: &Ledger) -> Option<Record<'a>> {
        match record {
            Record::TableDeclared(record) => {
                let declared = self.tables.declared_at(&record.key, at).cloned();
                declared.map(Box::new).map(Record::TableDeclared)
            }
            Record::TableDeleted(record) => record.again(at, ledger).map(Record::TableDeleted),
            Record::ItemPut(record) => {
                let key = self.key_of(record.table, &record.content)?;
                let is_latest = self.contents(record.table)?.is_at(&key, at);
                is_latest.then_some(Record::ItemPut(record))
            }
            Record::ItemRemoved(record) => {
                // A table that is gone has no items that could come back.
                self.contents(record.table)?;
                record.again(at, ledger).map(Record::ItemRemoved)
            }
            Record::TokenUsed(record) => self.tokens.is_at(&record, at).then_some(Record::TokenUsed(record)),
        }
    }
}
