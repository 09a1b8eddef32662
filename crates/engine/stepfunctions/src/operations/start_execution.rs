//! StartExecution and StartSyncExecution.

use std::sync::Arc;

use api::stepfunctions::{
    BillingDetails, CloudWatchEventsExecutionDataDetails, StartExecutionInput, StartExecutionOutput,
    StartSyncExecutionInput, StartSyncExecutionOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Fact, Operation, Outcome, Refusal, uuid_text};
use resources::Faults;
use serde_json::Value;
use states_language::{PAYLOAD_BYTES, Variables};

use super::common::{ExecutionRead, arn_of, decided, shown};
use super::executions::{end_of, input_of};
use super::{Context, Decision, Materials, Reply, Setting};
use crate::data::Data;
use crate::history::{Field, Type, Written};
use crate::ids::Named;
use crate::machines::Machine;
use crate::records::{ExecutionStarted, Record, Tail};
use crate::rules::names;
use crate::state::State;
use crate::{DefinitionId, ExecutionId, MachineKey, Waiter, limits, refusals};

/// StartExecution.
#[derive(Clone, Debug)]
pub struct StartExecution {
    /// The ARN as it was sent.
    pub arn: String,
    /// The state machine.
    pub key: MachineKey,
    /// Which version or alias.
    pub qualifier: Option<String>,
    /// The name of the execution, if it has one from the client.
    pub name: Option<String>,
    /// The input as it was sent.
    pub text: String,
    /// The input.
    pub input: Value,
    /// `traceHeader`.
    pub trace: Option<String>,
}

impl Operation<State> for StartExecution {
    type Input = StartExecutionInput;
    type Output = StartExecutionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: StartExecutionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let arn = arn_of(input.state_machine_arn.as_deref(), "stateMachineArn", &mut faults);
        let name = input.name.map(String::from);
        if let Some(name) = &name {
            faults.length(name, "name", 1, names::MOST);
        }
        faults.refusal()?;
        let text = input.input.as_deref().unwrap_or("{}").to_owned();
        let value = read_input(&text)?;
        if let Some(name) = &name {
            names::check(name)?;
        }
        let (key, qualifier) = Named::machine(&arn)?;
        let trace = input.trace_header.or_else(|| asker.trace.cloned()).map(String::from);
        Ok(StartExecution { arn, key, qualifier, name, text, input: value, trace })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.start(state, &context.setting).map(|(started, reply)| {
            Decision::done(started.into_iter().map(|started| started.1).collect(), reply)
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<StartExecutionOutput, Malformed> {
        let Reply::Made(arn, started) = reply else { return Err(Malformed) };
        Ok(StartExecutionOutput { execution_arn: Some(arn.into()), start_date: shown(started) })
    }
}

/// An execution that is started, if it was not there before, and the answer.
pub(crate) type Started<'a> = (Option<(ExecutionId, Fact<'a, Record>)>, Reply);

/// Reads the input of an execution.
///
/// Errors: it is longer than AWS's model has it, or no JSON (facts/stepfunctions.md § 6).
pub(super) fn read_input(text: &str) -> Result<Value, Refusal> {
    if text.len() > PAYLOAD_BYTES {
        // The model's mark for sensitive data keeps the value out of the text.
        return Err(refusals::invalid(format!(
            "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or \
             equal to {PAYLOAD_BYTES}"
        )));
    }
    if text.is_empty() {
        return Err(refusals::invalid_input("Invalid execution input."));
    }
    serde_json::from_str(text).map_err(|error| refusals::invalid_input(&error.to_string()))
}

impl StartExecution {
    /// An execution of a state machine that is somebody's target: the ARN, what it names, the input, `traceHeader`.
    ///
    /// Errors: the input is none.
    pub(crate) fn of_target(
        (arn, key, qualifier): (String, MachineKey, Option<String>),
        text: &str,
        trace: Option<String>,
    ) -> Result<Self, Refusal> {
        let (text, input) = (text.to_owned(), read_input(text)?);
        Ok(StartExecution { arn, key, qualifier, name: None, text, input, trace })
    }

    /// The same name with the same input of a running execution is the same execution; a closed one is not started again
    /// (facts/stepfunctions.md § 6).
    pub(crate) fn start<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Started<'a>, Refusal> {
        let machine = state.machine(&self.key).ok_or_else(|| refusals::machine_missing(&self.arn))?;
        if machine.declared.is_deleting {
            return Err(refusals::machine_deleting(&self.arn));
        }
        // Keyed with the server's secret: nobody finds two inputs that count as the same.
        let input_mark = setting.secret.derive_number(&self.text, 0);
        let is_express = machine.declared.is_express;
        // Names of express executions can be used again.
        if !is_express
            && let Some((_, known)) =
                self.name.as_deref().and_then(|name| state.execution(machine.declared.id, name))
        {
            let arn = self.key.execution_arn(&known.name);
            return match known.is_open() && known.input_mark == input_mark {
                true => Ok((None, Reply::Made(arn, known.started))),
                false => Err(refusals::execution_exists(&arn)),
            };
        }
        let (account, region) = (&self.key.account, &self.key.region);
        if setting.limits.quotas && state.open_executions(account, region) >= limits::OPEN_EXECUTIONS {
            return Err(refusals::too_many_executions());
        }
        let id = ExecutionId(setting.numbers.draw());
        let named = uuid_text(setting.secret.derive("execution", id.0));
        let mut name = self.name.clone().unwrap_or_else(|| named.clone());
        if is_express {
            name = format!("{name}:{named}");
        }
        let arn = if is_express { self.key.express_arn(&name) } else { self.key.execution_arn(&name) };
        let lot = setting.secret.derive("route", id.0)[0];
        let resolved = state.resolve(machine, self.qualifier.as_deref(), lot);
        let resolved = resolved.ok_or_else(|| refusals::machine_missing(&self.arn))?;
        let fact = self.fact(state, (machine, &resolved), (id, name, input_mark), setting)?;
        Ok((Some((id, fact)), Reply::Made(arn, setting.now)))
    }

    fn fact<'a>(
        &self,
        state: &State,
        (machine, resolved): (&Machine, &Resolved),
        (id, name, input_mark): (ExecutionId, String, u64),
        setting: &Setting<'_>,
    ) -> Result<Fact<'a, Record>, Refusal> {
        let definition = resolved.definition;
        let read = state.definitions.get(&definition).and_then(|definition| definition.machine());
        // It was checked when it came; a later server may be stricter.
        let read = read.ok_or_else(|| refusals::machine_missing(&self.arn))?;
        let is_express = machine.declared.is_express;
        let most = is_express.then_some(limits::EXPRESS_SECONDS);
        let seconds = read.timeout_seconds.into_iter().chain(most).min();
        let mut written = Written::from(1);
        let version = (resolved.version > 0).then(|| self.key.qualified_arn(&resolved.version.to_string()));
        let alias = resolved.alias.as_deref().map(|alias| self.key.qualified_arn(alias));
        let fields = [
            (Field::Input, Some(&*self.text)),
            (Field::Role, Some(&*resolved.role)),
            (Field::Version, version.as_deref()),
            (Field::Alias, alias.as_deref()),
        ];
        written.push(Type::ExecutionStarted, 0, fields);
        let data = Data::new(&read.flow.start_at, self.input.clone(), Variables::new(), None).encode();
        let warm: Arc<[u8]> = data.into();
        let mut tail = written.bytes;
        let split = u32::try_from(tail.len()).unwrap_or(u32::MAX);
        tail.extend_from_slice(&warm);
        let started = ExecutionStarted {
            id,
            machine: machine.declared.id,
            definition,
            is_express,
            name,
            started: setting.now,
            deadline: Some(
                setting.now.plus_seconds(seconds.map_or(limits::SECONDS, |it| it.min(limits::SECONDS))),
            ),
            input_mark,
            version: resolved.version,
            alias: resolved.alias.clone(),
            trace: self.trace.clone(),
            tail: Tail { first: 1, events: 1, split, warm: Some(warm) },
        };
        Ok(Fact { record: Record::ExecutionStarted(Box::new(started)), tail: tail.into() })
    }
}

/// What an ARN of a state machine leads to.
pub(crate) struct Resolved {
    pub(crate) definition: DefinitionId,
    pub(crate) role: String,
    /// Zero if it leads to the state machine as it is now.
    pub(crate) version: u64,
    pub(crate) alias: Option<String>,
}

impl State {
    /// What a state machine is with a number of a version or the name of an alias. `lot` draws one of two versions.
    pub(crate) fn resolve(&self, machine: &Machine, qualifier: Option<&str>, lot: u8) -> Option<Resolved> {
        let declared = &machine.declared;
        let Some(qualifier) = qualifier else {
            let (definition, role) = (declared.definition, declared.role.clone());
            return Some(Resolved { definition, role, version: 0, alias: None });
        };
        let (number, alias) = match qualifier.parse() {
            Ok(number) => (number, None),
            Err(_) => {
                let alias = self.versions.alias(declared.id, qualifier)?;
                let first = alias.routing.first()?;
                let falls_on_first = u32::from(lot) * 100 < first.1 * 256;
                let route = if falls_on_first { first } else { alias.routing.last()? };
                (route.0, Some(alias.name.clone()))
            }
        };
        let version = self.versions.version(declared.id, number)?;
        Some(Resolved { definition: version.definition, role: version.role.clone(), version: number, alias })
    }
}

/// StartSyncExecution.
#[derive(Clone, Debug)]
pub struct StartSyncExecution(pub StartExecution);

impl Operation<State> for StartSyncExecution {
    type Input = StartSyncExecutionInput;
    type Output = StartSyncExecutionOutput;
    /// Whether input and output are told.
    type Plan = bool;

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: StartSyncExecutionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(Self::prepare_with_plan(input, asker)?.0)
    }

    fn prepare_with_plan(input: StartSyncExecutionInput, asker: &Asker<'_>) -> Result<(Self, bool), Refusal> {
        let included = input.included_data.as_deref().unwrap_or("ALL_DATA");
        let mut faults = Faults::default();
        faults.one_of(included, "includedData", &["ALL_DATA", "METADATA_ONLY"]);
        faults.refusal()?;
        let with_data = included == "ALL_DATA";
        let input = StartExecutionInput {
            state_machine_arn: input.state_machine_arn,
            name: input.name,
            input: input.input,
            trace_header: input.trace_header,
        };
        Ok((StartSyncExecution(StartExecution::prepare(input, asker)?), with_data))
    }

    /// The request waits until the execution has ended, five minutes at the most.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let setting = &context.setting;
        if state.machine(&self.0.key).is_some_and(|machine| !machine.declared.is_express) {
            return refusals::type_unsupported().into();
        }
        decided(self.0.start(state, setting).map(|(started, reply)| match started {
            Some((id, fact)) => Decision::with(vec![fact], Outcome::Wait(Waiter::Sync(setting.ticket, id))),
            // Express executions are always new.
            None => Decision::answer(reply),
        }))
    }

    /// An execution that has failed is an answer, too (facts/stepfunctions.md § 2).
    fn present(
        reply: Reply,
        with_data: &bool,
        materials: &Materials<'_>,
    ) -> Result<StartSyncExecutionOutput, Malformed> {
        let Reply::Execution(read) = reply else { return Err(Malformed) };
        let told = read.shown;
        let stopped = told.stopped.unwrap_or(told.started);
        let details = || CloudWatchEventsExecutionDataDetails { included: Some(true) };
        let mut output = StartSyncExecutionOutput {
            execution_arn: Some(told.arn.into()),
            state_machine_arn: Some(told.machine_arn.into()),
            name: Some(told.name.into()),
            start_date: shown(told.started),
            stop_date: shown(stopped),
            status: Some(told.status.as_str().into()),
            input: input_of(materials)?.filter(|_| *with_data).map(Into::into),
            input_details: with_data.then(details),
            trace_header: told.trace.map(Into::into),
            // Durations are billed in steps of 100 ms, and memory of 64 MB.
            billing_details: Some(BillingDetails {
                billed_memory_used_in_mb: Some(64),
                billed_duration_in_milliseconds: i64::try_from(
                    (stopped - told.started).div_ceil(100).max(1) * 100,
                )
                .ok(),
            }),
            ..StartSyncExecutionOutput::default()
        };
        match end_of(told.status, materials)?.filter(|_| *with_data) {
            Some(Ok(text)) => {
                output.output = Some(text.into());
                output.output_details = Some(details());
            }
            Some(Err(failure)) => {
                output.error = failure.error.map(Into::into);
                output.cause = failure.cause.map(Into::into);
            }
            None => {}
        }
        Ok(output)
    }
}

impl State {
    /// How an execution has ended, for the request that waits for it.
    pub(crate) fn tell_end<'a>(&self, id: ExecutionId) -> Decision<'a> {
        let execution = self.executions.get(&id).filter(|execution| !execution.is_open());
        let machine = execution.and_then(|execution| self.machines.get(&execution.machine));
        match (execution, machine) {
            (Some(execution), Some(machine)) => {
                let read = ExecutionRead::of(machine, execution, execution.stopped);
                Decision::answer(Reply::Execution(Box::new(read)))
            }
            _ => {
                Refusal::new("ServiceUnavailable", "The server stops before the execution has ended.").into()
            }
        }
    }
}
