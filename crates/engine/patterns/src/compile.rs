//! From the text of a pattern to the pattern: one grammar in two dialects, that of SNS and that of EventBridge.
//!
//! The order in which tokens are read, and what has been read when something is refused, follows event-ruler, since it
//! shows in the columns of AWS's error texts.

use crate::address::{Address, Block};
use crate::condition::Condition;
use crate::json::{Malformed, Token, Tokens};
use crate::number::{Range, comparable};
use crate::pattern::{Constraint, Pattern};
use crate::wildcard::Wildcard;

/// What the two services' grammars differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `anything-but` takes a single prefix and no other operator; `prefix` and `suffix` take strings only; a wildcard
    /// has at most three stars (facts, SNS § 11).
    FilterPolicy,
    /// The grammar of event-ruler 2 (facts, EventBridge § 4).
    EventPattern,
}

/// How many alternatives `$or` may multiply to (facts, EventBridge § 4; a filter policy is checked before).
const CLAUSES_LIMIT: usize = 1000;

/// How many stars a wildcard of a filter policy may have (facts, SNS § 11).
const STARS_LIMIT: usize = 3;

/// What AWS says of a pattern whose wildcards it finds too dear.
const TOO_COMPLEX: &str = "Rule is too complex - try using fewer wildcard characters or fewer repeating character \
                           sequences after a wildcard character";

/// Names that make `$or` an ordinary name where one of its alternatives has them: operators of today and of some day
/// (event-ruler's list).
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
/// A `$or` that is not a list of at least two objects with ordinary names is an ordinary name (AWS's documentation of both
/// services). If the pattern makes no sense in this way either, what is wrong with the `$or` is said.
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
    /// The clauses so far; none is as good as one that is empty.
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
            clauses: Vec::new(),
        }
    }

    /// The pattern, and whether a `$or` was met on the way.
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

    // The reader of the tokens bounds the depth of this recursion.
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

    /// The array of conditions on one path.
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
        for clause in &mut self.clauses {
            // A path that is given twice counts as given last.
            clause.retain(|&other| self.constraints[other as usize].path != path);
            clause.push(number);
        }
        self.constraints.push(Constraint { path, conditions: conditions.into() });
        Ok(())
    }

    /// `{"prefix": "x"}` and its like, of which the brace has been read.
    fn expression(&mut self) -> Result<Condition, Malformed> {
        if self.tokens.next()? != Token::Name {
            return Err(self.tokens.refuse("Match expression name not found"));
        }
        let operator = self.tokens.name().clone();
        let richer = self.dialect == Dialect::EventPattern;
        match &*operator {
            "exactly" => {
                let text = self.string("exact match pattern must be a string")?;
                self.only_key()?;
                Ok(Condition::String(text))
            }
            "prefix" | "suffix" => {
                if self.tokens.next()? == Token::ObjectStart && richer {
                    return self.affix_ignoring_case(&operator);
                }
                let text = self.this_string(&format!("{operator} match pattern must be a string"))?;
                self.only_key()?;
                Ok(if operator == "prefix" { Condition::Prefix(text) } else { Condition::Suffix(text) })
            }
            "numeric" => {
                if self.tokens.next()? != Token::ArrayStart {
                    return Err(self.tokens.refuse("Value of numeric must be an array."));
                }
                let range = self.range()?;
                self.close("Too many elements in numeric expression")?;
                Ok(Condition::Within(range))
            }
            "anything-but" => self.anything_but(),
            "exists" => {
                let condition = match self.tokens.next()? {
                    Token::True => Condition::Exists,
                    Token::False => Condition::Absent,
                    _ => {
                        return Err(self.tokens.refuse("exists match pattern must be either true or false."));
                    }
                };
                self.only_key()?;
                Ok(condition)
            }
            "cidr" => {
                // AWS says "prefix" here.
                let text = self.string("prefix match pattern must be a string")?;
                let block = Block::parse(&text).map_err(Malformed::somewhere)?;
                self.only_key()?;
                Ok(Condition::Block(block.into()))
            }
            "equals-ignore-case" => {
                let text = self.string("equals-ignore-case match pattern must be a string")?;
                self.only_key()?;
                Ok(Condition::EqualIgnoringCase(text))
            }
            "wildcard" => {
                let text = self.string("wildcard match pattern must be a string")?;
                let wildcard = self.wildcard(&text)?;
                self.only_key()?;
                Ok(Condition::Wildcard(wildcard))
            }
            _ => Err(self.tokens.refuse(format!("Unrecognized match type {operator}"))),
        }
    }

    fn affix_ignoring_case(&mut self, operator: &str) -> Result<Condition, Malformed> {
        let (title, suffix) = if operator == "prefix" { ("Prefix", false) } else { ("Suffix", true) };
        if self.tokens.next()? != Token::Name {
            return Err(self.tokens.refuse(format!("{title} expression name not found")));
        }
        let inner = self.tokens.name().clone();
        if inner != "equals-ignore-case" {
            return Err(self.tokens.refuse(format!("Unsupported {operator} pattern: {inner}")));
        }
        let text = self.string("equals-ignore-case match pattern must be a string")?;
        self.only_key()?;
        self.only_key()?;
        Ok(if suffix { Condition::SuffixIgnoringCase(text) } else { Condition::PrefixIgnoringCase(text) })
    }

    fn anything_but(&mut self) -> Result<Condition, Malformed> {
        let mut token = self.tokens.next()?;
        let mut operator = None;
        if token == Token::ObjectStart {
            if self.tokens.next()? != Token::Name {
                return Err(self.tokens.refuse("Anything-But expression name not found"));
            }
            let inner = self.tokens.name().clone();
            match (self.dialect, &*inner) {
                (Dialect::FilterPolicy, "prefix") => return self.anything_but_one_prefix(),
                (Dialect::EventPattern, "equals-ignore-case" | "prefix" | "suffix" | "wildcard") => {}
                _ => return Err(self.tokens.refuse(format!("Unsupported anything-but pattern: {inner}"))),
            }
            operator = Some(inner);
            token = self.tokens.next()?;
        }
        let condition = match (token, &operator) {
            (Token::ArrayStart, None) => {
                let list = self.anything_but_list();
                let (strings, numbers) = list.map_err(|fault| self.refused_again(fault))?;
                match (strings.is_empty(), numbers.is_empty()) {
                    (false, true) => Condition::NotStrings(strings.into()),
                    (true, false) => Condition::NotNumbers(numbers.into()),
                    _ => {
                        return Err(self.tokens.refuse(
                            "Inside anything but list, either all values are number or string, \
                             mixed type is not supported",
                        ));
                    }
                }
            }
            (Token::ArrayStart, Some(operator)) => {
                let list = self.operand_list(operator);
                let texts = list.map_err(|fault| self.refused_again(fault))?;
                self.not_any(operator, texts)?
            }
            (Token::String, None) => Condition::NotStrings([(*self.tokens.text()?).into()].into()),
            (Token::Number, None) => {
                let text = self.tokens.text()?;
                // Java's exception on the way out of event-ruler: without a place.
                Condition::NotNumbers([comparable(&text).ok_or_else(|| incomparable(&text))?].into())
            }
            (Token::String | Token::Number, Some(operator)) => {
                let text = self.operand(token, operator)?;
                self.not_any(operator, vec![text])?
            }
            _ => {
                return Err(self
                    .tokens
                    .refuse("Value of anything-but must be an array or single string/number value."));
            }
        };
        self.close("Too many elements in numeric expression")?;
        if operator.is_some() {
            self.close("Too many elements in numeric expression")?;
        }
        Ok(condition)
    }

    /// SNS's only operator within `anything-but`, in the words of the event-ruler of its time.
    fn anything_but_one_prefix(&mut self) -> Result<Condition, Malformed> {
        let text = self.string("prefix match pattern must be a string")?;
        if text.is_empty() {
            return Err(self.tokens.refuse("Null prefix not allowed"));
        }
        self.only_key()?;
        self.only_key()?;
        Ok(Condition::NotPrefixes([text].into()))
    }

    /// The strings and the numbers of a list, of which the bracket has been read.
    fn anything_but_list(&mut self) -> Result<(Vec<Box<str>>, Vec<f64>), Malformed> {
        let mut strings = Vec::new();
        let mut numbers = Vec::new();
        loop {
            match self.tokens.next()? {
                Token::ArrayEnd => return Ok((strings, numbers)),
                Token::String => strings.push((*self.tokens.text()?).into()),
                Token::Number => {
                    let text = self.tokens.text()?;
                    numbers.push(comparable(&text).ok_or_else(|| incomparable(&text))?);
                }
                _ => {
                    let what = "Inside anything but list, start|null|boolean is not supported.";
                    return Err(self.tokens.refuse(what));
                }
            }
        }
    }

    /// A refusal within a list is caught by event-ruler and raised again with its place in its text: the place is said
    /// twice.
    fn refused_again(&self, fault: Malformed) -> Malformed {
        let behind = self.tokens.behind(&fault);
        Malformed::somewhere(format!("{}\n at {behind}", fault.describe(self.text)))
    }

    fn operand_list(&mut self, operator: &str) -> Result<Vec<Box<str>>, Malformed> {
        let mut texts = Vec::new();
        loop {
            match self.tokens.next()? {
                Token::ArrayEnd => return Ok(texts),
                token => texts.push(self.operand(token, operator)?),
            }
        }
    }

    /// A string that an operator within `anything-but` applies to.
    fn operand(&mut self, token: Token, operator: &str) -> Result<Box<str>, Malformed> {
        let affix = matches!(operator, "prefix" | "suffix");
        if token != Token::String {
            return Err(self.tokens.refuse(match operator {
                "equals-ignore-case" => {
                    "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
                }
                "wildcard" => "wildcard match pattern must be a string",
                _ => "prefix/suffix match pattern must be a string",
            }));
        }
        let text = self.tokens.text()?;
        if affix && text.is_empty() {
            return Err(self.tokens.refuse("Null prefix/suffix not allowed"));
        }
        Ok((*text).into())
    }

    fn not_any(&mut self, operator: &str, texts: Vec<Box<str>>) -> Result<Condition, Malformed> {
        Ok(match operator {
            "prefix" => Condition::NotPrefixes(texts.into()),
            "suffix" => Condition::NotSuffixes(texts.into()),
            "wildcard" => {
                let wildcards: Result<_, _> = texts.iter().map(|text| self.wildcard(text)).collect();
                Condition::NotWildcards(wildcards?)
            }
            _ => Condition::NotIgnoringCase(texts.into()),
        })
    }

    fn wildcard(&self, text: &str) -> Result<Wildcard, Malformed> {
        let wildcard = Wildcard::parse(text).map_err(|what| self.tokens.refuse(what))?;
        if self.dialect == Dialect::FilterPolicy && wildcard.stars() > STARS_LIMIT {
            return Err(Malformed::somewhere(TOO_COMPLEX.to_owned()));
        }
        Ok(wildcard)
    }

    /// What `numeric` holds, of which the bracket has been read, with its closing bracket.
    fn range(&mut self) -> Result<Range, Malformed> {
        if self.tokens.next()? != Token::String {
            let text = self.tokens.text()?;
            return Err(self.tokens.refuse(format!("Invalid member in numeric match: {text}")));
        }
        let operator = self.tokens.text()?;
        let token = self.tokens.next()?;
        let said = match &*operator {
            "=" => "equals",
            "<" | "<=" | ">" | ">=" => &*operator,
            _ => {
                return Err(self.tokens.refuse(format!("Unrecognized numeric range operator: {operator}")));
            }
        };
        if token != Token::Number {
            return Err(self.tokens.refuse(format!("Value of {said} must be numeric")));
        }
        let first = self.tokens.text()?;
        let after = self.tokens.next()?;
        if after == Token::ArrayEnd {
            let number = self.comparable(&first)?;
            let all = Range { bottom: f64::MIN, top: f64::MAX, bottom_open: false, top_open: false };
            return Ok(match &*operator {
                "=" => Range { bottom: number, top: number, ..all },
                "<" => Range { top: number, top_open: true, ..all },
                "<=" => Range { top: number, ..all },
                ">" => Range { bottom: number, bottom_open: true, ..all },
                _ => Range { bottom: number, ..all },
            });
        }
        if !operator.starts_with('>') {
            return Err(self.tokens.refuse("Too many elements in numeric expression"));
        }
        if after != Token::String {
            let text = self.tokens.text()?;
            return Err(self.tokens.refuse(format!("Bad value in numeric range: {text}")));
        }
        let upper = self.tokens.text()?;
        if !matches!(&*upper, "<" | "<=") {
            return Err(self.tokens.refuse(format!("Bad numeric range operator: {upper}")));
        }
        if self.tokens.next()? != Token::Number {
            return Err(self.tokens.refuse(format!("Value of {upper} must be numeric")));
        }
        let second = self.tokens.text()?;
        if self.tokens.next()? != Token::ArrayEnd {
            return Err(self.tokens.refuse("Too many terms in numeric range expression"));
        }
        let (bottom, top) = (self.comparable(&first)?, self.comparable(&second)?);
        if bottom >= top {
            return Err(self.tokens.refuse("Bottom must be less than top"));
        }
        Ok(Range { bottom, top, bottom_open: operator == ">", top_open: upper == "<" })
    }

    fn comparable(&self, text: &str) -> Result<f64, Malformed> {
        comparable(text).ok_or_else(|| self.tokens.refuse(incomparable(text).what))
    }

    /// The next token, which must be a string.
    fn string(&mut self, refusal: &str) -> Result<Box<str>, Malformed> {
        self.tokens.next()?;
        self.this_string(refusal)
    }

    /// The current token, which must be a string.
    fn this_string(&mut self, refusal: &str) -> Result<Box<str>, Malformed> {
        if self.tokens.current() != Token::String {
            return Err(self.tokens.refuse(refusal));
        }
        Ok((*self.tokens.text()?).into())
    }

    fn only_key(&mut self) -> Result<(), Malformed> {
        self.close("Only one key allowed in match expression")
    }

    fn close(&mut self, refusal: &str) -> Result<(), Malformed> {
        if self.tokens.next()? != Token::ObjectEnd {
            return Err(self.tokens.refuse(refusal));
        }
        Ok(())
    }
}

fn incomparable(text: &str) -> Malformed {
    let exponent = text.split(['e', 'E']).nth(1);
    if exponent.is_some_and(|exponent| exponent.parse::<i32>().is_err()) {
        return Malformed::somewhere("value exceeds limits".to_owned());
    }
    Malformed::somewhere(format!("Cannot compare number : {text}"))
}

fn below(path: &str, name: &str) -> Box<str> {
    if path.is_empty() { name.into() } else { format!("{path}.{name}").into() }
}
