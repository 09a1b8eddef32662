//! What workers say of tasks: SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat (facts/stepfunctions.md § 2, 11).

use api::stepfunctions::{
    SendTaskFailureInput, SendTaskFailureOutput, SendTaskHeartbeatInput, SendTaskHeartbeatOutput,
    SendTaskSuccessInput, SendTaskSuccessOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;
use states_language::{Failure, PAYLOAD_BYTES};

use super::common::decided;
use super::{Context, Decision, Materials, Reply, Setting};
use crate::data::encode_failure;
use crate::records::{Record, TaskHeard};
use crate::refusals;
use crate::state::State;
use crate::steps::Task;

/// The token of a request.
fn token_of(given: Option<&str>, faults: &mut Faults) -> String {
    let token = faults.required(given, "taskToken").to_owned();
    if given.is_some() {
        faults.length(&token, "taskToken", 1, 2048);
    }
    token
}

/// The task that a token names, which is still waited for.
fn task_of(token: &str, state: &State, setting: &Setting<'_>) -> Result<Task, Refusal> {
    let task = Task::from_token(token, setting.secret).ok_or_else(refusals::invalid_token)?;
    match state.waiting_task(&task) {
        Some((_, wait)) if !wait.is_queued() => Ok(task),
        _ => Err(refusals::task_timed_out()),
    }
}

/// The fact that a task has ended.
fn report<'a>(
    token: &str,
    (data, has_failed): (Vec<u8>, bool),
    state: &State,
    setting: &Setting<'_>,
) -> Result<Decision<'a>, Refusal> {
    let task = task_of(token, state, setting)?;
    let fact = state.reported(&task, data, has_failed).ok_or_else(refusals::task_timed_out)?;
    Ok(Decision::done(vec![fact], Reply::Done))
}

/// SendTaskSuccess.
#[derive(Clone, Debug)]
pub struct SendTaskSuccess {
    /// The token.
    pub token: String,
    /// The output, which is JSON.
    pub output: String,
}

impl Operation<State> for SendTaskSuccess {
    type Input = SendTaskSuccessInput;
    type Output = SendTaskSuccessOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SendTaskSuccessInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let token = token_of(input.task_token.as_deref(), &mut faults);
        let output = faults.required(input.output.as_deref(), "output").to_owned();
        faults.refusal()?;
        if output.len() > PAYLOAD_BYTES {
            return Err(refusals::invalid(format!(
                "1 validation error detected: Value at 'output' failed to satisfy constraint: Member must have length less than \
                 or equal to {PAYLOAD_BYTES}"
            )));
        }
        // The value is written again as JSON, so that what is read later is what was checked here.
        let value: serde_json::Value =
            serde_json::from_str(&output).map_err(|error| refusals::invalid_output(&error.to_string()))?;
        Ok(SendTaskSuccess { token, output: value.to_string() })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let data = (self.output.as_bytes().to_vec(), false);
        decided(report(&self.token, data, state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<SendTaskSuccessOutput, Malformed> {
        reply.done()
    }
}

/// SendTaskFailure.
#[derive(Clone, Debug)]
pub struct SendTaskFailure {
    /// The token.
    pub token: String,
    /// `error` and `cause`.
    pub failure: Failure,
}

impl Operation<State> for SendTaskFailure {
    type Input = SendTaskFailureInput;
    type Output = SendTaskFailureOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SendTaskFailureInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let token = token_of(input.task_token.as_deref(), &mut faults);
        for (text, path, most) in [(&input.error, "error", 256), (&input.cause, "cause", 32_768)] {
            if let Some(text) = text {
                faults.length(text, path, 0, most);
            }
        }
        faults.refusal()?;
        let (error, cause) = (input.error.map(String::from), input.cause.map(String::from));
        Ok(SendTaskFailure { token, failure: Failure { error, cause, location: None } })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let data = (encode_failure(&self.failure), true);
        decided(report(&self.token, data, state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<SendTaskFailureOutput, Malformed> {
        reply.done()
    }
}

/// SendTaskHeartbeat.
#[derive(Clone, Debug)]
pub struct SendTaskHeartbeat(pub String);

impl Operation<State> for SendTaskHeartbeat {
    type Input = SendTaskHeartbeatInput;
    type Output = SendTaskHeartbeatOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: SendTaskHeartbeatInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let token = token_of(input.task_token.as_deref(), &mut faults);
        faults.refusal()?;
        Ok(SendTaskHeartbeat(token))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.hear(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<SendTaskHeartbeatOutput, Malformed> {
        reply.done()
    }
}

impl SendTaskHeartbeat {
    fn hear<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let Task { execution, flow, since } = task_of(&self.0, state, setting)?;
        let task = Task { execution, flow, since };
        // A task that may be silent for ever needs no record.
        let counts = state.waiting_task(&task).is_some_and(|(_, wait)| wait.beat_seconds > 0);
        let heard = TaskHeard { execution, flow, since, time: setting.now };
        let facts = counts.then(|| Record::TaskHeard(heard).into());
        Ok(Decision::done(facts.into_iter().collect(), Reply::Done))
    }
}
