//! How an execution goes on: one flow at a time, a few states at a time, one record of the log each time.
//!
//! What a step needs are the flow's data, which are warm or have been read from the log. It evaluates the states' expressions, calls what
//! their tasks ask for, and leaves a record: events, and the data with which the flow goes on. A restart reads the record and evaluates
//! nothing. What a task has called is in the same group of the log.

mod branches;
mod context;
mod ends;
mod http;
mod integrations;
mod nested;
mod progress;
mod tasks;
mod token;
pub(crate) use ends::{aborted, redriven, timed_out};
pub(crate) use integrations::serves;
pub use token::Task;

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::codec::Malformed;
use kernel::{Called, Dice, Extent, Outcome, Place};
use serde_json::Value;
use states_language::{Failure, Random, Work};

use crate::ExecutionId;
use crate::data::{self, Data};
use crate::executions::{Doing, Execution, Restart};
use crate::history::Written;
use crate::machines::Machine;
use crate::operations::{Context, Decision, Fact, Setting};
use crate::records::{Record, Stepped, Tail};
use crate::state::State;
use context::About;
use progress::{Begins, Progress, Turn, Went};

/// Data of records, by the places of these.
pub(crate) type Loaded = BTreeMap<Place, Arc<[u8]>>;

/// A flow that is to go on.
#[derive(Debug)]
pub struct Step {
    /// The execution.
    pub execution: ExecutionId,
    /// The flow.
    pub flow: u32,
    /// The data of the records that it needs, by their places.
    pub(crate) loaded: Loaded,
    /// How far it came before it called a service.
    progress: Option<Box<Progress>>,
}

/// An execution as a step sees it, with everything that is remembered besides.
struct Seen<'s> {
    execution: &'s Execution,
    state: &'s State,
}

impl std::ops::Deref for Seen<'_> {
    type Target = Execution;

    fn deref(&self) -> &Execution {
        self.execution
    }
}

impl Step {
    pub(crate) fn new((execution, flow): (ExecutionId, u32), loaded: Loaded) -> Self {
        Step { execution, flow, loaded, progress: None }
    }

    fn data(&self, at: Extent) -> Result<&[u8], Malformed> {
        self.loaded.get(&at.place).map(|data| &**data).ok_or(Malformed)
    }
}

impl State {
    /// A flow goes on; or, with what became of the call that it asked for, goes on behind it.
    pub(crate) fn step<'a>(
        &self,
        step: &mut Step,
        called: Option<Called>,
        context: &mut Context<'_, '_>,
    ) -> Decision<'a> {
        let setting = &context.setting;
        let Some(execution) = self.executions.get(&step.execution) else {
            return Decision::silent(Vec::new());
        };
        if execution.flow(step.flow).is_none() {
            // It was given up meanwhile, perhaps by what it has called.
            return Decision::silent(Vec::new());
        }
        let seen = Seen { execution, state: self };
        let (mut progress, turn) = match (step.progress.take(), called) {
            (Some(mut progress), Some(called)) => {
                let turn = progress.called(called, &seen);
                (progress, turn)
            }
            _ => match self.begin(step, execution, setting) {
                Ok((mut progress, Begins::Asks(wait))) => {
                    let parameters = progress.data.asks.as_ref().unwrap_or(&Value::Null);
                    match http::request(parameters, &progress.about.region, context) {
                        Ok(request) => {
                            let Step { execution, flow, .. } = *step;
                            let task = Task { execution, flow, since: wait.since };
                            let at = seen.flow(flow).map_or(Extent::default(), |flow| flow.data);
                            return http::ask(task, at, request);
                        }
                        Err(failure) => {
                            let turn = progress.begin(Begins::Failed(failure), &seen);
                            (progress, turn)
                        }
                    }
                }
                Ok((mut progress, begins)) => {
                    let turn = progress.begin(begins, &seen);
                    (progress, turn)
                }
                Err(Malformed) => return self.fail_unreadable(step.execution, execution, setting),
            },
        };
        match turn {
            Turn::Calls(call) => {
                step.progress = Some(progress);
                Decision::with(Vec::new(), Outcome::Call(call))
            }
            Turn::Went(went) => Decision::silent(vec![progress.record(went, execution)]),
        }
    }

    /// Makes the beginning of a step of what is remembered and what was read.
    ///
    /// Errors: what was read is not what was written, or the definition is one that this server does not understand.
    fn begin(
        &self,
        step: &Step,
        execution: &Execution,
        setting: &Setting<'_>,
    ) -> Result<(Box<Progress>, Begins), Malformed> {
        let flow = execution.flow(step.flow).ok_or(Malformed)?;
        let definition = self.definitions.get(&execution.definition).ok_or(Malformed)?;
        let machine = self.machines.get(&execution.machine).ok_or(Malformed)?;
        let input = match execution.records.get(0).filter(|_| definition.asks_for_input()) {
            Some((_, at)) => data::json(&Data::input_of(step.data(at)?)?)?,
            None => Value::Null,
        };
        let key = &machine.declared.key;
        let about = About {
            execution_arn: execution.arn(key),
            execution: execution.shown_name().to_owned(),
            machine_arn: key.arn(),
            machine: key.name.clone(),
            role: self.role_of(execution, machine),
            account: key.account.clone(),
            region: key.region.clone(),
            started: execution.started,
            redrives: execution.redrive_count(),
            redriven: execution.redriven(),
            input,
        };
        let begins = match &flow.doing {
            Doing::Goes | Doing::Waits(_) => Begins::GoesOn,
            Doing::Tasks { wait, .. } if wait.asks && wait.due().is_none_or(|due| due > setting.now) => {
                Begins::Asks(*wait)
            }
            Doing::Tasks { wait, .. } if wait.due().is_none_or(|due| due > setting.now) => {
                let data = Data::decode(step.data(flow.data)?)?;
                let machine = definition.machine().ok_or(Malformed)?;
                self.nested_ended(step, wait.nested.ok_or(Malformed)?, &machine, &data)?
            }
            Doing::Tasks { wait, .. } => Begins::TimedOut(*wait),
            Doing::Reported(at, true) | Doing::BranchFailed(at, _) => {
                Begins::Failed(data::decode_failure(step.data(*at)?)?)
            }
            Doing::Reported(at, false) => Begins::Result(text_of(step.data(*at)?)?),
            Doing::Branches(branches) if branches.are_too_long() => Begins::TooLong,
            Doing::Branches(branches) => {
                let outputs = branches.outputs.values().map(|&at| text_of(step.data(at)?));
                Begins::Result(Value::Array(outputs.collect::<Result<_, _>>()?))
            }
        };
        let data = step.data(flow.data)?;
        let mut data = match flow.restart {
            Restart::BehindFailure => Data::decode(data::split_failure(data)?.1)?,
            Restart::No | Restart::Kept => Data::decode(data)?,
        };
        if flow.restart != Restart::No {
            data.start_again();
        }
        // The same step of the same execution draws the same numbers, another one others, and nobody can guess them.
        let label = format!("step {} {}", execution.next_record(), step.flow);
        let seed = setting.secret.derive(&label, step.execution.0);
        let (seed, mut dice) = seeds(seed);
        let progress = Progress {
            execution: step.execution,
            flow: step.flow,
            definition: definition.machine().ok_or(Malformed)?,
            about,
            now: setting.now,
            secret: *setting.secret,
            random: Random::new(seed),
            jitter: dice.roll(),
            dice,
            work: Work::default(),
            written: Written::from(execution.next_event),
            last: flow.last,
            before: flow.before,
            next_flow: execution.next_flow,
            states: 0,
            asked: None,
            data,
        };
        let begins = if flow.has_begun { begins } else { Begins::Branch };
        Ok((Box::new(progress), begins))
    }

    /// The role with which an execution runs: that of its version, or of its state machine as it is now.
    fn role_of(&self, execution: &Execution, machine: &Machine) -> String {
        let version = execution.origin.as_ref().map_or(0, |origin| origin.version);
        let version = self.versions.version(execution.machine, version);
        version.map_or(&machine.declared.role, |version| &version.role).clone()
    }

    /// What an execution works on cannot be read, though the disk has read it without an error: it fails.
    fn fail_unreadable<'a>(
        &self,
        id: ExecutionId,
        execution: &Execution,
        setting: &Setting<'_>,
    ) -> Decision<'a> {
        let failure = Failure::new(
            states_language::names::RUNTIME,
            "The execution cannot continue, because the server does not understand its data or its definition.",
        );
        Decision::silent(vec![ends::failed(id, execution, &failure, setting.now)])
    }
}

/// A JSON text as data.
fn text_of(data: &[u8]) -> Result<Value, Malformed> {
    data::json(std::str::from_utf8(data).map_err(|_| Malformed)?)
}

/// Two streams of numbers from sixteen bytes.
fn seeds(bytes: [u8; 16]) -> (u64, Dice) {
    let number = u128::from_le_bytes(bytes);
    (number as u64, Dice::from_seed((number >> 64) as u64))
}

/// The fact of a step.
fn fact<'a>(stepped: Stepped, written: Written, data: Vec<u8>) -> Fact<'a> {
    let mut tail = written.bytes;
    let warm: Arc<[u8]> = data.into();
    let split = u32::try_from(tail.len()).unwrap_or(u32::MAX);
    tail.extend_from_slice(&warm);
    let divided = Tail { first: written.first, events: written.count, split, warm: Some(warm) };
    let record = Record::Stepped(Box::new(Stepped { tail: divided, ..stepped }));
    Fact { record, tail: tail.into() }
}

impl Progress {
    /// The fact of what a step came to.
    fn record<'a>(&mut self, went: Went, execution: &Execution) -> Fact<'a> {
        let stepped = Stepped {
            execution: self.execution,
            // What a task has called may have recorded something of the same execution.
            number: execution.next_record(),
            time: self.now,
            flow: self.flow,
            last: self.last,
            before: self.before,
            after: went.after,
            state: self.in_state(),
            tail: Tail::default(),
        };
        fact(stepped, std::mem::take(&mut self.written), went.data)
    }
}
