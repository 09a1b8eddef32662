//! A pipe as it is from now on.

use std::sync::Arc;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_pairs, put_str, put_u64};
use resources::tags::Tags;
use resources::{Declared, Key};

use crate::PipeKey;
use crate::rules::definition::Definition;

/// `CurrentState`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PipeState {
    /// It hands on what its source has.
    Running,
    /// It does not.
    Stopped,
    /// It has just been made.
    Creating,
    /// What is under way ends as it was; then it goes on as it is declared now.
    Updating,
    /// What is under way ends; then it is gone.
    Deleting,
    /// It is about to run.
    Starting,
    /// What is under way ends; then it is stopped.
    Stopping,
}

impl PipeState {
    const ALL: [PipeState; 7] = [
        PipeState::Running,
        PipeState::Stopped,
        PipeState::Creating,
        PipeState::Updating,
        PipeState::Deleting,
        PipeState::Starting,
        PipeState::Stopping,
    ];

    /// AWS's name of it.
    pub fn name(self) -> &'static str {
        match self {
            PipeState::Running => "RUNNING",
            PipeState::Stopped => "STOPPED",
            PipeState::Creating => "CREATING",
            PipeState::Updating => "UPDATING",
            PipeState::Deleting => "DELETING",
            PipeState::Starting => "STARTING",
            PipeState::Stopping => "STOPPING",
        }
    }

    /// Whether another state follows by itself.
    pub fn passes(self) -> bool {
        !matches!(self, PipeState::Running | PipeState::Stopped)
    }
}

/// The whole of a pipe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PipeDeclared {
    /// Its number, never reused.
    pub id: u64,
    /// Account, region and name.
    pub key: PipeKey,
    /// What it does.
    pub definition: Arc<Definition>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created: Time,
    /// When it was changed last.
    pub modified: Time,
    /// Whether `DesiredState` is `RUNNING`.
    pub is_wanted: bool,
    /// `CurrentState`.
    pub state: PipeState,
}

impl Declared for PipeDeclared {
    type Key = PipeKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &PipeKey {
        &self.key
    }
}

impl PipeDeclared {
    /// `DesiredState`, as DeletePipe and DescribePipe tell it.
    pub fn desired(&self) -> &'static str {
        match (self.state, self.is_wanted) {
            (PipeState::Deleting, _) => "DELETED",
            (_, true) => "RUNNING",
            (_, false) => "STOPPED",
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_str(out, &self.definition.to_json());
        put_pairs(out, &self.tags);
        put_u64(out, self.created.0);
        put_u64(out, self.modified.0);
        out.push(u8::from(self.is_wanted));
        let state = PipeState::ALL.iter().position(|state| *state == self.state);
        out.push(state.unwrap_or_default() as u8);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(PipeDeclared {
            id: reader.u64()?,
            key: PipeKey::decode(reader)?,
            definition: Arc::new(Definition::from_json(reader.str()?).ok_or(Malformed)?),
            tags: reader.pairs()?,
            created: Time(reader.u64()?),
            modified: Time(reader.u64()?),
            is_wanted: reader.u8()? == 1,
            state: *PipeState::ALL.get(usize::from(reader.u8()?)).ok_or(Malformed)?,
        })
    }
}
