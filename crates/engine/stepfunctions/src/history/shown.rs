//! Events as AWS shows them (facts/stepfunctions.md § 10, 19).

use api::Map;
use api::stepfunctions as shapes;

use super::{Event, Field, Type};

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
            Type::ExecutionRedriven => {
                let redrive_count = self.number(Field::RedriveCount).and_then(|count| count.try_into().ok());
                shown.execution_redriven_event_details =
                    Some(shapes::ExecutionRedrivenEventDetails { redrive_count });
            }
            Type::MapStateStarted
            | Type::MapIterationStarted
            | Type::MapIterationSucceeded
            | Type::MapIterationFailed
            | Type::MapIterationAborted => self.show_map(&mut shown),
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
            _ => self.show_worker(shown, with_data),
        }
    }

    /// The details of events about tasks of activities and functions.
    fn show_worker(&self, shown: &mut shapes::HistoryEvent, with_data: bool) {
        let seen = |field| self.get(field).filter(|_| with_data);
        let details =
            || with_data.then_some(shapes::HistoryEventExecutionDataDetails { truncated: Some(false) });
        let resource = self.get(Field::Resource);
        let (error, cause) = (seen(Field::Error), seen(Field::Cause));
        let (timeout, heartbeat) = (self.number(Field::Timeout), self.number(Field::Heartbeat));
        match self.kind {
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

    /// The details of events about Map states and their iterations.
    fn show_map(&self, shown: &mut shapes::HistoryEvent) {
        let number = |field| self.number(field).and_then(|number| number.try_into().ok());
        let iteration = Some(shapes::MapIterationEventDetails {
            name: self.get(Field::Name),
            index: number(Field::Index),
        });
        match self.kind {
            Type::MapIterationStarted => shown.map_iteration_started_event_details = iteration,
            Type::MapIterationSucceeded => shown.map_iteration_succeeded_event_details = iteration,
            Type::MapIterationFailed => shown.map_iteration_failed_event_details = iteration,
            Type::MapIterationAborted => shown.map_iteration_aborted_event_details = iteration,
            _ => {
                let length = number(Field::Length);
                shown.map_state_started_event_details = Some(shapes::MapStateStartedEventDetails { length });
            }
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
