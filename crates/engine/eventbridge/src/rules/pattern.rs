//! A rule's event pattern, and the event that TestEventPattern is given.

use kernel::Refusal;
use patterns::EventPattern;
use serde_json::Value;

use crate::refusals;

/// Parses a pattern (facts/eventbridge.md § 4).
pub fn parse(text: &str) -> Result<EventPattern, Refusal> {
    EventPattern::parse(text).map_err(|fault| {
        let text = format!("Event pattern is not valid. Reason: {}", fault.reason());
        Refusal::new("InvalidEventPatternException", text)
    })
}

/// What an event must have to be compared with a pattern (facts/eventbridge.md § 4).
const MEMBERS: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];

/// Checks the event that TestEventPattern is given.
pub fn check_event(text: &str) -> Result<(), Refusal> {
    match serde_json::from_str(text) {
        Ok(Value::Object(event)) if MEMBERS.iter().all(|member| event.contains_key(*member)) => Ok(()),
        _ => Err(refusals::invalid("Parameter Event is not valid.")),
    }
}
