//! What messages go through on their way to queues, besides topics: buses with rules, workflows, schedules. How they are made and
//! removed.

use serde_json::{Value, json};

use crate::error::Error;
use crate::queues::{Endpoint, beginning};
use crate::requests::{KIND, Service, service_request};

/// When a schedule of a measurement would run: not while anybody measures.
pub(crate) const SCHEDULED_AT: &str = "at(2099-01-01T00:00:00)";
/// Any role's ARN: development servers do not look at it.
pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/bench";
/// The source of the events of a measurement.
pub(crate) const SOURCE: &str = "posthaste.bench";
/// The states of a workflow that ends with a message to a queue.
pub(crate) const STATES: usize = 10;
/// The shards of a stream.
const SHARDS: usize = 4;
/// The states of an express workflow.
const EXPRESS_STATES: usize = 3;

/// What messages are given to, if not to queues.
#[derive(Clone, Debug)]
pub(crate) enum Hub {
    /// A topic, and the value of the attribute on which its subscriptions filter.
    Topic { arn: String, kind: Option<String> },
    /// A bus, the number of its rules, and the detail type that one of them wants; without it all want all.
    Bus { name: String, rules: usize, kind: Option<String> },
    /// A state machine. Its executions end with a message to a queue, unless they are answered.
    Workflow { arn: String, is_express: bool },
    /// A table of items.
    Table { name: String },
    /// A stream.
    Stream { name: String },
    /// A group of schedules, and the queue that they would send to.
    Schedules { group: String, queue_arn: String },
}

impl Endpoint {
    /// Creates a bus.
    pub(crate) fn create_bus(&self, name: &str) -> Result<(), Error> {
        self.tell(Service::Events, "CreateEventBus", &json!({ "Name": name })).map(drop)
    }

    /// Creates a rule that gives events to a queue: all of a measurement, or those of a `kind`.
    pub(crate) fn create_rule(
        &self,
        bus: &str,
        number: usize,
        queue_arn: &str,
        kind: Option<&str>,
    ) -> Result<(), Error> {
        let pattern = match kind {
            Some(kind) => json!({ "detail": { KIND: [kind] } }),
            None => json!({ "source": [SOURCE] }),
        };
        let rule = rule_name(number);
        self.tell(
            Service::Events,
            "PutRule",
            &json!({ "Name": rule, "EventBusName": bus, "EventPattern": pattern.to_string() }),
        )?;
        let targets = json!([{ "Id": "queue", "Arn": queue_arn }]);
        let body = json!({ "Rule": rule, "EventBusName": bus, "Targets": targets });
        self.tell(Service::Events, "PutTargets", &body).map(drop)
    }

    /// Creates a state machine of ten states, of which the last sends the input's body to a queue; or, if it is express, of
    /// three states that send nothing.
    pub(crate) fn create_workflow(&self, name: &str, queue_url: Option<&str>) -> Result<String, Error> {
        let passes = queue_url.map_or(EXPRESS_STATES, |_| STATES - 1);
        let mut states = serde_json::Map::new();
        for number in 0..passes {
            let mut state = json!({ "Type": "Pass" });
            match number + 1 == passes && queue_url.is_none() {
                true => state["End"] = true.into(),
                false => state["Next"] = format!("S{}", number + 1).into(),
            }
            states.insert(format!("S{number}"), state);
        }
        if let Some(url) = queue_url {
            let send = json!({
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Parameters": { "QueueUrl": url, "MessageBody.$": "$.body" },
                "End": true,
            });
            states.insert(format!("S{passes}"), send);
        }
        let definition = json!({ "StartAt": "S0", "States": states });
        let kind = if queue_url.is_some() { "STANDARD" } else { "EXPRESS" };
        let answer = self.tell(
            Service::States,
            "CreateStateMachine",
            &json!({ "name": name, "roleArn": ROLE, "type": kind, "definition": definition.to_string() }),
        )?;
        let arn = serde_json::from_slice::<Value>(&answer).ok();
        let arn = arn.as_ref().and_then(|answer| answer["stateMachineArn"].as_str());
        arn.map(str::to_owned).ok_or_else(|| Error::Refused {
            operation: "CreateStateMachine",
            status: 200,
            body: beginning(&answer),
        })
    }

    /// Creates a table, whose items have a text as their key.
    pub(crate) fn create_table(&self, name: &str) -> Result<(), Error> {
        let body = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        self.tell(Service::Dynamodb, "CreateTable", &body).map(drop)
    }

    /// Creates a stream.
    pub(crate) fn create_stream(&self, name: &str) -> Result<(), Error> {
        self.tell(Service::Kinesis, "CreateStream", &json!({ "StreamName": name, "ShardCount": SHARDS }))
            .map(drop)
    }

    /// Creates a group of schedules.
    pub(crate) fn create_schedule_group(&self, name: &str) -> Result<(), Error> {
        let path = format!("/schedule-groups/{name}");
        self.ask("CreateScheduleGroup", &service_request(&self.host, Service::Scheduler, &path, b"{}"))
            .map(drop)
    }

    /// Removes it, with what belongs to it.
    pub(crate) fn delete_hub(&self, hub: &Hub) -> Result<(), Error> {
        match hub {
            Hub::Topic { arn, .. } => self.delete_topic(arn),
            Hub::Bus { name, rules, .. } => {
                for number in 0..*rules {
                    let rule = rule_name(number);
                    let body = json!({ "Rule": rule, "EventBusName": name, "Ids": ["queue"] });
                    self.tell(Service::Events, "RemoveTargets", &body)?;
                    self.tell(Service::Events, "DeleteRule", &json!({ "Name": rule, "EventBusName": name }))?;
                }
                self.tell(Service::Events, "DeleteEventBus", &json!({ "Name": name })).map(drop)
            }
            Hub::Workflow { arn, .. } => {
                self.tell(Service::States, "DeleteStateMachine", &json!({ "stateMachineArn": arn })).map(drop)
            }
            Hub::Table { name } => {
                self.tell(Service::Dynamodb, "DeleteTable", &json!({ "TableName": name })).map(drop)
            }
            Hub::Stream { name } => {
                self.tell(Service::Kinesis, "DeleteStream", &json!({ "StreamName": name })).map(drop)
            }
            Hub::Schedules { group, .. } => {
                let path = format!("/schedule-groups/{group}");
                let mut request = service_request(&self.host, Service::Scheduler, &path, b"");
                request.splice(..4, *b"DELETE");
                self.ask("DeleteScheduleGroup", &request).map(drop)
            }
        }
    }

    fn tell(&self, service: Service, operation: &'static str, body: &Value) -> Result<Vec<u8>, Error> {
        self.ask(operation, &service_request(&self.host, service, operation, body.to_string().as_bytes()))
    }
}

fn rule_name(number: usize) -> String {
    format!("rule-{number}")
}
