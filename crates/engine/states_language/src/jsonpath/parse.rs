//! The grammar of paths.

use super::filter::{self, Filter};
use super::{InvalidPath, Path, Root, Step};

/// Steps of one path, filters within filters, and tests of one filter.
const STEPS: usize = 256;
const NESTED: usize = 16;

/// Jayway's functions. Only the length works in Step Functions (AWS re:Post records `sum()` as "could not be found in the input").
const FUNCTIONS: &[&str] =
    &["avg", "stddev", "sum", "min", "max", "concat", "keys", "append", "first", "last", "index"];

/// A position in the text of a path.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// How many filters are around the position.
    pub(super) nested: usize,
}

/// Parses a whole text as one path.
pub(super) fn whole(text: &str) -> Result<Path, InvalidPath> {
    let mut cursor = Cursor { text, at: 0, nested: 0 };
    cursor.expect('$', "'$'")?;
    let root = if cursor.take('$') {
        Root::Context
    } else {
        match cursor.variable() {
            "" => Root::Input,
            name => Root::Variable(name.to_owned()),
        }
    };
    let steps = cursor.steps()?;
    if cursor.at < text.len() {
        return cursor.error("'.', '[' or the end");
    }
    Ok(Path { text: text.to_owned(), root, steps })
}

impl<'a> Cursor<'a> {
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn error<T>(&self, expected: &'static str) -> Result<T, InvalidPath> {
        Err(InvalidPath { position: self.at, expected })
    }

    pub(super) fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    pub(super) fn take_text(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    pub(super) fn expect(&mut self, wanted: char, name: &'static str) -> Result<(), InvalidPath> {
        if self.take(wanted) { Ok(()) } else { self.error(name) }
    }

    pub(super) fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Takes characters as long as they are of a kind.
    pub(super) fn take_while(&mut self, of_kind: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !of_kind(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The name of a variable: the characters of Unicode identifiers (states-language.net, "Variable names").
    fn variable(&mut self) -> &'a str {
        self.take_while(|c| c.is_alphanumeric() || c == '_')
    }

    /// Steps up to something that does not begin a step.
    pub(super) fn steps(&mut self) -> Result<Vec<Step>, InvalidPath> {
        let mut steps = Vec::new();
        while let Some(c) = self.peek() {
            if steps.len() >= STEPS {
                return self.error("a shorter path");
            }
            match c {
                '.' => {
                    self.at += 1;
                    if self.take('.') {
                        steps.push(Step::Scan);
                        if self.peek() == Some('[') {
                            continue;
                        }
                    }
                    steps.push(self.after_dot()?);
                }
                '[' => steps.push(self.bracket()?),
                _ => break,
            }
        }
        Ok(steps)
    }

    /// `name`, `*`, or `function()`.
    fn after_dot(&mut self) -> Result<Step, InvalidPath> {
        if self.take('*') {
            return Ok(Step::Wildcard);
        }
        let in_filter = self.nested > 0;
        let name = self.take_while(|c| {
            !matches!(c, '.' | '[' | '(' | ' ')
                && !(in_filter && (c.is_whitespace() || ")]=<>!~&|,".contains(c)))
        });
        if name.is_empty() {
            return self.error("a name");
        }
        if self.peek() != Some('(') {
            if self.peek() == Some(' ') && !in_filter {
                return self.error("a name without blanks, or ['the name']");
            }
            return Ok(Step::Names(vec![name.to_owned()]));
        }
        self.function(name)
    }

    fn function(&mut self, name: &str) -> Result<Step, InvalidPath> {
        let known = name == "length" || name == "size" || FUNCTIONS.contains(&name);
        if !known {
            return self.error("a function of Jayway's library");
        }
        self.at += 1;
        let arguments = self.take_while(|c| !matches!(c, '(' | ')'));
        self.expect(')', "')'")?;
        let is_length = matches!(name, "length" | "size") && arguments.trim().is_empty();
        Ok(if is_length { Step::Length } else { Step::Unavailable })
    }

    fn bracket(&mut self) -> Result<Step, InvalidPath> {
        self.at += 1;
        self.blanks();
        let step = match self.peek() {
            Some('\'' | '"') => self.names()?,
            Some('*') => {
                self.at += 1;
                Step::Wildcard
            }
            Some('?') => {
                self.at += 1;
                Step::Filter(Box::new(self.filter()?))
            }
            Some('0'..='9' | '-' | ':') => self.numbers()?,
            _ => return self.error("?, ', 0-9, *"),
        };
        self.blanks();
        self.expect(']', "']'")?;
        Ok(step)
    }

    fn names(&mut self) -> Result<Step, InvalidPath> {
        let mut names = vec![self.quoted()?];
        self.blanks();
        while self.take(',') {
            self.blanks();
            names.push(self.quoted()?);
            self.blanks();
        }
        if names.len() > STEPS { self.error("fewer names") } else { Ok(Step::Names(names)) }
    }

    /// A text in single or double quotes; a backslash takes the next character as it is, or is an escape of JSON.
    pub(super) fn quoted(&mut self) -> Result<String, InvalidPath> {
        let quote = match self.peek() {
            Some(quote @ ('\'' | '"')) => quote,
            _ => return self.error("a quote"),
        };
        let mut characters = self.rest()[1..].char_indices();
        let mut text = String::new();
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, escaped)) => text.push(escaped),
                    None => break,
                },
                c if c == quote => {
                    self.at += 1 + at + 1;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        self.error("the end of the quoted text")
    }

    /// `0`, `-1`, `0, 2`, `1:3`. A third number of a slice is passed over, as in Jayway's library.
    fn numbers(&mut self) -> Result<Step, InvalidPath> {
        let text = self.take_while(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | ',' | ' '));
        let number = |text: &str| text.trim().parse::<i64>().ok().filter(|n| n.unsigned_abs() < 1 << 31);
        if text.contains(':') {
            let mut bounds = text.split(':').map(|bound| match bound.trim() {
                "" => Some(None),
                bound => number(bound).map(Some),
            });
            let (from, to) = (bounds.next().flatten(), bounds.next().flatten());
            return match (from, to) {
                (Some(from), Some(to)) if from.is_some() || to.is_some() => Ok(Step::Slice(from, to)),
                _ => self.error("a slice"),
            };
        }
        match text.split(',').map(number).collect::<Option<Vec<_>>>() {
            Some(indexes) if indexes.len() <= STEPS => Ok(Step::Indexes(indexes)),
            _ => self.error("an index"),
        }
    }

    fn filter(&mut self) -> Result<Filter, InvalidPath> {
        self.blanks();
        self.expect('(', "'('")?;
        if self.nested >= NESTED {
            return self.error("fewer filters within filters");
        }
        self.nested += 1;
        let filter = filter::parse(self, 0)?;
        self.nested -= 1;
        self.blanks();
        self.expect(')', "')'")?;
        Ok(filter)
    }

    /// A path within a filter.
    pub(super) fn inner_path(&mut self) -> Result<Path, InvalidPath> {
        let start = self.at;
        let root = if self.take('@') {
            Root::Element
        } else {
            self.expect('$', "'$' or '@'")?;
            Root::Input
        };
        let steps = self.steps()?;
        Ok(Path { text: self.text[start..self.at].to_owned(), root, steps })
    }
}
