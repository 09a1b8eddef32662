//! A state machine as it is from now on, the texts of definitions, and their ends.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_pairs, put_str, put_u64};
use resources::tags::Tags;

use crate::{DefinitionId, MachineId, MachineKey};

/// The whole of a state machine, apart from the text of its definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineDeclared {
    /// Its number, never reused.
    pub id: MachineId,
    /// Account, region and name.
    pub key: MachineKey,
    /// Whether its type is `EXPRESS`.
    pub is_express: bool,
    /// `roleArn`.
    pub role: String,
    /// The text of its definition.
    pub definition: DefinitionId,
    /// The number of its revision; zero before the first update.
    pub revision: u64,
    /// The number of the version that was published last; zero if none was.
    pub last_version: u64,
    /// When it was made.
    pub created: Time,
    /// When it was changed last.
    pub updated: Time,
    /// `loggingConfiguration`, as JSON with the names of AWS's model.
    pub logging: Option<String>,
    /// `tracingConfiguration.enabled`.
    pub is_traced: bool,
    /// Its tags.
    pub tags: Tags,
    /// Whether it is being deleted: its executions go first.
    pub is_deleting: bool,
}

const EXPRESS: u8 = 1;
const TRACED: u8 = 2;
const DELETING: u8 = 4;

impl MachineDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        self.key.encode(out);
        let flags = [(self.is_express, EXPRESS), (self.is_traced, TRACED), (self.is_deleting, DELETING)];
        out.push(flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1).sum());
        put_str(out, &self.role);
        put_u64(out, self.definition.0);
        put_u64(out, self.revision);
        put_u64(out, self.last_version);
        put_u64(out, self.created.0);
        put_u64(out, self.updated.0);
        put_opt_str(out, self.logging.as_deref());
        put_pairs(out, &self.tags);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key, flags) = (MachineId(reader.u64()?), MachineKey::decode(reader)?, reader.u8()?);
        Ok(MachineDeclared {
            id,
            key,
            is_express: flags & EXPRESS != 0,
            role: reader.str()?.to_owned(),
            definition: DefinitionId(reader.u64()?),
            revision: reader.u64()?,
            last_version: reader.u64()?,
            created: Time(reader.u64()?),
            updated: Time(reader.u64()?),
            logging: reader.opt_str()?.map(str::to_owned),
            is_traced: flags & TRACED != 0,
            tags: reader.pairs()?,
            is_deleting: flags & DELETING != 0,
        })
    }
}

/// A state machine is gone. Its executions went before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineDeleted {
    /// Its number.
    pub id: MachineId,
    /// The segments that may declare it.
    pub declared_in: Vec<u32>,
}

/// The text of a definition. Executions go on with the one that they began with, so it stays as long as one of them is remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefinitionDeclared {
    /// Its number, never reused.
    pub id: DefinitionId,
    /// Whether it was checked for an express state machine.
    pub is_express: bool,
    /// The text as it was sent.
    pub text: String,
}

impl DefinitionDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        out.push(self.is_express.into());
        put_str(out, &self.text);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(DefinitionDeclared {
            id: DefinitionId(reader.u64()?),
            is_express: reader.u8()? != 0,
            text: reader.str()?.to_owned(),
        })
    }
}

/// Nobody needs the text of a definition any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefinitionDropped {
    /// Its number.
    pub id: DefinitionId,
    /// The segments that may declare it.
    pub declared_in: Vec<u32>,
}

pub(super) fn encode_end(id: u64, declared_in: &[u32], out: &mut Vec<u8>) {
    put_u64(out, id);
    put_list(out, declared_in, |out, &segment| put_u64(out, segment.into()));
}

pub(super) fn decode_end(reader: &mut Reader<'_>) -> Result<(u64, Vec<u32>), Malformed> {
    Ok((reader.u64()?, reader.list(Reader::u32)?))
}
