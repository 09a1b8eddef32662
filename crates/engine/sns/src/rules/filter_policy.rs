//! Whether a text is a filter policy, in SNS's words (facts/sns.md § 11); what it means is the crate `patterns`' to know.

use patterns::{FilterPolicy, Scope};

/// Checks a policy against its scope, `MessageAttributes` or `MessageBody`. The fault is what follows `Invalid parameter: ` or
/// `Attributes Reason: `.
pub fn check(policy: &str, scope: &str) -> Result<(), String> {
    FilterPolicy::parse(policy, self::scope(scope)).map(drop).map_err(|fault| fault.to_string())
}

/// The scope of this name.
pub fn scope(name: &str) -> Scope {
    if name == "MessageBody" { Scope::MessageBody } else { Scope::MessageAttributes }
}
