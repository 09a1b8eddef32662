//! Whole policies: which statements apply, and what they say together.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const STREAM: &str = "arn:aws:kinesis:us-east-1:111111111111:stream/s";
const BOB: Principal<'_> =
    Principal::Identity { account: "222222222222", arns: &["arn:aws:iam::222222222222:user/bob"] };

fn verdict(statements: &Value) -> Verdict {
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    Policy::compile(&policy).evaluate(&BOB, "kinesis:PutRecord", STREAM, &[("aws:username", &["bob"])])
}

/// A statement that allows Bob to put records, with other members.
fn statement(members: Value) -> Value {
    let mut statement =
        json!({ "Effect": "Allow", "Principal": "*", "Action": "kinesis:PutRecord", "Resource": STREAM });
    for (name, value) in members.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(statement.as_object_mut().unwrap().remove(name)),
            value => drop(statement.as_object_mut().unwrap().insert(name.clone(), value.clone())),
        }
    }
    statement
}

#[test]
fn a_statement_applies_if_each_of_its_elements_names_the_request() {
    // facts/security.md § 3: actions in any case, resources in theirs, both with wildcards; IAM User Guide, "NotAction",
    // "NotResource", "NotPrincipal": all but those that are named
    use Verdict::{Allowed, NotMentioned};
    for (members, expected) in [
        (json!({}), Allowed),
        (json!({ "Action": "KINESIS:putrecord" }), Allowed),
        (json!({ "Action": ["kinesis:Get*", "kinesis:Put?ecord"] }), Allowed),
        (json!({ "Action": "*" }), Allowed),
        (json!({ "Action": "kinesis:PutRecords" }), NotMentioned),
        (json!({ "Action": "s3:*" }), NotMentioned),
        (json!({ "Action": null, "NotAction": "kinesis:Get*" }), Allowed),
        (json!({ "Action": null, "NotAction": ["s3:*", "Kinesis:Put*"] }), NotMentioned),
        (json!({ "Action": null }), NotMentioned),
        (json!({ "Resource": "arn:aws:kinesis:*:111111111111:stream/*" }), Allowed),
        (json!({ "Resource": "arn:aws:kinesis:*" }), Allowed),
        (json!({ "Resource": "arn:aws:kinesis:us-east-1:111111111111:STREAM/s" }), NotMentioned),
        (json!({ "Resource": ["arn:aws:s3:::b", "*"] }), Allowed),
        (json!({ "Resource": null, "NotResource": "arn:aws:s3:::*" }), Allowed),
        (json!({ "Resource": null, "NotResource": STREAM }), NotMentioned),
        (json!({ "Resource": null }), NotMentioned),
        (json!({ "Principal": { "AWS": "222222222222" } }), Allowed),
        (json!({ "Principal": { "AWS": "333333333333" } }), NotMentioned),
        (json!({ "Principal": null, "NotPrincipal": { "AWS": "333333333333" } }), Allowed),
        (json!({ "Principal": null, "NotPrincipal": { "AWS": "222222222222" } }), NotMentioned),
        (json!({ "Principal": null }), NotMentioned),
        (json!({ "Condition": { "StringEquals": { "aws:PrincipalAccount": "222222222222" } } }), Allowed),
        (json!({ "Condition": { "StringEquals": { "aws:PrincipalAccount": "1" } } }), NotMentioned),
        (json!({ "Condition": { "Magic": { "aws:PrincipalAccount": "1" } } }), NotMentioned),
        (json!({ "Effect": "Perhaps" }), NotMentioned),
        (json!({ "Effect": null }), NotMentioned),
    ] {
        assert_eq!(verdict(&statement(members.clone())), expected, "{members}");
    }
}

#[test]
fn a_denial_outdoes_every_permission() {
    // facts/security.md § 4
    let deny = |members: Value| {
        let mut statement = statement(members);
        statement["Effect"] = json!("Deny");
        statement
    };
    let allow = statement(json!({}));
    for (statements, expected) in [
        (json!([]), Verdict::NotMentioned),
        (json!([allow]), Verdict::Allowed),
        (json!([deny(json!({}))]), Verdict::Denied),
        (json!([allow, deny(json!({}))]), Verdict::Denied),
        (json!([deny(json!({})), allow]), Verdict::Denied),
        (json!([allow, deny(json!({ "Action": "kinesis:Get*" }))]), Verdict::Allowed),
        (
            json!([allow, deny(json!({ "Condition": { "Bool": { "aws:SecureTransport": "false" } } }))]),
            Verdict::Allowed,
        ),
        // A condition that cannot be evaluated never gives access.
        (json!([allow, deny(json!({ "Condition": { "Magic": {"x": "y"} } }))]), Verdict::Denied),
        (
            json!([allow, deny(json!({ "Action": "s3:*", "Condition": { "Magic": {"x": "y"} } }))]),
            Verdict::Allowed,
        ),
    ] {
        assert_eq!(verdict(&statements), expected, "{statements}");
    }
}

#[test]
fn variables_count_in_documents_of_2012_only() {
    // facts/security.md § 3
    for (version, expected) in [
        (Some("2012-10-17"), Verdict::Allowed),
        (Some("2008-10-17"), Verdict::NotMentioned),
        (None, Verdict::NotMentioned),
    ] {
        let mut policy =
            json!({ "Statement": statement(json!({ "Resource": "arn:aws:s3:::home/${aws:username}" })) });
        if let Some(version) = version {
            policy["Version"] = json!(version);
        }
        let policy = Policy::compile(&policy.to_string());
        let keys: [(&str, &[&str]); 1] = [("aws:username", &["bob"])];
        let given = policy.evaluate(&BOB, "kinesis:PutRecord", "arn:aws:s3:::home/bob", &keys);
        assert_eq!(given, expected, "{version:?}");
    }
}

#[test]
fn a_text_that_is_not_a_policy_has_no_statements() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in ["", "[]", "{}", "{", "7", r#"{"Statement":7}"#, r#"{"Statement":[[]]}"#, &deep] {
        assert_eq!(Policy::compile(text), Policy::default(), "{text:.20}");
    }
}

#[test]
fn many_stars_cost_no_more_than_the_product_of_the_lengths() {
    let stars = "*a".repeat(4_000);
    let policy =
        Policy::compile(&json!({ "Statement": statement(json!({ "Resource": stars })) }).to_string());
    let resource = "a".repeat(2_000);
    assert_eq!(policy.evaluate(&BOB, "kinesis:PutRecord", &resource, &[]), Verdict::NotMentioned);
}

/// JSON that often has the names that policies have.
fn documents() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "Allow",
            "Deny",
            "*",
            "2012-10-17",
            "222222222222",
            "kinesis:PutRecord",
            STREAM,
            "${aws:username}",
            "${a,",
            "arn:aws:iam::222222222222:user/bob",
            "10.0.0.0/8",
            "2026-11-30T09:00Z",
            "1e5",
            "true",
            "?*?",
            "é*",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "Version",
            "Statement",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
            "AWS",
            "Service",
            "StringEquals",
            "StringLike",
            "ArnLike",
            "NumericLessThan",
            "DateGreaterThan",
            "NotIpAddress",
            "Null",
            "ForAllValues:StringNotLikeIfExists",
            "ForAnyValue:BoolIfExists",
            "aws:username",
            "aws:PrincipalArn",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        word.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_compiled_and_evaluated(
        policy in documents(),
        statement in documents(),
        action in any::<String>(),
        resource in any::<String>(),
        value in any::<String>(),
    ) {
        let of_statement = json!({ "Version": "2012-10-17", "Statement": statement });
        for text in [policy.to_string(), of_statement.to_string(), value.clone()] {
            let policy = Policy::compile(&text);
            for who in [BOB, Principal::Service("s3.amazonaws.com"), Principal::Anonymous] {
                for resource in [STREAM, &resource] {
                    let first = policy.evaluate(&who, &action, resource, &[("aws:username", &[&value])]);
                    let second = policy.evaluate(&who, &action, resource, &[("aws:username", &[&value])]);
                    prop_assert_eq!(first, second);
                }
            }
        }
    }

    #[test]
    fn any_elements_of_a_statement_are_compiled_and_evaluated(
        elements in prop::collection::btree_map(
            prop::sample::select(vec!["Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"]),
            documents(),
            0..7,
        ),
        denies in any::<bool>(),
        value in any::<String>(),
    ) {
        let allow = statement(json!({}));
        let mut other = json!(elements);
        other["Effect"] = json!(if denies { "Deny" } else { "Allow" });
        let keys: [(&str, &[&str]); 2] = [("aws:username", &[&value, "bob"]), ("aws:SourceIp", &[&value])];
        let policy = json!({ "Version": "2012-10-17", "Statement": [allow, other] });
        let verdict = Policy::compile(&policy.to_string()).evaluate(&BOB, "kinesis:PutRecord", STREAM, &keys);
        prop_assert_ne!(verdict, Verdict::NotMentioned);
        prop_assert!(denies || verdict == Verdict::Allowed);
    }
}
