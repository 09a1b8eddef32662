//! The conditions of a statement, compiled, and whether a request meets them.
//!
//! Source of every rule: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Conditions with multiple context keys or
//! values"; the truth table is facts/security.md § 13.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::document::one_or_many;
use super::keys::Keys;
use super::pattern::{ArnPattern, Pattern, Syntax};
use super::values::{self, Network};

/// The conditions of a statement.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Conditions {
    /// A request must meet all of them.
    all: Box<[Condition]>,
    /// Whether the statement has more conditions that cannot be evaluated: AWS has no such operator, or the JSON is not a condition.
    has_unknown: bool,
}

impl Conditions {
    /// Reads the element `Condition`. `variables`: whether `${…}` in its texts is a variable.
    pub fn new(element: Option<&Value>, variables: bool) -> Conditions {
        let (mut all, mut has_unknown) = (Vec::new(), false);
        match element {
            None => {}
            Some(Value::Object(operators)) => {
                for (operator, keys) in operators {
                    let Some(keys) = keys.as_object() else {
                        has_unknown = true;
                        continue;
                    };
                    for (key, wanted) in keys {
                        match Condition::new(operator, key, wanted, variables) {
                            Some(condition) => all.push(condition),
                            None => has_unknown = true,
                        }
                    }
                }
            }
            Some(_) => has_unknown = true,
        }
        Conditions { all: all.into(), has_unknown }
    }

    /// Whether a request meets all conditions. `unknown`: the result of conditions that cannot be evaluated. AWS refuses documents with
    /// such conditions. Here such a condition never gives access: an `Allow` does not apply, a `Deny` does.
    pub fn are_met(&self, keys: &Keys<'_>, unknown: bool) -> bool {
        (unknown || !self.has_unknown) && self.all.iter().all(|condition| condition.is_met(keys))
    }
}

/// One key of a condition, with the test for its values.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Condition {
    key: Box<str>,
    set: Set,
    if_exists: bool,
    negated: bool,
    test: Test,
}

/// How many of a request's values must pass the test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {
    /// The operator has no prefix: at least one value must pass. With a negated operator, all values must.
    Plain,
    /// `ForAnyValue:`.
    Any,
    /// `ForAllValues:`.
    All,
}

/// The values of the policy, and how one value of a request is compared with them. The request's value must match one of them. Values of
/// the policy that cannot be read match nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    Text(Box<[Pattern]>),
    TextIgnoringCase(Box<[Pattern]>),
    Arn(Box<[ArnPattern]>),
    Number(Comparison, Box<[values::Number]>),
    /// In milliseconds since 1970.
    Date(Comparison, Box<[i64]>),
    Bool(Box<[bool]>),
    Bytes(Box<[Vec<u8>]>),
    Address(Box<[Network]>),
    /// `true`: the request must not have the key.
    Null(Box<[bool]>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds<T: PartialOrd>(self, given: &T, wanted: &T) -> bool {
        match self {
            Comparison::Equal => given == wanted,
            Comparison::Less => given < wanted,
            Comparison::LessOrEqual => given <= wanted,
            Comparison::Greater => given > wanted,
            Comparison::GreaterOrEqual => given >= wanted,
        }
    }
}

impl Condition {
    /// Compiles one key of an operator. Returns nothing if AWS has no such operator.
    fn new(operator: &str, key: &str, wanted: &Value, variables: bool) -> Option<Condition> {
        let (set, operator) = match operator.split_once(':') {
            Some(("ForAllValues", operator)) => (Set::All, operator),
            Some(("ForAnyValue", operator)) => (Set::Any, operator),
            _ => (Set::Plain, operator),
        };
        let (if_exists, operator) = match operator.strip_suffix("IfExists") {
            Some(operator) => (true, operator),
            None => (false, operator),
        };
        let wanted: Vec<String> = one_or_many(Some(wanted)).iter().filter_map(scalar).collect();
        let (negated, test) = test(operator, &wanted, variables)?;
        if if_exists && matches!(test, Test::Null(_)) {
            return None;
        }
        Some(Condition { key: key.into(), set, if_exists, negated, test })
    }

    fn is_met(&self, keys: &Keys<'_>) -> bool {
        let given = keys.values(&self.key);
        if let Test::Null(wanted) = &self.test {
            return wanted.contains(&given.is_empty());
        }
        if given.is_empty() {
            return self.if_exists || self.set == Set::All || self.negated && self.set == Set::Plain;
        }
        let mut passes = given.iter().map(|given| self.test.matches(given, keys) != self.negated);
        match self.set {
            Set::Plain if self.negated => passes.all(|passes| passes),
            Set::Plain | Set::Any => passes.any(|passes| passes),
            Set::All => passes.all(|passes| passes),
        }
    }
}

impl Test {
    /// Whether a value of the request matches one of the policy's.
    fn matches(&self, given: &str, keys: &Keys<'_>) -> bool {
        match self {
            Test::Text(wanted) => wanted.iter().any(|wanted| wanted.matches(given, keys)),
            Test::TextIgnoringCase(wanted) => {
                wanted.iter().any(|wanted| wanted.matches_ignoring_case(given, keys))
            }
            Test::Arn(wanted) => wanted.iter().any(|wanted| wanted.matches(given, keys)),
            Test::Number(comparison, wanted) => values::Number::parse(given)
                .is_some_and(|given| wanted.iter().any(|wanted| comparison.holds(&given, wanted))),
            Test::Date(comparison, wanted) => values::date(given)
                .is_some_and(|given| wanted.iter().any(|wanted| comparison.holds(&given, wanted))),
            Test::Bool(wanted) => values::boolean(given).is_some_and(|given| wanted.contains(&given)),
            Test::Bytes(wanted) => wanted.iter().any(|wanted| wanted == given.as_bytes()),
            Test::Address(wanted) => {
                values::address(given).is_some_and(|given| wanted.iter().any(|wanted| wanted.contains(given)))
            }
            Test::Null(_) => false,
        }
    }
}

/// The test of an operator without prefix and `IfExists`, and whether the operator is its negation.
fn test(operator: &str, wanted: &[String], variables: bool) -> Option<(bool, Test)> {
    let texts = |wildcards: bool| {
        let syntax = Syntax { wildcards, variables };
        wanted.iter().map(|text| Pattern::new(text, syntax)).collect()
    };
    let arns = || wanted.iter().filter_map(|text| ArnPattern::new(text, variables)).collect();
    let numbers = |comparison| {
        Test::Number(comparison, wanted.iter().filter_map(|text| values::Number::parse(text)).collect())
    };
    let dates =
        |comparison| Test::Date(comparison, wanted.iter().filter_map(|text| values::date(text)).collect());
    let addresses = || Test::Address(wanted.iter().filter_map(|text| Network::parse(text)).collect());
    use Comparison::*;
    Some(match operator {
        "StringEquals" => (false, Test::Text(texts(false))),
        "StringNotEquals" => (true, Test::Text(texts(false))),
        "StringEqualsIgnoreCase" => (false, Test::TextIgnoringCase(texts(false))),
        "StringNotEqualsIgnoreCase" => (true, Test::TextIgnoringCase(texts(false))),
        "StringLike" => (false, Test::Text(texts(true))),
        "StringNotLike" => (true, Test::Text(texts(true))),
        "ArnEquals" | "ArnLike" => (false, Test::Arn(arns())),
        "ArnNotEquals" | "ArnNotLike" => (true, Test::Arn(arns())),
        "NumericEquals" => (false, numbers(Equal)),
        "NumericNotEquals" => (true, numbers(Equal)),
        "NumericLessThan" => (false, numbers(Less)),
        "NumericLessThanEquals" => (false, numbers(LessOrEqual)),
        "NumericGreaterThan" => (false, numbers(Greater)),
        "NumericGreaterThanEquals" => (false, numbers(GreaterOrEqual)),
        "DateEquals" => (false, dates(Equal)),
        "DateNotEquals" => (true, dates(Equal)),
        "DateLessThan" => (false, dates(Less)),
        "DateLessThanEquals" => (false, dates(LessOrEqual)),
        "DateGreaterThan" => (false, dates(Greater)),
        "DateGreaterThanEquals" => (false, dates(GreaterOrEqual)),
        "Bool" => (false, Test::Bool(wanted.iter().filter_map(|text| values::boolean(text)).collect())),
        "BinaryEquals" => {
            (false, Test::Bytes(wanted.iter().filter_map(|text| STANDARD.decode(text).ok()).collect()))
        }
        "IpAddress" => (false, addresses()),
        "NotIpAddress" => (true, addresses()),
        "Null" => (false, Test::Null(wanted.iter().filter_map(|text| values::boolean(text)).collect())),
        _ => return None,
    })
}

/// A value of a policy as text. AWS takes numbers and booleans without quotes, too.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Principal;

    const GIVEN: &[(&str, &[&str])] = &[
        ("aws:SourceArn", &["arn:aws:s3:::bucket"]),
        ("aws:SourceAccount", &["111111111111"]),
        ("aws:SourceIp", &["10.1.2.3"]),
        ("aws:SecureTransport", &["true"]),
        ("aws:CurrentTime", &["2026-11-30T09:00:00Z"]),
        ("aws:EpochTime", &["1796029200"]),
        ("aws:MultiFactorAuthAge", &["300"]),
        ("aws:username", &["Ann"]),
        ("aws:TagKeys", &["team", "cost"]),
        ("aws:CalledVia", &[]),
        ("x:bytes", &["hi"]),
    ];

    fn is_met(condition: &str, unknown: bool) -> bool {
        let element: Value = serde_json::from_str(&format!("{{{condition}}}")).unwrap();
        let principal = Principal::Anonymous;
        Conditions::new(Some(&element), true).are_met(&Keys::new(&principal, GIVEN), unknown)
    }

    fn all(cases: &[(&str, bool)]) {
        for &(condition, met) in cases {
            assert_eq!(is_met(condition, false), met, "{condition}");
            assert_eq!(is_met(condition, true), met, "{condition}");
        }
    }

    #[test]
    fn texts_are_compared_as_the_operator_says() {
        // IAM User Guide, "String condition operators"
        all(&[
            (r#""StringEquals":{"aws:SourceAccount":["2","111111111111"]}"#, true),
            (r#""StringEquals":{"aws:username":"ann"}"#, false),
            (r#""StringEquals":{"aws:username":"A*"}"#, false),
            (r#""StringEquals":{"aws:username":[]}"#, false),
            (r#""StringEquals":{"AWS:USERNAME":"Ann"}"#, true),
            (r#""StringEquals":{"aws:MultiFactorAuthAge":300}"#, true),
            (r#""StringNotEquals":{"aws:username":["Ann","Bob"]}"#, false),
            (r#""StringNotEquals":{"aws:username":["ann","Bob"]}"#, true),
            (r#""StringEqualsIgnoreCase":{"aws:username":"ANN"}"#, true),
            (r#""StringNotEqualsIgnoreCase":{"aws:username":"ANN"}"#, false),
            (r#""StringLike":{"aws:username":"A?n"}"#, true),
            (r#""StringLike":{"aws:SourceArn":"arn:*bucket"}"#, true),
            (r#""StringNotLike":{"aws:username":["B*","A*"]}"#, false),
            (r#""StringEquals":{"aws:username":"${aws:username}"}"#, true),
            (r#""StringEquals":{"aws:username":"${aws:userid}"}"#, false),
            (r#""StringEquals":{"aws:username":null}"#, false),
        ]);
    }

    #[test]
    fn arns_numbers_dates_booleans_bytes_and_addresses_are_compared_by_value() {
        // IAM User Guide, the sections of these operators; facts/security.md § 13
        all(&[
            (r#""ArnEquals":{"aws:SourceArn":"arn:aws:s3:::b*"}"#, true),
            (r#""ArnLike":{"aws:SourceArn":"arn:*:s3:*:*:bucket"}"#, true),
            (r#""ArnLike":{"aws:SourceArn":"arn:aws:s3*bucket"}"#, false),
            (r#""ArnNotEquals":{"aws:SourceArn":"arn:aws:s3:::bucket"}"#, false),
            (r#""ArnNotLike":{"aws:SourceArn":"arn:aws:s3*bucket"}"#, true),
            (r#""ArnNotLike":{"aws:username":"arn:aws:iam::1:user/*"}"#, true),
            (r#""NumericEquals":{"aws:MultiFactorAuthAge":"300.0"}"#, true),
            (r#""NumericNotEquals":{"aws:MultiFactorAuthAge":300}"#, false),
            (r#""NumericLessThan":{"aws:MultiFactorAuthAge":"300"}"#, false),
            (r#""NumericLessThanEquals":{"aws:MultiFactorAuthAge":["x","300"]}"#, true),
            (r#""NumericGreaterThan":{"aws:MultiFactorAuthAge":"-1e2"}"#, true),
            (r#""NumericGreaterThanEquals":{"aws:MultiFactorAuthAge":"301"}"#, false),
            (r#""NumericEquals":{"aws:username":"Ann"}"#, false),
            (r#""DateEquals":{"aws:CurrentTime":"2026-11-30T10:00:00+01:00"}"#, true),
            (r#""DateNotEquals":{"aws:CurrentTime":"2026-11-30"}"#, true),
            (r#""DateLessThan":{"aws:CurrentTime":"2026-11-30T09:00Z"}"#, false),
            (r#""DateLessThanEquals":{"aws:EpochTime":"2026-11-30T09:00:00Z"}"#, true),
            (r#""DateGreaterThan":{"aws:CurrentTime":"1796029199"}"#, true),
            (r#""DateGreaterThanEquals":{"aws:CurrentTime":"tomorrow"}"#, false),
            (r#""Bool":{"aws:SecureTransport":"TRUE"}"#, true),
            (r#""Bool":{"aws:SecureTransport":false}"#, false),
            (r#""BinaryEquals":{"x:bytes":"aGk="}"#, true),
            (r#""BinaryEquals":{"x:bytes":"?"}"#, false),
            (r#""IpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, true),
            (r#""IpAddress":{"aws:SourceIp":["2001:db8::/32","10.1.2.3"]}"#, true),
            (r#""IpAddress":{"aws:SourceIp":"10.1.2.4"}"#, false),
            (r#""NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, false),
            (r#""NotIpAddress":{"aws:SourceIp":"10.0.0.0/99"}"#, true),
        ]);
    }

    #[test]
    fn a_key_that_is_missing_is_judged_by_the_operator() {
        // facts/security.md § 13; an empty set counts as missing
        for key in ["aws:SourceVpc", "aws:CalledVia"] {
            for (operator, value, met) in [
                ("StringEquals", "a", false),
                ("ArnLike", "arn:aws:s3:::b", false),
                ("NumericLessThan", "1", false),
                ("DateLessThan", "2026-01-01", false),
                ("Bool", "false", false),
                ("IpAddress", "10.0.0.0/8", false),
                ("StringNotEquals", "a", true),
                ("ArnNotLike", "arn:aws:s3:::b", true),
                ("NumericNotEquals", "1", true),
                ("NotIpAddress", "10.0.0.0/8", true),
                ("StringEqualsIfExists", "a", true),
                ("StringNotEqualsIfExists", "a", true),
                ("ForAllValues:StringEquals", "a", true),
                ("ForAllValues:StringNotEquals", "a", true),
                ("ForAnyValue:StringEquals", "a", false),
                ("ForAnyValue:StringNotEquals", "a", false),
                ("ForAnyValue:StringEqualsIfExists", "a", true),
                ("Null", "true", true),
                ("Null", "false", false),
            ] {
                all(&[(&format!(r#""{operator}":{{"{key}":"{value}"}}"#), met)]);
            }
        }
        all(&[
            (r#""StringEqualsIfExists":{"aws:username":"Bob"}"#, false),
            (r#""Null":{"aws:username":"true"}"#, false),
            (r#""Null":{"aws:username":false,"aws:SourceVpc":true}"#, true),
        ]);
    }

    #[test]
    fn sets_are_compared_as_their_prefix_says() {
        // IAM User Guide, "Set operators for multivalued context keys"
        all(&[
            (r#""ForAllValues:StringEquals":{"aws:TagKeys":["team","cost","owner"]}"#, true),
            (r#""ForAllValues:StringEquals":{"aws:TagKeys":["team"]}"#, false),
            (r#""ForAllValues:StringNotEquals":{"aws:TagKeys":["owner"]}"#, true),
            (r#""ForAllValues:StringNotEquals":{"aws:TagKeys":["team"]}"#, false),
            (r#""ForAnyValue:StringEquals":{"aws:TagKeys":["team"]}"#, true),
            (r#""ForAnyValue:StringLike":{"aws:TagKeys":["x*"]}"#, false),
            (r#""ForAnyValue:StringNotEquals":{"aws:TagKeys":["team"]}"#, true),
            (r#""ForAnyValue:StringNotEquals":{"aws:TagKeys":["team","cost"]}"#, false),
            // Without a prefix: any of them, and none of them.
            (r#""StringEquals":{"aws:TagKeys":"cost"}"#, true),
            (r#""StringNotEquals":{"aws:TagKeys":"cost"}"#, false),
        ]);
    }

    #[test]
    fn all_operators_and_all_keys_must_agree() {
        // IAM User Guide, "Conditions with multiple context keys or values"
        all(&[
            (r#""StringEquals":{"aws:username":"Ann","aws:SourceAccount":"111111111111"}"#, true),
            (r#""StringEquals":{"aws:username":"Ann","aws:SourceAccount":"2"}"#, false),
            (r#""StringEquals":{"aws:username":"Ann"},"Bool":{"aws:SecureTransport":"false"}"#, false),
            ("", true),
            (r#""StringEquals":{}"#, true),
        ]);
    }

    #[test]
    fn a_condition_that_cannot_be_evaluated_never_gives_access() {
        for unknown in [
            r#""StringMatches":{"aws:username":"Ann"}"#,
            r#""NullIfExists":{"aws:username":"false"}"#,
            r#""ForSomeValues:StringEquals":{"aws:username":"Ann"}"#,
            r#""StringEquals":"Ann""#,
            r#""StringEquals":["Ann"]"#,
        ] {
            assert!(!is_met(unknown, false), "{unknown}");
            assert!(is_met(unknown, true), "{unknown}");
            let with_another = format!(r#"{unknown},"Bool":{{"aws:SecureTransport":"false"}}"#);
            assert!(!is_met(&with_another, true), "{with_another}");
        }
        let keys = Keys::new(&Principal::Anonymous, GIVEN);
        assert!(!Conditions::new(Some(&Value::from("x")), true).are_met(&keys, false));
    }
}
