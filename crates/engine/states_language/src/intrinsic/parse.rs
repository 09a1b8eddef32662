//! The grammar of calls.

use super::{Argument, Call, FUNCTIONS};
use crate::jsonpath::{InvalidPath, Path};

/// Calls within calls: AWS allows ten.
const NESTED: usize = 10;
/// Arguments of one call.
const ARGUMENTS: usize = 1000;

impl Call {
    /// Parses a whole text as one call.
    pub(crate) fn parse(text: &str) -> Result<Call, InvalidPath> {
        let mut parser = Parser { text, at: 0 };
        let call = parser.call(1)?;
        if parser.at < text.len() { parser.error("the end") } else { Ok(call) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error<T>(&self, expected: &'static str) -> Result<T, InvalidPath> {
        Err(InvalidPath { position: self.at, expected })
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn call(&mut self, depth: usize) -> Result<Call, InvalidPath> {
        let start = self.at;
        if depth > NESTED {
            return self.error("fewer calls within calls");
        }
        if !self.take("States.") {
            return self.error("'States.'");
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let Some((_, function)) = FUNCTIONS.iter().find(|(name, _)| *name == &rest[..end]) else {
            return self.error("the name of an intrinsic function");
        };
        self.at += end;
        if !self.take("(") {
            return self.error("'('");
        }
        let mut arguments = Vec::new();
        self.blanks();
        while !self.take(")") {
            if !arguments.is_empty() && !self.take(",") {
                return self.error("',' or ')'");
            }
            if arguments.len() >= ARGUMENTS {
                return self.error("fewer arguments");
            }
            self.blanks();
            arguments.push(self.argument(depth)?);
            self.blanks();
        }
        Ok(Call { text: self.text[start..self.at].to_owned(), function: *function, arguments })
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, InvalidPath> {
        let rest = self.rest();
        match rest.chars().next() {
            Some('\'') => self.quoted().map(Argument::Text),
            Some('S') => self.call(depth + 1).map(Argument::Call),
            Some('$') => {
                let text = rest[..end_of_path(rest)].trim_end();
                let path = Path::parse(text).map_err(|invalid| InvalidPath {
                    position: self.at + invalid.position,
                    expected: invalid.expected,
                })?;
                self.at += text.len();
                Ok(Argument::Path(path))
            }
            _ => {
                let end = rest.find([',', ')']).unwrap_or(rest.len());
                match serde_json::from_str::<serde_json::Value>(rest[..end].trim_end()) {
                    Ok(literal) if !literal.is_string() && !literal.is_array() && !literal.is_object() => {
                        self.at += end;
                        Ok(Argument::Literal(literal))
                    }
                    _ => self.error("an argument"),
                }
            }
        }
    }

    /// A text in single quotes, with its escapes.
    fn quoted(&mut self) -> Result<String, InvalidPath> {
        let rest = &self.rest()[1..];
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => {
                    self.at += 1 + at + 1;
                    return Ok(rest[..at].to_owned());
                }
                _ => {}
            }
        }
        self.error("the end of the quoted text")
    }
}

/// Where a path ends within the arguments of a call: at a comma or parenthesis that is not within brackets or quotes.
fn end_of_path(text: &str) -> usize {
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if depth > 0 => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            (None, ')' | ',') if depth == 0 => return at,
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    text.len()
}
