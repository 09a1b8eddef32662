//! CreatePipe and UpdatePipe: a pipe is made, or does something else from now on.

use std::sync::Arc;

use api::pipes::{CreatePipeInput, CreatePipeOutput, UpdatePipeInput, UpdatePipeOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;
use resources::tags::Tags;

use super::{Context, Decision, Reply, Setting, changeable, decided, declared, summary};
use crate::records::{PipeDeclared, PipeState};
use crate::rules::checking;
use crate::rules::definition::Definition;
use crate::rules::pipe::Pipe;
use crate::state::State;
use crate::{PipeKey, limits, refusals};

/// CreatePipe.
#[derive(Clone, Debug)]
pub struct CreatePipe {
    key: PipeKey,
    definition: Arc<Definition>,
    tags: Tags,
    is_wanted: bool,
}

impl Operation<State> for CreatePipe {
    type Input = CreatePipeInput;
    type Output = CreatePipeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreatePipeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::named(input.name.as_ref(), asker, &mut faults);
        let is_wanted = checking::desired(input.desired_state.as_ref(), &mut faults).unwrap_or(true);
        let definition = checking::created(&input, &mut faults);
        faults.refusal()?;
        let definition = Arc::new(definition?);
        Pipe::of(0, key.clone(), definition.clone())?;
        Ok(CreatePipe { key, definition, tags: checking::tags(input.tags.as_ref())?, is_wanted })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<CreatePipeOutput, Malformed> {
        summary!(CreatePipeOutput, reply)
    }
}

impl CreatePipe {
    /// Whether a pipe is as this request would make it.
    pub fn declares(&self, known: &PipeDeclared) -> bool {
        self.definition == known.definition && self.is_wanted == known.is_wanted
    }

    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        if state.pipe(&self.key).is_some() {
            return Err(refusals::exists(&self.key.name));
        }
        if setting.limits.quotas && state.pipes_of(&self.key) >= limits::PIPES {
            return Err(refusals::quota_exceeded("pipes", limits::PIPES));
        }
        check_memory(state)?;
        Ok(declared(PipeDeclared {
            id: setting.numbers.draw(),
            key: self.key.clone(),
            definition: self.definition.clone(),
            tags: self.tags.clone(),
            created: setting.now,
            modified: setting.now,
            is_wanted: self.is_wanted,
            state: PipeState::Creating,
        }))
    }
}

/// What pipes are declared to do is kept in memory, which is bounded.
fn check_memory(state: &State) -> Result<(), Refusal> {
    match state.bytes() < limits::MEMORY_BYTES {
        true => Ok(()),
        false => Err(refusals::quota_exceeded("bytes of all pipes", limits::MEMORY_BYTES)),
    }
}

/// UpdatePipe.
#[derive(Clone, Debug)]
pub struct UpdatePipe {
    key: PipeKey,
    input: Box<UpdatePipeInput>,
    is_wanted: Option<bool>,
}

impl Operation<State> for UpdatePipe {
    type Input = UpdatePipeInput;
    type Output = UpdatePipeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdatePipeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::named(input.name.as_ref(), asker, &mut faults);
        let is_wanted = checking::desired(input.desired_state.as_ref(), &mut faults);
        // What does not depend on what the pipe does until now.
        let checked = checking::updated(&input, Definition::default(), &mut faults);
        faults.refusal()?;
        checked?;
        Ok(UpdatePipe { key, input: Box::new(input), is_wanted })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UpdatePipeOutput, Malformed> {
        summary!(UpdatePipeOutput, reply)
    }
}

impl UpdatePipe {
    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let known = changeable(state, &self.key)?;
        let mut faults = Faults::default();
        let definition = checking::updated(&self.input, (*known.definition).clone(), &mut faults)?;
        faults.refusal()?;
        let definition = Arc::new(definition);
        Pipe::of(known.id, self.key.clone(), definition.clone())?;
        check_memory(state)?;
        Ok(declared(PipeDeclared {
            definition,
            modified: setting.now,
            is_wanted: self.is_wanted.unwrap_or(known.is_wanted),
            state: PipeState::Updating,
            ..known.clone()
        }))
    }
}
