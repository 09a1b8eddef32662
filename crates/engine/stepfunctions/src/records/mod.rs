//! What the log says of state machines and executions.
//!
//! | kind | record |
//! |---|---|
//! | 112 | [`MachineDeclared`] |
//! | 113 | [`MachineDeleted`] |
//! | 114 | [`DefinitionDeclared`] |
//! | 115 | [`DefinitionDropped`] |
//! | 116 | [`ActivityDeclared`] |
//! | 117 | [`ActivityDeleted`] |
//! | 118 | [`VersionPublished`] |
//! | 119 | [`VersionDeleted`] |
//! | 120 | [`AliasDeclared`] |
//! | 121 | [`AliasDeleted`] |
//! | 122 | [`ExecutionStarted`] |
//! | 123 | [`Stepped`] |
//! | 124 | [`TaskReported`] |
//! | 125 | [`TaskHeard`] |
//! | 126 | [`ExecutionsRemoved`] |
//! | 127 | [`TaskTaken`] |
//!
//! Those up to 121 are configuration: a restart reads them first. The others are not.

mod activity;
mod after;
mod execution;
pub use activity::{ActivityDeclared, ActivityDeleted};
mod machine;
mod version;
pub use after::{After, Again, Branching, Redriven};
pub use execution::{
    ExecutionStarted, ExecutionsRemoved, InState, STATUSES, Status, Stepped, Tail, TaskHeard, TaskReported,
    TaskTaken, TaskWait,
};
pub use machine::{DefinitionDeclared, DefinitionDropped, MachineDeclared, MachineDeleted};
pub use version::{AliasDeclared, AliasDeleted, VersionDeleted, VersionPublished};

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};

use crate::{ActivityId, DefinitionId, ExecutionId, MachineId};

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 112..=127;

/// The first kind that is no configuration.
const FLOW: u8 = 122;

/// A fact about state machines and executions.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its struct is.
pub enum Record {
    MachineDeclared(Box<MachineDeclared>),
    MachineDeleted(MachineDeleted),
    DefinitionDeclared(DefinitionDeclared),
    DefinitionDropped(DefinitionDropped),
    ActivityDeclared(ActivityDeclared),
    ActivityDeleted(ActivityDeleted),
    VersionPublished(VersionPublished),
    VersionDeleted(VersionDeleted),
    AliasDeclared(AliasDeclared),
    AliasDeleted(AliasDeleted),
    ExecutionStarted(Box<ExecutionStarted>),
    Stepped(Box<Stepped>),
    TaskReported(TaskReported),
    TaskHeard(TaskHeard),
    ExecutionsRemoved(ExecutionsRemoved),
    TaskTaken(TaskTaken),
}

impl Record {
    fn kind(&self) -> u8 {
        match self {
            Record::MachineDeclared(_) => 112,
            Record::MachineDeleted(_) => 113,
            Record::DefinitionDeclared(_) => 114,
            Record::DefinitionDropped(_) => 115,
            Record::ActivityDeclared(_) => 116,
            Record::ActivityDeleted(_) => 117,
            Record::VersionPublished(_) => 118,
            Record::VersionDeleted(_) => 119,
            Record::AliasDeclared(_) => 120,
            Record::AliasDeleted(_) => 121,
            Record::ExecutionStarted(_) => 122,
            Record::Stepped(_) => 123,
            Record::TaskReported(_) => 124,
            Record::TaskHeard(_) => 125,
            Record::ExecutionsRemoved(_) => 126,
            Record::TaskTaken(_) => 127,
        }
    }

    /// Of which execution it is a record, and which of these it is.
    pub fn of_execution(&self) -> Option<(ExecutionId, u32)> {
        match self {
            Record::ExecutionStarted(record) => Some((record.id, 0)),
            Record::Stepped(record) => Some((record.execution, record.number)),
            Record::TaskReported(record) => Some((record.execution, record.number)),
            Record::TaskTaken(record) => Some((record.execution, record.number)),
            _ => None,
        }
    }

    /// How its tail is divided, if it has one.
    pub fn tail(&self) -> Option<&Tail> {
        match self {
            Record::ExecutionStarted(record) => Some(&record.tail),
            Record::Stepped(record) => Some(&record.tail),
            Record::TaskReported(record) => Some(&record.tail),
            Record::TaskTaken(record) => Some(&record.tail),
            _ => None,
        }
    }
}

impl kernel::service::Record<'_> for Record {
    fn is_configuration(&self) -> bool {
        self.kind() < FLOW
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        match self {
            Record::MachineDeclared(record) => record.encode(out),
            Record::MachineDeleted(record) => machine::encode_end(record.id.0, &record.declared_in, out),
            Record::DefinitionDeclared(record) => record.encode(out),
            Record::DefinitionDropped(record) => machine::encode_end(record.id.0, &record.declared_in, out),
            Record::ActivityDeclared(record) => record.encode(out),
            Record::ActivityDeleted(record) => machine::encode_end(record.id.0, &record.declared_in, out),
            Record::VersionPublished(record) => record.encode(out),
            Record::VersionDeleted(record) => record.encode(out),
            Record::AliasDeclared(record) => record.encode(out),
            Record::AliasDeleted(record) => record.encode(out),
            Record::ExecutionStarted(record) => record.encode(out),
            Record::Stepped(record) => record.encode(out),
            Record::TaskReported(record) => record.encode(out),
            Record::TaskHeard(record) => record.encode(out),
            Record::ExecutionsRemoved(record) => record.encode(out),
            Record::TaskTaken(record) => record.encode(out),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            112 => Record::MachineDeclared(Box::new(MachineDeclared::decode(reader)?)),
            113 => {
                let (id, declared_in) = machine::decode_end(reader)?;
                Record::MachineDeleted(MachineDeleted { id: MachineId(id), declared_in })
            }
            114 => Record::DefinitionDeclared(DefinitionDeclared::decode(reader)?),
            115 => {
                let (id, declared_in) = machine::decode_end(reader)?;
                Record::DefinitionDropped(DefinitionDropped { id: DefinitionId(id), declared_in })
            }
            116 => Record::ActivityDeclared(ActivityDeclared::decode(reader)?),
            117 => {
                let (id, declared_in) = machine::decode_end(reader)?;
                Record::ActivityDeleted(ActivityDeleted { id: ActivityId(id), declared_in })
            }
            118 => Record::VersionPublished(VersionPublished::decode(reader)?),
            119 => Record::VersionDeleted(VersionDeleted::decode(reader)?),
            120 => Record::AliasDeclared(AliasDeclared::decode(reader)?),
            121 => Record::AliasDeleted(AliasDeleted::decode(reader)?),
            122 => Record::ExecutionStarted(Box::new(ExecutionStarted::decode(reader)?)),
            123 => Record::Stepped(Box::new(Stepped::decode(reader)?)),
            124 => Record::TaskReported(TaskReported::decode(reader)?),
            125 => Record::TaskHeard(TaskHeard::decode(reader)?),
            126 => Record::ExecutionsRemoved(ExecutionsRemoved::decode(reader)?),
            127 => Record::TaskTaken(TaskTaken::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
