//! Task states: what they ask for, what comes of it, and what happens if nothing does (facts/stepfunctions.md § 11, 18).

use kernel::{Call, Called, Caller, uuid_text};
use serde_json::Value;
use states_language::{Failure, Kind, PAYLOAD_BYTES, Pattern, Resource, Run, State, names};

use super::integrations::{self, Integrated};
use super::progress::{Next, Progress, Turn};
use super::{Seen, Task};
use crate::data::Phase;
use crate::history::{Field, Type};
use crate::ids::Named;
use crate::machines::state_of;
use crate::operations::Fact;
use crate::records::{After, Record, Tail, TaskReported, TaskWait};

/// What a task has asked for.
#[derive(Debug)]
pub(super) struct Asked {
    integrated: Integrated,
    pattern: Pattern,
    wait: TaskWait,
}

/// Whether somebody returns a token when the task has ended.
pub(super) fn has_token(resource: &Resource) -> bool {
    resource.pattern() == Pattern::WaitForTaskToken || matches!(resource, Resource::Activity(_))
}

impl Progress {
    /// The flow's task begins.
    pub(super) fn run(&mut self, state: &State, run: Run<'_>, execution: &Seen<'_>) -> Next {
        match run.resource {
            Resource::Service { service, action, sdk, pattern } => {
                let kind = if *sdk { format!("aws-sdk:{service}") } else { service.clone() };
                let resource = format!("{action}{}", pattern.suffix());
                let wait = self.schedule(&kind, &resource, &run);
                match integrations::find(service, *sdk) {
                    Some(integrated) => {
                        let call = self.call(&integrated, action, &run.payload);
                        self.asked = Some(Asked { integrated, pattern: *pattern, wait });
                        Next::Stop(Turn::Calls(Box::new(call)))
                    }
                    None => self.task_failed(state, &integrations::unserved(service), execution),
                }
            }
            Resource::Http => {
                let wait = TaskWait { asks: true, ..self.schedule("http", "invoke", &run) };
                self.data.phase = Phase::Tasks;
                self.data.asks = Some(run.payload);
                self.stops(After::Tasks(wait))
            }
            Resource::Function(arn) => {
                let (input, timeout) = (run.payload.to_string(), shown(run.timeout_seconds));
                let fields = [
                    (Field::Resource, Some(&**arn)),
                    (Field::Input, Some(&*input)),
                    (Field::Timeout, timeout.as_deref()),
                ];
                self.last = self.written.push(Type::LambdaFunctionScheduled, self.last, fields);
                let failure = integrations::unserved("Lambda");
                let fields =
                    [(Field::Error, failure.error.as_deref()), (Field::Cause, failure.cause.as_deref())];
                self.last = self.written.push(Type::LambdaFunctionScheduleFailed, self.last, fields);
                self.recover(state, &failure, execution)
            }
            Resource::Activity(arn) => {
                let key = match Named::parse(arn) {
                    Ok(Named::Activity(key)) => Some(key),
                    _ => None,
                };
                let Some(activity) = key.and_then(|key| execution.state.activity(&key)) else {
                    let text = format!("The activity {arn} does not exist.");
                    return self.recover(state, &Failure::new(names::RUNTIME, text), execution);
                };
                let activity = activity.declared.id;
                let input = run.payload.to_string();
                let (timeout, heartbeat) = (shown(run.timeout_seconds), shown(run.heartbeat_seconds));
                let fields = [
                    (Field::Resource, Some(&**arn)),
                    (Field::Input, Some(&*input)),
                    (Field::Timeout, timeout.as_deref()),
                    (Field::Heartbeat, heartbeat.as_deref()),
                ];
                let wait = TaskWait { activity: Some((activity, true)), ..self.wait(&run) };
                self.last = self.written.push(Type::ActivityScheduled, self.last, fields);
                self.data.phase = Phase::Tasks;
                self.stops(After::Tasks(wait))
            }
        }
    }

    /// How the task is waited for that is scheduled next.
    fn wait(&self, run: &Run<'_>) -> TaskWait {
        let seconds = |seconds: Option<u64>| seconds.and_then(|seconds| seconds.try_into().ok()).unwrap_or(0);
        TaskWait {
            since: self.written.next(),
            started: self.now,
            timeout_seconds: seconds(run.timeout_seconds),
            beat_seconds: seconds(run.heartbeat_seconds),
            heard: self.now,
            activity: None,
            nested: None,
            asks: false,
        }
    }

    /// Writes that a service's task is scheduled and started.
    fn schedule(&mut self, kind: &str, resource: &str, run: &Run<'_>) -> TaskWait {
        let wait = self.wait(run);
        let parameters = run.payload.to_string();
        let (timeout, heartbeat) = (shown(run.timeout_seconds), shown(run.heartbeat_seconds));
        let role = run.credentials.as_ref().and_then(|credentials| credentials.get("RoleArn"));
        let fields = [
            (Field::ResourceType, Some(kind)),
            (Field::Resource, Some(resource)),
            (Field::Region, Some(&*self.about.region)),
            (Field::Parameters, Some(&*parameters)),
            (Field::Timeout, timeout.as_deref()),
            (Field::Heartbeat, heartbeat.as_deref()),
            (Field::Credentials, role.and_then(Value::as_str)),
        ];
        let scheduled = self.written.push(Type::TaskScheduled, self.last, fields);
        let fields = [(Field::ResourceType, Some(kind)), (Field::Resource, Some(resource))];
        self.last = self.written.push(Type::TaskStarted, scheduled, fields);
        self.data.task = Some((kind.to_owned(), resource.to_owned()));
        wait
    }

    fn call(&self, integrated: &Integrated, action: &str, payload: &Value) -> Call {
        let variables = self.data.variables.values().map(|value| value.to_string().len()).sum::<usize>();
        // The events and data that follow the answer: its payload a few times, and what the flow has besides.
        let room = self.written.bytes.len() + self.data.encode().len() + variables + 5 * PAYLOAD_BYTES;
        Call {
            service: integrated.service.to_owned(),
            operation: action.to_owned(),
            input: integrated.request(payload),
            caller: Caller {
                principal: self.about.account.clone(),
                account: self.about.account.clone(),
                region: self.about.region.clone(),
                signed: true,
            },
            base: String::new(),
            room,
        }
    }

    /// What the flow has called has answered.
    pub(super) fn called(&mut self, called: Called, execution: &Seen<'_>) -> Turn {
        let next = self.answered(called, execution);
        self.go_on(next, execution)
    }

    fn answered(&mut self, called: Called, execution: &Seen<'_>) -> Next {
        let definition = self.definition.clone();
        let state = state_of(&definition.flow, &self.data.state);
        // A step goes on only with what it has asked for.
        let (Some(state), Some(asked)) = (state, self.asked.take()) else { return self.stops(After::Goes) };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.dice.roll().to_le_bytes());
        id[8..].copy_from_slice(&self.dice.roll().to_le_bytes());
        match asked.integrated.result(called, &uuid_text(id)) {
            Err(failure) => self.task_failed(state, &failure, execution),
            Ok(result) if asked.pattern == Pattern::RequestResponse => {
                self.write_task(Type::TaskSucceeded, Some(&result.to_string()), None);
                self.finish(state, result, execution)
            }
            Ok(result) => {
                self.write_task(Type::TaskSubmitted, Some(&result.to_string()), None);
                self.data.phase = Phase::Tasks;
                let is_nested = matches!(asked.pattern, Pattern::Sync | Pattern::Sync2);
                let nested = result["ExecutionArn"].as_str().filter(|_| is_nested);
                let nested = nested.and_then(|arn| execution.state.execution_of(arn));
                if is_nested && nested.is_none() {
                    // Nobody is told of the end of an express execution.
                    let failure = Failure::new(names::TASK_FAILED, "The execution cannot be waited for.");
                    return self.task_failed(state, &failure, execution);
                }
                self.stops(After::Tasks(TaskWait { nested, ..asked.wait }))
            }
        }
    }

    /// An event about the flow's task.
    fn write_task(&mut self, kind: Type, output: Option<&str>, failure: Option<&Failure>) {
        let task = self.data.task.as_ref();
        let fields = [
            (Field::ResourceType, task.map(|task| &*task.0)),
            (Field::Resource, task.map(|task| &*task.1)),
            (Field::Output, output),
            (Field::Error, failure.and_then(|failure| failure.error.as_deref())),
            (Field::Cause, failure.and_then(|failure| failure.cause.as_deref())),
        ];
        self.last = self.written.push(kind, self.last, fields);
    }

    fn task_failed(&mut self, state: &State, failure: &Failure, execution: &Seen<'_>) -> Next {
        self.write_task(Type::TaskFailed, None, Some(failure));
        self.recover(state, failure, execution)
    }

    /// What the flow has waited for has ended: its task, or the flows that ran for it.
    pub(super) fn waited_for(&mut self, result: Result<Value, Failure>, execution: &Seen<'_>) -> Next {
        let definition = self.definition.clone();
        let Some(state) = state_of(&definition.flow, &self.data.state) else { return Next::On };
        match result {
            Ok(result) => {
                match events_of(state) {
                    Some(events) => self.write_task(events.0, Some(&result.to_string()), None),
                    None => self.branches_succeeded(state),
                }
                // What fails from here on is the state's own.
                self.data.phase = Phase::TriesAgain;
                self.finish(state, result, execution)
            }
            Err(failure) => {
                if let Some(events) = events_of(state) {
                    self.write_task(events.1, None, Some(&failure));
                }
                self.recover(state, &failure, execution)
            }
        }
    }

    /// Nothing was heard of the flow's task in time. The event names no cause, and not that a heartbeat was missed; retriers and catchers
    /// can tell the difference (facts/stepfunctions.md § 7, 18).
    pub(super) fn timed_out(&mut self, wait: &TaskWait, execution: &Seen<'_>) -> Next {
        let definition = self.definition.clone();
        let Some(state) = state_of(&definition.flow, &self.data.state) else { return Next::On };
        let failure = |name: &str| Failure { error: Some(name.to_owned()), cause: None, location: None };
        let kind = events_of(state).map_or(Type::TaskTimedOut, |events| events.2);
        self.write_task(kind, None, Some(&failure(names::TIMEOUT)));
        let is_beat = wait.deadline().is_none_or(|deadline| wait.due().is_some_and(|due| due < deadline));
        let name = if is_beat { names::HEARTBEAT_TIMEOUT } else { names::TIMEOUT };
        self.recover(state, &failure(name), execution)
    }
}

impl crate::state::State {
    /// The fact that a task has ended, with its output or its failure; none if it is not waited for.
    pub(crate) fn reported<'a>(&self, task: &Task, data: Vec<u8>, has_failed: bool) -> Option<Fact<'a>> {
        let (execution, _) = self.waiting_task(task)?;
        let reported = TaskReported {
            execution: task.execution,
            number: execution.next_record(),
            flow: task.flow,
            has_failed,
            tail: Tail {
                first: execution.next_event,
                events: 0,
                split: 0,
                warm: Some(data.as_slice().into()),
            },
        };
        Some(Fact { record: Record::TaskReported(reported), tail: data.into() })
    }
}

/// The events with which the task of a state succeeds, fails, and is timed out; none if it is no Task state.
fn events_of(state: &State) -> Option<(Type, Type, Type)> {
    let Kind::Task(task) = &state.kind else { return None };
    Some(match &task.resource {
        Resource::Activity(_) => (Type::ActivitySucceeded, Type::ActivityFailed, Type::ActivityTimedOut),
        _ => (Type::TaskSucceeded, Type::TaskFailed, Type::TaskTimedOut),
    })
}

fn shown(seconds: Option<u64>) -> Option<String> {
    seconds.map(|seconds| seconds.to_string())
}
