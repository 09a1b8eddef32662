//! Redrive policies, and who may name a queue in one: texts in, values out.

use kernel::{Arn, Refusal};
use serde_json::Value;

use super::attributes::{Attribute, invalid};
use super::settings::{RedriveAllowPolicy, RedrivePermission, RedrivePolicy};
use crate::{limits, refusals};

/// Reads a redrive policy; whether its target exists is not known here (facts/sqs.md § 8).
pub fn policy(text: &str, fifo: bool) -> Result<RedrivePolicy, Refusal> {
    let wrong = |reason: &str| refusals::value_invalid(text, "RedrivePolicy", reason);
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        return Err(invalid(Attribute::RedrivePolicy, Some("Redrive policy is not a valid JSON map.")));
    };
    let mandatory = |name: &str| {
        let missing = || wrong(&format!("Redrive policy does not contain mandatory attribute: {name}."));
        members.get(name).ok_or_else(missing)
    };
    let count = mandatory("maxReceiveCount")?;
    let target = mandatory("deadLetterTargetArn")?;
    if members.len() > 2 {
        return Err(wrong(
            "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
        ));
    }
    // As a number or as a text.
    let count = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
    let Some(max_receives) = count.parse().ok().filter(|count| (1..=1_000).contains(count)) else {
        return Err(wrong(&format!(
            "Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."
        )));
    };
    let Some(target) = target.as_str().and_then(|target| target.parse::<Arn>().ok()) else {
        return Err(wrong("Invalid value for deadLetterTargetArn."));
    };
    if target.service != "sqs" {
        return Err(wrong("Only SQS queues are valid resources for deadLetterTargetArn."));
    }
    if target.resource.ends_with(".fifo") != fifo {
        // With two full stops, as AWS has it.
        return Err(wrong("Dead-letter queue must be same type of queue as the source.."));
    }
    Ok(RedrivePolicy { target, max_receives, text: text.to_owned() })
}

/// Reads a redrive allow policy (facts/sqs.md § 3).
pub fn allow_policy(text: &str) -> Result<RedriveAllowPolicy, Refusal> {
    let malformed = || {
        invalid(
            Attribute::RedriveAllowPolicy,
            Some(
                "Amazon SQS can't create the redrive allow policy, as it\u{2019}s in an unsupported format.",
            ),
        )
    };
    let wrong = |reason: &str| {
        let reason = format!("Amazon SQS can't create the redrive allow policy. {reason}");
        refusals::value_invalid(text, "RedriveAllowPolicy", &reason)
    };
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return Err(malformed()) };
    if members.keys().any(|name| !matches!(name.as_str(), "redrivePermission" | "sourceQueueArns")) {
        return Err(malformed());
    }
    let sources = match members.get("sourceQueueArns") {
        None => None,
        Some(Value::Array(arns)) => {
            let arns = arns.iter().map(|arn| arn.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
            Some(arns.ok_or_else(malformed)?)
        }
        Some(_) => return Err(malformed()),
    };
    let permission = match (members.get("redrivePermission").and_then(Value::as_str), sources) {
        (Some("allowAll"), None) => RedrivePermission::AllowAll,
        (Some("denyAll"), None) => RedrivePermission::DenyAll,
        (Some("allowAll" | "denyAll"), Some(_)) => {
            return Err(wrong(
                "To specify one or more source queue ARNs, you must set redrivePermission to byQueue.",
            ));
        }
        (Some("byQueue"), Some(arns)) if arns.len() > limits::REDRIVE_SOURCES => {
            return Err(wrong("The maximum number of source queue ARNs you can specify is 10."));
        }
        (Some("byQueue"), Some(arns)) if !arns.is_empty() => RedrivePermission::ByQueue(arns),
        (Some("byQueue"), _) => {
            return Err(wrong(
                "When you specify the byQueue permission type, you must also specify one or more \
                 sourceQueueArns values.",
            ));
        }
        _ => return Err(malformed()),
    };
    Ok(RedriveAllowPolicy { permission, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::attributes::{Change, parse};
    use super::*;

    fn changes(attribute: &str, text: &str) -> Result<Vec<Change>, Refusal> {
        parse([(attribute, text)], false)
    }

    fn refusal(attribute: &str, text: &str) -> (&'static str, String) {
        let refusal = changes(attribute, text).expect_err(text);
        (refusal.shape, refusal.message.into_owned())
    }

    #[test]
    fn a_redrive_policy_takes_its_count_as_a_number_or_a_text_and_shows_it_as_a_number() {
        // facts/sqs.md §§ 3, 8
        for text in [
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":5}"#,
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":"5"}"#,
            r#"{"maxReceiveCount": "5", "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:d"}"#,
        ] {
            let changes = changes("RedrivePolicy", text).unwrap();
            let [Change::RedrivePolicy(Some(policy))] = changes.as_slice() else { panic!("{changes:?}") };
            assert_eq!(policy.max_receives, 5);
            assert_eq!(policy.target.resource, "d");
            assert_eq!(
                policy.shown(),
                r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":5}"#
            );
        }
        assert_eq!(changes("RedrivePolicy", ""), Ok(vec![Change::RedrivePolicy(None)]));
    }

    #[test]
    fn redrive_policies_are_refused_in_the_words_of_aws() {
        // facts/sqs.md § 8
        for (text, reason) in [
            ("{}", "Redrive policy does not contain mandatory attribute: maxReceiveCount."),
            (
                r#"{"MaxReceiveCount":"4","DeadLetterTargetArn":"x"}"#,
                "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
            ),
            (
                r#"{"maxReceiveCount":4}"#,
                "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
            ),
            (
                r#"{"maxReceiveCount":4,"deadLetterTargetArn":"x","x":1}"#,
                "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
            ),
            (
                r#"{"maxReceiveCount":0,"deadLetterTargetArn":"x"}"#,
                "Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000 both inclusive.",
            ),
            (
                r#"{"maxReceiveCount":"1001","deadLetterTargetArn":"x"}"#,
                "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
            ),
            (
                r#"{"maxReceiveCount":1.5,"deadLetterTargetArn":"x"}"#,
                "Invalid value for maxReceiveCount: 1.5, valid values are from 1 to 1000 both inclusive.",
            ),
            (
                r#"{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}"#,
                "Invalid value for deadLetterTargetArn.",
            ),
            (
                r#"{"deadLetterTargetArn": 7, "maxReceiveCount": 42}"#,
                "Invalid value for deadLetterTargetArn.",
            ),
            (
                r#"{"deadLetterTargetArn":"arn:aws:sns:us-east-1:000000000000:t","maxReceiveCount":4}"#,
                "Only SQS queues are valid resources for deadLetterTargetArn.",
            ),
            (
                r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d.fifo","maxReceiveCount":4}"#,
                "Dead-letter queue must be same type of queue as the source..",
            ),
        ] {
            let message = format!("Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}");
            assert_eq!(refusal("RedrivePolicy", text), ("InvalidParameterValueException", message));
        }
        for text in [" ", "4", "[]", "{"] {
            assert_eq!(
                refusal("RedrivePolicy", text),
                (
                    "InvalidAttributeValue",
                    "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid \
                     JSON map."
                        .to_owned()
                )
            );
        }
    }

    #[test]
    fn a_redrive_allow_policy_says_all_none_or_which() {
        // facts/sqs.md § 3
        for (text, permission) in [
            (r#"{"redrivePermission":"allowAll"}"#, RedrivePermission::AllowAll),
            (r#"{"redrivePermission":"denyAll"}"#, RedrivePermission::DenyAll),
            (
                r#"{"redrivePermission":"byQueue","sourceQueueArns":["a","b"]}"#,
                RedrivePermission::ByQueue(vec!["a".to_owned(), "b".to_owned()]),
            ),
        ] {
            let policy = RedriveAllowPolicy { permission, text: text.to_owned() };
            assert_eq!(
                changes("RedriveAllowPolicy", text),
                Ok(vec![Change::RedriveAllowPolicy(Some(policy))])
            );
        }
        assert_eq!(changes("RedriveAllowPolicy", ""), Ok(vec![Change::RedriveAllowPolicy(None)]));
        let eleven = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":{:?}}}"#, ["a"; 11]);
        for (text, reason) in [
            (eleven.as_str(), "The maximum number of source queue ARNs you can specify is 10."),
            (
                r#"{"redrivePermission":"byQueue"}"#,
                "When you specify the byQueue permission type, you must also specify one or more \
                 sourceQueueArns values.",
            ),
            (
                r#"{"redrivePermission":"byQueue","sourceQueueArns":[]}"#,
                "When you specify the byQueue permission type, you must also specify one or more \
                 sourceQueueArns values.",
            ),
            (
                r#"{"redrivePermission":"denyAll","sourceQueueArns":["a"]}"#,
                "To specify one or more source queue ARNs, you must set redrivePermission to byQueue.",
            ),
        ] {
            let message = format!(
                "Value {text} for parameter RedriveAllowPolicy is invalid. Reason: Amazon SQS can't create the \
                 redrive allow policy. {reason}"
            );
            assert_eq!(refusal("RedriveAllowPolicy", text), ("InvalidParameterValueException", message));
        }
        for text in [
            "x",
            "[]",
            "{}",
            r#"{"redrivePermission":"some"}"#,
            r#"{"redrivePermission":"allowAll","x":1}"#,
            r#"{"redrivePermission":"byQueue","sourceQueueArns":"a"}"#,
            r#"{"redrivePermission":"byQueue","sourceQueueArns":[1]}"#,
        ] {
            assert_eq!(refusal("RedriveAllowPolicy", text).0, "InvalidAttributeValue", "{text}");
        }
    }
}
