//! ARNs in requests, and what SNS says about those that are none.

use kernel::{Arn, Refusal};

use crate::{TopicKey, refusals};

/// The topic that a parameter names (facts/sns.md § 4). `parameter` is the one that the refusal names.
pub fn topic(text: Option<&str>, parameter: &str) -> Result<TopicKey, Refusal> {
    let text = text.unwrap_or_default();
    let arn = arn(text, parameter)?;
    TopicKey::from_arn(&arn).ok_or_else(|| refusals::invalid(parameter))
}

/// An ARN of at least six parts.
pub fn arn(text: &str, parameter: &str) -> Result<Arn, Refusal> {
    if text.is_empty() {
        return Err(refusals::invalid(format_args!("{parameter} Reason: no value for required parameter")));
    }
    let parts = text.split(':').count();
    if parts < 6 {
        return Err(refusals::invalid(format_args!(
            "{parameter} Reason: An ARN must have at least 6 elements, not {parts}"
        )));
    }
    text.parse().map_err(|_| refusals::invalid(parameter))
}
