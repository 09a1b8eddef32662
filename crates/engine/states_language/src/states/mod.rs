//! What states do: pure functions from an input, variables and the context object to what happens next.
//!
//! An engine calls [`State::enter`] when an execution comes to a state. If the state needs something from outside (a task, branches,
//! iterations, time), the engine calls [`State::finish`] with the result, or [`State::recover`] with the failure. A failure that `enter` or
//! `finish` returns goes through `recover` too.
//!
//! [`State::enter`]: crate::definition::State::enter
//! [`State::finish`]: crate::definition::State::finish
//! [`State::recover`]: crate::definition::State::recover

mod amounts;
mod dataflow;
mod enter;
mod finish;
mod inspect;
mod iterations;
mod recover;

#[cfg(test)]
mod tests;

pub use inspect::Inspection;
pub use iterations::{Batching, Iterations, Reading, Tolerance, Writing};
pub use recover::Reaction;

use serde_json::Value;

use crate::definition::{Resource, Transition};
use crate::failure::{Failure, names};
use crate::scope::Variables;
use crate::size::fits;

/// The most bytes of a state's input, result or output (facts/stepfunctions.md § 3).
pub const PAYLOAD_BYTES: usize = 262_144;

/// What a state does after it was entered.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<'a> {
    /// The state is done.
    Leave(Departure),
    /// The state waits until this moment, in milliseconds since 1970-01-01T00:00Z; then it is finished with a null result.
    Wait(i64),
    /// A task has to be run. Its result finishes the state.
    Run(Run<'a>),
    /// Branches have to be run side by side, all with this input. The array of their outputs finishes the state.
    Branches(Value),
    /// A flow has to be run for each item. The array of their outputs finishes the state.
    Iterate(Box<Iterations<'a>>),
    /// The execution fails: no retrier and no catcher is asked (a Fail state).
    Fail(Failure),
}

/// A task to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<'a> {
    /// Who does it.
    pub resource: &'a Resource,
    /// What is sent.
    pub payload: Value,
    /// When the task fails with `States.Timeout`.
    pub timeout_seconds: Option<u64>,
    /// How long the task may be silent before it fails with `States.HeartbeatTimeout`.
    pub heartbeat_seconds: Option<u64>,
    /// `Credentials`: an object with `RoleArn`.
    pub credentials: Option<Value>,
}

/// How an execution leaves a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Departure {
    /// Where it goes.
    pub to: Transition,
    /// The output: the input of the next state, or the output of the flow.
    pub output: Value,
    /// The variables that are assigned. The next state sees them.
    pub assigned: Variables,
}

/// Fails if a value is larger than a payload may be, or nested so deep that it could not be read again.
pub(crate) fn within_limit(value: &Value, state: &str) -> Result<(), Failure> {
    if fits(value, PAYLOAD_BYTES) {
        return Ok(());
    }
    let text = format!(
        "The state/task '{state}' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    Err(Failure::new(names::DATA_LIMIT_EXCEEDED, text))
}
