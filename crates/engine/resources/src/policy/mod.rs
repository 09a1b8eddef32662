//! Access policies: who may do what to a resource.
//!
//! A policy is compiled once ([`Policy::compile`]) and then asked ([`Policy::evaluate`]) without reading JSON or allocating. Its document
//! is read and edited as JSON ([`document`]). Rules: facts/security.md §§ 3, 13 and the IAM User Guide, "IAM JSON policy reference".
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

/// What a policy says to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it: nothing else can allow it.
    Denied,
    /// No statement is about it. The resource's own account may still, by policies of its identities.
    NotMentioned,
}

/// A policy that is compiled. The default one says nothing.
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

/// An element that a statement can also have negated, as `Action` and `NotAction`.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Element<T> {
    /// Those.
    Are(T),
    /// All but those.
    AreNot(T),
    /// The statement does not say, so it is about none.
    Missing,
}

impl<T> Element<T> {
    fn holds(&self, is_among: impl FnOnce(&T) -> bool) -> bool {
        match self {
            Element::Are(named) => is_among(named),
            Element::AreNot(named) => !is_among(named),
            Element::Missing => false,
        }
    }
}

impl Policy {
    /// Compiles a policy's text. Never fails, since logs hold what other versions accepted: a text that is no policy says nothing, and
    /// neither does a statement without effect. Services check a text before they accept it. Costs time and memory in proportion to
    /// the text, whose length services limit; JSON nests 128 levels deep at most (serde_json).
    pub fn compile(text: &str) -> Policy {
        let document = document::parse(text).unwrap_or_default();
        let variables = document.get("Version").and_then(Value::as_str) == Some("2012-10-17");
        let statements = one_or_many(document.get("Statement"));
        let statements = statements.iter().filter_map(|statement| Statement::new(statement, variables));
        Policy { statements: statements.collect() }
    }

    /// What the policy says if `who` wants to perform `action` (`service:Operation`) on `resource` (an ARN). `keys`: what the request
    /// says about itself, as names of condition keys with their values; those that follow from `who` are known already.
    ///
    /// The cost is bounded by the length of the policy times the length of the request's texts.
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
    /// Compiles a statement; nothing if it neither allows nor denies.
    fn new(statement: &Value, variables: bool) -> Option<Statement> {
        let allows = match statement.get("Effect").and_then(Value::as_str)? {
            "Allow" => true,
            "Deny" => false,
            _ => return None,
        };
        fn element<T>(statement: &Value, names: [&str; 2], read: impl Fn(&Value) -> T) -> Element<T> {
            match names.map(|name| statement.get(name)) {
                [Some(named), _] => Element::Are(read(named)),
                [None, Some(named)] => Element::AreNot(read(named)),
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

    fn applies(&self, who: &Principal<'_>, action: &str, resource: &str, keys: &Keys<'_>) -> bool {
        self.principals.holds(|named| named.include(who))
            && self.actions.holds(|named| named.iter().any(|it| it.matches_ignoring_case(action, keys)))
            && self.resources.holds(|named| named.iter().any(|it| it.matches(resource, keys)))
            && self.conditions.are_met(keys, !self.allows)
    }
}

#[cfg(test)]
mod tests;
