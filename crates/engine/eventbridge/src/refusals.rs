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

/// There would be too many (facts/eventbridge.md § 2).
pub fn too_many() -> Refusal {
    Refusal::new("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

/// What only partners of AWS may do, which no account of this server is.
pub fn partners_only() -> Refusal {
    Refusal::new("OperationDisabledException", "This operation is disabled for this account.")
}
