//! The attributes of a subscription: which can be set, to what, and what that does to the others.

use std::collections::BTreeMap;

use kernel::{Arn, iso8601};
use notification::Protocol;
use serde_json::Value;

use crate::TopicKey;
use crate::rules::delivery_policy::{DeliveryPolicy, Level};
use crate::rules::{document, filter_policy};

/// Whose attributes they are.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// To which topic.
    pub topic: &'a TopicKey,
    /// Whether the topic keeps what was published.
    pub archived: bool,
    /// How messages get there.
    pub protocol: Protocol,
    /// Where to.
    pub endpoint: &'a str,
    /// The account that owns the subscription.
    pub owner: &'a str,
}

/// The scope of a filter policy about which nobody has said anything.
pub const DEFAULT_SCOPE: &str = "MessageAttributes";

/// `attributes` with one more that was set, as it is to be remembered. Nothing or an empty text takes an attribute away,
/// where there can be none.
///
/// The fault is what follows `Invalid parameter: ` in SetSubscriptionAttributes and `Invalid parameter: Attributes Reason: `
/// in Subscribe (facts/sns.md § 4).
pub fn set(
    attributes: &mut BTreeMap<String, String>,
    name: &str,
    value: Option<&str>,
    whose: &Whose<'_>,
) -> Result<(), String> {
    let given = value.unwrap_or_default();
    let value = match name {
        "RawMessageDelivery" => raw(given, whose)?,
        "FilterPolicy" => Some(given).filter(|policy| !policy.is_empty()).map(str::to_owned),
        "FilterPolicyScope" => Some(scope(given)?),
        "RedrivePolicy" => redrive(given, whose)?,
        "DeliveryPolicy" => delivery(given, whose)?,
        "SubscriptionRoleArn" => Some(role(given)?),
        "ReplayPolicy" => replay(given, whose)?,
        _ => return Err("AttributeName".to_owned()),
    };
    match value {
        Some(value) => attributes.insert(name.to_owned(), value),
        None => attributes.remove(name),
    };
    match name {
        "FilterPolicy" | "FilterPolicyScope" => check_filter(attributes),
        "ReplayPolicy" => {
            // A replay that was set replaces the one before.
            match attributes.contains_key("ReplayPolicy") {
                true => attributes.insert("ReplayStatus".to_owned(), "Pending".to_owned()),
                false => attributes.remove("ReplayStatus"),
            };
            Ok(())
        }
        _ => Ok(()),
    }
}

/// All attributes that Subscribe was given, as they are to be remembered.
pub fn of_new(
    given: &BTreeMap<String, String>,
    whose: &Whose<'_>,
) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    // The scope comes first, so that a policy is judged by it.
    let scope_first = given.iter().filter(|(name, _)| *name == "FilterPolicyScope");
    let others = given.iter().filter(|(name, _)| *name != "FilterPolicyScope");
    for (name, value) in scope_first.chain(others) {
        set(&mut attributes, name, Some(value), whose)?;
    }
    if whose.protocol == Protocol::Firehose && !attributes.contains_key("SubscriptionRoleArn") {
        // That it is required is documented; in which words AWS says so is not known.
        return Err("SubscriptionRoleArn: required for the protocol firehose".to_owned());
    }
    Ok(attributes)
}

/// Whether an attribute that is given again says what is in force: documents are compared as documents.
pub fn says_the_same(attributes: &BTreeMap<String, String>, name: &str, given: &str) -> bool {
    let in_force = match (attributes.get(name).map(String::as_str), name) {
        (None, "RawMessageDelivery") => "false",
        (None, "FilterPolicyScope") => DEFAULT_SCOPE,
        (in_force, _) => in_force.unwrap_or_default(),
    };
    if in_force == given || (name == "RawMessageDelivery" && in_force.eq_ignore_ascii_case(given)) {
        return true;
    }
    if name == "DeliveryPolicy" {
        let read = |text: &str| DeliveryPolicy::parse(text, Level::Subscription).ok();
        return read(in_force).is_some_and(|policy| read(given) == Some(policy));
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    name.ends_with("Policy") && read(in_force).is_some_and(|document| read(given) == Some(document))
}

/// Where there is no raw delivery it can still be said that there is to be none.
fn raw(given: &str, whose: &Whose<'_>) -> Result<Option<String>, String> {
    let value = given.to_ascii_lowercase();
    if !matches!(value.as_str(), "true" | "false") {
        return Err(format!("RawMessageDelivery: Invalid value [{given}]. Must be true or false."));
    }
    match whose.protocol {
        Protocol::Sqs | Protocol::Http | Protocol::Https | Protocol::Firehose => Ok(Some(value)),
        _ if value == "false" => Ok(None),
        other => Err(format!("Delivery protocol [{}] does not support raw message delivery.", other.name())),
    }
}

fn scope(given: &str) -> Result<String, String> {
    match given {
        "MessageAttributes" | "MessageBody" => Ok(given.to_owned()),
        _ => Err(format!(
            "FilterPolicyScope: Invalid value [{given}]. Please use either MessageBody or MessageAttributes"
        )),
    }
}

fn check_filter(attributes: &BTreeMap<String, String>) -> Result<(), String> {
    let Some(policy) = attributes.get("FilterPolicy") else { return Ok(()) };
    filter_policy::check(policy, attributes.get("FilterPolicyScope").map_or(DEFAULT_SCOPE, String::as_str))
}

fn redrive(given: &str, whose: &Whose<'_>) -> Result<Option<String>, String> {
    if given.is_empty() {
        return Ok(None);
    }
    let fault = |what: &str| format!("RedrivePolicy: {what}");
    let policy = document(given).map_err(|text| fault(&text))?;
    let members = policy.as_object().ok_or_else(|| fault("invalid JSON. It must be an object."))?;
    if members.is_empty() {
        return Ok(None);
    }
    if let Some(unknown) = members.keys().find(|name| *name != "deadLetterTargetArn") {
        return Err(fault(&format!("invalid JSON. Attribute {unknown} is unknown.")));
    }
    let target = policy["deadLetterTargetArn"].as_str().and_then(|arn| arn.parse::<Arn>().ok());
    let Some(target) = target.filter(|arn| arn.service == "sqs") else {
        return Err(fault("deadLetterTargetArn is an invalid arn"));
    };
    if whose.topic.is_fifo() && whose.endpoint.ends_with(".fifo") && !target.resource.ends_with(".fifo") {
        return Err(fault("must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."));
    }
    if target.account != whose.owner || target.region != whose.topic.region {
        // That they must be the same is documented; in which words AWS says so is not known.
        return Err(fault("deadLetterTargetArn must be of the subscription's account and region"));
    }
    Ok(Some(given.to_owned()))
}

fn delivery(given: &str, whose: &Whose<'_>) -> Result<Option<String>, String> {
    if given.is_empty() {
        return Ok(None);
    }
    if !matches!(whose.protocol, Protocol::Http | Protocol::Https) {
        // Modelled on what AWS says about raw delivery.
        let name = whose.protocol.name();
        return Err(format!("Delivery protocol [{name}] does not support a delivery policy."));
    }
    let policy = DeliveryPolicy::parse(given, Level::Subscription);
    let policy = policy.map_err(|fault| format!("DeliveryPolicy: {fault}"))?;
    Ok((policy != DeliveryPolicy::default()).then(|| policy.show_subscription()))
}

fn role(given: &str) -> Result<String, String> {
    let is_role =
        given.parse::<Arn>().is_ok_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"));
    if is_role { Ok(given.to_owned()) } else { Err("SubscriptionRoleArn: invalid role arn".to_owned()) }
}

/// facts/sns.md § 10. AWS's own words are not known.
fn replay(given: &str, whose: &Whose<'_>) -> Result<Option<String>, String> {
    let fault = |what: &str| format!("ReplayPolicy: {what}");
    if given.is_empty() {
        return Ok(None);
    }
    let policy = document(given).map_err(|text| fault(&text))?;
    let members = policy.as_object().ok_or_else(|| fault("invalid JSON. It must be an object."))?;
    if members.is_empty() {
        return Ok(None);
    }
    if !whose.archived {
        return Err(fault("the topic has no archive policy"));
    }
    let known = |name: &&String| !matches!(name.as_str(), "PointType" | "StartingPoint" | "EndingPoint");
    if let Some(unknown) = members.keys().find(known) {
        return Err(fault(&format!("invalid JSON. Attribute {unknown} is unknown.")));
    }
    if policy["PointType"] != "Timestamp" {
        return Err(fault("PointType must be Timestamp"));
    }
    let moment = |name: &str| policy[name].as_str().and_then(iso8601::read);
    let Some(start) = moment("StartingPoint") else {
        return Err(fault("StartingPoint must be a timestamp such as 2024-01-01T00:00:00.000Z"));
    };
    if members.contains_key("EndingPoint") {
        match moment("EndingPoint") {
            None => return Err(fault("EndingPoint must be a timestamp such as 2024-01-01T00:00:00.000Z")),
            Some(end) if end < start => return Err(fault("EndingPoint must not be before StartingPoint")),
            Some(_) => {}
        }
    }
    Ok(Some(given.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicKey {
        TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
    }

    fn try_set(whose: &Whose<'_>, name: &str, value: &str) -> Result<Option<String>, String> {
        let mut attributes = BTreeMap::new();
        set(&mut attributes, name, Some(value), whose)?;
        Ok(attributes.remove(name))
    }

    #[test]
    fn attributes_are_checked_in_awss_words() {
        // facts/sns.md § 4
        let (standard, fifo) = (topic("t"), topic("t.fifo"));
        let whose = |topic, protocol, endpoint| Whose {
            topic,
            archived: false,
            protocol,
            endpoint,
            owner: "000000000000",
        };
        let queue = whose(&standard, Protocol::Sqs, "arn:aws:sqs:us-east-1:000000000000:q");
        let lambda = whose(&standard, Protocol::Lambda, "arn:aws:lambda:us-east-1:000000000000:function:f");
        let fifo_queue = whose(&fifo, Protocol::Sqs, "arn:aws:sqs:us-east-1:000000000000:q.fifo");
        let standard_queue_of_fifo = whose(&fifo, Protocol::Sqs, "arn:aws:sqs:us-east-1:000000000000:q");
        let dlq = r#"{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:d"}"#;
        for (whose, name, value, fault) in [
            (&queue, "Colour", "red", "AttributeName"),
            (
                &queue,
                "RawMessageDelivery",
                "x",
                "RawMessageDelivery: Invalid value [x]. Must be true or false.",
            ),
            (
                &queue,
                "RawMessageDelivery",
                "",
                "RawMessageDelivery: Invalid value []. Must be true or false.",
            ),
            (
                &lambda,
                "RawMessageDelivery",
                "true",
                "Delivery protocol [lambda] does not support raw message delivery.",
            ),
            (
                &queue,
                "FilterPolicyScope",
                "X",
                "FilterPolicyScope: Invalid value [X]. Please use either MessageBody or MessageAttributes",
            ),
            (
                &queue,
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"x"}"#,
                "RedrivePolicy: deadLetterTargetArn is an invalid arn",
            ),
            (
                &queue,
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":5}"#,
                "RedrivePolicy: invalid JSON. Attribute maxReceiveCount is unknown.",
            ),
            (
                &fifo_queue,
                "RedrivePolicy",
                dlq,
                "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.",
            ),
        ] {
            assert_eq!(try_set(whose, name, value), Err(fault.to_owned()), "{name} {value}");
        }
        assert_eq!(try_set(&standard_queue_of_fifo, "RedrivePolicy", dlq), Ok(Some(dlq.to_owned())));
        assert_eq!(try_set(&queue, "RedrivePolicy", "{}"), Ok(None));
        assert_eq!(try_set(&queue, "RawMessageDelivery", "True"), Ok(Some("true".to_owned())));
        // Recorded in October 2025, of both policies.
        for name in ["RedrivePolicy", "FilterPolicy"] {
            for (given, fault) in [
                (
                    "{invalidjson}",
                    "Unexpected character ('i' (code 105)): was expecting double-quote to start field name\n at [Source: \
                     REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]",
                ),
                (
                    "invalid",
                    "Unrecognized token 'invalid': was expecting (JSON String, Number, Array, Object or token 'null', 'true' \
                     or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, \
                     column: 8]",
                ),
            ] {
                let fault = format!("{name}: failed to parse JSON. {fault}");
                assert_eq!(try_set(&queue, name, given), Err(fault));
            }
        }
        let unended = "RedrivePolicy: failed to parse JSON. Unexpected end-of-input: expected close marker for Object (start \
                       marker at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, \
                       column: 1])\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: \
                       1, column: 2]";
        assert_eq!(try_set(&queue, "RedrivePolicy", "{"), Err(unended.to_owned()));
    }

    #[test]
    fn a_replay_needs_an_archive_and_begins_anew_when_it_is_set() {
        // facts/sns.md § 10
        let fifo = topic("t.fifo");
        let endpoint = "arn:aws:sqs:us-east-1:000000000000:q.fifo";
        let mut whose =
            Whose { topic: &fifo, archived: false, protocol: Protocol::Sqs, endpoint, owner: "000000000000" };
        let policy = r#"{"PointType":"Timestamp","StartingPoint":"2024-01-01T00:00:00.000Z"}"#;
        assert!(try_set(&whose, "ReplayPolicy", policy).is_err());
        whose.archived = true;
        let mut attributes = BTreeMap::from([("ReplayStatus".to_owned(), "Completed".to_owned())]);
        set(&mut attributes, "ReplayPolicy", Some(policy), &whose).unwrap();
        assert_eq!(attributes["ReplayStatus"], "Pending");
        for wrong in [
            r#"{"PointType":"Sequence","StartingPoint":"2024-01-01T00:00:00.000Z"}"#,
            r#"{"PointType":"Timestamp","StartingPoint":"yesterday"}"#,
            r#"{"PointType":"Timestamp","StartingPoint":"2024-01-02T00:00:00Z","EndingPoint":"2024-01-01T00:00:00Z"}"#,
            r#"{"PointType":"Timestamp","StartingPoint":"2024-01-02T00:00:00Z","Speed":"2"}"#,
        ] {
            assert!(try_set(&whose, "ReplayPolicy", wrong).is_err(), "{wrong}");
        }
        set(&mut attributes, "ReplayPolicy", Some("{}"), &whose).unwrap();
        assert_eq!(attributes, BTreeMap::new());
    }

    #[test]
    fn what_is_in_force_by_default_is_the_same_as_the_default() {
        let mut attributes = BTreeMap::new();
        assert!(says_the_same(&attributes, "RawMessageDelivery", "false"));
        assert!(says_the_same(&attributes, "FilterPolicyScope", "MessageAttributes"));
        assert!(!says_the_same(&attributes, "FilterPolicy", "{}"));
        attributes.insert("FilterPolicy".to_owned(), r#"{"a":["b"]}"#.to_owned());
        assert!(says_the_same(&attributes, "FilterPolicy", r#"{ "a": ["b"] }"#));
        assert!(!says_the_same(&attributes, "FilterPolicy", r#"{ "a": ["c"] }"#));
    }
}
