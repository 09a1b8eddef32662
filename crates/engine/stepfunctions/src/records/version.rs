//! Versions of state machines, aliases, and their ends.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_str, put_u64};

use crate::{DefinitionId, MachineId};

/// A version has been published. It never changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionPublished {
    /// Of which state machine.
    pub machine: MachineId,
    /// Its number, from 1 on, never used again for the state machine.
    pub number: u64,
    /// Its definition.
    pub definition: DefinitionId,
    /// Its role.
    pub role: String,
    /// The revision of the state machine.
    pub revision: u64,
    /// Its description.
    pub description: Option<String>,
    /// When it was published.
    pub created: Time,
}

impl VersionPublished {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.machine.0);
        put_u64(out, self.number);
        put_u64(out, self.definition.0);
        put_str(out, &self.role);
        put_u64(out, self.revision);
        put_opt_str(out, self.description.as_deref());
        put_u64(out, self.created.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(VersionPublished {
            machine: MachineId(reader.u64()?),
            number: reader.u64()?,
            definition: DefinitionId(reader.u64()?),
            role: reader.str()?.to_owned(),
            revision: reader.u64()?,
            description: reader.opt_str()?.map(str::to_owned),
            created: Time(reader.u64()?),
        })
    }
}

/// A version is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionDeleted {
    /// Of which state machine.
    pub machine: MachineId,
    /// Its number.
    pub number: u64,
    /// The segments that may have it.
    pub declared_in: Vec<u32>,
}

impl VersionDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.machine.0);
        put_u64(out, self.number);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (machine, number) = (MachineId(reader.u64()?), reader.u64()?);
        Ok(VersionDeleted { machine, number, declared_in: reader.list(Reader::u32)? })
    }
}

/// The whole of an alias.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AliasDeclared {
    /// Of which state machine.
    pub machine: MachineId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// One or two versions, each with how many of a hundred executions it gets.
    pub routing: Vec<(u64, u32)>,
    /// When it was made.
    pub created: Time,
    /// When it was changed last.
    pub updated: Time,
}

impl AliasDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.machine.0);
        put_str(out, &self.name);
        put_opt_str(out, self.description.as_deref());
        put_list(out, &self.routing, |out, &(version, weight)| {
            put_u64(out, version);
            put_u64(out, weight.into());
        });
        put_u64(out, self.created.0);
        put_u64(out, self.updated.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(AliasDeclared {
            machine: MachineId(reader.u64()?),
            name: reader.str()?.to_owned(),
            description: reader.opt_str()?.map(str::to_owned),
            routing: reader.list(|reader| Ok((reader.u64()?, reader.u32()?)))?,
            created: Time(reader.u64()?),
            updated: Time(reader.u64()?),
        })
    }
}

/// An alias is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AliasDeleted {
    /// Of which state machine.
    pub machine: MachineId,
    /// Its name.
    pub name: String,
    /// The segments that may declare it.
    pub declared_in: Vec<u32>,
}

impl AliasDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.machine.0);
        put_str(out, &self.name);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (machine, name) = (MachineId(reader.u64()?), reader.str()?.to_owned());
        Ok(AliasDeleted { machine, name, declared_in: reader.list(Reader::u32)? })
    }
}
