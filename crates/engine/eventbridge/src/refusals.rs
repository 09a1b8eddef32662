//! Why EventBridge refuses, in AWS's words.

use std::fmt::Display;

use kernel::Refusal;

use crate::{BusKey, RuleKey};

/// A request is wrong in itself, or asks for what cannot be.
pub fn invalid(text: impl Display) -> Refusal {
    Refusal::new("ValidationException", text.to_string())
}

/// A parameter is wrong.
pub fn parameter(name: impl Display, reason: impl Display) -> Refusal {
    invalid(format_args!("Parameter {name} is not valid. Reason: {reason}"))
}

/// There is no such thing.
pub fn missing(text: impl Display) -> Refusal {
    Refusal::new("ResourceNotFoundException", text.to_string())
}

/// There is no such bus (facts/eventbridge.md § 2).
pub fn bus_missing(bus: &BusKey) -> Refusal {
    missing(format_args!("Event bus {} does not exist.", bus.name))
}

/// There is no such rule (facts/eventbridge.md § 2).
pub fn rule_missing(rule: &RuleKey) -> Refusal {
    missing(format_args!("Rule {} does not exist on EventBus {}.", rule.name, rule.bus.name))
}

/// There is no such archive (facts/eventbridge.md § 7).
pub fn archive_missing(name: &str) -> Refusal {
    missing(format_args!("Archive {name} does not exist."))
}

/// A list is asked for by more than one property (recorded by moto's tests).
pub fn one_filter(operation: &str) -> Refusal {
    let filters = "Use either : State, EventSourceArn, or NamePrefix.";
    invalid(format_args!("At most one filter is allowed for {operation}. {filters}"))
}

/// A rule belongs to a service, which alone may change it (AWS's documentation of ManagedRuleException; AWS's text is not known).
pub fn managed(rule: &RuleKey) -> Refusal {
    let text = format!("Rule {} is managed by a service and can only be removed with Force.", rule.name);
    Refusal::new("ManagedRuleException", text)
}

/// There is no such connection (facts/eventbridge.md § 8).
pub fn connection_missing(name: &str) -> Refusal {
    missing(format_args!("Failed to describe the connection(s). Connection '{name}' does not exist."))
}

/// There is no such API destination (facts/eventbridge.md § 8).
pub fn destination_missing(name: &str) -> Refusal {
    missing(format_args!(
        "Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
    ))
}

/// There is one of the name.
pub fn exists(text: impl Display) -> Refusal {
    Refusal::new("ResourceAlreadyExistsException", text.to_string())
}

/// There would be too many (facts/eventbridge.md § 2).
pub fn too_many() -> Refusal {
    Refusal::new("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

/// What only partners of AWS may do, which no account of this server is.
pub fn partners_only() -> Refusal {
    Refusal::new("OperationDisabledException", "This operation is disabled for this account.")
}
