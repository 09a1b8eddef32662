//! The attributes of a topic: which can be set, to what, and what is shown of them (facts/sns.md § 3).

use std::collections::BTreeMap;

use kernel::{Time, iso8601};
use serde_json::Value;

use crate::TopicKey;
use crate::archive::{ARCHIVE_BEGAN, ARCHIVE_SERIES};
use crate::limits;
use crate::rules::delivery_policy::{DeliveryPolicy, Level};
use crate::rules::policy;
use crate::topic::Topic;

/// The protocols whose deliveries can be logged, as they begin the names of attributes.
const LOGGED: [&str; 5] = ["Application", "Firehose", "HTTP", "Lambda", "SQS"];
const LOGGING: [&str; 3] = ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];

/// Milliseconds of a day.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// What is wrong with an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// There is none of this name, or it cannot be set.
    Unknown,
    /// Its value is wrong: what follows `Invalid parameter: ` in SetTopicAttributes and `Invalid parameter: Attributes
    /// Reason: ` in CreateTopic.
    Value(String),
}

/// `attributes` with one more that was set at `now`, as it is to be remembered; an empty text takes away what need not be.
///
/// Where AWS's texts are not known, they are modelled on those of subscriptions.
pub fn set(
    attributes: &mut BTreeMap<String, String>,
    name: &str,
    given: &str,
    topic: &TopicKey,
    now: Time,
) -> Result<(), Fault> {
    let value = match name {
        "DisplayName" => Some(display_name(given)?),
        "Policy" => {
            policy::check(given).map_err(Fault::Value)?;
            Some(given.to_owned())
        }
        "DeliveryPolicy" => delivery_policy(given)?,
        "KmsMasterKeyId" => Some(given.to_owned()).filter(|key| !key.is_empty()),
        "SignatureVersion" => Some(one_of(name, given, &["1", "2"])?),
        "TracingConfig" => {
            if topic.is_fifo() {
                return fault("TracingConfig: not supported for FIFO topics");
            }
            Some(one_of(name, given, &["PassThrough", "Active"])?)
        }
        "MaximumMessageSize" => Some(message_size(given)?),
        "ContentBasedDeduplication" | "FifoThroughputScope" | "ArchivePolicy" if !topic.is_fifo() => {
            return fault(&format!("{name}: only supported for FIFO topics"));
        }
        "ContentBasedDeduplication" => Some(boolean(name, given)?),
        "FifoThroughputScope" => Some(one_of(name, given, &["Topic", "MessageGroup"])?),
        "ArchivePolicy" => archive_policy(given)?,
        _ => logging(name, given)?,
    };
    if name == "ArchivePolicy" {
        // From when on there can be something to replay. A longer retention does not bring back what is gone.
        let before = attributes.get(name).and_then(|policy| retention_days(policy));
        let since = match (before, value.as_deref().and_then(retention_days)) {
            (Some(before), Some(days)) if days > before => {
                let gone = Time(now.millis().saturating_sub(before * DAY));
                let known = attributes.get("BeginningArchiveTime").and_then(|since| iso8601::read(since));
                Some(known.unwrap_or_default().max(gone.millis().cast_signed() + 1))
            }
            (None, Some(_)) => Some(now.millis().cast_signed()),
            _ => None,
        };
        if value.is_none() {
            attributes.remove("BeginningArchiveTime");
        } else if let Some(since) = since {
            attributes.insert("BeginningArchiveTime".to_owned(), iso8601::write_exactly(since));
        }
    }
    match value {
        Some(value) => attributes.insert(name.to_owned(), value),
        None => attributes.remove(name),
    };
    Ok(())
}

/// Whether a topic's attribute is in force as it was given, once that was read.
pub fn says_the_same(in_force: &BTreeMap<String, String>, name: &str, wanted: Option<&String>) -> bool {
    let default = match name {
        "DisplayName" => Some(""),
        "ContentBasedDeduplication" => Some("false"),
        "SignatureVersion" => Some("1"),
        "TracingConfig" => Some("PassThrough"),
        _ => None,
    };
    let in_force = in_force.get(name).map(String::as_str).or(default);
    let wanted = wanted.map(String::as_str).or(default);
    let document = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    in_force == wanted
        || (name.ends_with("Policy")
            && document(in_force).is_some()
            && document(in_force) == document(wanted))
}

/// All attributes of a topic, by name, as GetTopicAttributes tells them.
pub fn show(topic: &Topic, now: Time) -> Vec<(String, String)> {
    let attributes = &topic.declared.attributes;
    let pending = topic.subscriptions_pending;
    let confirmed = topic.subscriptions.len() as u64 - pending;
    let mut shown = BTreeMap::from(
        [
            ("DisplayName", String::new()),
            (
                "EffectiveDeliveryPolicy",
                DeliveryPolicy::show_effective_topic(topic.delivery_policy.as_deref()),
            ),
            ("Owner", topic.key().account.clone()),
            ("Policy", policy::default_policy(topic.key())),
            ("SubscriptionsConfirmed", confirmed.to_string()),
            ("SubscriptionsDeleted", topic.declared.subscriptions_deleted.to_string()),
            ("SubscriptionsPending", pending.to_string()),
            ("TopicArn", topic.arn.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    if topic.is_fifo() {
        shown.insert("FifoTopic".to_owned(), "true".to_owned());
        shown.insert("ContentBasedDeduplication".to_owned(), "false".to_owned());
    }
    let is_shown = |name: &str| !matches!(name, "DataProtectionPolicy" | ARCHIVE_BEGAN | ARCHIVE_SERIES);
    for (name, value) in attributes.iter().filter(|(name, _)| is_shown(name)) {
        shown.insert(name.clone(), value.clone());
    }
    if let Some(oldest) = topic.oldest_replayable(now) {
        let oldest = iso8601::write_exactly(oldest.millis().cast_signed());
        shown.insert("BeginningArchiveTime".to_owned(), oldest);
    }
    shown.into_iter().collect()
}

impl Topic {
    /// For how long it keeps what was published, in milliseconds; none if it does not.
    pub fn archive_millis(&self) -> Option<u64> {
        retention_days(self.attribute("ArchivePolicy")?).map(|days| days * DAY)
    }

    /// The oldest moment whose messages can be replayed.
    pub fn oldest_replayable(&self, now: Time) -> Option<Time> {
        let kept = Time(now.millis().saturating_sub(self.archive_millis()?));
        let since = iso8601::read(self.attribute("BeginningArchiveTime")?)?;
        Some(kept.max(Time(since.cast_unsigned())))
    }
}

fn fault<T>(text: &str) -> Result<T, Fault> {
    Err(Fault::Value(text.to_owned()))
}

fn one_of(name: &str, given: &str, values: &[&str]) -> Result<String, Fault> {
    if values.contains(&given) {
        return Ok(given.to_owned());
    }
    fault(&format!("{name}: Invalid value [{given}]. Please use either {}", values.join(" or ")))
}

fn boolean(name: &str, given: &str) -> Result<String, Fault> {
    let value = given.to_ascii_lowercase();
    match value.as_str() {
        "true" | "false" => Ok(value),
        _ => fault(&format!("{name}: Invalid value [{given}]. Must be true or false.")),
    }
}

/// At most a hundred characters, none of them a control character.
fn display_name(given: &str) -> Result<String, Fault> {
    if given.chars().count() <= 100 && !given.chars().any(char::is_control) {
        return Ok(given.to_owned());
    }
    fault("DisplayName")
}

fn delivery_policy(given: &str) -> Result<Option<String>, Fault> {
    if given.is_empty() {
        return Ok(None);
    }
    match DeliveryPolicy::parse(given, Level::Topic) {
        Ok(_) => Ok(DeliveryPolicy::as_sent(given)),
        Err(text) => fault(&format!("DeliveryPolicy: {text}")),
    }
}

fn message_size(given: &str) -> Result<String, Fault> {
    let range = limits::LEAST_MESSAGE_BYTES..=limits::MOST_MESSAGE_BYTES;
    match given.parse::<usize>() {
        Ok(bytes) if range.contains(&bytes) => Ok(bytes.to_string()),
        _ => fault(&format!(
            "MaximumMessageSize: Invalid value [{given}]. Must be between {} and {}.",
            range.start(),
            range.end()
        )),
    }
}

/// facts/sns.md § 10. It is taken away by `{}`, not by an empty text.
fn archive_policy(given: &str) -> Result<Option<String>, Fault> {
    let document = match crate::rules::document(given) {
        Ok(Value::Object(document)) => document,
        Ok(_) => return fault("ArchivePolicy: invalid JSON. It must be an object."),
        Err(text) => return fault(&format!("ArchivePolicy: {text}")),
    };
    if document.is_empty() {
        return Ok(None);
    }
    if let Some(unknown) = document.keys().find(|name| *name != "MessageRetentionPeriod") {
        return fault(&format!("ArchivePolicy: invalid JSON. Attribute {unknown} is unknown."));
    }
    match retention_days(given) {
        Some(1..=365) => Ok(Some(given.to_owned())),
        _ => fault("ArchivePolicy: MessageRetentionPeriod must be between 1 and 365"),
    }
}

pub(crate) fn retention_days(policy: &str) -> Option<u64> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let days = policy.get("MessageRetentionPeriod")?;
    days.as_u64().or_else(|| days.as_str()?.parse().ok())
}

/// Attributes about the logging of deliveries: remembered and shown.
fn logging(name: &str, given: &str) -> Result<Option<String>, Fault> {
    let what = LOGGED.iter().find_map(|protocol| name.strip_prefix(protocol));
    let Some(what) = what.filter(|what| LOGGING.contains(what)) else { return Err(Fault::Unknown) };
    if given.is_empty() {
        return Ok(None);
    }
    let is_right = if what.ends_with("Rate") {
        given.parse::<u8>().is_ok_and(|percent| percent <= 100)
    } else {
        given
            .parse::<kernel::Arn>()
            .is_ok_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"))
    };
    if is_right { Ok(Some(given.to_owned())) } else { fault(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_set(topic: &str, name: &str, value: &str) -> Result<Option<String>, Fault> {
        let topic =
            TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: topic.into() };
        let mut attributes = BTreeMap::new();
        set(&mut attributes, name, value, &topic, Time(1_700_000_000_000))?;
        Ok(attributes.remove(name))
    }

    #[test]
    fn attributes_are_checked() {
        // facts/sns.md §§ 3, 10
        for (topic, name, right, wrong) in [
            ("t", "DisplayName", "my topic", "x".repeat(101).as_str()),
            ("t", "SignatureVersion", "2", "3"),
            ("t", "TracingConfig", "Active", "Passive"),
            ("t", "MaximumMessageSize", "1048576", "1048577"),
            ("t", "MaximumMessageSize", "1024", "1023"),
            ("t.fifo", "FifoThroughputScope", "MessageGroup", "Queue"),
            ("t.fifo", "ContentBasedDeduplication", "true", "yes"),
            (
                "t.fifo",
                "ArchivePolicy",
                r#"{"MessageRetentionPeriod":"365"}"#,
                r#"{"MessageRetentionPeriod":"366"}"#,
            ),
            ("t", "SQSSuccessFeedbackSampleRate", "100", "101"),
            ("t", "HTTPFailureFeedbackRoleArn", "arn:aws:iam::000000000000:role/r", "r"),
        ] {
            assert_eq!(try_set(topic, name, right), Ok(Some(right.to_owned())), "{name}");
            assert!(matches!(try_set(topic, name, wrong), Err(Fault::Value(_))), "{name}");
        }
        for (topic, name) in [
            ("t", "FifoThroughputScope"),
            ("t", "ArchivePolicy"),
            ("t", "ContentBasedDeduplication"),
            ("t.fifo", "TracingConfig"),
        ] {
            assert!(matches!(try_set(topic, name, "true"), Err(Fault::Value(_))), "{name}");
        }
        for name in ["FifoTopic", "Owner", "TopicArn", "SMSSuccessFeedbackRoleArn", "HTTPFeedback", ""] {
            assert_eq!(try_set("t", name, "true"), Err(Fault::Unknown), "{name}");
        }
    }

    #[test]
    fn a_policy_without_content_is_taken_away() {
        // facts/sns.md §§ 3, 10
        assert_eq!(try_set("t", "DeliveryPolicy", ""), Ok(None));
        assert_eq!(try_set("t", "DeliveryPolicy", "{}"), Ok(None));
        assert_eq!(try_set("t.fifo", "ArchivePolicy", "{}"), Ok(None));
        assert!(try_set("t.fifo", "ArchivePolicy", "").is_err());
    }
}
