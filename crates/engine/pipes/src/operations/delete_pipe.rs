//! DeletePipe, StartPipe and StopPipe: what is under way ends before a pipe is gone or stopped.

use api::pipes::{
    DeletePipeInput, DeletePipeOutput, StartPipeInput, StartPipeOutput, StopPipeInput, StopPipeOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::{Context, Decision, Reply, changeable, decided, declared, known, summary};
use crate::records::{PipeDeclared, PipeState};
use crate::rules::checking;
use crate::state::State;
use crate::{PipeKey, refusals};

fn named(name: Option<&api::Text>, asker: &Asker<'_>) -> Result<PipeKey, Refusal> {
    let mut faults = Faults::default();
    let key = checking::named(name, asker, &mut faults);
    faults.refusal().map(|()| key)
}

/// DeletePipe.
#[derive(Clone, Debug)]
pub struct DeletePipe(PipeKey);

impl Operation<State> for DeletePipe {
    type Input = DeletePipeInput;
    type Output = DeletePipeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeletePipeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.name.as_ref(), asker).map(DeletePipe)
    }

    /// A pipe that is about to be in another state can be deleted, too.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let deleting = known(state, &self.0).and_then(|known| match known.state {
            PipeState::Deleting => Err(refusals::changing(&self.0.name, known.state.name())),
            _ => Ok(PipeDeclared {
                state: PipeState::Deleting,
                modified: context.setting.now,
                ..known.clone()
            }),
        });
        decided(deleting.map(declared))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeletePipeOutput, Malformed> {
        summary!(DeletePipeOutput, reply)
    }
}

/// StartPipe.
#[derive(Clone, Debug)]
pub struct StartPipe(PipeKey);

impl Operation<State> for StartPipe {
    type Input = StartPipeInput;
    type Output = StartPipeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: StartPipeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.name.as_ref(), asker).map(StartPipe)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(wanted(state, &self.0, true, context))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<StartPipeOutput, Malformed> {
        summary!(StartPipeOutput, reply)
    }
}

/// StopPipe.
#[derive(Clone, Debug)]
pub struct StopPipe(PipeKey);

impl Operation<State> for StopPipe {
    type Input = StopPipeInput;
    type Output = StopPipeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: StopPipeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.name.as_ref(), asker).map(StopPipe)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(wanted(state, &self.0, false, context))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<StopPipeOutput, Malformed> {
        summary!(StopPipeOutput, reply)
    }
}

/// A pipe is to run, or to stop. One that does already stays as it is.
fn wanted<'a>(
    state: &State,
    key: &PipeKey,
    is_wanted: bool,
    context: &Context<'a, '_>,
) -> Result<Decision<'a>, Refusal> {
    let known = changeable(state, key)?;
    let (is, becomes) = match is_wanted {
        true => (PipeState::Running, PipeState::Starting),
        false => (PipeState::Stopped, PipeState::Stopping),
    };
    if known.state == is {
        return Ok(Decision::answer(Reply::Pipe(Box::new(known.clone()))));
    }
    let modified = context.setting.now;
    Ok(declared(PipeDeclared { is_wanted, state: becomes, modified, ..known.clone() }))
}
