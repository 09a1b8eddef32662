//! The parser of all expressions. What it refuses, it refuses with AWS's texts (facts/dynamodb.md § 6).

use super::condition::{Comparison, Condition, Operand};
use super::path::{Part, Path, shown};
use super::reserved::is_reserved;
use super::tokens::{Token, tokens};
use super::{BYTES, OPERANDS, OPERATORS, Scope};
use crate::Fault;
use crate::json::text_of;
use crate::update::{Term, Update};
use crate::value::{Type, Value};

/// Functions of conditions with the number of their operands.
const FUNCTIONS: [(&str, usize); 6] = [
    ("attribute_exists", 1),
    ("attribute_not_exists", 1),
    ("attribute_type", 2),
    ("begins_with", 2),
    ("contains", 2),
    ("size", 1),
];

const COMPARISONS: [(&str, Comparison); 6] = [
    ("=", Comparison::Equal),
    ("<>", Comparison::NotEqual),
    ("<", Comparison::Less),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    (">=", Comparison::GreaterOrEqual),
];

/// Reads one expression from its beginning to its end.
pub(super) struct Parser<'t, 's> {
    what: &'static str,
    text: &'t str,
    tokens: Vec<(usize, Token<'t>)>,
    at: usize,
    scope: &'s mut Scope,
    depth: usize,
}

impl<'t, 's> Parser<'t, 's> {
    pub(super) fn new(what: &'static str, text: &'t str, scope: &'s mut Scope) -> Result<Self, Fault> {
        let invalid = |why: String| Err(Fault::invalid(format!("Invalid {what}: {why}")));
        if text.len() > BYTES {
            return invalid(format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                text.len()
            ));
        }
        let tokens = tokens(text);
        if tokens.len() == 1 {
            return invalid("The expression can not be empty;".to_owned());
        }
        let operators = tokens.windows(2).filter(|pair| is_operator(pair[0].1, pair[1].1)).count();
        if operators > OPERATORS {
            return invalid(format!(
                "The expression contains too many operators; operator count: {operators}"
            ));
        }
        Ok(Parser { what, text, tokens, at: 0, scope, depth: 0 })
    }

    fn peek(&self) -> Token<'t> {
        self.tokens.get(self.at).map_or(Token::End, |(_, token)| *token)
    }

    fn peek_behind(&self) -> Token<'t> {
        self.tokens.get(self.at + 1).map_or(Token::End, |(_, token)| *token)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_it = self.peek() == Token::Sign(sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn takes_word(&mut self, keyword: &str) -> bool {
        let is_it = self.peek().is(keyword);
        self.at += usize::from(is_it);
        is_it
    }

    fn needs(&mut self, sign: &str) -> Result<(), Fault> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The whole text has been read.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        if self.peek() == Token::End { Ok(()) } else { Err(self.unexpected()) }
    }

    fn invalid(&self, why: impl std::fmt::Display) -> Fault {
        Fault::invalid(format!("Invalid {}: {why}", self.what))
    }

    /// The next token cannot stand here. `near` is the text from the token before it to the one behind it.
    fn unexpected(&self) -> Fault {
        let last = self.tokens.len() - 1;
        let at = self.at.min(last);
        let first = at.saturating_sub(1);
        let behind = if at < last { at + 1 } else { at };
        let end = |at: usize| match self.tokens[at] {
            (offset, Token::End) => offset,
            (offset, token) => offset + token.text().len(),
        };
        let near = self.text.get(self.tokens[first].0..end(behind)).unwrap_or_default().trim();
        self.invalid(format!("Syntax error; token: \"{}\", near: \"{near}\"", self.tokens[at].1.text()))
    }

    fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        match self.depth > OPERATORS {
            true => Err(self.invalid("The expression has redundant parentheses;")),
            false => Ok(()),
        }
    }

    // Paths and operands.

    fn path(&mut self) -> Result<Path, Fault> {
        let mut parts = vec![Part::Name(self.name()?)];
        loop {
            if self.takes(".") {
                parts.push(Part::Name(self.name()?));
            } else if self.takes("[") {
                let Token::Index(digits) = self.peek() else { return Err(self.unexpected()) };
                self.at += 1;
                // AWS refuses an index that no list has, in other words.
                let Ok(index) = digits.parse::<u32>() else {
                    return Err(self.invalid("List index is not within the allowable range"));
                };
                parts.push(Part::Index(index as usize));
                self.needs("]")?;
            } else {
                return Ok(Path(parts));
            }
        }
    }

    fn name(&mut self) -> Result<Box<str>, Fault> {
        match self.peek() {
            Token::Word(word) if is_reserved(word) => {
                Err(self.invalid(format!("Attribute name is a reserved keyword; reserved keyword: {word}")))
            }
            Token::Word(word) => {
                self.at += 1;
                Ok(word.into())
            }
            Token::NameRef(key) => {
                self.at += 1;
                self.scope.name(key, self.what)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn value(&mut self, key: &str) -> Result<Vec<u8>, Fault> {
        self.scope.value(key, self.what)
    }

    fn operand(&mut self) -> Result<Operand, Fault> {
        match (self.peek(), self.peek_behind()) {
            (Token::ValueRef(key), _) => {
                self.at += 1;
                self.value(key).map(Operand::Value)
            }
            (Token::Word(function), Token::Sign("(")) => {
                let operands = self.call(function)?;
                if function != "size" {
                    return Err(self.misused(function));
                }
                Ok(Operand::Size(Box::new(self.only(operands)?)))
            }
            _ => self.path().map(Operand::Path),
        }
    }

    fn only(&self, operands: Vec<Operand>) -> Result<Operand, Fault> {
        let operand = operands.into_iter().next().ok_or_else(|| self.unexpected())?;
        match &operand {
            Operand::Value(value) if matches!(Value::of(value).kind(), Type::N | Type::Bool | Type::Null) => {
                Err(self.wrong_type("size", Value::of(value).kind()))
            }
            Operand::Size(_) => Err(self.misused("size")),
            _ => Ok(operand),
        }
    }

    fn misused(&self, function: &str) -> Fault {
        self.invalid(format!(
            "The function is not allowed to be used this way in an expression; function: {function}"
        ))
    }

    fn wrong_type(&self, operator: &str, kind: Type) -> Fault {
        self.invalid(format!(
            "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {}",
            kind.name()
        ))
    }

    /// The operands of a function of conditions.
    fn call(&mut self, function: &str) -> Result<Vec<Operand>, Fault> {
        let Some((_, count)) = FUNCTIONS.iter().find(|(name, _)| *name == function) else {
            return Err(self.unknown_function(function));
        };
        self.enter()?;
        self.at += 2;
        let mut operands = Vec::new();
        if !self.takes(")") {
            loop {
                operands.push(self.operand()?);
                if self.takes(")") {
                    break;
                }
                self.needs(",")?;
            }
        }
        self.depth -= 1;
        if operands.len() != *count {
            return Err(self.wrong_count(function, operands.len()));
        }
        Ok(operands)
    }

    fn unknown_function(&self, function: &str) -> Fault {
        self.invalid(format!("Invalid function name; function: {function}"))
    }

    fn wrong_count(&self, function: &str, count: usize) -> Fault {
        self.invalid(format!(
            "Incorrect number of operands for operator or function; operator or function: {function}, number of operands: {count}"
        ))
    }

    // Conditions.

    pub(super) fn condition(&mut self) -> Result<Condition, Fault> {
        self.either().map(|(condition, _)| condition)
    }

    /// A condition, and whether the whole of it stands in parentheses.
    fn either(&mut self) -> Result<(Condition, bool), Fault> {
        let (mut condition, mut is_enclosed) = self.both()?;
        while self.takes_word("OR") {
            let (other, _) = self.both()?;
            condition = Condition::Or(Box::new(condition), Box::new(other));
            is_enclosed = false;
        }
        Ok((condition, is_enclosed))
    }

    fn both(&mut self) -> Result<(Condition, bool), Fault> {
        let (mut condition, mut is_enclosed) = self.negated()?;
        while self.takes_word("AND") {
            let (other, _) = self.negated()?;
            condition = Condition::And(Box::new(condition), Box::new(other));
            is_enclosed = false;
        }
        Ok((condition, is_enclosed))
    }

    fn negated(&mut self) -> Result<(Condition, bool), Fault> {
        // There are as many of them as operators at the most.
        if self.takes_word("NOT") {
            let (condition, _) = self.negated()?;
            return Ok((Condition::Not(Box::new(condition)), false));
        }
        if self.takes("(") {
            self.enter()?;
            let (condition, is_enclosed) = self.either()?;
            self.depth -= 1;
            self.needs(")")?;
            if is_enclosed {
                return Err(self.invalid("The expression has redundant parentheses;"));
            }
            return Ok((condition, true));
        }
        self.test().map(|condition| (condition, false))
    }

    fn test(&mut self) -> Result<Condition, Fault> {
        if let (Token::Word(function), Token::Sign("(")) = (self.peek(), self.peek_behind())
            && function != "size"
        {
            let operands = self.call(function)?;
            return self.function(function, operands);
        }
        let left = self.operand()?;
        if self.takes_word("BETWEEN") {
            let low = self.operand()?;
            if !self.takes_word("AND") {
                return Err(self.unexpected());
            }
            let high = self.operand()?;
            self.check_between(&left, &low, &high)?;
            return Ok(Condition::Between(left, low, high));
        }
        if self.takes_word("IN") {
            return self.is_in(left);
        }
        let sign = self.peek();
        let found = COMPARISONS.iter().find(|(text, _)| sign == Token::Sign(text));
        let Some((operator, comparison)) = found else { return Err(self.unexpected()) };
        self.at += 1;
        let right = self.operand()?;
        self.check_distinct(operator, &left, [&right])?;
        if !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            self.check_ordered(operator, [&left, &right])?;
        }
        Ok(Condition::Compare(left, *comparison, right))
    }

    fn is_in(&mut self, left: Operand) -> Result<Condition, Fault> {
        self.needs("(")?;
        let mut operands = Vec::new();
        loop {
            operands.push(self.operand()?);
            if self.takes(")") {
                break;
            }
            self.needs(",")?;
        }
        if operands.len() >= OPERANDS {
            return Err(self.wrong_count("IN", operands.len() + 1));
        }
        self.check_distinct("IN", &left, &operands)?;
        Ok(Condition::In(left, operands))
    }

    fn check_between(&self, left: &Operand, low: &Operand, high: &Operand) -> Result<(), Fault> {
        self.check_distinct("BETWEEN", left, [low, high])?;
        self.check_ordered("BETWEEN", [left, low, high])?;
        let (Operand::Value(low), Operand::Value(high)) = (low, high) else { return Ok(()) };
        let (low, high) = (Value::of(low), Value::of(high));
        let why = match () {
            () if low.kind() != high.kind() => "requires same data type for lower and upper bounds;",
            () if low.content() > high.content() => {
                "requires upper bound to be greater than or equal to lower bound;"
            }
            () => return Ok(()),
        };
        Err(self.invalid(format!(
            "The BETWEEN operator {why} lower bound operand: AttributeValue: {}, upper bound operand: AttributeValue: {}",
            shown_value(low),
            shown_value(high)
        )))
    }

    fn check_ordered<'o>(
        &self,
        operator: &str,
        operands: impl IntoIterator<Item = &'o Operand>,
    ) -> Result<(), Fault> {
        for operand in operands {
            if let Operand::Value(value) = operand
                && !Value::of(value).kind().is_ordered()
            {
                return Err(self.wrong_type(operator, Value::of(value).kind()));
            }
        }
        Ok(())
    }

    fn check_distinct<'o>(
        &self,
        operator: &str,
        first: &Operand,
        others: impl IntoIterator<Item = &'o Operand>,
    ) -> Result<(), Fault> {
        let Operand::Path(path) = first else { return Ok(()) };
        match others.into_iter().any(|other| other == first) {
            true => Err(self.invalid(format!(
                "The first operand must be distinct from the remaining operands for this operator or function; operator: {operator}, first operand: {}",
                shown(path)
            ))),
            false => Ok(()),
        }
    }

    fn function(&self, function: &str, operands: Vec<Operand>) -> Result<Condition, Fault> {
        let mut operands = operands.into_iter();
        let (first, second) = (operands.next(), operands.next());
        match (function, first, second) {
            ("attribute_exists", Some(Operand::Path(path)), None) => Ok(Condition::Exists(path)),
            ("attribute_not_exists", Some(Operand::Path(path)), None) => {
                Ok(Condition::Not(Box::new(Condition::Exists(path))))
            }
            ("attribute_exists" | "attribute_not_exists", ..) => Err(self.invalid(format!(
                "Operator or function requires a document path; operator or function: {function}"
            ))),
            ("attribute_type", Some(first), Some(Operand::Value(second))) => {
                let second = Value::of(&second);
                if second.kind() != Type::S {
                    return Err(self.wrong_type(function, second.kind()));
                }
                let name = second.text();
                let Some(kind) = Type::from_name(name) else {
                    return Err(self.invalid(format!(
                        "Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
                    )));
                };
                Ok(Condition::Is(first, kind))
            }
            ("begins_with", Some(first), Some(second)) => {
                for operand in [&first, &second] {
                    if let Operand::Value(value) = operand
                        && !matches!(Value::of(value).kind(), Type::S | Type::B)
                    {
                        return Err(self.wrong_type(function, Value::of(value).kind()));
                    }
                }
                self.check_distinct(function, &first, [&second])?;
                Ok(Condition::BeginsWith(first, second))
            }
            ("contains", Some(first), Some(second)) => {
                self.check_distinct(function, &first, [&second])?;
                Ok(Condition::Contains(first, second))
            }
            _ => Err(self.misused(function)),
        }
    }

    // Projections and updates.

    pub(super) fn paths(&mut self) -> Result<Vec<Path>, Fault> {
        let mut paths = vec![self.path()?];
        while self.takes(",") {
            paths.push(self.path()?);
        }
        Ok(paths)
    }

    pub(super) fn update(&mut self) -> Result<Update, Fault> {
        let mut update = Update::default();
        let mut seen: Vec<&str> = Vec::new();
        while self.peek() != Token::End {
            let sections = ["SET", "REMOVE", "ADD", "DELETE"];
            let Some(section) = sections.into_iter().find(|section| self.peek().is(section)) else {
                return Err(self.unexpected());
            };
            self.at += 1;
            if seen.contains(&section) {
                return Err(self.invalid(format!(
                    "The \"{section}\" section can only be used once in an update expression;"
                )));
            }
            seen.push(section);
            loop {
                self.action(section, &mut update)?;
                if !self.takes(",") {
                    break;
                }
            }
        }
        Ok(update)
    }

    fn action(&mut self, section: &str, update: &mut Update) -> Result<(), Fault> {
        let path = self.path()?;
        match section {
            "SET" => {
                self.needs("=")?;
                let term = self.sum()?;
                update.sets.push((path, term));
            }
            "REMOVE" => update.removes.push(path),
            _ => {
                let Token::ValueRef(key) = self.peek() else { return Err(self.unexpected()) };
                self.at += 1;
                let value = self.value(key)?;
                let kind = Value::of(&value).kind();
                let is_allowed = kind.member().is_some() || section == "ADD" && kind == Type::N;
                if !is_allowed {
                    return Err(self.invalid(format!(
                        "Incorrect operand type for operator or function; operator: {section}, operand type: {}",
                        kind.long_name()
                    )));
                }
                let actions = if section == "ADD" { &mut update.adds } else { &mut update.deletes };
                actions.push((path, value));
            }
        }
        Ok(())
    }

    /// A term, or two with a sign between them.
    fn sum(&mut self) -> Result<Term, Fault> {
        let left = self.term()?;
        for (sign, of) in [("+", Term::Plus as fn(Box<Term>, Box<Term>) -> Term), ("-", Term::Minus)] {
            if self.takes(sign) {
                let right = self.term()?;
                for term in [&left, &right] {
                    if let Term::Value(value) = term
                        && Value::of(value).kind() != Type::N
                    {
                        return Err(self.wrong_type(sign, Value::of(value).kind()));
                    }
                }
                return Ok(of(Box::new(left), Box::new(right)));
            }
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Term, Fault> {
        self.enter()?;
        let term = match (self.peek(), self.peek_behind()) {
            (Token::ValueRef(key), _) => {
                self.at += 1;
                Term::Value(self.value(key)?)
            }
            (Token::Sign("("), _) => {
                self.at += 1;
                let is_enclosed = self.peek() == Token::Sign("(");
                let term = self.sum()?;
                self.needs(")")?;
                if is_enclosed {
                    return Err(self.invalid("The expression has redundant parentheses;"));
                }
                term
            }
            (Token::Word(function), Token::Sign("(")) => self.term_of(function)?,
            _ => Term::Path(self.path()?),
        };
        self.depth -= 1;
        Ok(term)
    }

    fn term_of(&mut self, function: &str) -> Result<Term, Fault> {
        if !matches!(function, "if_not_exists" | "list_append") {
            return Err(match FUNCTIONS.iter().any(|(name, _)| *name == function) {
                true => self.misused(function),
                false => self.unknown_function(function),
            });
        }
        self.at += 2;
        let mut terms = Vec::new();
        if !self.takes(")") {
            loop {
                terms.push(self.sum()?);
                if self.takes(")") {
                    break;
                }
                self.needs(",")?;
            }
        }
        let count = terms.len();
        let mut terms = terms.into_iter();
        let (Some(first), Some(second), None) = (terms.next(), terms.next(), terms.next()) else {
            return Err(self.wrong_count(function, count));
        };
        if function == "if_not_exists" {
            let Term::Path(path) = first else {
                return Err(self.invalid(
                    "Operator or function requires a document path; operator or function: if_not_exists",
                ));
            };
            return Ok(Term::IfNotExists(path, Box::new(second)));
        }
        for term in [&first, &second] {
            if let Term::Value(value) = term
                && Value::of(value).kind() != Type::L
            {
                return Err(self.wrong_type(function, Value::of(value).kind()));
            }
        }
        Ok(Term::ListAppend(Box::new(first), Box::new(second)))
    }
}

/// A value as refusals have it: `{N:5}`.
fn shown_value(value: Value<'_>) -> String {
    text_of(value).replace('"', "")
}

/// Whether a token counts as an operator, before another.
fn is_operator(token: Token<'_>, behind: Token<'_>) -> bool {
    match token {
        Token::Word(_) if behind == Token::Sign("(") => true,
        Token::Word(_) => ["AND", "OR", "NOT", "BETWEEN", "IN"].iter().any(|keyword| token.is(keyword)),
        Token::Sign(sign) => matches!(sign, "+" | "-") || COMPARISONS.iter().any(|(text, _)| *text == sign),
        _ => false,
    }
}
