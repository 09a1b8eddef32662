//! A topic's access policy: the default one, what is accepted as one, and how AddPermission and RemovePermission edit it.

use kernel::Refusal;
use resources::policy::document::{
    actions_of, add_statement, is_account, one_or_many, parse, permission, remove_statement, write,
};

use crate::{TopicKey, refusals};

/// The actions that a topic's policy can speak of (facts/sns.md § 3; `Receive` from AWS's documentation).
const ACTIONS: [&str; 9] = [
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
    "Receive",
];

/// The policy of a topic about which nobody has said anything (facts/sns.md § 3).
pub fn default_policy(topic: &TopicKey) -> String {
    let actions: Vec<String> = ACTIONS[..8].iter().map(|action| format!(r#""SNS:{action}""#)).collect();
    format!(
        r#"{{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{{"AWS":"*"}},"Action":[{}],"Resource":"{}","Condition":{{"StringEquals":{{"AWS:SourceOwner":"{}"}}}}}}]}}"#,
        actions.join(","),
        topic.arn(),
        topic.account
    )
}

/// Checks a document that is given as a topic's policy. The fault is what follows `Invalid parameter: `.
pub fn check(text: &str) -> Result<(), String> {
    let malformed = || "Policy Error: null".to_owned();
    let document = parse(text).ok_or_else(malformed)?;
    let statements = one_or_many(document.get("Statement"));
    if statements.is_empty() {
        return Err(malformed());
    }
    for statement in statements {
        for action in actions_of(statement).ok_or_else(malformed)? {
            let action = action.as_str().ok_or_else(malformed)?;
            let name = match action.split_once(':') {
                Some((service, name)) if service.eq_ignore_ascii_case("sns") => name,
                _ if action == "*" => action,
                _ => return Err(OUT_OF_SCOPE.to_owned()),
            };
            let is_pattern = name.contains(['*', '?']);
            if !is_pattern && !ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(OUT_OF_SCOPE.to_owned());
            }
        }
    }
    Ok(())
}

const OUT_OF_SCOPE: &str = "Policy statement action out of service scope!";

/// What AddPermission is to add: checked without the policy that it is added to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permission {
    /// The statement's `Sid`.
    pub label: String,
    /// Who.
    pub accounts: Vec<String>,
    /// What.
    pub actions: Vec<String>,
}

impl Permission {
    /// Checks the parts (facts/sns.md § 12).
    pub fn new(label: &str, accounts: &[&str], actions: &[&str]) -> Result<Self, Refusal> {
        for (parameter, is_empty) in [
            ("Label", label.is_empty()),
            ("AWSAccountId", accounts.is_empty()),
            ("ActionName", actions.is_empty()),
        ] {
            if is_empty {
                return Err(refusals::invalid(format_args!(
                    "{parameter} Reason: no value for required parameter"
                )));
            }
        }
        if !accounts.iter().all(|id| is_account(id)) {
            return Err(refusals::invalid("AWSAccountId"));
        }
        if !actions.iter().all(|action| *action == "*" || ACTIONS.contains(action)) {
            return Err(refusals::invalid(OUT_OF_SCOPE));
        }
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Ok(Permission { label: label.to_owned(), accounts: owned(accounts), actions: owned(actions) })
    }
}

/// A policy with one more statement (facts/sns.md § 12).
pub fn add(policy: &str, topic: &TopicKey, added: &Permission) -> Result<String, Refusal> {
    let mut document = parse(policy).ok_or_else(|| refusals::invalid("Policy Error: null"))?;
    let Permission { label, accounts, actions } = added;
    add_statement(&mut document, permission(label, accounts, "SNS", actions, &topic.region, &topic.arn()))
        .ok_or_else(|| refusals::invalid("Statement already exists"))?;
    Ok(write(document))
}

/// A policy without the statement of this label; none if it has no such statement.
pub fn remove(policy: &str, label: &str) -> Option<String> {
    let mut document = parse(policy)?;
    remove_statement(&mut document, label)?;
    Some(write(document))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn topic() -> TopicKey {
        TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: "t".into() }
    }

    #[test]
    fn the_default_policy_is_a_policy() {
        // facts/sns.md § 3
        let policy = default_policy(&topic());
        assert_eq!(check(&policy), Ok(()));
        let document: Value = serde_json::from_str(&policy).unwrap();
        assert_eq!(document["Id"], "__default_policy_ID");
        assert_eq!(document["Statement"][0]["Action"].as_array().unwrap().len(), 8);
        assert_eq!(document["Statement"][0]["Condition"]["StringEquals"]["AWS:SourceOwner"], "000000000000");
        assert_eq!(write(parse(&policy).unwrap()), policy);
    }

    #[test]
    fn permissions_come_and_go_by_their_labels() {
        // facts/sns.md § 12
        let permission = Permission::new("l", &["111111111111"], &["Publish"]).unwrap();
        let policy = add(&default_policy(&topic()), &topic(), &permission).unwrap();
        let added = r#"{"Sid":"l","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"SNS:Publish","Resource":"arn:aws:sns:us-east-1:000000000000:t"}]}"#;
        assert!(policy.ends_with(added), "{policy}");
        let refusal = add(&policy, &topic(), &permission).unwrap_err();
        assert_eq!(refusal.message, "Invalid parameter: Statement already exists");
        assert_eq!(remove(&policy, "l"), Some(default_policy(&topic())));
        assert_eq!(remove(&policy, "m"), None);
        let refusal = Permission::new("l", &["111111111111"], &["Fly"]).unwrap_err();
        assert_eq!(refusal.message, "Invalid parameter: Policy statement action out of service scope!");
    }

    #[test]
    fn a_policy_speaks_of_topics() {
        // facts/sns.md § 12
        let policy = |action: &str| {
            format!(
                r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"{action}","Resource":"*"}}}}"#
            )
        };
        for right in ["*", "SNS:Publish", "sns:publish", "sns:Get*"] {
            assert_eq!(check(&policy(right)), Ok(()), "{right}");
        }
        for wrong in ["sqs:SendMessage", "sns:Fly", "Publish"] {
            assert_eq!(check(&policy(wrong)), Err(OUT_OF_SCOPE.to_owned()), "{wrong}");
        }
        for malformed in ["", "[]", "{}", r#"{"Statement":[{}]}"#] {
            assert_eq!(check(malformed), Err("Policy Error: null".to_owned()), "{malformed}");
        }
    }
}
