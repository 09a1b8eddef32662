//! A bus's policy: what is accepted as one, how PutPermission and RemovePermission edit it, and whom it lets in.

use kernel::{Arn, Refusal};
use resources::policy::document::{actions_of, add_statement, one_or_many, parse, remove_statement, write};
use resources::policy::{Policy, Principal, Verdict};
use serde_json::{Map, Value, json};

use crate::{BusKey, limits, refusals};

/// The action that a bus's policy is asked for.
const PUT_EVENTS: &str = "events:PutEvents";

/// What PutPermission is to add: one statement, or a whole policy.
#[derive(Clone, PartialEq, Debug)]
pub enum Permission {
    /// A statement, with its label.
    Statement(String, Value),
    /// A policy in the place of the one that is there.
    Policy(Map<String, Value>),
}

/// A condition of PutPermission: type, key, value.
pub type Condition<'a> = (&'a str, &'a str, &'a str);

/// A statement that lets an account, or everybody, put events on a bus.
pub fn statement(
    bus: &BusKey,
    label: &str,
    principal: &str,
    action: &str,
    condition: Option<Condition<'_>>,
) -> Value {
    let principal = match principal {
        "*" => json!("*"),
        account => json!({ "AWS": format!("arn:{}:iam::{account}:root", Arn::partition_of(&bus.region)) }),
    };
    let mut statement = json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": bus.arn().to_string(),
    });
    if let Some((kind, key, value)) = condition {
        statement["Condition"] = json!({ kind: { key: value } });
    }
    statement
}

/// Checks a policy that is given whole.
pub fn whole(text: &str) -> Result<Permission, Refusal> {
    let malformed = || refusals::parameter("Policy", "The policy is not valid.");
    let document = parse(text).ok_or_else(malformed)?;
    let statements = one_or_many(document.get("Statement"));
    if statements.is_empty() || statements.iter().any(|statement| actions_of(statement).is_none()) {
        return Err(malformed());
    }
    Ok(Permission::Policy(document))
}

/// A policy with a permission added. A statement of the same label is replaced (facts/eventbridge.md § 2).
pub fn add(policy: Option<&str>, permission: &Permission) -> Result<String, Refusal> {
    let document = match permission {
        Permission::Policy(document) => document.clone(),
        Permission::Statement(label, statement) => {
            let mut document = policy.and_then(parse).unwrap_or_else(empty);
            remove_statement(&mut document, label);
            add_statement(&mut document, statement.clone());
            document
        }
    };
    let text = write(document);
    if text.len() > limits::POLICY_BYTES {
        let text = "The policy is longer than the maximum of 10240 characters.";
        return Err(Refusal::new("PolicyLengthExceededException", text));
    }
    Ok(text)
}

fn empty() -> Map<String, Value> {
    Map::from_iter([("Version".to_owned(), json!("2012-10-17"))])
}

/// A policy without the statement of a label; none if that was the last one (facts/eventbridge.md § 2).
pub fn remove(policy: Option<&str>, label: &str) -> Result<Option<String>, Refusal> {
    let mut document = policy.and_then(parse).unwrap_or_default();
    match remove_statement(&mut document, label) {
        None => Err(refusals::missing("Statement with the provided id does not exist.")),
        Some(0) => Ok(None),
        Some(_) => Ok(Some(write(document))),
    }
}

/// Whether an account, or a rule of one, may put events on a bus: its own may, others if its policy says so.
pub fn may_put(policy: Option<&Policy>, bus: &BusKey, account: &str, rule_arn: Option<&str>) -> bool {
    let root = format!("arn:{}:iam::{account}:root", Arn::partition_of(&bus.region));
    let arns = [root.as_str()];
    let who = Principal::Identity { account, arns: &arns };
    let source = rule_arn.unwrap_or_default();
    let source: &[&str] = &[source];
    let keys: &[(&str, &[&str])] = if rule_arn.is_some() { &[("aws:SourceArn", source)] } else { &[] };
    let resource = bus.arn().to_string();
    match policy.map_or(Verdict::NotMentioned, |policy| policy.evaluate(&who, PUT_EVENTS, &resource, keys)) {
        Verdict::Allowed => true,
        Verdict::Denied => false,
        Verdict::NotMentioned => account == bus.account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus() -> BusKey {
        BusKey { account: "000000000000".into(), region: "us-east-1".into(), name: "b".into() }
    }

    #[test]
    fn statements_come_and_go_by_their_labels() {
        // facts/eventbridge.md § 2
        let account = |label: &str, account: &str| {
            Permission::Statement(label.into(), statement(&bus(), label, account, PUT_EVENTS, None))
        };
        let one = add(None, &account("a", "111111111111")).unwrap();
        assert_eq!(
            one,
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"events:PutEvents","Resource":"arn:aws:events:us-east-1:000000000000:event-bus/b"}]}"#
        );
        let other = add(Some(&one), &account("a", "*")).unwrap();
        assert!(
            other.contains(r#""Principal":"*""#) && !other.contains("1111"),
            "the same label is replaced"
        );
        let two = add(Some(&one), &account("b", "222222222222")).unwrap();
        assert_eq!(remove(Some(&two), "b"), Ok(Some(one.clone())));
        assert_eq!(remove(Some(&one), "a"), Ok(None));
        for policy in [Some(&*one), None] {
            let refusal = remove(policy, "x").unwrap_err();
            assert_eq!(
                (refusal.shape, &*refusal.message),
                ("ResourceNotFoundException", "Statement with the provided id does not exist.")
            );
        }
        assert!(whole(&two).is_ok() && whole("{}").is_err() && whole("x").is_err());
        let long = Permission::Statement("c".into(), json!({ "Sid": "x".repeat(limits::POLICY_BYTES) }));
        assert_eq!(add(None, &long).unwrap_err().shape, "PolicyLengthExceededException");
    }

    #[test]
    fn other_accounts_put_events_if_the_policy_says_so() {
        let policy = |text: &str| Policy::compile(text);
        let open = add(
            None,
            &Permission::Statement("a".into(), statement(&bus(), "a", "111111111111", PUT_EVENTS, None)),
        );
        let open = policy(&open.unwrap());
        assert!(may_put(None, &bus(), "000000000000", None) && !may_put(None, &bus(), "111111111111", None));
        assert!(may_put(Some(&open), &bus(), "111111111111", None));
        assert!(!may_put(Some(&open), &bus(), "222222222222", None));
        let condition = Some(("ArnEquals", "aws:SourceArn", "arn:aws:events:us-east-1:222222222222:rule/r"));
        let of_rule = statement(&bus(), "a", "*", PUT_EVENTS, condition);
        let of_rule = policy(&add(None, &Permission::Statement("a".into(), of_rule)).unwrap());
        assert!(may_put(
            Some(&of_rule),
            &bus(),
            "222222222222",
            Some("arn:aws:events:us-east-1:222222222222:rule/r")
        ));
        assert!(!may_put(Some(&of_rule), &bus(), "222222222222", None));
    }
}
