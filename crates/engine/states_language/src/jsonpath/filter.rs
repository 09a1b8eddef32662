//! The grammar of filters: `@.price < 10 && @.tags contains 'new'`.

use regex::Regex;
use serde_json::{Map, Value};

use super::parse::Cursor;
use super::{InvalidPath, Path};

/// Parentheses within parentheses.
const DEPTH: usize = 32;
/// Bytes of a compiled regular expression.
const REGEX_SIZE: usize = 256 * 1024;

/// A condition on one element.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    /// `@.name`: there is such a value, even if it is null.
    Exists(Path),
    Test(Operand, Operator, Operand),
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Path(Path),
    Value(Value),
    Pattern(Regex),
}

impl PartialEq for Operand {
    fn eq(&self, other: &Operand) -> bool {
        match (self, other) {
            (Operand::Path(one), Operand::Path(two)) => one == two,
            (Operand::Value(one), Operand::Value(two)) => one == two,
            (Operand::Pattern(one), Operand::Pattern(two)) => one.as_str() == two.as_str(),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    SameTypeAndEqual,
    NotSameTypeOrEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    All,
    Contains,
    Size,
    Empty,
    Exists,
}

const WORDS: &[(&str, Operator)] = &[
    ("in", Operator::In),
    ("nin", Operator::NotIn),
    ("subsetof", Operator::SubsetOf),
    ("anyof", Operator::AnyOf),
    ("noneof", Operator::NoneOf),
    ("all", Operator::All),
    ("contains", Operator::Contains),
    ("size", Operator::Size),
    ("empty", Operator::Empty),
    ("exists", Operator::Exists),
];

const SIGNS: &[(&str, Operator)] = &[
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("===", Operator::SameTypeAndEqual),
    ("!==", Operator::NotSameTypeOrEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
    ("=~", Operator::Matches),
];

/// Parses a filter up to the parenthesis that closes it.
pub(super) fn parse(cursor: &mut Cursor<'_>, depth: usize) -> Result<Filter, InvalidPath> {
    if depth > DEPTH {
        return cursor.error("fewer parentheses");
    }
    let mut alternatives = vec![conjunction(cursor, depth)?];
    while cursor.take_text("||") {
        alternatives.push(conjunction(cursor, depth)?);
    }
    Ok(if alternatives.len() == 1 { alternatives.remove(0) } else { Filter::Any(alternatives) })
}

fn conjunction(cursor: &mut Cursor<'_>, depth: usize) -> Result<Filter, InvalidPath> {
    let mut all = vec![unit(cursor, depth)?];
    cursor.blanks();
    while cursor.take_text("&&") {
        all.push(unit(cursor, depth)?);
        cursor.blanks();
    }
    Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
}

fn unit(cursor: &mut Cursor<'_>, depth: usize) -> Result<Filter, InvalidPath> {
    cursor.blanks();
    if cursor.take('!') {
        if depth > DEPTH {
            return cursor.error("fewer negations");
        }
        return Ok(Filter::Not(Box::new(unit(cursor, depth + 1)?)));
    }
    if cursor.take('(') {
        let inner = parse(cursor, depth + 1)?;
        cursor.blanks();
        cursor.expect(')', "')'")?;
        return Ok(inner);
    }
    let left = operand(cursor)?;
    cursor.blanks();
    match (operator(cursor)?, left) {
        (Some(operator), left) => {
            cursor.blanks();
            Ok(Filter::Test(left, operator, operand(cursor)?))
        }
        (None, Operand::Path(path)) => Ok(Filter::Exists(path)),
        (None, _) => cursor.error("an operator"),
    }
}

fn operator(cursor: &mut Cursor<'_>) -> Result<Option<Operator>, InvalidPath> {
    let sign = cursor.take_while(|c| "=!<>~".contains(c));
    if !sign.is_empty() {
        let found = SIGNS.iter().find(|(text, _)| *text == sign);
        return found.map(|(_, operator)| Some(*operator)).map_or_else(|| cursor.error("an operator"), Ok);
    }
    let word = cursor.take_while(|c| c.is_ascii_alphabetic());
    if word.is_empty() {
        return Ok(None);
    }
    let found = WORDS.iter().find(|(text, _)| text.eq_ignore_ascii_case(word));
    found.map(|(_, operator)| Some(*operator)).map_or_else(|| cursor.error("an operator"), Ok)
}

fn operand(cursor: &mut Cursor<'_>) -> Result<Operand, InvalidPath> {
    match cursor.peek() {
        Some('@' | '$') => Ok(Operand::Path(cursor.inner_path()?)),
        Some('/') => pattern(cursor),
        _ => Ok(Operand::Value(literal(cursor, 0)?)),
    }
}

/// `/…/flags`: Java's pattern must match the whole text.
fn pattern(cursor: &mut Cursor<'_>) -> Result<Operand, InvalidPath> {
    cursor.at += 1;
    let rest = cursor.rest();
    let mut escaped = false;
    let end = rest.find(|c: char| {
        let ends = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else { return cursor.error("'/'") };
    cursor.at += end + 1;
    let flags = cursor.take_while(|c| c.is_ascii_alphabetic());
    let flags: String = flags.chars().filter(|flag| "imsx".contains(*flag)).collect();
    let flags = if flags.is_empty() { String::new() } else { format!("(?{flags})") };
    let source = format!("{flags}\\A(?:{})\\z", rest[..end].replace("\\/", "/"));
    match regex::RegexBuilder::new(&source).size_limit(REGEX_SIZE).nest_limit(64).build() {
        Ok(regex) => Ok(Operand::Pattern(regex)),
        Err(_) => cursor.error("a regular expression"),
    }
}

/// JSON, in which texts may have single quotes.
fn literal(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value, InvalidPath> {
    if depth > DEPTH {
        return cursor.error("less nesting");
    }
    cursor.blanks();
    match cursor.peek() {
        Some('\'' | '"') => cursor.quoted().map(Value::String),
        Some('[') => {
            cursor.at += 1;
            let mut items = Vec::new();
            cursor.blanks();
            while !cursor.take(']') {
                if !items.is_empty() {
                    cursor.expect(',', "','")?;
                }
                items.push(literal(cursor, depth + 1)?);
                cursor.blanks();
            }
            Ok(Value::Array(items))
        }
        Some('{') => {
            cursor.at += 1;
            let mut members = Map::new();
            cursor.blanks();
            while !cursor.take('}') {
                if !members.is_empty() {
                    cursor.expect(',', "','")?;
                    cursor.blanks();
                }
                let name = cursor.quoted()?;
                cursor.blanks();
                cursor.expect(':', "':'")?;
                members.insert(name, literal(cursor, depth + 1)?);
                cursor.blanks();
            }
            Ok(Value::Object(members))
        }
        _ => {
            let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
            match serde_json::from_str(word) {
                Ok(value) => Ok(value),
                Err(_) => cursor.error("a value"),
            }
        }
    }
}
