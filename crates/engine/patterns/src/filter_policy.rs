//! SNS's filter policies.

use std::fmt;

use crate::compile::{Dialect, RESERVED, compile};
use crate::event::Event;
use crate::json::{Malformed, Token, Tokens, minify};
use crate::set::Matcher;

/// The part of a message that a filter policy applies to: the subscription's attribute `FilterPolicyScope`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The message's attributes ([`Event::from_attributes`]).
    #[default]
    MessageAttributes,
    /// The message's body ([`Event::from_json`]).
    MessageBody,
}

/// Maximum number of keys with conditions (AWS's documentation of SNS, "Filter policy constraints").
pub const KEYS_LIMIT: usize = 5;
/// Maximum number of combinations of values (same page).
pub const COMBINATIONS_LIMIT: u64 = 150;
/// Maximum size in bytes (same page).
pub const BYTES_LIMIT: usize = 256 * 1024;

/// A subscription's filter policy, compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FilterPolicy {
    matcher: Matcher,
    accepts_all: bool,
}

impl FilterPolicy {
    /// Parses a policy and checks it as SNS does, in this order: size, JSON, number of keys, combinations,
    /// grammar, nesting. (That nesting comes after grammar is recorded; the rest of the order is an
    /// assumption.)
    ///
    /// AWS parses the JSON before it checks the grammar. So a JSON error does not quote the policy. A grammar
    /// error quotes it without blanks and counts columns in that text (both recorded).
    pub fn parse(text: &str, scope: Scope) -> Result<FilterPolicy, PolicyFault> {
        if text.len() > BYTES_LIMIT {
            return Err(PolicyFault::of_policy("Filter policy is too long".to_owned()));
        }
        let mut tokens = Tokens::redacted(text);
        let size = measure(&mut tokens).map_err(|fault| {
            PolicyFault::of_policy(format!("failed to parse JSON. {}", tokens.describe(&fault)))
        })?;
        if let Some(size) = &size {
            if size.empty {
                return Ok(FilterPolicy { matcher: Matcher::of_all(), accepts_all: true });
            }
            if size.keys > KEYS_LIMIT {
                let reason = format!("Filter policy can not have more than {KEYS_LIMIT} keys");
                return Err(PolicyFault::of_policy(reason));
            }
            if size.combinations > COMBINATIONS_LIMIT {
                return Err(PolicyFault::of_policy("Filter policy is too complex".to_owned()));
            }
        }
        let pattern = compile(text, Dialect::FilterPolicy).map_err(|fault| {
            let again = minify(text).map(|minified| {
                let refusal = compile(&minified, Dialect::FilterPolicy).err();
                refusal.map(|fault| fault.describe(&minified))
            });
            PolicyFault::of_policy(again.ok().flatten().unwrap_or_else(|| fault.describe(text)))
        })?;
        if size.is_some_and(|size| size.nested) && scope == Scope::MessageAttributes {
            return Err(PolicyFault::unnamed(
                "Filter policy scope MessageAttributes does not support nested filter policy",
            ));
        }
        Ok(FilterPolicy { matcher: Matcher::new(pattern), accepts_all: false })
    }

    /// Returns whether this is the policy `{}`, which accepts every message, whatever its body.
    pub fn accepts_all(&self) -> bool {
        self.accepts_all
    }

    /// Returns whether the message matches. The event must be of the policy's scope.
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.accepts_all || self.matcher.matches(event)
    }

    /// Returns the compiled pattern for a [`PatternSet`](crate::PatternSet).
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }
}

/// Why a policy is refused.
///
/// [`Display`](fmt::Display) writes the text after `Invalid parameter: ` in SetSubscriptionAttributes, and
/// after `Invalid parameter: Attributes Reason: ` in Subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    names_policy: bool,
    reason: String,
}

impl PolicyFault {
    fn of_policy(reason: String) -> Self {
        PolicyFault { names_policy: true, reason }
    }

    fn unnamed(reason: &str) -> Self {
        PolicyFault { names_policy: false, reason: reason.to_owned() }
    }

    /// Whether AWS puts `FilterPolicy: ` before the reason. It does not if a nested policy has the scope
    /// `MessageAttributes`.
    pub fn names_policy(&self) -> bool {
        self.names_policy
    }

    /// Returns only the reason, with the place in the policy where AWS adds one.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names_policy {
            f.write_str("FilterPolicy: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PolicyFault {}

/// Returns the error of a text that is not JSON, in the words of AWS's parser: the text after `failed to
/// parse JSON. `. Returns `None` if the parser accepts the text.
///
/// ```
/// let fault = patterns::json_fault("{invalidjson}").unwrap();
/// assert!(fault.starts_with("Unexpected character ('i' (code 105)): was expecting double-quote to start field name\n at "));
/// assert!(fault.ends_with("line: 1, column: 2]"));
/// ```
pub fn json_fault(text: &str) -> Option<String> {
    let mut tokens = Tokens::redacted(text);
    loop {
        match tokens.next() {
            Ok(Token::End) => return None,
            Ok(_) => {}
            Err(fault) => return Some(tokens.describe(&fault)),
        }
    }
}

/// The numbers that the limits apply to.
struct Size {
    /// Paths with conditions; of alternatives, those of the one with the most.
    keys: usize,
    /// Each array counts with its length times its depth, `$or` with the sum of its alternatives, and all are
    /// multiplied (facts, SNS § 11; the recordings of `$or` agree).
    combinations: u64,
    /// Whether an object is below a name.
    nested: bool,
    empty: bool,
    /// Whether one of the names is an operator.
    reserved: bool,
}

/// Measures a policy; `None` if it is not an object. Grammar errors are ignored here.
fn measure(tokens: &mut Tokens<'_>) -> Result<Option<Size>, Malformed> {
    let size = match tokens.next()? {
        Token::ObjectStart => Some(object(tokens, 1)?),
        _ => {
            tokens.skip_value()?;
            None
        }
    };
    tokens.next()?;
    Ok(size)
}

fn object(tokens: &mut Tokens<'_>, depth: u64) -> Result<Size, Malformed> {
    let mut size = Size { keys: 0, combinations: 1, nested: false, empty: true, reserved: false };
    while tokens.next()? == Token::Name {
        size.empty = false;
        let name = tokens.name().clone();
        size.reserved |= RESERVED.contains(&&*name);
        let part = match tokens.next()? {
            Token::ObjectStart => Size { nested: true, ..object(tokens, depth + 1)? },
            Token::ArrayStart => array(tokens, depth, name == "$or")?,
            _ => continue,
        };
        size.keys += part.keys;
        size.combinations = size.combinations.saturating_mul(part.combinations);
        size.nested |= part.nested;
    }
    Ok(size)
}

fn array(tokens: &mut Tokens<'_>, depth: u64, may_be_or: bool) -> Result<Size, Malformed> {
    let mut sum = Size { keys: 0, combinations: 0, nested: false, empty: false, reserved: false };
    let mut length = 0;
    let mut is_or = may_be_or;
    loop {
        match tokens.next()? {
            Token::ArrayEnd => break,
            Token::ObjectStart if may_be_or => {
                let part = object(tokens, depth)?;
                is_or &= !part.reserved;
                sum.keys = sum.keys.max(part.keys);
                sum.combinations = sum.combinations.saturating_add(part.combinations);
                sum.nested |= part.nested;
            }
            _ => {
                is_or = false;
                tokens.skip_value()?;
            }
        }
        length += 1;
    }
    if is_or && length >= 2 {
        return Ok(sum);
    }
    Ok(Size { keys: 1, combinations: depth.saturating_mul(length), nested: false, ..sum })
}
