//! Why Pipes refuses. Texts that are not those of AWS's model are not recorded of AWS.

use std::fmt::Display;

use kernel::Refusal;

/// A parameter is wrong; the whole text is the caller's.
pub fn invalid(text: impl Display) -> Refusal {
    Refusal::new("ValidationException", text.to_string())
}

/// There is no such pipe.
pub fn missing(name: &str) -> Refusal {
    Refusal::new("NotFoundException", format!("Pipe {name} does not exist."))
}

/// There is such a pipe already.
pub fn exists(name: &str) -> Refusal {
    Refusal::new("ConflictException", format!("Pipe {name} already exists."))
}

/// The pipe is changing.
pub fn changing(name: &str, state: &str) -> Refusal {
    Refusal::new("ConflictException", format!("Pipe {name} is in state {state} and cannot be changed now."))
}

/// An account has as many as it can have.
pub fn quota_exceeded(what: &str, most: usize) -> Refusal {
    Refusal::new("ServiceQuotaExceededException", format!("The limit of {most} {what} is reached."))
}
