//! The events of executions: how they are kept, and how AWS shows them (facts/stepfunctions.md § 10, 18, 19).
//!
//! The events of one step lie one behind the other in the tail of its record. Their numbers are not written: the first is in the head. Nor
//! is their time, which is that of the step.

use api::Map;
use api::stepfunctions as shapes;
use kernel::Time;
use kernel::codec::{Malformed, Reader, put_str, put_u64};

/// Makes the types of events, in an order that the log keeps.
macro_rules! types {
    ($($variant:ident),* $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs)] // They are AWS's names.
        pub enum Type {
            $($variant),*
        }

        const TYPES: &[Type] = &[$(Type::$variant),*];

        impl Type {
            /// The name that AWS has for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Type::$variant => stringify!($variant)),*
                }
            }
        }
    };
}

// New ones come last: a log has their numbers.
types! {
    ExecutionStarted, ExecutionSucceeded, ExecutionFailed, ExecutionTimedOut, ExecutionAborted,
    PassStateEntered, PassStateExited, TaskStateEntered, TaskStateExited, TaskStateAborted,
    ChoiceStateEntered, ChoiceStateExited, WaitStateEntered, WaitStateExited, WaitStateAborted,
    SucceedStateEntered, SucceedStateExited, FailStateEntered,
    ParallelStateEntered, ParallelStateStarted, ParallelStateSucceeded, ParallelStateFailed, ParallelStateAborted,
    ParallelStateExited,
    MapStateEntered, MapStateStarted, MapStateSucceeded, MapStateFailed, MapStateAborted, MapStateExited,
    MapIterationStarted, MapIterationSucceeded, MapIterationFailed, MapIterationAborted,
    TaskScheduled, TaskStarted, TaskSubmitted, TaskSucceeded, TaskFailed, TaskTimedOut, TaskStartFailed,
    TaskSubmitFailed,
    ActivityScheduled, ActivityStarted, ActivitySucceeded, ActivityFailed, ActivityTimedOut,
    ActivityScheduleFailed,
    LambdaFunctionScheduled, LambdaFunctionStarted, LambdaFunctionSucceeded, LambdaFunctionFailed,
    LambdaFunctionTimedOut, LambdaFunctionScheduleFailed,
    EvaluationFailed,
}

/// What an event says. The numbers are those of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // They are AWS's names.
pub enum Field {
    Name,
    Input,
    Output,
    Resource,
    ResourceType,
    Region,
    Parameters,
    Error,
    Cause,
    Timeout,
    Heartbeat,
    Role,
    Location,
    State,
    Index,
    Length,
    Worker,
    /// A JSON object of the variables that were assigned.
    Assigned,
    Version,
    Alias,
    Credentials,
}

const FIELDS: &[Field] = &[
    Field::Name,
    Field::Input,
    Field::Output,
    Field::Resource,
    Field::ResourceType,
    Field::Region,
    Field::Parameters,
    Field::Error,
    Field::Cause,
    Field::Timeout,
    Field::Heartbeat,
    Field::Role,
    Field::Location,
    Field::State,
    Field::Index,
    Field::Length,
    Field::Worker,
    Field::Assigned,
    Field::Version,
    Field::Alias,
    Field::Credentials,
];

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its number in the execution, from 1 on.
    pub id: u32,
    /// What it came from.
    pub previous: u32,
    /// When.
    pub time: Time,
    /// What happened.
    pub kind: Type,
    /// What it says.
    pub fields: Vec<(Field, String)>,
}

/// The events of one record, as they are written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The number of the first.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Their bytes.
    pub bytes: Vec<u8>,
}

impl Written {
    /// Nothing yet; the first event will have this number.
    pub fn from(first: u32) -> Self {
        Written { first, ..Written::default() }
    }

    /// Adds an event. Returns its number.
    pub fn push<'f>(
        &mut self,
        kind: Type,
        previous: u32,
        fields: impl IntoIterator<Item = (Field, Option<&'f str>)>,
    ) -> u32 {
        self.bytes.push(kind as u8);
        put_u64(&mut self.bytes, previous.into());
        for (field, value) in fields {
            if let Some(value) = value {
                self.bytes.push(field as u8 + 1);
                put_str(&mut self.bytes, value);
            }
        }
        self.bytes.push(0);
        self.count += 1;
        self.first + self.count - 1
    }

    /// The number of the next event.
    pub fn next(&self) -> u32 {
        self.first + self.count
    }
}

/// Reads the events of a record: `first` is the number of the first, and all are of this time.
pub fn read(bytes: &[u8], first: u32, time: Time) -> Result<Vec<Event>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut events = Vec::new();
    while !reader.is_empty() {
        let kind = *TYPES.get(usize::from(reader.u8()?)).ok_or(Malformed)?;
        let previous = reader.u32()?;
        let mut fields = Vec::new();
        while let Some(field) = reader.u8()?.checked_sub(1) {
            let field = *FIELDS.get(usize::from(field)).ok_or(Malformed)?;
            fields.push((field, reader.str()?.to_owned()));
        }
        let id = first.checked_add(u32::try_from(events.len()).map_err(|_| Malformed)?).ok_or(Malformed)?;
        events.push(Event { id, previous, time, kind, fields });
    }
    Ok(events)
}

impl Event {
    fn get(&self, field: Field) -> Option<api::Text> {
        self.fields.iter().find(|(known, _)| *known == field).map(|(_, value)| value.as_str().into())
    }

    fn number(&self, field: Field) -> Option<i64> {
        self.get(field)?.parse().ok()
    }

    /// The event as AWS shows it; without what the execution has handled unless `with_data`.
    pub fn shown(&self, with_data: bool) -> shapes::HistoryEvent {
        let mut shown = shapes::HistoryEvent {
            timestamp: i64::try_from(self.time.0).ok().map(api::Timestamp),
            r#type: Some(self.kind.as_str().into()),
            id: Some(self.id.into()),
            previous_event_id: Some(self.previous.into()),
            ..shapes::HistoryEvent::default()
        };
        let seen = |field| self.get(field).filter(|_| with_data);
        let details =
            || with_data.then_some(shapes::HistoryEventExecutionDataDetails { truncated: Some(false) });
        let (error, cause) = (seen(Field::Error), seen(Field::Cause));
        let name = self.get(Field::Name);
        match self.kind {
            Type::ExecutionStarted => {
                shown.execution_started_event_details = Some(shapes::ExecutionStartedEventDetails {
                    input: seen(Field::Input),
                    input_details: details(),
                    role_arn: self.get(Field::Role),
                    state_machine_alias_arn: self.get(Field::Alias),
                    state_machine_version_arn: self.get(Field::Version),
                });
            }
            Type::ExecutionSucceeded => {
                shown.execution_succeeded_event_details = Some(shapes::ExecutionSucceededEventDetails {
                    output: seen(Field::Output),
                    output_details: details(),
                });
            }
            Type::ExecutionFailed => {
                shown.execution_failed_event_details =
                    Some(shapes::ExecutionFailedEventDetails { error, cause });
            }
            Type::ExecutionTimedOut => {
                shown.execution_timed_out_event_details =
                    Some(shapes::ExecutionTimedOutEventDetails { error, cause });
            }
            Type::ExecutionAborted => {
                shown.execution_aborted_event_details =
                    Some(shapes::ExecutionAbortedEventDetails { error, cause });
            }
            Type::MapStateStarted => {
                let length = self.number(Field::Length).and_then(|length| length.try_into().ok());
                shown.map_state_started_event_details = Some(shapes::MapStateStartedEventDetails { length });
            }
            Type::MapIterationStarted
            | Type::MapIterationSucceeded
            | Type::MapIterationFailed
            | Type::MapIterationAborted => {
                let index = self.number(Field::Index).and_then(|index| index.try_into().ok());
                let iteration = Some(shapes::MapIterationEventDetails { name, index });
                match self.kind {
                    Type::MapIterationStarted => shown.map_iteration_started_event_details = iteration,
                    Type::MapIterationSucceeded => shown.map_iteration_succeeded_event_details = iteration,
                    Type::MapIterationFailed => shown.map_iteration_failed_event_details = iteration,
                    _ => shown.map_iteration_aborted_event_details = iteration,
                }
            }
            Type::EvaluationFailed => {
                shown.evaluation_failed_event_details = Some(shapes::EvaluationFailedEventDetails {
                    error,
                    cause,
                    location: self.get(Field::Location),
                    state: self.get(Field::State),
                });
            }
            kind if kind.as_str().ends_with("Entered") => {
                shown.state_entered_event_details = Some(shapes::StateEnteredEventDetails {
                    name,
                    input: seen(Field::Input),
                    input_details: details(),
                });
            }
            kind if kind.as_str().ends_with("Exited") => {
                let assigned = seen(Field::Assigned);
                shown.state_exited_event_details = Some(shapes::StateExitedEventDetails {
                    name,
                    output: seen(Field::Output),
                    output_details: details(),
                    assigned_variables: assigned.as_deref().map(assigned_variables),
                    assigned_variables_details: assigned
                        .is_some()
                        .then_some(shapes::AssignedVariablesDetails { truncated: Some(false) }),
                });
            }
            _ => self.show_task(&mut shown, with_data),
        }
        shown
    }

    /// The details of events about tasks of services, activities and functions.
    fn show_task(&self, shown: &mut shapes::HistoryEvent, with_data: bool) {
        let seen = |field| self.get(field).filter(|_| with_data);
        let details =
            || with_data.then_some(shapes::HistoryEventExecutionDataDetails { truncated: Some(false) });
        let (resource, resource_type) = (self.get(Field::Resource), self.get(Field::ResourceType));
        let (error, cause) = (seen(Field::Error), seen(Field::Cause));
        let (timeout, heartbeat) = (self.number(Field::Timeout), self.number(Field::Heartbeat));
        match self.kind {
            Type::TaskScheduled => {
                shown.task_scheduled_event_details = Some(shapes::TaskScheduledEventDetails {
                    resource_type,
                    resource,
                    region: self.get(Field::Region),
                    parameters: seen(Field::Parameters),
                    timeout_in_seconds: timeout,
                    heartbeat_in_seconds: heartbeat,
                    task_credentials: self.credentials(),
                });
            }
            Type::TaskStarted => {
                shown.task_started_event_details =
                    Some(shapes::TaskStartedEventDetails { resource_type, resource });
            }
            Type::TaskSubmitted => {
                shown.task_submitted_event_details = Some(shapes::TaskSubmittedEventDetails {
                    resource_type,
                    resource,
                    output: seen(Field::Output),
                    output_details: details(),
                });
            }
            Type::TaskSucceeded => {
                shown.task_succeeded_event_details = Some(shapes::TaskSucceededEventDetails {
                    resource_type,
                    resource,
                    output: seen(Field::Output),
                    output_details: details(),
                });
            }
            Type::TaskFailed => {
                shown.task_failed_event_details =
                    Some(shapes::TaskFailedEventDetails { resource_type, resource, error, cause });
            }
            Type::TaskTimedOut => {
                shown.task_timed_out_event_details =
                    Some(shapes::TaskTimedOutEventDetails { resource_type, resource, error, cause });
            }
            Type::TaskSubmitFailed => {
                shown.task_submit_failed_event_details =
                    Some(shapes::TaskSubmitFailedEventDetails { resource_type, resource, error, cause });
            }
            Type::TaskStartFailed => {
                shown.task_start_failed_event_details =
                    Some(shapes::TaskStartFailedEventDetails { resource_type, resource, error, cause });
            }
            Type::ActivityScheduled => {
                shown.activity_scheduled_event_details = Some(shapes::ActivityScheduledEventDetails {
                    resource,
                    input: seen(Field::Input),
                    input_details: details(),
                    timeout_in_seconds: timeout,
                    heartbeat_in_seconds: heartbeat,
                });
            }
            Type::ActivityStarted => {
                let worker_name = self.get(Field::Worker);
                shown.activity_started_event_details =
                    Some(shapes::ActivityStartedEventDetails { worker_name });
            }
            Type::ActivitySucceeded => {
                shown.activity_succeeded_event_details = Some(shapes::ActivitySucceededEventDetails {
                    output: seen(Field::Output),
                    output_details: details(),
                });
            }
            Type::ActivityFailed => {
                shown.activity_failed_event_details =
                    Some(shapes::ActivityFailedEventDetails { error, cause });
            }
            Type::ActivityTimedOut => {
                shown.activity_timed_out_event_details =
                    Some(shapes::ActivityTimedOutEventDetails { error, cause });
            }
            Type::ActivityScheduleFailed => {
                shown.activity_schedule_failed_event_details =
                    Some(shapes::ActivityScheduleFailedEventDetails { error, cause });
            }
            Type::LambdaFunctionScheduled => {
                shown.lambda_function_scheduled_event_details =
                    Some(shapes::LambdaFunctionScheduledEventDetails {
                        resource,
                        input: seen(Field::Input),
                        input_details: details(),
                        timeout_in_seconds: timeout,
                        task_credentials: self.credentials(),
                    });
            }
            Type::LambdaFunctionScheduleFailed => {
                shown.lambda_function_schedule_failed_event_details =
                    Some(shapes::LambdaFunctionScheduleFailedEventDetails { error, cause });
            }
            Type::LambdaFunctionSucceeded => {
                shown.lambda_function_succeeded_event_details =
                    Some(shapes::LambdaFunctionSucceededEventDetails {
                        output: seen(Field::Output),
                        output_details: details(),
                    });
            }
            Type::LambdaFunctionFailed => {
                shown.lambda_function_failed_event_details =
                    Some(shapes::LambdaFunctionFailedEventDetails { error, cause });
            }
            Type::LambdaFunctionTimedOut => {
                shown.lambda_function_timed_out_event_details =
                    Some(shapes::LambdaFunctionTimedOutEventDetails { error, cause });
            }
            // The others have no details.
            _ => {}
        }
    }

    fn credentials(&self) -> Option<shapes::TaskCredentials> {
        self.get(Field::Credentials).map(|role| shapes::TaskCredentials { role_arn: Some(role) })
    }
}

/// A map of names to JSON texts.
fn assigned_variables(object: &str) -> Map<api::Text> {
    let variables: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(object).unwrap_or_default();
    Map(variables.into_iter().map(|(name, value)| (name.into(), value.to_string().into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back_as_they_were_written() {
        let mut written = Written::from(5);
        let types = TYPES.iter().enumerate();
        for (at, &kind) in types {
            let field = FIELDS[at % FIELDS.len()];
            let id = written.push(kind, at as u32, [(field, Some("x")), (Field::Error, None)]);
            assert_eq!(id as usize, 5 + at);
        }
        let read = read(&written.bytes, 5, Time(1)).unwrap();
        assert_eq!((read.len(), written.next() as usize), (TYPES.len(), TYPES.len() + 5));
        for (at, event) in read.iter().enumerate() {
            assert_eq!((event.id as usize, event.previous as usize, event.kind), (at + 5, at, TYPES[at]));
            assert_eq!(event.fields, [(FIELDS[at % FIELDS.len()], "x".to_owned())]);
            assert_eq!(TYPES[event.kind as usize], event.kind);
            assert_eq!(FIELDS[event.fields[0].0 as usize], event.fields[0].0);
        }
        assert!(super::read(&written.bytes[..written.bytes.len() - 1], 5, Time(1)).is_err());
    }
}
