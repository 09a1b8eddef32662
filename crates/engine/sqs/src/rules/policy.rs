//! Access policies as documents: what SQS accepts as one, and how AddPermission and RemovePermission edit it.

use kernel::Refusal;
use resources::policy::document::{
    actions_of, add_statement, is_account, one_or_many, permission, remove_statement, write,
};
use serde_json::{Map, Value, json};

use crate::limits::{POLICY_BYTES, POLICY_STATEMENTS, STATEMENT_ACTIONS};
use crate::{QueueKey, refusals};

/// Actions that can be granted to others (facts/sqs.md § 9). The batch operations have no action of their
/// own.
const GRANTABLE: [&str; 8] = [
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
];

/// Actions that only the queue's owner is allowed (facts/sqs.md § 9).
const OWNERS: [&str; 12] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// Checks a document that is given as a queue's policy.
///
/// AWS also looks up the principals; there is nothing here to look them up in.
pub fn check(text: &str) -> Result<(), Refusal> {
    if text.len() > POLICY_BYTES {
        return Err(too_long());
    }
    let document: Value = serde_json::from_str(text).map_err(|_| malformed())?;
    let document = document.as_object().ok_or_else(malformed)?;
    let versions = ["2008-10-17", "2012-10-17"];
    if document
        .get("Version")
        .is_some_and(|version| !version.as_str().is_some_and(|version| versions.contains(&version)))
    {
        return Err(malformed());
    }
    let statements = one_or_many(document.get("Statement"));
    if statements.is_empty() {
        return Err(malformed());
    }
    check_count(statements.len())?;
    statements.iter().try_for_each(check_statement)
}

fn check_statement(statement: &Value) -> Result<(), Refusal> {
    let actions = actions_of(statement).ok_or_else(malformed)?;
    if actions.len() > STATEMENT_ACTIONS {
        return Err(over_limit(format!(
            "{} actions were found in a statement from the submitted policy, max allowed is {STATEMENT_ACTIONS}",
            actions.len()
        )));
    }
    actions.iter().try_for_each(|action| check_action(action.as_str().ok_or_else(malformed)?))
}

/// Actions are written with the service's prefix and compared without regard to case, as everywhere in
/// policies.
fn check_action(action: &str) -> Result<(), Refusal> {
    if action == "*" {
        return Ok(());
    }
    let (service, name) = action.split_once(':').ok_or_else(malformed)?;
    if !service.eq_ignore_ascii_case("sqs") {
        return Err(malformed());
    }
    let is_pattern = name.contains(['*', '?']);
    let is_known = || GRANTABLE.iter().chain(&OWNERS).any(|known| known.eq_ignore_ascii_case(name));
    if is_pattern || is_known() { Ok(()) } else { Err(action_unknown(action)) }
}

/// What AddPermission is to add: checked without the policy that it is added to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permission {
    label: String,
    accounts: Vec<String>,
    actions: Vec<String>,
}

impl Permission {
    /// Checks the parts. Of several accounts AWS grants to those that it knows and passes over the others;
    /// here an account is known if it has the form of one.
    pub fn new(label: Option<&str>, accounts: Option<&[&str]>, actions: &[&str]) -> Result<Self, Refusal> {
        let label = check_label(label)?;
        if actions.is_empty() {
            return Err(refusals::parameter_missing("Actions"));
        }
        let given = accounts.ok_or_else(|| refusals::parameter_missing("PrincipalId"))?;
        let accounts: Vec<String> =
            given.iter().filter(|id| is_account(id)).map(|&id| id.to_owned()).collect();
        if accounts.is_empty() {
            let given = given.join(", ");
            return Err(refusals::value_invalid(
                format_args!("[{given}]"),
                "PrincipalId",
                "Unable to verify.",
            ));
        }
        if actions.len() > STATEMENT_ACTIONS {
            return Err(over_limit(format!(
                "{} Actions were found, maximum allowed is {STATEMENT_ACTIONS}.",
                actions.len()
            )));
        }
        for &action in actions {
            if OWNERS.contains(&action) {
                return Err(refusals::value_invalid(
                    format_args!("SQS:{action}"),
                    "ActionName",
                    "Only the queue owner is allowed to invoke this action.",
                ));
            }
            if action != "*" && !GRANTABLE.contains(&action) {
                return Err(action_unknown(&format!("SQS:{action}")));
            }
        }
        Ok(Permission { label, accounts, actions: actions.iter().map(|&action| action.to_owned()).collect() })
    }

    fn statement(&self, queue: &QueueKey) -> Value {
        permission(&self.label, &self.accounts, "SQS", &self.actions, &queue.region, &queue.arn())
    }
}

/// A permission's label, which becomes its statement's `Sid`.
pub fn check_label(label: Option<&str>) -> Result<String, Refusal> {
    let label =
        label.filter(|label| !label.is_empty()).ok_or_else(|| refusals::parameter_missing("Label"))?;
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if label.len() > 80 || !label.bytes().all(is_legal) {
        return Err(refusals::value_invalid(
            label,
            "Label",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.",
        ));
    }
    Ok(label.to_owned())
}

/// The queue's policy with one more statement (facts/sqs.md § 9).
pub fn add(policy: Option<&str>, queue: &QueueKey, permission: &Permission) -> Result<String, Refusal> {
    let mut document = match policy {
        Some(policy) => parse(policy)?,
        None => Map::from_iter([
            ("Version".to_owned(), json!("2008-10-17")),
            ("Id".to_owned(), json!(format!("{}/SQSDefaultPolicy", queue.arn()))),
        ]),
    };
    let count = add_statement(&mut document, permission.statement(queue))
        .ok_or_else(|| refusals::value_invalid(&permission.label, "Label", "Already exists."))?;
    check_count(count)?;
    let text = write(document);
    if text.len() > POLICY_BYTES { Err(too_long()) } else { Ok(text) }
}

/// The queue's policy without the statement of this label; nothing, if that was the last (facts/sqs.md § 9).
pub fn remove(policy: Option<&str>, label: &str) -> Result<Option<String>, Refusal> {
    let missing = || refusals::value_invalid(label, "Label", "can't find label.");
    let mut document = parse(policy.ok_or_else(missing)?)?;
    let left = remove_statement(&mut document, label).ok_or_else(missing)?;
    Ok((left > 0).then(|| write(document)))
}

fn parse(policy: &str) -> Result<Map<String, Value>, Refusal> {
    resources::policy::document::parse(policy).ok_or_else(malformed)
}

fn check_count(statements: usize) -> Result<(), Refusal> {
    if statements <= POLICY_STATEMENTS {
        return Ok(());
    }
    Err(over_limit(format!(
        "{statements} statements were found in the submitted policy, max allowed is {POLICY_STATEMENTS}"
    )))
}

fn malformed() -> Refusal {
    Refusal::new("InvalidAttributeValue", "Invalid value for the parameter Policy.")
}

fn too_long() -> Refusal {
    over_limit("Submitted policy is over max allowed size.".to_owned())
}

fn over_limit(message: String) -> Refusal {
    Refusal::new("OverLimit", message)
}

fn action_unknown(action: &str) -> Refusal {
    refusals::value_invalid(
        action,
        "ActionName",
        "Please refer to the appropriate WSDL for a list of valid actions.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> QueueKey {
        QueueKey { account: "000000000000".to_owned(), region: "us-east-1".to_owned(), name: "q".to_owned() }
    }

    fn permission(label: &str, accounts: &[&str], actions: &[&str]) -> Permission {
        Permission::new(Some(label), Some(accounts), actions).unwrap()
    }

    fn statement(action: &str) -> Value {
        json!({ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*" })
    }

    #[test]
    fn a_first_permission_makes_the_document_that_aws_makes() {
        // facts/sqs.md § 9
        let policy = add(None, &queue(), &permission("a", &["111111111111"], &["ReceiveMessage"])).unwrap();
        let (arn, root) = ("arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:iam::111111111111:root");
        assert_eq!(
            policy,
            format!(
                r#"{{"Version":"2008-10-17","Id":"{arn}/SQSDefaultPolicy","Statement":[{{"Sid":"a","Effect":"Allow",{}}}]}}"#,
                format_args!(
                    r#""Principal":{{"AWS":"{root}"}},"Action":"SQS:ReceiveMessage","Resource":"{arn}""#
                )
            )
        );
        assert_eq!(check(&policy), Ok(()));
    }

    #[test]
    fn several_accounts_and_actions_become_lists() {
        // facts/sqs.md § 9
        let both = permission("a", &["111111111111", "222222222222"], &["SendMessage", "*"]);
        let policy: Value = serde_json::from_str(&add(None, &queue(), &both).unwrap()).unwrap();
        let statement = &policy["Statement"][0];
        assert_eq!(
            statement["Principal"],
            json!({ "AWS": ["arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root"] })
        );
        assert_eq!(statement["Action"], json!(["SQS:SendMessage", "SQS:*"]));
    }

    #[test]
    fn permissions_come_and_go_by_their_labels() {
        // facts/sqs.md § 9
        let one = add(None, &queue(), &permission("a", &["111111111111"], &["SendMessage"])).unwrap();
        let again =
            add(Some(&one), &queue(), &permission("a", &["222222222222"], &["SendMessage"])).unwrap_err();
        assert_eq!(again.shape, "InvalidParameterValueException");
        assert_eq!(again.message, "Value a for parameter Label is invalid. Reason: Already exists.");
        let two = add(Some(&one), &queue(), &permission("b", &["111111111111"], &["SendMessage"])).unwrap();
        let rest = remove(Some(&two), "a").unwrap().unwrap();
        assert!(rest.contains("\"Sid\":\"b\"") && !rest.contains("\"Sid\":\"a\""), "{rest}");
        assert_eq!(remove(Some(&rest), "b"), Ok(None));
        for policy in [None, Some(rest.as_str())] {
            let unknown = remove(policy, "c").unwrap_err();
            assert_eq!(unknown.message, "Value c for parameter Label is invalid. Reason: can't find label.");
        }
    }

    #[test]
    fn a_permission_joins_a_policy_that_its_owner_wrote() {
        let own = json!({ "Version": "2012-10-17", "Statement": statement("sqs:SendMessage") }).to_string();
        let policy =
            add(Some(&own), &queue(), &permission("a", &["111111111111"], &["SendMessage"])).unwrap();
        let value: Value = serde_json::from_str(&policy).unwrap();
        assert_eq!(value["Version"], "2012-10-17");
        assert_eq!(value["Statement"][0], statement("sqs:SendMessage"));
        assert_eq!(value["Statement"][1]["Sid"], "a");
        assert!(policy.starts_with("{\"Version\":"), "{policy}");
    }

    #[test]
    fn a_permission_is_checked_as_aws_checks_it() {
        // facts/sqs.md § 9
        let eight = ["SendMessage"; 8];
        let someone = Some(&["111111111111"][..]);
        for (label, accounts, actions, shape, message) in [
            (
                None,
                someone,
                &["SendMessage"][..],
                "MissingRequiredParameterException",
                "The request must contain the parameter Label.",
            ),
            (
                Some("a b"),
                someone,
                &["SendMessage"],
                "InvalidParameterValueException",
                "Value a b for parameter Label is invalid. Reason: Can only include alphanumeric characters, \
                 hyphens, or underscores. 1 to 80 in length.",
            ),
            (
                Some("a"),
                someone,
                &[],
                "MissingRequiredParameterException",
                "The request must contain the parameter Actions.",
            ),
            (
                Some("a"),
                None,
                &["SendMessage"],
                "MissingRequiredParameterException",
                "The request must contain the parameter PrincipalId.",
            ),
            (Some("a"), someone, &eight, "OverLimit", "8 Actions were found, maximum allowed is 7."),
            (
                Some("a"),
                someone,
                &["TagQueue"],
                "InvalidParameterValueException",
                "Value SQS:TagQueue for parameter ActionName is invalid. Reason: Only the queue owner is \
                 allowed to invoke this action.",
            ),
            (
                Some("a"),
                someone,
                &["SendMessageBatch"],
                "InvalidParameterValueException",
                "Value SQS:SendMessageBatch for parameter ActionName is invalid. Reason: Please refer to the \
                 appropriate WSDL for a list of valid actions.",
            ),
            (
                Some("a"),
                Some(&["me", "you"]),
                &["SendMessage"],
                "InvalidParameterValueException",
                "Value [me, you] for parameter PrincipalId is invalid. Reason: Unable to verify.",
            ),
            (
                Some("a"),
                Some(&[]),
                &["SendMessage"],
                "InvalidParameterValueException",
                "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.",
            ),
        ] {
            let refusal = Permission::new(label, accounts, actions).unwrap_err();
            assert_eq!((refusal.shape, &*refusal.message), (shape, message));
        }
        assert_eq!(
            Permission::new(Some("a"), Some(&["me", "111111111111"]), &["SendMessage"]).unwrap().accounts,
            ["111111111111"]
        );
    }

    #[test]
    fn a_twenty_first_statement_is_one_too_many() {
        // facts/sqs.md § 9
        let twenty = json!({ "Statement": vec![statement("sqs:*"); 20] }).to_string();
        assert_eq!(check(&twenty), Ok(()));
        let refusal =
            add(Some(&twenty), &queue(), &permission("a", &["111111111111"], &["SendMessage"])).unwrap_err();
        assert_eq!(refusal.shape, "OverLimit");
        assert_eq!(refusal.message, "21 statements were found in the submitted policy, max allowed is 20");
        let own = json!({ "Statement": vec![statement("sqs:*"); 21] }).to_string();
        assert_eq!(check(&own), Err(refusal));
    }

    #[test]
    fn a_permission_must_leave_the_policy_within_its_length() {
        // facts/sqs.md § 9
        let own =
            |length: usize| json!({ "Id": "x".repeat(length), "Statement": statement("*") }).to_string();
        let adds =
            |own: &str| add(Some(own), &queue(), &permission("a", &["111111111111"], &["SendMessage"]));
        let grown = adds(&own(0)).unwrap().len();
        assert_eq!(adds(&own(POLICY_BYTES - grown)).unwrap().len(), POLICY_BYTES);
        let refusal = adds(&own(POLICY_BYTES - grown + 1)).unwrap_err();
        assert_eq!(
            (refusal.shape, &*refusal.message),
            ("OverLimit", "Submitted policy is over max allowed size.")
        );
    }

    #[test]
    fn documents_that_are_no_policies_are_refused() {
        // facts/sqs.md §§ 9, 11
        let policy =
            |statement: Value| json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        for good in [
            policy(statement("sqs:SendMessage")),
            policy(json!([statement("SQS:sendmessage"), statement("*"), statement("sqs:Get*")])),
            policy(json!({ "Effect": "Deny", "NotPrincipal": "*", "NotAction": "sqs:SendMessage" })),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for bad in [
            "{".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            policy(json!([])),
            policy(json!("Allow")),
            json!({ "Version": "2020-01-01", "Statement": statement("sqs:SendMessage") }).to_string(),
            policy(json!({ "Effect": "Perhaps", "Principal": "*", "Action": "sqs:SendMessage" })),
            policy(json!({ "Effect": "Allow", "Action": "sqs:SendMessage" })),
            policy(json!({ "Effect": "Allow", "Principal": "*" })),
            policy(statement("sns:Publish")),
            policy(json!({ "Effect": "Allow", "Principal": "*", "Action": [1] })),
        ] {
            let refusal = check(&bad).unwrap_err();
            assert_eq!(refusal.shape, "InvalidAttributeValue", "{bad}");
            assert_eq!(refusal.message, "Invalid value for the parameter Policy.");
        }
        for (bad, shape, message) in [
            (
                policy(statement("sqs:ChangeMessageVisibilityBatch")),
                "InvalidParameterValueException",
                "Value sqs:ChangeMessageVisibilityBatch for parameter ActionName is invalid. Reason: Please \
                 refer to the appropriate WSDL for a list of valid actions.",
            ),
            (
                policy(json!({ "Effect": "Allow", "Principal": "*", "Action": vec!["sqs:SendMessage"; 8] })),
                "OverLimit",
                "8 actions were found in a statement from the submitted policy, max allowed is 7",
            ),
            (format!("{{{}}}", " ".repeat(8_191)), "OverLimit", "Submitted policy is over max allowed size."),
        ] {
            let refusal = check(&bad).unwrap_err();
            assert_eq!((refusal.shape, &*refusal.message), (shape, message));
        }
    }
}
