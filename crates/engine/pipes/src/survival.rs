//! What of an old segment still holds, so that it can be written again and the segment can go.

use kernel::{Extent, Ledger};

use crate::records::Record;
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub fn write_again(&self, record: &Record, at: Extent, ledger: &Ledger) -> Option<Record> {
        match record {
            Record::PipeDeclared(record) => {
                let declared = self.pipes.declared_at(&record.key, at).cloned();
                declared.map(Box::new).map(Record::PipeDeclared)
            }
            Record::PipeDeleted(record) => record.again(at, ledger).map(Record::PipeDeleted),
        }
    }
}
