//! Whether a queue's policy lets a topic send to it (facts/sns.md § 12).

use serde_json::Value;

/// Whether a policy allows `sqs:SendMessage` on the queue to the service `sns.amazonaws.com` on behalf of `source_arn`.
/// Without a policy nobody but the owner may. A condition that is not known here is not met.
pub fn topic_may_send(policy: Option<&str>, queue_arn: &str, source_arn: &str) -> bool {
    let Some(document) = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let mut allowed = false;
    for statement in one_or_many(document.get("Statement")) {
        let applies = is_for_topics(statement.get("Principal"))
            && one_or_many(statement.get("Action")).into_iter().filter_map(Value::as_str).any(is_sending)
            && is_among(statement.get("Resource"), queue_arn)
            && conditions_are_met(statement.get("Condition"), source_arn);
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") if applies => return false,
            Some("Allow") if applies => allowed = true,
            _ => {}
        }
    }
    allowed
}

fn one_or_many(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    }
}

fn is_for_topics(principal: Option<&Value>) -> bool {
    let is_anybody = |value: &Value| value.as_str() == Some("*");
    match principal {
        Some(Value::Object(by_kind)) => {
            one_or_many(by_kind.get("Service"))
                .iter()
                .any(|name| name.as_str() == Some("sns.amazonaws.com") || is_anybody(name))
                || one_or_many(by_kind.get("AWS")).into_iter().any(is_anybody)
        }
        Some(value) => is_anybody(value),
        None => false,
    }
}

fn is_sending(action: &str) -> bool {
    matches_pattern(&action.to_ascii_lowercase(), "sqs:sendmessage")
}

fn is_among(patterns: Option<&Value>, text: &str) -> bool {
    one_or_many(patterns)
        .iter()
        .filter_map(|pattern| pattern.as_str())
        .any(|pattern| matches_pattern(pattern, text))
}

fn conditions_are_met(condition: Option<&Value>, source_arn: &str) -> bool {
    let Some(condition) = condition else { return true };
    let Some(operators) = condition.as_object() else { return false };
    let account = source_arn.split(':').nth(4).unwrap_or_default();
    operators.iter().all(|(operator, keys)| {
        let Some(keys) = keys.as_object() else { return false };
        let is_exact = matches!(operator.as_str(), "StringEquals");
        let is_pattern = matches!(operator.as_str(), "ArnEquals" | "ArnLike" | "StringLike");
        keys.iter().all(|(key, wanted)| {
            let given = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" => source_arn,
                "aws:sourceaccount" | "aws:sourceowner" => account,
                _ => return false,
            };
            let exactly = || one_or_many(Some(wanted)).iter().any(|wanted| wanted.as_str() == Some(given));
            (is_exact && exactly()) || (is_pattern && is_among(Some(wanted), given))
        })
    })
}

/// `*` stands for any characters, `?` for one.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut here) = (0, 0);
    // Where the last star stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while here < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[here] => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                here = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
    const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:t";

    fn policy(effect: &str, principal: &str, condition: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"sqs:SendMessage","Resource":"{QUEUE}"{condition}}}]}}"#
        )
    }

    #[test]
    fn a_topic_may_send_if_the_policy_names_it_or_everybody() {
        let service = r#"{"Service":"sns.amazonaws.com"}"#;
        let arn_is = |arn: &str| format!(r#","Condition":{{"ArnEquals":{{"aws:SourceArn":"{arn}"}}}}"#);
        for (text, allowed) in [
            (policy("Allow", service, &arn_is(TOPIC)), true),
            (policy("Allow", service, &arn_is("arn:aws:sns:us-east-1:000000000000:*")), true),
            (policy("Allow", service, &arn_is("arn:aws:sns:us-east-1:000000000000:other")), false),
            (policy("Allow", service, ""), true),
            (policy("Allow", "\"*\"", &arn_is(TOPIC)), true),
            (policy("Allow", r#"{"AWS":"*"}"#, ""), true),
            (policy("Allow", r#"{"Service":"events.amazonaws.com"}"#, ""), false),
            (policy("Deny", service, ""), false),
            (policy("Allow", service, r#","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#), false),
        ] {
            assert_eq!(topic_may_send(Some(&text), QUEUE, TOPIC), allowed, "{text}");
        }
        assert!(!topic_may_send(None, QUEUE, TOPIC));
    }

    #[test]
    fn a_denial_outdoes_every_permission() {
        let text = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}},{{"Effect":"Deny","Principal":"*","Action":"SQS:SendMessage","Resource":"{QUEUE}"}}]}}"#
        );
        assert!(!topic_may_send(Some(&text), QUEUE, TOPIC));
    }
}
