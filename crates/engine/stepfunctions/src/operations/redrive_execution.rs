//! RedriveExecution.

use api::stepfunctions::{RedriveExecutionInput, RedriveExecutionOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, token_hash};
use resources::Faults;

use super::common::{decided, shown};
use super::executions::Asked;
use super::{Context, Decision, Materials, Reply, Setting};
use crate::records::Redriven;
use crate::state::State;
use crate::steps::redriven;
use crate::{limits, refusals};

/// RedriveExecution.
#[derive(Clone, Debug)]
pub struct RedriveExecution {
    /// Which execution.
    pub asked: Asked,
    /// `clientToken`.
    pub token: Option<String>,
}

impl Operation<State> for RedriveExecution {
    type Input = RedriveExecutionInput;
    type Output = RedriveExecutionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: RedriveExecutionInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let token = input.client_token.map(String::from);
        if let Some(token) = &token {
            faults.length(token, "clientToken", 1, 64);
        }
        Ok(RedriveExecution { asked: Asked::read(input.execution_arn.as_deref(), faults)?, token })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.redrive(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<RedriveExecutionOutput, Malformed> {
        let Reply::Changed(at, _) = reply else { return Err(Malformed) };
        Ok(RedriveExecutionOutput { redrive_date: shown(at) })
    }
}

impl RedriveExecution {
    /// The same token is answered the same for a while; else an execution goes on that has ended badly and not too long ago.
    fn redrive<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let (machine, id, execution) = self.asked.find_with_machine(state)?;
        let now = setting.now;
        let token = self.token.as_deref().map_or(0, token_hash);
        if let Some(before) = execution.redriven_with(token, now) {
            return Ok(Decision::answer(Reply::Changed(before, None)));
        }
        if let Some(why) = execution.unredrivable(machine, now) {
            return Err(refusals::not_redrivable(why));
        }
        let (account, region) = (&self.asked.key.account, &self.asked.key.region);
        if setting.limits.quotas && state.open_executions(account, region) >= limits::OPEN_EXECUTIONS {
            return Err(refusals::too_many_executions());
        }
        let definition = state.definitions.get(&execution.definition);
        // The execution has all of its time again (developer guide, "Restarting state machine executions with redrive").
        let seconds = definition.and_then(|definition| definition.machine()?.timeout_seconds);
        let seconds = seconds.map_or(limits::SECONDS, |seconds| seconds.min(limits::SECONDS));
        let deadline = Some(now.plus_seconds(seconds));
        let fact = redriven(id, execution, Redriven { deadline, token }, now);
        Ok(Decision::done(vec![fact], Reply::Changed(now, None)))
    }
}
