//! An error of a service, and whether a retry may succeed.

use std::fmt;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

/// A failed call of SQS or SNS, or a failed entry of a batch.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Fault {
    /// AWS's code, such as `QueueDoesNotExist` or `ThrottlingException`; `Connection` if there was no answer.
    pub code: String,
    /// The error's text.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Fault {
    /// Creates a permanent error.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { code: code.into(), message: message.into(), retryable: false }
    }

    /// Creates a temporary error.
    pub fn passing(code: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { code: code.into(), message: message.into(), retryable: true }
    }

    /// Creates the error of an entry that the answer to its batch does not mention. It may have been accepted or not.
    pub(crate) fn unanswered() -> Fault {
        Fault::passing("Unanswered", "the answer does not mention this entry")
    }

    /// Returns whether the error may concern one message, so that others may be accepted. (It does not if the
    /// destination refuses everything of this sender.)
    pub(crate) fn may_be_of_one_message(&self) -> bool {
        let of_all =
            ["NonExistentQueue", "DoesNotExist", "NotFound", "AccessDenied", "Authorization", "Token"];
        !self.retryable && !of_all.iter().any(|word| self.code.contains(word))
    }

    /// Converts an entry of a batch answer. `sender_fault` is AWS's name for "do not retry".
    pub(crate) fn of_entry(code: &str, message: Option<&str>, sender_fault: bool) -> Fault {
        let retryable = !sender_fault || is_throttling(code);
        Fault { code: code.to_owned(), message: message.unwrap_or_default().to_owned(), retryable }
    }
}

impl<E, R> From<SdkError<E, R>> for Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: HasStatus + fmt::Debug + Send + Sync + 'static,
{
    fn from(error: SdkError<E, R>) -> Fault {
        match &error {
            SdkError::ServiceError(answer) => {
                let (code, message) = (answer.err().code().unwrap_or("Unknown"), answer.err().message());
                let status = answer.raw().status();
                Fault {
                    code: code.to_owned(),
                    message: message.unwrap_or_default().to_owned(),
                    retryable: status >= 500 || status == 429 || is_throttling(code),
                }
            }
            SdkError::ConstructionFailure(_) => Fault::permanent("Construction", chain(&error)),
            _ => Fault::passing("Connection", chain(&error)),
        }
    }
}

/// An HTTP answer of any version of the `http` crate.
pub trait HasStatus {
    /// Returns its status code.
    fn status(&self) -> u16;
}

impl HasStatus for aws_sdk_sqs::config::http::HttpResponse {
    fn status(&self) -> u16 {
        self.status().as_u16()
    }
}

fn is_throttling(code: &str) -> bool {
    ["Throttl", "TooManyRequests", "SlowDown", "OverLimit", "RequestLimitExceeded"]
        .iter()
        .any(|word| code.contains(word))
}

/// Returns the error with its causes, because the SDK's own text is only "dispatch failure".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
