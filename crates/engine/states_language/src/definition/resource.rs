//! What the `Resource` of a Task state names.

use std::fmt;

/// Who does a task's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A Lambda function by its ARN: its result is the task's result.
    Function(String),
    /// An activity by its ARN.
    Activity(String),
    /// `arn:aws:states:::http:invoke`.
    Http,
    /// `arn:aws:states:::sqs:sendMessage`, or `arn:aws:states:::aws-sdk:sqs:sendMessage`.
    Service {
        /// `sqs`.
        service: String,
        /// `sendMessage`.
        action: String,
        /// Whether it is an `aws-sdk` integration.
        sdk: bool,
        /// When the task ends.
        pattern: Pattern,
    },
}

/// When a task of a service ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// With the answer to the request.
    RequestResponse,
    /// When the job that was started has ended.
    Sync,
    /// The same; a nested execution's output is JSON, not a text.
    Sync2,
    /// When somebody returns the task's token.
    WaitForTaskToken,
}

impl Pattern {
    /// The end of a resource's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Pattern::RequestResponse => "",
            Pattern::Sync => ".sync",
            Pattern::Sync2 => ".sync:2",
            Pattern::WaitForTaskToken => ".waitForTaskToken",
        }
    }
}

impl Resource {
    /// Reads an ARN. None if it names nothing that can be a task.
    pub fn parse(arn: &str) -> Option<Resource> {
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let [scheme, partition, service, region, account, rest] = parts[..] else { return None };
        if scheme != "arn" || !partition.starts_with("aws") {
            return None;
        }
        match (service, rest.split_once(':')) {
            ("lambda", Some(("function", name))) if !name.is_empty() => {
                Some(Resource::Function(arn.to_owned()))
            }
            ("states", Some(("activity", name))) if !name.is_empty() && !account.is_empty() => {
                Some(Resource::Activity(arn.to_owned()))
            }
            ("states", Some((service, action))) if region.is_empty() && account.is_empty() => {
                Resource::integration(service, action)
            }
            _ => None,
        }
    }

    fn integration(service: &str, action: &str) -> Option<Resource> {
        let (service, action, sdk) = match service {
            "aws-sdk" => {
                let (service, action) = action.split_once(':')?;
                (service, action, true)
            }
            _ => (service, action, false),
        };
        let patterns = [Pattern::Sync2, Pattern::Sync, Pattern::WaitForTaskToken];
        let ends = patterns.into_iter().find(|pattern| action.ends_with(pattern.suffix()));
        let pattern = ends.unwrap_or(Pattern::RequestResponse);
        let action = &action[..action.len() - pattern.suffix().len()];
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain(service) || !plain(action) || (sdk && matches!(pattern, Pattern::Sync | Pattern::Sync2)) {
            return None;
        }
        if (service, action, sdk, pattern) == ("http", "invoke", false, Pattern::RequestResponse) {
            return Some(Resource::Http);
        }
        Some(Resource::Service { service: service.to_owned(), action: action.to_owned(), sdk, pattern })
    }

    /// When the task ends. Activities end when their worker says so.
    pub fn pattern(&self) -> Pattern {
        match self {
            Resource::Service { pattern, .. } => *pattern,
            _ => Pattern::RequestResponse,
        }
    }
}

/// `sqs:sendMessage.waitForTaskToken`, as in AWS's history, or the ARN of a function or an activity.
impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Function(arn) | Resource::Activity(arn) => formatter.write_str(arn),
            Resource::Http => formatter.write_str("http:invoke"),
            Resource::Service { service, action, sdk, pattern } => {
                let sdk = if *sdk { "aws-sdk:" } else { "" };
                write!(formatter, "{sdk}{service}:{action}{}", pattern.suffix())
            }
        }
    }
}
