//! What of an old segment still holds, so that it can be written again and the segment can go.
//!
//! An execution that is remembered needs all of its records: they have its history, and the data of its flows.

use kernel::{Extent, Ledger};

use crate::executions::Doing;
use crate::records::{
    ActivityDeleted, AliasDeleted, DefinitionDropped, ExecutionsRemoved, MachineDeleted, Record,
    VersionDeleted,
};
use crate::state::State;

impl State {
    /// What is to be written so that the record at `at` is no longer needed; nothing if it is not.
    pub(crate) fn write_again(&self, record: &Record, at: Extent, ledger: &Ledger) -> Option<Record> {
        let needed = |segments: &[u32]| -> Option<Vec<u32>> {
            let segments = segments.iter().copied();
            let needed: Vec<u32> = segments.filter(|&segment| ledger.needs_tombstone(segment, at)).collect();
            (!needed.is_empty()).then_some(needed)
        };
        match record {
            Record::MachineDeclared(record) => {
                let known = self.machines.get(&record.id).filter(|known| known.standing.is_at(at));
                known.map(|known| Record::MachineDeclared(Box::new(known.declared.clone())))
            }
            Record::DefinitionDeclared(declared) => {
                let known = self.definitions.get(&declared.id).filter(|known| known.standing.is_at(at));
                known.map(|_| record.clone())
            }
            Record::MachineDeleted(record) => needed(&record.declared_in)
                .map(|declared_in| Record::MachineDeleted(MachineDeleted { declared_in, ..record.clone() })),
            Record::DefinitionDropped(record) => needed(&record.declared_in).map(|declared_in| {
                Record::DefinitionDropped(DefinitionDropped { declared_in, ..record.clone() })
            }),
            Record::ExecutionsRemoved(record) => needed(&record.declared_in).map(|declared_in| {
                Record::ExecutionsRemoved(ExecutionsRemoved { declared_in, ..record.clone() })
            }),
            Record::TaskHeard(heard) => {
                let flow = self.executions.get(&heard.execution)?.flow(heard.flow)?;
                let is_last = matches!(&flow.doing, Doing::Tasks { fact, .. } if *fact == Some(at));
                is_last.then(|| record.clone())
            }
            Record::VersionPublished(declared) => {
                let known = self.versions.versions.get(&(declared.machine, declared.number))?;
                known.standing.is_at(at).then(|| record.clone())
            }
            Record::AliasDeclared(declared) => {
                let known = self.versions.aliases.get(&(declared.machine, declared.name.clone()))?;
                known.standing.is_at(at).then(|| record.clone())
            }
            Record::VersionDeleted(record) => needed(&record.declared_in)
                .map(|declared_in| Record::VersionDeleted(VersionDeleted { declared_in, ..record.clone() })),
            Record::AliasDeleted(record) => needed(&record.declared_in)
                .map(|declared_in| Record::AliasDeleted(AliasDeleted { declared_in, ..record.clone() })),
            Record::ActivityDeclared(declared) => {
                let known = self.activities.get(declared.id).filter(|known| known.is_at(at));
                known.map(|known| Record::ActivityDeclared(known.declared.clone()))
            }
            Record::ActivityDeleted(record) => needed(&record.declared_in).map(|declared_in| {
                Record::ActivityDeleted(ActivityDeleted { declared_in, ..record.clone() })
            }),
            Record::ExecutionStarted(_)
            | Record::Stepped(_)
            | Record::TaskReported(_)
            | Record::TaskTaken(_) => {
                let (id, number) = record.of_execution()?;
                let known = self.executions.get(&id)?.records.get(number)?;
                (known.1 == at).then(|| record.clone())
            }
        }
    }
}
