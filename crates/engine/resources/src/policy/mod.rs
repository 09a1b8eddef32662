//! Access policies: who may do what to a resource.
//!
//! A service compiles a policy once ([`Policy::compile`]). It then evaluates the policy for each request ([`Policy::evaluate`]), without
//! JSON and without allocation (a request's ISO 8601 dates excepted). It checks and edits a policy as JSON
//! ([`document`]). Rules: facts/security.md §§ 3, 13 and the IAM User Guide, "IAM JSON policy reference".
//!
//! ```
//! use resources::policy::{Policy, Principal, Verdict};
//!
//! let policy = Policy::compile(
//!     r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "kinesis:Put*", "Resource": "*"}}"#,
//! );
//! let bob = Principal::Identity { account: "222222222222", arns: &["arn:aws:iam::222222222222:user/bob"] };
//! let stream = "arn:aws:kinesis:us-east-1:111111111111:stream/s";
//! assert_eq!(policy.evaluate(&bob, "kinesis:PutRecord", stream, &[]), Verdict::Allowed);
//! assert_eq!(policy.evaluate(&bob, "kinesis:GetRecords", stream, &[]), Verdict::NotMentioned);
//! ```

use serde_json::Value;

pub mod document;

mod condition;
mod keys;
mod pattern;
mod principal;
mod values;

pub use principal::Principal;

use condition::Conditions;
use document::one_or_many;
use keys::Keys;
use pattern::{Pattern, Syntax};
use principal::Principals;

/// What a policy decides about a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A statement allows the request, and none denies it.
    Allowed,
    /// A statement denies the request. Nothing else can allow it.
    Denied,
    /// No statement applies. The account that owns the resource may be allowed by policies of its identities.
    NotMentioned,
}

/// A compiled policy. The default policy has no statements.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Policy {
    statements: Box<[Statement]>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Statement {
    allows: bool,
    principals: Element<Principals>,
    actions: Element<Box<[Pattern]>>,
    resources: Element<Box<[Pattern]>>,
    conditions: Conditions,
}

/// An element of a statement with its negated form, such as `Action` and `NotAction`.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Element<T> {
    /// The statement applies to what the element names.
    Only(T),
    /// The statement applies to everything that the element does not name.
    AllBut(T),
    /// The statement has neither form, and applies to nothing.
    Missing,
}

impl<T> Element<T> {
    fn includes(&self, is_named: impl FnOnce(&T) -> bool) -> bool {
        match self {
            Element::Only(named) => is_named(named),
            Element::AllBut(named) => !is_named(named),
            Element::Missing => false,
        }
    }
}

impl Policy {
    /// Compiles the text of a policy. Never fails, because logs hold texts that other versions accepted: a text that is not a policy has no
    /// statements, and a statement without an effect is left out. Services check a text before they accept it.
    ///
    /// Time and memory grow with the length of the text, which services limit. JSON that nests deeper than 128 levels is not a policy.
    pub fn compile(text: &str) -> Policy {
        let document = document::parse(text).unwrap_or_default();
        let variables = document.get("Version").and_then(Value::as_str) == Some("2012-10-17");
        let statements = one_or_many(document.get("Statement"));
        let statements = statements.iter().filter_map(|statement| Statement::new(statement, variables));
        Policy { statements: statements.collect() }
    }

    /// Decides whether `who` may perform `action` (`service:Operation`) on `resource` (an ARN). `keys` are the condition keys of the
    /// request with their values. Keys that follow from `who`, such as `aws:PrincipalArn`, need not be given.
    ///
    /// The cost is at most the length of the policy times the length of the request's texts.
    pub fn evaluate(
        &self,
        who: &Principal<'_>,
        action: &str,
        resource: &str,
        keys: &[(&str, &[&str])],
    ) -> Verdict {
        let keys = Keys::new(who, keys);
        let mut verdict = Verdict::NotMentioned;
        for statement in &self.statements {
            if statement.applies(who, action, resource, &keys) {
                if !statement.allows {
                    return Verdict::Denied;
                }
                verdict = Verdict::Allowed;
            }
        }
        verdict
    }
}

impl Statement {
    /// Compiles a statement. Returns nothing if the effect is neither `Allow` nor `Deny`.
    fn new(statement: &Value, variables: bool) -> Option<Statement> {
        let allows = match statement.get("Effect").and_then(Value::as_str)? {
            "Allow" => true,
            "Deny" => false,
            _ => return None,
        };
        fn element<T>(statement: &Value, names: [&str; 2], read: impl Fn(&Value) -> T) -> Element<T> {
            match names.map(|name| statement.get(name)) {
                [Some(named), _] => Element::Only(read(named)),
                [None, Some(named)] => Element::AllBut(read(named)),
                [None, None] => Element::Missing,
            }
        }
        let patterns = |variables: bool| {
            let syntax = Syntax { wildcards: true, variables };
            move |named: &Value| -> Box<[Pattern]> {
                let texts = one_or_many(Some(named)).iter().filter_map(Value::as_str);
                texts.map(|text| Pattern::new(text, syntax)).collect()
            }
        };
        Some(Statement {
            allows,
            principals: element(statement, ["Principal", "NotPrincipal"], Principals::new),
            actions: element(statement, ["Action", "NotAction"], patterns(false)),
            resources: element(statement, ["Resource", "NotResource"], patterns(variables)),
            conditions: Conditions::new(statement.get("Condition"), variables),
        })
    }

    /// Whether the statement applies to a request. In resources, `*` also stands for colons (IAM User Guide, "IAM JSON policy elements:
    /// Resource": at the end of a part it expands beyond the part).
    fn applies(&self, who: &Principal<'_>, action: &str, resource: &str, keys: &Keys<'_>) -> bool {
        self.principals.includes(|named| named.include(who))
            && self.actions.includes(|named| named.iter().any(|it| it.matches_ignoring_case(action, keys)))
            && self.resources.includes(|named| named.iter().any(|it| it.matches(resource, keys)))
            && self.conditions.are_met(keys, !self.allows)
    }
}

#[cfg(test)]
mod tests;
