//! Access policies as JSON: how services read, check, edit and write them.

use kernel::Arn;
use serde_json::{Map, Value, json};

/// A policy's text as a document; nothing if the text is not a JSON object.
pub fn parse(policy: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(policy) {
        Ok(Value::Object(document)) => Some(document),
        _ => None,
    }
}

/// The values of a member. Policies allow a list of one to be written without brackets.
pub fn one_or_many(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
    }
}

/// A list as AWS writes it: a single value without brackets.
pub fn scalar_or_list(texts: impl Iterator<Item = String>) -> Value {
    let mut values: Vec<Value> = texts.map(Value::String).collect();
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}

/// The values of `Action` or `NotAction` of a statement in a resource's policy. Returns nothing if the statement lacks an effect, a
/// principal or an action (IAM User Guide, "IAM JSON policy reference").
pub fn actions_of(statement: &Value) -> Option<&[Value]> {
    let effect = statement.get("Effect").and_then(Value::as_str);
    let principal = statement.get("Principal").or_else(|| statement.get("NotPrincipal"));
    let actions = one_or_many(statement.get("Action").or_else(|| statement.get("NotAction")));
    let is_statement = matches!(effect, Some("Allow" | "Deny")) && principal.is_some() && !actions.is_empty();
    is_statement.then_some(actions)
}

/// The statement that an operation AddPermission makes: it allows accounts to perform actions on a resource (facts/sqs.md § 9,
/// facts/sns.md § 12). `service`: the prefix of the actions. `region`: where the resource is, which decides the accounts' partition.
pub fn permission(
    label: &str,
    accounts: &[String],
    service: &str,
    actions: &[String],
    region: &str,
    resource: &Arn,
) -> Value {
    let partition = Arn::partition_of(region);
    let roots = accounts.iter().map(|account| format!("arn:{partition}:iam::{account}:root"));
    json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": { "AWS": scalar_or_list(roots) },
        "Action": scalar_or_list(actions.iter().map(|action| format!("{service}:{action}"))),
        "Resource": resource.to_string(),
    })
}

/// Whether a text is an account's number: twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Adds a statement. Returns the new number of statements; nothing if another statement has the same label (`Sid`).
pub fn add_statement(document: &mut Map<String, Value>, statement: Value) -> Option<usize> {
    let mut statements = one_or_many(document.get("Statement")).to_vec();
    let label = statement.get("Sid");
    if label.is_some() && statements.iter().any(|other| other.get("Sid") == label) {
        return None;
    }
    statements.push(statement);
    let count = statements.len();
    document.insert("Statement".to_owned(), Value::Array(statements));
    Some(count)
}

/// Removes the statements with a label (`Sid`). Returns the number of statements left; nothing if no statement has the label.
pub fn remove_statement(document: &mut Map<String, Value>, label: &str) -> Option<usize> {
    let mut statements = one_or_many(document.get("Statement")).to_vec();
    let before = statements.len();
    statements.retain(|statement| statement.get("Sid").and_then(Value::as_str) != Some(label));
    let left = statements.len();
    if left == before {
        return None;
    }
    document.insert("Statement".to_owned(), Value::Array(statements));
    Some(left)
}

/// The order in which AWS writes the members of a policy (facts/sqs.md § 9). Other members follow by name.
const ORDER: [&str; 12] = [
    "Version",
    "Id",
    "Statement",
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// A document as text, in AWS's order.
pub fn write(document: Map<String, Value>) -> String {
    let mut out = String::new();
    write_value(&Value::Object(document), &mut out);
    out
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|&(name, _)| {
                (ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()), name.as_str())
            });
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_value(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_in_awss_order() {
        let text = r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;
        assert_eq!(write(parse(text).unwrap()), text);
        assert_eq!(parse("[]"), None);
    }

    #[test]
    fn statements_come_and_go_by_their_labels() {
        // facts/sqs.md § 9, facts/sns.md § 12
        let mut document = parse(r#"{"Statement":{"Effect":"Deny"}}"#).unwrap();
        let stream = Arn::new("kinesis", "cn-north-1", "111111111111", "stream/s");
        let (accounts, actions) = (["222222222222".to_owned()], ["Get".to_owned(), "Put".to_owned()]);
        let statement = permission("a", &accounts, "kinesis", &actions, "cn-north-1", &stream);
        assert_eq!(
            write(statement.as_object().unwrap().clone()),
            r#"{"Sid":"a","Effect":"Allow","Principal":{"AWS":"arn:aws-cn:iam::222222222222:root"},"Action":["kinesis:Get","kinesis:Put"],"Resource":"arn:aws-cn:kinesis:cn-north-1:111111111111:stream/s"}"#
        );
        assert_eq!(add_statement(&mut document, statement.clone()), Some(2));
        assert_eq!(add_statement(&mut document, statement), None);
        assert_eq!(remove_statement(&mut document, "b"), None);
        assert_eq!(remove_statement(&mut document, "a"), Some(1));
        assert_eq!(write(document), r#"{"Statement":[{"Effect":"Deny"}]}"#);
    }

    #[test]
    fn a_statement_has_an_effect_a_principal_and_an_action() {
        // IAM User Guide, "IAM JSON policy reference"
        for (statement, count) in [
            (json!({ "Effect": "Allow", "Principal": "*", "Action": "*" }), Some(1)),
            (json!({ "Effect": "Deny", "NotPrincipal": "*", "NotAction": ["a:b", "c:d"] }), Some(2)),
            (json!({ "Effect": "Perhaps", "Principal": "*", "Action": "*" }), None),
            (json!({ "Effect": "Allow", "Action": "*" }), None),
            (json!({ "Effect": "Allow", "Principal": "*", "Action": [] }), None),
            (json!([]), None),
        ] {
            assert_eq!(actions_of(&statement).map(<[Value]>::len), count, "{statement}");
        }
    }
}
