//! StartExecution.

use std::sync::Arc;

use api::stepfunctions::{StartExecutionInput, StartExecutionOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Fact, Operation, Refusal, uuid_text};
use resources::Faults;
use serde_json::Value;
use states_language::{PAYLOAD_BYTES, Variables};

use super::common::{arn_of, decided, shown};
use super::{Context, Decision, Materials, Reply, Setting};
use crate::data::Data;
use crate::history::{Field, Type, Written};
use crate::ids::Named;
use crate::machines::Machine;
use crate::records::{ExecutionStarted, Record, Tail};
use crate::rules::names;
use crate::state::State;
use crate::{ExecutionId, MachineKey, limits, refusals};

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
        decided(self.start(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<StartExecutionOutput, Malformed> {
        let Reply::Made(arn, started) = reply else { return Err(Malformed) };
        Ok(StartExecutionOutput { execution_arn: Some(arn.into()), start_date: shown(started) })
    }
}

/// Reads the input of an execution.
///
/// Errors: it is longer than AWS's model has it, or no JSON (facts/stepfunctions.md § 6).
fn read_input(text: &str) -> Result<Value, Refusal> {
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
    /// The same name with the same input of a running execution is the same execution; a closed one is not started again
    /// (facts/stepfunctions.md § 6).
    fn start<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let machine = state.machine(&self.key).filter(|_| self.qualifier.is_none());
        let machine = machine.ok_or_else(|| refusals::machine_missing(&self.arn))?;
        if machine.declared.is_deleting {
            return Err(refusals::machine_deleting(&self.arn));
        }
        if machine.declared.is_express {
            return Err(refusals::type_unsupported());
        }
        // Keyed with the server's secret: nobody finds two inputs that count as the same.
        let [a, b, c, d, e, f, g, h, ..] = setting.secret.derive(&self.text, 0);
        let input_mark = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if let Some((_, known)) =
            self.name.as_deref().and_then(|name| state.execution(machine.declared.id, name))
        {
            let arn = self.key.execution_arn(&known.name);
            return match known.is_open() && known.input_mark == input_mark {
                true => Ok(Decision::answer(Reply::Made(arn, known.started))),
                false => Err(refusals::execution_exists(&arn)),
            };
        }
        let (account, region) = (&self.key.account, &self.key.region);
        if setting.limits.quotas && state.open_executions(account, region) >= limits::OPEN_EXECUTIONS {
            return Err(refusals::too_many_executions());
        }
        let id = ExecutionId(setting.numbers.draw());
        let name = match &self.name {
            Some(name) => name.clone(),
            None => uuid_text(setting.secret.derive("execution", id.0)),
        };
        let arn = self.key.execution_arn(&name);
        let fact = self.fact(state, machine, (id, name, input_mark), setting)?;
        Ok(Decision::done(vec![fact], Reply::Made(arn, setting.now)))
    }

    fn fact<'a>(
        &self,
        state: &State,
        machine: &Machine,
        (id, name, input_mark): (ExecutionId, String, u64),
        setting: &Setting<'_>,
    ) -> Result<Fact<'a, Record>, Refusal> {
        let definition = machine.declared.definition;
        let read = state.definitions.get(&definition).and_then(|definition| definition.machine());
        // It was checked when it came; a later server may be stricter.
        let read = read.ok_or_else(|| refusals::machine_missing(&self.arn))?;
        let mut written = Written::from(1);
        let fields = [(Field::Input, Some(&*self.text)), (Field::Role, Some(&*machine.declared.role))];
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
            name,
            started: setting.now,
            deadline: read.timeout_seconds.map(|seconds| setting.now.plus_seconds(seconds)),
            input_mark,
            version: 0,
            alias: None,
            trace: self.trace.clone(),
            tail: Tail { first: 1, events: 1, split, warm: Some(warm) },
        };
        Ok(Fact { record: Record::ExecutionStarted(Box::new(started)), tail: tail.into() })
    }
}
