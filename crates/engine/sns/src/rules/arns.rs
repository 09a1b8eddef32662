//! ARNs in requests, and what SNS says about those that are none.

use kernel::{Arn, Caller, Refusal};

use crate::{TopicKey, refusals};

/// The topic that a parameter names (facts/sns.md § 4). `parameter` is the one that the refusal names.
pub fn topic(text: Option<&str>, parameter: &str) -> Result<TopicKey, Refusal> {
    let text = text.unwrap_or_default();
    let arn = arn(text, parameter)?;
    TopicKey::from_arn(&arn).ok_or_else(|| refusals::invalid(parameter))
}

/// The topic that `TopicArn` names. It must be of the region in which the caller asks (facts/sns.md § 5).
pub fn topic_here(text: Option<&str>, caller: &Caller) -> Result<TopicKey, Refusal> {
    let topic = topic(text, "TopicArn")?;
    if topic.region == caller.region { Ok(topic) } else { Err(refusals::invalid("TopicArn")) }
}

/// The subscription that `SubscriptionArn` names: a topic's ARN with one part more (facts/sns.md § 4).
pub fn subscription(text: Option<&str>) -> Result<String, Refusal> {
    let text = text.unwrap_or_default();
    let arn = arn(text, "SubscriptionArn")?;
    let has_id = arn.service == "sns" && arn.resource.split_once(':').is_some_and(|(_, id)| !id.is_empty());
    if has_id { Ok(text.to_owned()) } else { Err(refusals::invalid("SubscriptionId")) }
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
