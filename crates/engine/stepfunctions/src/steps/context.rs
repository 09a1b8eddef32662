//! The context object of states: what they can ask about their execution (facts/stepfunctions.md § 4).

use kernel::{Time, iso8601};
use serde_json::{Value, json};

use crate::data::{Data, Item};

/// What the context object says of an execution, whatever state it is in.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct About {
    pub(super) execution_arn: String,
    pub(super) execution: String,
    pub(super) machine_arn: String,
    pub(super) machine: String,
    pub(super) role: String,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) started: Time,
    pub(super) redrives: u32,
    pub(super) redriven: Option<Time>,
    /// The execution's input, if a state can ask for it.
    pub(super) input: Value,
}

impl About {
    /// The context object of a flow in a state; with a task's token if it has one.
    pub(super) fn context(&self, data: &Data, item: Option<&Item>, token: Option<&str>) -> Value {
        let mut context = json!({
            "Execution": {
                "Id": self.execution_arn,
                "Input": self.input,
                "StartTime": shown(self.started),
                "Name": self.execution,
                "RoleArn": self.role,
                "RedriveCount": self.redrives,
            },
            "StateMachine": {"Id": self.machine_arn, "Name": self.machine},
            "State": {
                "Name": data.state,
                "EnteredTime": shown(data.entered_at),
                "RetryCount": data.retries.iter().sum::<u64>(),
            },
        });
        if let Some(redriven) = self.redriven {
            context["Execution"]["RedriveTime"] = shown(redriven).into();
        }
        if let Some(item) = item {
            context["Map"] = json!({"Item": {"Index": item.index, "Value": item.value}});
        }
        if let Some(token) = token {
            context["Task"] = json!({"Token": token});
        }
        context
    }
}

fn shown(time: Time) -> String {
    iso8601::write_exactly(time.signed_millis())
}
