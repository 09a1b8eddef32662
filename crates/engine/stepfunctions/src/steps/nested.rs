//! Executions that a task has started and whose end it waits for: `.sync` and `.sync:2` (facts/stepfunctions.md § 7, 11, 16).

use kernel::Extent;
use kernel::codec::Malformed;
use serde_json::{Value, json};
use states_language::{Failure, Kind, Pattern, Resource, names};

use super::progress::Begins;
use super::{Step, text_of};
use crate::ExecutionId;
use crate::data::{self, Data};
use crate::executions::Execution;
use crate::ids::Named;
use crate::machines::state_of;
use crate::records::Status;
use crate::state::State;

impl State {
    /// The execution that an ARN names.
    pub(super) fn execution_of(&self, arn: &str) -> Option<ExecutionId> {
        let (key, name) = Named::execution(arn).ok()?;
        let machine = self.machine(&key)?.declared.id;
        self.execution(machine, &name).map(|(id, _)| id)
    }

    /// The records of an execution that has ended which its parent needs: where its input is, and its end.
    pub(crate) fn needs_of_nested(&self, id: ExecutionId) -> Vec<Extent> {
        let Some(nested) = self.executions.get(&id) else { return Vec::new() };
        nested.records.get(0).map(|record| record.1).into_iter().chain(nested.records.last()).collect()
    }

    /// What the flow begins with that has waited for the end of an execution.
    ///
    /// Errors: what was read is not what was written.
    pub(super) fn nested_ended(
        &self,
        step: &Step,
        id: ExecutionId,
        definition: &states_language::StateMachine,
        data: &Data,
    ) -> Result<Begins, Malformed> {
        let nested = self.executions.get(&id);
        let machine = nested.and_then(|nested| self.machines.get(&nested.machine));
        let (Some(nested), Some(machine)) = (nested, machine) else {
            let failure = Failure::new(names::TASK_FAILED, "The execution does not exist any more.");
            return Ok(Begins::Failed(failure));
        };
        let is_parsed = match state_of(&definition.flow, &data.state).map(|state| &state.kind) {
            Some(Kind::Task(task)) => {
                matches!(task.resource, Resource::Service { pattern: Pattern::Sync2, .. })
            }
            _ => false,
        };
        let told = tell(step, nested, &machine.declared.key, is_parsed)?;
        Ok(match nested.status {
            Status::Succeeded => Begins::Result(told),
            _ => Begins::Failed(Failure::new(names::TASK_FAILED, told.to_string())),
        })
    }
}

/// An execution that has ended, as DescribeExecution tells it.
fn tell(
    step: &Step,
    nested: &Execution,
    key: &crate::MachineKey,
    is_parsed: bool,
) -> Result<Value, Malformed> {
    let first = nested.records.get(0).ok_or(Malformed)?.1;
    let end = step.data(nested.records.last().ok_or(Malformed)?)?;
    let mut told = json!({
        "ExecutionArn": nested.arn(key),
        "Input": Data::input_of(step.data(first)?)?,
        "InputDetails": {"Included": true},
        "Name": &*nested.name,
        "StartDate": nested.started.0,
        "StateMachineArn": key.arn(),
        "Status": nested.status.as_str(),
        "StopDate": nested.stopped.0,
    });
    if nested.status == Status::Succeeded {
        let output = text_of(end)?;
        told["Output"] = if is_parsed { output } else { Value::String(output.to_string()) };
        told["OutputDetails"] = json!({"Included": true});
    } else {
        let failure = data::decode_failure(end)?;
        for (name, text) in [("Error", failure.error), ("Cause", failure.cause)] {
            if let Some(text) = text {
                told[name] = Value::String(text);
            }
        }
    }
    Ok(told)
}
