//! What the default bus is told: each change of the status of a standard execution, as an event of `aws.states`. Buses are asked by a call.
//!
//! Nothing of it is in the log. A change that is recorded and a crash that comes before its event is recorded leave no event.

use std::sync::Arc;

use kernel::{Call, Caller, Demand, Outcome, Time};
use serde_json::{Value, json};

use crate::ExecutionId;
use crate::data::{Data, decode_failure};
use crate::executions::Execution;
use crate::machines::Machine;
use crate::operations::{Decision, Setting};
use crate::records::Status;
use crate::redrives::redrive_status;
use crate::state::State;

/// Changes of which the bus is still to be told, at the most; and with their data.
const MOST: usize = 10_000;
const MOST_WITH_DATA: usize = 200;

/// Bytes of input and output together with which an event has them (AWS's documentation: they are left out if the event would exceed
/// its size).
const DATA_BYTES: usize = 248 << 10;

/// A change of an execution's status.
#[derive(Debug)]
pub struct StatusChange {
    execution: ExecutionId,
    status: Status,
    /// When it ended, if it has.
    stopped: Option<Time>,
    /// The data with which it began, and those of its end, if they are at hand.
    input: Option<Arc<[u8]>>,
    result: Option<Arc<[u8]>>,
}

impl State {
    /// An execution has begun.
    pub(crate) fn note_begin(&mut self, execution: ExecutionId, input: Option<&Arc<[u8]>>) {
        self.note(execution, (Status::Running, None), input.cloned(), None);
    }

    /// An execution has ended. Asked before its data are forgotten.
    pub(crate) fn note_end(
        &mut self,
        id: ExecutionId,
        execution: &Execution,
        (status, stopped): (Status, Time),
        result: Option<&Arc<[u8]>>,
    ) {
        if !execution.is_express {
            let first = execution.records.get(0).map(|(_, at)| at.place);
            let input = first.and_then(|first| self.warm.get(first)).cloned();
            self.note(id, (status, Some(stopped)), input, result.cloned());
        }
    }

    fn note(
        &mut self,
        execution: ExecutionId,
        (status, stopped): (Status, Option<Time>),
        input: Option<Arc<[u8]>>,
        result: Option<Arc<[u8]>>,
    ) {
        let waiting = self.status_changes.len();
        if self.is_replaying || waiting >= MOST {
            return;
        }
        let (input, result) = if waiting < MOST_WITH_DATA { (input, result) } else { (None, None) };
        self.status_changes.push_back(StatusChange { execution, status, stopped, input, result });
    }

    /// Puts a change on the default bus of its account.
    pub(crate) fn tell<'a>(&self, change: &StatusChange, setting: &Setting<'_>) -> Decision<'a> {
        let execution = self.executions.get(&change.execution);
        let machine = execution.and_then(|execution| self.machines.get(&execution.machine));
        let (Some(execution), Some(machine)) = (execution, machine) else {
            return Decision::silent(Vec::new());
        };
        if setting.room < Demand::Growth {
            return Decision::silent(Vec::new());
        }
        let key = &machine.declared.key;
        let arn = key.execution_arn(&execution.name);
        let entry = json!({
            "Source": "aws.states",
            "DetailType": "Step Functions Execution Status Change",
            "Resources": [arn],
            "Detail": change.detail(execution, machine, setting.now).to_string(),
        });
        let call = Call {
            service: "eventbridge".to_owned(),
            operation: "PutEvents".to_owned(),
            input: json!({ "Entries": [entry] }).to_string(),
            caller: Caller::service("states.amazonaws.com", &key.account, &key.region),
            base: String::new(),
            room: 0,
        };
        Decision::with(Vec::new(), Outcome::Call(Box::new(call)))
    }
}

impl StatusChange {
    /// The event's detail (its members are those of AWS's documentation, "Step Functions events in EventBridge").
    fn detail(&self, execution: &Execution, machine: &Machine, now: Time) -> Value {
        let key = &machine.declared.key;
        let (arn, machine_arn) = (key.execution_arn(&execution.name), key.arn());
        let reason = execution.unredrivable(machine, now);
        let text = |bytes: &Arc<[u8]>| String::from_utf8(bytes.to_vec()).ok();
        let input = self.input.as_ref().and_then(|data| Data::input_of(data).ok());
        let result = self.result.as_ref();
        let (output, failure) = match self.status {
            Status::Succeeded => (result.and_then(text), None),
            Status::Running => (None, None),
            _ => (None, result.and_then(|data| decode_failure(data).ok())),
        };
        let bytes = input.as_ref().map_or(0, String::len) + output.as_ref().map_or(0, String::len);
        let (input, output) = if bytes <= DATA_BYTES { (input, output) } else { (None, None) };
        let has_output = self.status == Status::Succeeded;
        let origin = execution.origin.as_deref();
        let version = origin.filter(|origin| origin.version > 0);
        let version = version.map(|origin| format!("{machine_arn}:{}", origin.version));
        let alias = origin.and_then(|origin| origin.alias.as_ref());
        let alias = alias.map(|alias| format!("{machine_arn}:{alias}"));
        json!({
            "executionArn": arn,
            "stateMachineArn": machine_arn,
            "stateMachineVersionArn": version,
            "stateMachineAliasArn": alias,
            "name": execution.name,
            "status": self.status.as_str(),
            "startDate": execution.started.0,
            "stopDate": self.stopped.map(|stopped| stopped.0),
            "input": input,
            "inputDetails": { "included": input.is_some() },
            "output": output,
            "outputDetails": has_output.then(|| json!({ "included": output.is_some() })),
            "error": failure.as_ref().and_then(|failure| failure.error.clone()),
            "cause": failure.and_then(|failure| failure.cause),
            "redriveCount": execution.redrive_count(),
            "redriveDate": execution.redriven().map(|redriven| redriven.0),
            "redriveStatus": redrive_status(reason),
            "redriveStatusReason": reason,
        })
    }
}
