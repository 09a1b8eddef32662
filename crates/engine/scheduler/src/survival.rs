//! What of an old segment still holds, so that it can be written again and the segment can go.

use kernel::{Extent, Ledger};

use crate::records::{GroupDeleted, InvocationEnded, InvocationTried, Record, ScheduleRan, SchedulesDeleted};
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub fn write_again(&self, record: &Record, at: Extent, ledger: &Ledger) -> Option<Record> {
        let needed = |segments: &[u32]| -> Vec<u32> {
            segments.iter().copied().filter(|&segment| ledger.needs_tombstone(segment, at)).collect()
        };
        match record {
            Record::GroupDeclared(record) => {
                let known = self.groups.get(&record.id).filter(|group| group.standing.is_at(at));
                known.map(|group| Record::GroupDeclared(group.declared.clone()))
            }
            Record::GroupDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                let deleted = GroupDeleted { declared_in, ..record.clone() };
                (!deleted.declared_in.is_empty()).then_some(Record::GroupDeleted(deleted))
            }
            // As it is now: with the declaration, what it did since then is said again.
            Record::ScheduleDeclared(record) => {
                let known = self.schedules.get(&record.id).filter(|known| known.standing.is_at(at));
                known.map(|known| Record::ScheduleDeclared(Box::new(known.declared(record.id))))
            }
            Record::SchedulesDeleted(record) => {
                let declared_in = needed(&record.declared_in);
                let deleted = SchedulesDeleted { declared_in, ..record.clone() };
                (!deleted.declared_in.is_empty()).then_some(Record::SchedulesDeleted(deleted))
            }
            Record::ScheduleRan(record) => {
                let known = self.schedules.get(&record.id).filter(|known| known.fact == Some(at));
                known.map(|known| Record::ScheduleRan(ScheduleRan { id: record.id, run: known.run() }))
            }
            Record::InvocationDeclared(record) => {
                let known = self.invocations.declared_at(record.id, at);
                known.map(|known| Record::InvocationDeclared(Box::new(known.clone())))
            }
            Record::InvocationTried(record) => {
                let known = self.invocations.tried_at(record.id, at);
                known.map(|known| {
                    Record::InvocationTried(InvocationTried { id: record.id, tried: known.tried })
                })
            }
            Record::InvocationEnded(record) => {
                let declared_in = needed(&record.declared_in);
                let ended = InvocationEnded { declared_in, ..record.clone() };
                (!ended.declared_in.is_empty()).then_some(Record::InvocationEnded(ended))
            }
        }
    }
}
