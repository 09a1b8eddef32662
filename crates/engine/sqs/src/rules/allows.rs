//! Whether a queue's policy lets a topic send to it (facts/sns.md § 12).

use serde_json::Value;

/// Whether a policy allows `sqs:SendMessage` on the queue to the service `sns.amazonaws.com` on behalf of `source_arn`.
/// Without a policy nobody but the owner may. A condition with an operator that is not known here is not met.
pub fn topic_may_send(policy: Option<&str>, queue_arn: &str, source_arn: &str) -> bool {
    let Some(document) = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let mut allowed = false;
    for statement in one_or_many(document.get("Statement")) {
        let names = |element: &str, its_opposite: &str, is_named: &dyn Fn(&Value) -> bool| match statement
            .get(element)
        {
            Some(named) => is_named(named),
            None => statement.get(its_opposite).is_some_and(|named| !is_named(named)),
        };
        let applies = names("Principal", "NotPrincipal", &is_for_topics)
            && names("Action", "NotAction", &|actions| texts(actions).any(is_sending))
            && names("Resource", "NotResource", &|resources| is_among(resources, queue_arn))
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

fn texts(values: &Value) -> impl Iterator<Item = &str> {
    one_or_many(Some(values)).into_iter().filter_map(Value::as_str)
}

fn is_for_topics(principal: &Value) -> bool {
    match principal {
        Value::Object(by_kind) => {
            let of_kind = |kind: &str| by_kind.get(kind).into_iter().flat_map(texts);
            of_kind("Service").any(|name| name == "sns.amazonaws.com" || name == "*")
                || of_kind("AWS").any(|name| name == "*")
        }
        value => texts(value).any(|name| name == "*"),
    }
}

fn is_sending(action: &str) -> bool {
    matches_pattern(&action.to_ascii_lowercase(), "sqs:sendmessage")
}

fn is_among(patterns: &Value, text: &str) -> bool {
    texts(patterns).any(|pattern| matches_pattern(pattern, text))
}

fn conditions_are_met(condition: Option<&Value>, source_arn: &str) -> bool {
    let Some(condition) = condition else { return true };
    let Some(operators) = condition.as_object() else { return false };
    let account = source_arn.split(':').nth(4).unwrap_or_default();
    operators.iter().all(|(operator, keys)| {
        let Some(keys) = keys.as_object() else { return false };
        keys.iter().all(|(key, wanted)| {
            let given = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" => Some(source_arn),
                "aws:sourceaccount" | "aws:sourceowner" => Some(account),
                // As SNS's calls to SQS are.
                "aws:securetransport" | "aws:principalisawsservice" => Some("true"),
                "aws:principalservicename" => Some("sns.amazonaws.com"),
                _ => None,
            };
            is_met(operator, wanted, given)
        })
    })
}

/// Whether one key of a condition is as it is wanted (IAM's user guide: "condition operators"). All keys that are known here
/// have one value, so that any of them is all of them.
fn is_met(operator: &str, wanted: &Value, given: Option<&str>) -> bool {
    let wanted: Vec<String> = one_or_many(Some(wanted))
        .into_iter()
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    let (of_all, operator) = match operator.strip_prefix("ForAllValues:") {
        Some(operator) => (true, operator),
        None => (false, operator.strip_prefix("ForAnyValue:").unwrap_or(operator)),
    };
    if operator == "Null" {
        return wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case("true") == given.is_none());
    }
    let (if_exists, operator) = match operator.strip_suffix("IfExists") {
        Some(operator) => (true, operator),
        None => (false, operator),
    };
    let (is_denied, equal): (bool, fn(&str, &str) -> bool) = match operator {
        "StringEquals" => (false, |wanted, given| wanted == given),
        "StringNotEquals" => (true, |wanted, given| wanted == given),
        "StringEqualsIgnoreCase" | "Bool" => (false, str::eq_ignore_ascii_case),
        "StringNotEqualsIgnoreCase" => (true, str::eq_ignore_ascii_case),
        "StringLike" | "ArnEquals" | "ArnLike" => (false, matches_pattern),
        "StringNotLike" | "ArnNotEquals" | "ArnNotLike" => (true, matches_pattern),
        _ => return false,
    };
    match given {
        Some(given) => wanted.iter().any(|wanted| equal(wanted, given)) != is_denied,
        None => if_exists || of_all || is_denied,
    }
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
            (policy("Allow", service, r#","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#), true),
            (policy("Allow", service, r#","Condition":{"Bool":{"aws:SecureTransport":false}}"#), false),
        ] {
            assert_eq!(topic_may_send(Some(&text), QUEUE, TOPIC), allowed, "{text}");
        }
        assert!(!topic_may_send(None, QUEUE, TOPIC));
    }

    #[test]
    fn a_condition_is_met_as_its_operator_says() {
        for (condition, met) in [
            (r#""StringEquals":{"aws:SourceAccount":["111111111111","000000000000"]}"#, true),
            (r#""StringNotEquals":{"aws:SourceAccount":["111111111111","000000000000"]}"#, false),
            (r#""StringNotEquals":{"aws:SourceAccount":"111111111111"}"#, true),
            (r#""StringEqualsIgnoreCase":{"AWS:PrincipalServiceName":"SNS.amazonaws.com"}"#, true),
            (r#""ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:000000000000:*"}"#, false),
            (r#""ForAnyValue:ArnLike":{"aws:SourceArn":["arn:aws:sns:*:1:*","arn:aws:sns:*:*:t"]}"#, true),
            (r#""StringEquals":{"aws:SourceVpc":"vpc-1"}"#, false),
            (r#""StringNotEquals":{"aws:SourceVpc":"vpc-1"}"#, true),
            (r#""StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}"#, true),
            (r#""StringEqualsIfExists":{"aws:SourceAccount":"111111111111"}"#, false),
            (r#""ForAllValues:StringEquals":{"aws:SourceVpc":"vpc-1"}"#, true),
            (r#""ForAnyValue:StringEquals":{"aws:SourceVpc":"vpc-1"}"#, false),
            (r#""Null":{"aws:SourceVpc":"true","aws:SourceArn":"false"}"#, true),
            (r#""Null":{"aws:SourceArn":true}"#, false),
            (r#""IpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, false),
            (r#""ArnLike":{"aws:SourceArn":"*"},"StringEquals":{"aws:SourceAccount":"1"}"#, false),
        ] {
            let text = policy("Allow", "\"*\"", &format!(r#","Condition":{{{condition}}}"#));
            assert_eq!(topic_may_send(Some(&text), QUEUE, TOPIC), met, "{condition}");
        }
    }

    #[test]
    fn a_statement_may_say_what_it_is_not_about() {
        let allowed = policy("Allow", "\"*\"", "");
        for (text, may_send) in [
            (allowed.replace(r#""Action":"sqs:SendMessage""#, r#""NotAction":"sqs:DeleteQueue""#), true),
            (allowed.replace(r#""Action":"sqs:SendMessage""#, r#""NotAction":"sqs:Send*""#), false),
            (allowed.replace(r#""Resource":"#, r#""NotResource":"#), false),
            (allowed.replace(r#""Principal":"*""#, r#""NotPrincipal":{"AWS":"111111111111"}"#), true),
            (allowed.replace(r#""Principal":"*","#, ""), false),
        ] {
            assert_eq!(topic_may_send(Some(&text), QUEUE, TOPIC), may_send, "{text}");
        }
    }

    #[test]
    fn a_denial_outdoes_every_permission() {
        let text = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}},{{"Effect":"Deny","Principal":"*","Action":"SQS:SendMessage","Resource":"{QUEUE}"}}]}}"#
        );
        assert!(!topic_may_send(Some(&text), QUEUE, TOPIC));
    }
}
