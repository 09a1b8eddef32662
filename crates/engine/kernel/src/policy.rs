//! Access policies as documents: how services read, edit and write them.

use serde_json::{Map, Value};

/// A policy's text as a document; none if it is no object.
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

/// A list as AWS writes it: one of one without brackets.
pub fn scalar_or_list(texts: impl Iterator<Item = String>) -> Value {
    let mut values: Vec<Value> = texts.map(Value::String).collect();
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}

/// Whether a statement is the one of this label.
pub fn has_label(statement: &Value, label: &str) -> bool {
    statement.get("Sid").and_then(Value::as_str) == Some(label)
}

/// The order in which AWS writes what stands in a policy (facts/sqs.md § 9); anything else follows by name.
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
        assert!(has_label(&one_or_many(parse(text).unwrap().get("Statement"))[0], "a"));
    }
}
