//! Why SNS refuses, in AWS's words.

use kernel::Refusal;

/// A parameter is wrong; `what` follows `Invalid parameter: `.
pub fn invalid(what: impl std::fmt::Display) -> Refusal {
    Refusal::new("InvalidParameterException", format!("Invalid parameter: {what}"))
}

/// There is no such topic (facts/sns.md § 2).
pub fn topic_missing() -> Refusal {
    Refusal::new("NotFoundException", "Topic does not exist")
}

/// There is no such subscription (facts/sns.md § 2).
pub fn subscription_missing() -> Refusal {
    Refusal::new("NotFoundException", "Subscription does not exist")
}

/// There is nothing of this name that could have tags (facts/sns.md § 2).
pub fn resource_missing() -> Refusal {
    Refusal::new("ResourceNotFoundException", "Resource does not exist")
}

/// There is no such application of a mobile platform.
pub fn application_missing() -> Refusal {
    Refusal::new("NotFoundException", "PlatformApplication does not exist")
}

/// There is no such endpoint of a mobile platform.
pub fn endpoint_missing() -> Refusal {
    Refusal::new("NotFoundException", "Endpoint does not exist")
}
