//! Compiles the text of a pattern: one grammar in two dialects, SNS's and EventBridge's.
//!
//! The order in which tokens are read, and the position at an error, follow event-ruler, because they
//! determine the columns of AWS's error texts.

mod operators;

use std::collections::BTreeMap;

use crate::address::Address;
use crate::condition::Condition;
use crate::json::{Malformed, Token, Tokens};
use crate::number::comparable;
use crate::pattern::{Constraint, Pattern};

/// The differences between the two services' grammars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `anything-but` accepts a single prefix and no other operator; `prefix` and `suffix` accept strings
    /// only; a wildcard has at most three stars (facts, SNS § 11).
    FilterPolicy,
    /// The grammar of event-ruler 2 (facts, EventBridge § 4).
    EventPattern,
}

/// Maximum number of combinations of `$or` (facts, EventBridge § 4; a filter policy is checked before).
const CLAUSES_LIMIT: usize = 1000;

/// Names that make `$or` an ordinary name if one of its alternatives has them: existing and reserved
/// operators (event-ruler's list).
pub(crate) const RESERVED: &[&str] = &[
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "html",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// Compiles a pattern.
///
/// A `$or` that is not a list of at least two objects with ordinary names is an ordinary name (AWS's
/// documentation of both services). If the pattern is invalid in this way, too, the error is the one for the
/// `$or`.
pub(crate) fn compile(text: &str, dialect: Dialect) -> Result<Pattern, Malformed> {
    match Compiler::new(text, dialect, true).run() {
        (Err(fault), true) => Compiler::new(text, dialect, false).run().0.map_err(|_| fault),
        (result, _) => result,
    }
}

struct Compiler<'a> {
    text: &'a str,
    tokens: Tokens<'a>,
    dialect: Dialect,
    or_is_special: bool,
    met_or: bool,
    constraints: Vec<Constraint>,
    /// The indexes of a path's constraints.
    by_path: BTreeMap<Box<str>, Vec<u32>>,
    /// The clauses so far; an empty list stands for a single empty clause.
    clauses: Vec<Vec<u32>>,
}

impl<'a> Compiler<'a> {
    fn new(text: &'a str, dialect: Dialect, or_is_special: bool) -> Self {
        let tokens = Tokens::new(text);
        Compiler {
            text,
            tokens,
            dialect,
            or_is_special,
            met_or: false,
            constraints: Vec::new(),
            by_path: BTreeMap::new(),
            clauses: Vec::new(),
        }
    }

    /// Returns the pattern, and whether it contains a `$or`.
    fn run(mut self) -> (Result<Pattern, Malformed>, bool) {
        let outcome = self.whole();
        let met_or = self.met_or;
        (outcome.map(|()| self.finish()), met_or)
    }

    fn whole(&mut self) -> Result<(), Malformed> {
        if self.tokens.next()? != Token::ObjectStart {
            return Err(self.tokens.refuse("Filter is not an object"));
        }
        self.object("", false)
    }

    fn finish(self) -> Pattern {
        let path = |constraint: &u32| self.constraints[*constraint as usize].path.encode_utf16();
        let mut clauses = self.clauses;
        for clause in &mut clauses {
            clause.sort_by(|a, b| path(a).cmp(path(b)));
        }
        Pattern {
            clauses: clauses.into_iter().map(Vec::into_boxed_slice).collect(),
            constraints: self.constraints.into(),
        }
    }

    // The token reader bounds the depth of this recursion.
    fn object(&mut self, path: &str, in_or: bool) -> Result<(), Malformed> {
        let mut empty = true;
        while self.tokens.next()? != Token::ObjectEnd {
            empty = false;
            let name = self.tokens.name().clone();
            if name == "$or" {
                self.met_or = true;
                if self.or_is_special {
                    self.alternatives(path)?;
                    continue;
                }
            }
            if in_or && RESERVED.contains(&&*name) {
                return Err(self
                    .tokens
                    .refuse(format!("{name} is Ruler reserved fieldName which cannot be used inside $or.")));
            }
            match self.tokens.next()? {
                Token::ObjectStart => self.object(&below(path, &name), in_or)?,
                Token::ArrayStart => self.constraint(below(path, &name))?,
                _ => return Err(self.tokens.refuse(format!("\"{name}\" must be an object or an array"))),
            }
        }
        if empty {
            return Err(self.tokens.refuse("Empty objects are not allowed"));
        }
        Ok(())
    }

    fn alternatives(&mut self, path: &str) -> Result<(), Malformed> {
        let before = std::mem::take(&mut self.clauses);
        let mut after = Vec::new();
        if self.tokens.next()? != Token::ArrayStart {
            return Err(self.tokens.refuse("It must be an Array followed with $or."));
        }
        let mut count = 0;
        loop {
            match self.tokens.next()? {
                Token::ArrayEnd => break,
                Token::ObjectStart => {
                    count += 1;
                    self.clauses.clone_from(&before);
                    if self.clauses.is_empty() {
                        self.clauses.push(Vec::new());
                    }
                    self.object(path, true)?;
                    after.append(&mut self.clauses);
                    if after.len() > CLAUSES_LIMIT {
                        return Err(Malformed::somewhere(format!(
                            "Event pattern has more than {CLAUSES_LIMIT} combinations of $or alternatives"
                        )));
                    }
                }
                _ => {
                    return Err(self
                        .tokens
                        .refuse("Only JSON object is allowed in array of $or relationship."));
                }
            }
        }
        if count < 2 {
            return Err(self.tokens.refuse("There must have at least 2 Objects in $or relationship."));
        }
        self.clauses = after;
        Ok(())
    }

    /// Parses the array of conditions on one path.
    fn constraint(&mut self, path: Box<str>) -> Result<(), Malformed> {
        let mut conditions = Vec::new();
        loop {
            conditions.push(match self.tokens.next()? {
                Token::ArrayEnd => break,
                Token::ObjectStart => self.expression()?,
                Token::String => {
                    let text = self.tokens.text()?;
                    match Address::parse(&text) {
                        Some(address) => Condition::Address(address.into()),
                        None => Condition::String((*text).into()),
                    }
                }
                Token::Number => {
                    let text = self.tokens.text()?;
                    Condition::Number((*text).into(), comparable(&text))
                }
                Token::True => Condition::True,
                Token::False => Condition::False,
                Token::Null => Condition::Null,
                _ => {
                    return Err(self
                        .tokens
                        .refuse("Match value must be String, number, true, false, or null"));
                }
            });
        }
        if conditions.is_empty() {
            return Err(self.tokens.refuse("Empty arrays are not allowed"));
        }
        if self.clauses.is_empty() {
            self.clauses.push(Vec::new());
        }
        let number = self.constraints.len() as u32;
        let earlier = self.by_path.entry(path.clone()).or_default();
        for clause in &mut self.clauses {
            // If a path occurs twice, the last one counts.
            if !earlier.is_empty() {
                clause.retain(|other| !earlier.contains(other));
            }
            clause.push(number);
        }
        earlier.push(number);
        self.constraints.push(Constraint { path, conditions: conditions.into() });
        Ok(())
    }
}

fn below(path: &str, name: &str) -> Box<str> {
    if path.is_empty() { name.into() } else { format!("{path}.{name}").into() }
}
