//! Why Step Functions refuses, in AWS's words (facts/stepfunctions.md § 2, 6).

use kernel::Refusal;

/// A parameter is wrong; the whole text is the caller's.
pub fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::new("ValidationException", text.into())
}

/// The text is no ARN that the operation takes.
pub fn invalid_arn(why: &str) -> Refusal {
    Refusal::new("InvalidArn", format!("Invalid Arn: '{why}'"))
}

/// The name has characters that names cannot have.
pub fn invalid_name(name: &str) -> Refusal {
    Refusal::new("InvalidName", format!("Invalid Name: '{name}'"))
}

/// A definition has errors: the text says which.
pub fn invalid_definition(text: String) -> Refusal {
    Refusal::new("InvalidDefinition", text)
}

/// There is no such state machine.
pub fn machine_missing(arn: &str) -> Refusal {
    Refusal::new("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
}

/// There is another state machine of this name.
pub fn machine_exists(arn: &str) -> Refusal {
    Refusal::new("StateMachineAlreadyExists", format!("State Machine Already Exists: '{arn}'"))
}

/// The state machine is being deleted.
pub fn machine_deleting(arn: &str) -> Refusal {
    Refusal::new("StateMachineDeleting", format!("State Machine is being deleted: '{arn}'"))
}

/// The operation is not for this type of state machine.
pub fn type_unsupported() -> Refusal {
    Refusal::new(
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
    )
}

/// There is no such execution.
pub fn execution_missing(arn: &str) -> Refusal {
    Refusal::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
}

/// The execution cannot be redriven. The text is that of `redriveStatusReason`; in which words AWS refuses is not recorded.
pub fn not_redrivable(why: &str) -> Refusal {
    Refusal::new("ExecutionNotRedrivable", why.to_owned())
}

/// There is another execution of this name.
pub fn execution_exists(arn: &str) -> Refusal {
    Refusal::new("ExecutionAlreadyExists", format!("Execution Already Exists: '{arn}'"))
}

/// The input of an execution is no JSON, or too long.
pub fn invalid_input(why: &str) -> Refusal {
    Refusal::new("InvalidExecutionInput", format!("Invalid State Machine Execution Input: '{why}'"))
}

/// A token of a page is none that the server issued.
pub fn invalid_page() -> Refusal {
    Refusal::new("InvalidToken", "Invalid Token: 'Invalid token'")
}

/// A token is none that the server gave out.
pub fn invalid_token() -> Refusal {
    invalid_page()
}

/// A task is not waited for any more.
pub fn task_timed_out() -> Refusal {
    Refusal::new("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
}

/// The output of a task is no JSON.
pub fn invalid_output(why: &str) -> Refusal {
    Refusal::new("InvalidOutput", format!("Invalid Output: '{why}'"))
}

/// There is no such activity.
pub fn activity_missing(arn: &str) -> Refusal {
    Refusal::new("ActivityDoesNotExist", format!("Activity Does Not Exist: '{arn}'"))
}

/// There is no such resource. The text is that of aliases (facts/stepfunctions.md § 8).
pub fn resource_missing() -> Refusal {
    Refusal::new("ResourceNotFound", "Request references a resource that does not exist.")
}

/// What is asked for contradicts what is there; the whole text is the caller's.
pub fn conflict(text: impl Into<String>) -> Refusal {
    Refusal::new("ConflictException", text.into())
}

/// There is nothing to change.
pub fn nothing_to_update() -> Refusal {
    Refusal::new(
        "MissingRequiredParameter",
        "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified",
    )
}

/// The account has as many open executions as it can have. In which words AWS refuses is not recorded.
pub fn too_many_executions() -> Refusal {
    Refusal::new("ExecutionLimitExceeded", "The maximum number of running executions has been reached.")
}

/// The server has no memory for more definitions. AWS has no such bound.
pub fn too_many_machines() -> Refusal {
    Refusal::new("StateMachineLimitExceeded", "The maximum size of all definitions has been reached.")
}
