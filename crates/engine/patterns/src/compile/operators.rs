//! The conditions of the grammar: exact values, and operators such as `prefix` and `numeric`.

use super::{Compiler, Dialect};
use crate::address::Block;
use crate::condition::Condition;
use crate::json::{Malformed, Token};
use crate::number::{Range, comparable};
use crate::wildcard::Wildcard;

/// Maximum number of stars in a wildcard of a filter policy (facts, SNS § 11).
const STARS_LIMIT: usize = 3;

/// AWS's error for a pattern whose wildcards are too complex.
const TOO_COMPLEX: &str = "Rule is too complex - try using fewer wildcard characters or fewer repeating character \
                           sequences after a wildcard character";

impl Compiler<'_> {
    /// Parses `{"prefix": "x"}` and similar operators, after the brace.
    pub(super) fn expression(&mut self) -> Result<Condition, Malformed> {
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
                // Java's exception that leaves event-ruler, without a place.
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

    /// Parses SNS's only operator within `anything-but`, with the errors of the event-ruler of its time.
    fn anything_but_one_prefix(&mut self) -> Result<Condition, Malformed> {
        let text = self.string("prefix match pattern must be a string")?;
        if text.is_empty() {
            return Err(self.tokens.refuse("Null prefix not allowed"));
        }
        self.only_key()?;
        self.only_key()?;
        Ok(Condition::NotPrefixes([text].into()))
    }

    /// Parses the strings and the numbers of a list, after the bracket.
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

    /// event-ruler catches an error within a list and throws it again with its place in its text, so the text
    /// contains the place twice.
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

    /// Parses the string of an operator within `anything-but`.
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

    /// Parses the content of `numeric`, after the bracket, including the closing bracket.
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

    /// Reads the next token, which must be a string.
    fn string(&mut self, refusal: &str) -> Result<Box<str>, Malformed> {
        self.tokens.next()?;
        self.this_string(refusal)
    }

    /// Returns the current token, which must be a string.
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
