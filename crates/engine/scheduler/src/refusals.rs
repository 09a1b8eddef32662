//! Why Scheduler refuses, in AWS's words.

use kernel::Refusal;

/// A parameter is wrong; the whole text is the caller's.
pub fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::new("ValidationException", text.into())
}

/// There is no such schedule (facts/eventbridge.md § 9).
pub fn schedule_missing(name: &str) -> Refusal {
    Refusal::new("ResourceNotFoundException", format!("Schedule {name} does not exist."))
}

/// There is a schedule of this name (facts/eventbridge.md § 9).
pub fn schedule_exists(name: &str) -> Refusal {
    Refusal::new("ConflictException", format!("Schedule {name} already exists."))
}

/// There is no such group. The text is that of schedules.
pub fn group_missing(name: &str) -> Refusal {
    Refusal::new("ResourceNotFoundException", format!("Schedule group {name} does not exist."))
}

/// There is a group of this name.
pub fn group_exists(name: &str) -> Refusal {
    Refusal::new("ConflictException", format!("Schedule group {name} already exists."))
}

/// The group is being deleted: nothing can be made in it.
pub fn group_deleting(name: &str) -> Refusal {
    Refusal::new("ConflictException", format!("Schedule group {name} is being deleted."))
}

/// An account has as many as it can have. In which words AWS refuses is not recorded.
pub fn quota_exceeded(what: &str, most: usize) -> Refusal {
    let text = format!("The account has reached its limit of {most} {what} in this region.");
    Refusal::new("ServiceQuotaExceededException", text)
}
