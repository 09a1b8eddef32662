//! How a state fails: AWS's error name and its text.

use std::fmt;

/// The error names that Step Functions reserves (facts/stepfunctions.md § 7).
pub mod names {
    #![allow(missing_docs, reason = "each constant is its own text")]
    pub const ALL: &str = "States.ALL";
    pub const BRANCH_FAILED: &str = "States.BranchFailed";
    pub const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
    pub const EXCEED_TOLERATED_FAILURE_THRESHOLD: &str = "States.ExceedToleratedFailureThreshold";
    pub const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";
    pub const INTRINSIC_FAILURE: &str = "States.IntrinsicFailure";
    pub const ITEM_READER_FAILED: &str = "States.ItemReaderFailed";
    pub const NO_CHOICE_MATCHED: &str = "States.NoChoiceMatched";
    pub const PARAMETER_PATH_FAILURE: &str = "States.ParameterPathFailure";
    pub const PERMISSIONS: &str = "States.Permissions";
    pub const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
    pub const REFERENCE_PATH_CONFLICT: &str = "States.ReferencePathConflict";
    pub const RESULT_PATH_MATCH_FAILURE: &str = "States.ResultPathMatchFailure";
    pub const RESULT_WRITER_FAILED: &str = "States.ResultWriterFailed";
    pub const RUNTIME: &str = "States.Runtime";
    pub const TASK_FAILED: &str = "States.TaskFailed";
    pub const TIMEOUT: &str = "States.Timeout";
}

/// Why a state failed. A task that was failed by its worker may have neither an error nor a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error name, such as `States.Runtime`: what `ErrorEquals` is compared with.
    pub error: Option<String>,
    /// The explanation for people.
    pub cause: Option<String>,
    /// The field in which a JSONata expression failed, such as `Output/total`. AWS records it in the event `EvaluationFailed`.
    pub location: Option<String>,
}

impl Failure {
    /// A failure with a name and a cause.
    pub fn new(error: &str, cause: impl Into<String>) -> Failure {
        Failure { error: Some(error.to_owned()), cause: Some(cause.into()), location: None }
    }

    pub(crate) fn runtime(cause: impl Into<String>) -> Failure {
        Failure::new(names::RUNTIME, cause)
    }

    pub(crate) fn at(self, location: &str) -> Failure {
        Failure { location: Some(location.to_owned()), ..self }
    }

    /// The name to which retriers and catchers are compared; empty if the failure has none.
    pub fn name(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }

    /// The failure with AWS's sentence before its cause, which names the state and the event with which the state was entered. AWS begins
    /// the causes of failures that it finds itself so, but not those of tasks.
    #[must_use]
    pub fn in_state(self, state: &str, entered_event: u64) -> Failure {
        let cause = format!(
            "An error occurred while executing the state '{state}' (entered at the event id #{entered_event}). {}",
            self.cause.unwrap_or_default()
        );
        Failure { cause: Some(cause), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name(), self.cause.as_deref().unwrap_or_default())
    }
}

impl std::error::Error for Failure {}
