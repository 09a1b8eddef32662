//! Reads JSON as tokens. Errors and columns are those of AWS's parser, because users see its texts.
//!
//! That parser is Jackson. Two of its properties show in columns: it begins the value after a name before it
//! returns the name, and it reads a string value to its end only when the caller requests its text.

mod numerals;

mod words;
pub(crate) use words::Malformed;

mod minify;
pub(crate) use minify::minify;

use std::borrow::Cow;

use words::{VALUES, describe, is_identifier_part, is_identifier_start, location, non_standard, utf16_len};

/// Maximum nesting of objects and arrays (Jackson's default).
const DEPTH_LIMIT: usize = 1000;

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Name,
    String,
    Number,
    True,
    False,
    Null,
    /// The end of the text.
    End,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    object: bool,
    /// Number of names (in an object) or values (in an array) that were begun.
    count: usize,
    start: usize,
}

/// How many bytes of a string come before one that means something: its end, an escape, or a control character.
fn ordinary(bytes: &[u8]) -> usize {
    let is_ordinary = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    // Without an early end inside of a chunk, the compiler compares all of its bytes at once.
    let of_chunk = |chunk: &&[u8]| chunk.iter().fold(true, |all, &byte| all & is_ordinary(byte));
    let chunks = bytes.chunks_exact(CHUNK).take_while(of_chunk).count() * CHUNK;
    let rest = bytes.get(chunks..).unwrap_or_default();
    chunks + rest.iter().take_while(|&&byte| is_ordinary(byte)).count()
}

/// Bytes of a string that are looked at together.
const CHUNK: usize = 32;

/// Reads tokens one after the other.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    /// Whether errors hide the text.
    redacted: bool,
    at: usize,
    token: Token,
    /// The value after the name that was returned last.
    pending: Option<Token>,
    /// Whether the end of the current string value was not found yet.
    unread: bool,
    name: Cow<'a, str>,
    number: (usize, usize),
    levels: Vec<Level>,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str) -> Self {
        Tokens {
            text,
            redacted: false,
            at: 0,
            token: Token::End,
            pending: None,
            unread: false,
            name: Cow::Borrowed(""),
            number: (0, 0),
            levels: Vec::new(),
        }
    }

    /// As `new`, for a text that errors must not show: they contain `REDACTED` instead.
    pub fn redacted(text: &'a str) -> Self {
        Tokens { redacted: true, ..Tokens::new(text) }
    }

    /// Creates an error in Jackson's words, with its place.
    pub fn describe(&self, fault: &Malformed) -> String {
        match fault.at {
            Some(at) => format!("{}\n at {}", fault.what, self.location(at, 0)),
            None => fault.what.clone(),
        }
    }

    fn location(&self, at: usize, columns: usize) -> String {
        location(self.text, at, columns, self.redacted)
    }

    /// Returns the name that was read last.
    pub fn name(&self) -> &Cow<'a, str> {
        &self.name
    }

    /// Returns the token that was read last.
    pub fn current(&self) -> Token {
        self.token
    }

    /// Creates an error of the token reader, at the place that has been read so far.
    pub fn refuse(&self, what: impl Into<String>) -> Malformed {
        Malformed { what: what.into(), at: Some(self.at) }
    }

    /// Creates an error for a character, as thrown again behind that character: there Jackson has passed one
    /// column, for any character.
    pub fn behind(&self, fault: &Malformed) -> String {
        match fault.at {
            Some(at) if self.text.get(at..self.at).is_some_and(|passed| passed.chars().count() == 1) => {
                self.location(at, 1)
            }
            _ => self.location(self.at, 0),
        }
    }

    /// Creates an error for the character that was just read.
    fn refuse_last(&self, what: impl Into<String>) -> Malformed {
        let last = self.text[..self.at].chars().next_back().map_or(0, char::len_utf8);
        Malformed { what: what.into(), at: Some(self.at - last) }
    }

    /// Returns the text of the current token: of a string its content, of others as written.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        Ok(match self.token {
            Token::String => self.string()?,
            Token::Number => Cow::Borrowed(&self.text[self.number.0..self.number.1]),
            Token::Name => self.name.clone(),
            Token::True => Cow::Borrowed("true"),
            Token::False => Cow::Borrowed("false"),
            Token::Null => Cow::Borrowed("null"),
            Token::ObjectStart => Cow::Borrowed("{"),
            Token::ObjectEnd => Cow::Borrowed("}"),
            Token::ArrayStart => Cow::Borrowed("["),
            Token::ArrayEnd => Cow::Borrowed("]"),
            Token::End => Cow::Borrowed(""),
        })
    }

    /// Reads the next token.
    pub fn next(&mut self) -> Result<Token, Malformed> {
        self.token = self.advance()?;
        Ok(self.token)
    }

    /// Skips the rest of the value that the current token begins.
    pub fn skip_value(&mut self) -> Result<(), Malformed> {
        if !matches!(self.token, Token::ObjectStart | Token::ArrayStart) {
            return Ok(());
        }
        let above = self.levels.len() - 1;
        while self.levels.len() > above {
            self.next()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Token, Malformed> {
        if let Some(value) = self.pending.take() {
            return self.enter(value);
        }
        if self.unread {
            self.string()?;
        }
        let Some(mut byte) = self.past_blanks()? else {
            return match self.levels.last() {
                None => Ok(Token::End),
                Some(level) => {
                    let kind = if level.object { "Object" } else { "Array" };
                    let start = self.location(level.start, 0);
                    Err(self.refuse(format!(
                        "Unexpected end-of-input: expected close marker for {kind} (start marker at {start})"
                    )))
                }
            };
        };
        if byte == b']' || byte == b'}' {
            return self.leave(byte);
        }
        let in_object = self.levels.last().is_some_and(|level| level.object);
        if let Some(level) = self.levels.last_mut() {
            level.count += 1;
            if level.count > 1 {
                if byte != b',' {
                    let kind = if in_object { "Object" } else { "Array" };
                    return Err(
                        self.unexpected_here(&format!("was expecting comma to separate {kind} entries"))
                    );
                }
                byte = self.past_blanks()?.ok_or_else(|| self.ended_between())?;
            }
        }
        if in_object {
            if byte != b'"' {
                return Err(self.unexpected_here("was expecting double-quote to start field name"));
            }
            self.name = self.quoted("name")?;
            match self.past_blanks()? {
                None => return Err(self.ended_between()),
                Some(b':') => {}
                Some(_) => {
                    return Err(
                        self.unexpected_here("was expecting a colon to separate field name and value")
                    );
                }
            }
            byte = self.past_blanks()?.ok_or_else(|| self.ended_between())?;
            let value = self.begin(byte)?;
            self.pending = Some(value);
            return Ok(Token::Name);
        }
        let value = self.begin(byte)?;
        self.enter(value)
    }

    fn enter(&mut self, value: Token) -> Result<Token, Malformed> {
        if matches!(value, Token::ObjectStart | Token::ArrayStart) {
            if self.levels.len() >= DEPTH_LIMIT {
                return Err(self.refuse(format!(
                    "Document nesting depth ({}) exceeds the maximum allowed ({DEPTH_LIMIT}, \
                     from `StreamReadConstraints.getMaxNestingDepth()`)",
                    DEPTH_LIMIT + 1
                )));
            }
            self.levels.push(Level { object: value == Token::ObjectStart, count: 0, start: self.at - 1 });
        }
        Ok(value)
    }

    fn leave(&mut self, byte: u8) -> Result<Token, Malformed> {
        let object = byte == b'}';
        match self.levels.last() {
            Some(level) if level.object == object => {
                self.levels.pop();
                Ok(if object { Token::ObjectEnd } else { Token::ArrayEnd })
            }
            Some(level) => {
                let kind = if level.object { "Object" } else { "Array" };
                let expected = if object { ']' } else { '}' };
                let start = self.location(level.start, 0);
                let what = format!(
                    "Unexpected close marker '{}': expected '{expected}' (for {kind} starting at {start})",
                    char::from(byte)
                );
                Err(self.refuse_last(what))
            }
            None => {
                let kind = if object { "Object" } else { "Array" };
                let what = format!("Unexpected close marker '{}': no open {kind} to close", char::from(byte));
                Err(self.refuse_last(what))
            }
        }
    }

    /// Begins a value whose first byte was just read.
    fn begin(&mut self, byte: u8) -> Result<Token, Malformed> {
        match byte {
            b'"' => {
                self.unread = true;
                Ok(Token::String)
            }
            b'[' => Ok(Token::ArrayStart),
            b'{' => Ok(Token::ObjectStart),
            b't' => self.literal("true", Token::True),
            b'f' => self.literal("false", Token::False),
            b'n' => self.literal("null", Token::Null),
            b'-' | b'0'..=b'9' => self.number(),
            b'+' => Err(self.no_digit_after_sign(self.at - 1)),
            b'}' => Err(self.unexpected_here("expected a value")),
            _ => Err(self.odd()),
        }
    }

    fn literal(&mut self, word: &str, token: Token) -> Result<Token, Malformed> {
        let start = self.at - 1;
        let rest = &self.text.as_bytes()[start..];
        let same = rest.iter().zip(word.as_bytes()).take_while(|(a, b)| a == b).count();
        self.at = start + same;
        let runs_on = self.text[self.at..]
            .starts_with(|next| next >= '0' && !matches!(next, ']' | '}') && is_identifier_part(next));
        if same < word.len() || runs_on {
            return Err(self.unrecognized(start));
        }
        Ok(token)
    }

    /// Reports a word that JSON does not have, from `start` on.
    fn unrecognized(&mut self, start: usize) -> Malformed {
        let mut word = self.text[start..self.at].to_owned();
        for char in self.text[self.at..].chars().take_while(|&char| is_identifier_part(char)) {
            self.at += char.len_utf8();
            word.push(char);
            if utf16_len(&word) >= 256 {
                word.push_str("...");
                break;
            }
        }
        // Jackson 2.22 gives the place where the word begins; the Jackson of SNS's policies gives the place
        // where it ends (recorded in October 2025).
        let at = if self.redacted { self.at } else { start };
        Malformed { what: format!("Unrecognized token '{word}': was expecting {VALUES}"), at: Some(at) }
    }

    /// Reports that the byte just read does not begin a value.
    fn odd(&mut self) -> Malformed {
        self.at -= 1;
        let start = self.at;
        for word in ["NaN", "Infinity"] {
            if self.text[start..].starts_with(word) {
                let after = &self.text[start + word.len()..];
                if !after.chars().next().is_some_and(is_identifier_part) {
                    self.at = start + word.len();
                    return self.refuse(non_standard(word));
                }
            }
        }
        if self.text[start..].starts_with(is_identifier_start) {
            return self.unrecognized(start);
        }
        self.unexpected(start, &format!("expected a valid value {VALUES}"))
    }

    /// Returns the current string value. It can be taken once, which is enough for the callers here.
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if !std::mem::take(&mut self.unread) {
            return Ok(Cow::Borrowed(""));
        }
        self.quoted("string value")
    }

    /// Reads a string whose opening quote was read, through its closing quote.
    fn quoted(&mut self, what: &str) -> Result<Cow<'a, str>, Malformed> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut plain = start;
        let mut unescaped = String::new();
        loop {
            self.at += ordinary(bytes.get(self.at..).unwrap_or_default());
            match bytes.get(self.at) {
                None => {
                    let what = match what {
                        "name" => " in field name",
                        _ => ": was expecting closing quote for a string value",
                    };
                    return Err(self.refuse(format!("Unexpected end-of-input{what}")));
                }
                Some(b'"') => {
                    let last = &self.text[plain..self.at];
                    self.at += 1;
                    return Ok(if unescaped.is_empty() && plain == start {
                        Cow::Borrowed(last)
                    } else {
                        unescaped.push_str(last);
                        Cow::Owned(unescaped)
                    });
                }
                Some(b'\\') => {
                    unescaped.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    unescaped.push(self.escape()?);
                    plain = self.at;
                }
                Some(&byte) => {
                    self.at += 1;
                    return Err(self.refuse_last(format!(
                        "Illegal unquoted character ({}): has to be escaped using backslash to be included in {what}",
                        describe(char::from(byte))
                    )));
                }
            }
        }
    }

    /// Returns the character of an escape, after the backslash. Half of a surrogate pair without the other
    /// half becomes a question mark, as in Java when it writes UTF-8.
    fn escape(&mut self) -> Result<char, Malformed> {
        const ENDED: &str = "Unexpected end-of-input in character escape sequence";
        let Some(char) = self.text[self.at..].chars().next() else { return Err(self.refuse(ENDED)) };
        self.at += char.len_utf8();
        Ok(match char {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            '"' | '/' | '\\' => char,
            'u' => {
                let first = self.hex4()?;
                let rest = &self.text.as_bytes()[self.at..];
                if (0xD800..0xDC00).contains(&first) && rest.starts_with(b"\\u") {
                    let before = self.at;
                    self.at += 2;
                    let second = self.hex4()?;
                    if (0xDC00..0xE000).contains(&second) {
                        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                        return Ok(char::from_u32(code).unwrap_or('?'));
                    }
                    self.at = before;
                }
                char::from_u32(first).unwrap_or('?')
            }
            other => {
                return Err(self.refuse_last(format!("Unrecognized character escape {}", describe(other))));
            }
        })
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(char) = self.text[self.at..].chars().next() else {
                return Err(self.refuse("Unexpected end-of-input in character escape sequence"));
            };
            let Some(digit) = char.to_digit(16) else {
                return Err(self.unexpected(self.at, "expected a hex-digit for character escape sequence"));
            };
            self.at += 1;
            code = code * 16 + digit;
        }
        Ok(code)
    }

    /// Skips blanks and reads the byte after them; `None` at the end of the text.
    fn past_blanks(&mut self) -> Result<Option<u8>, Malformed> {
        let bytes = self.text.as_bytes();
        loop {
            let Some(&byte) = bytes.get(self.at) else { return Ok(None) };
            self.at += 1;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                0..0x20 => {
                    return Err(self.refuse(format!(
                        "Illegal character ({}): only regular white space (\\r, \\n, \\t) is allowed between tokens",
                        describe(char::from(byte))
                    )));
                }
                b'/' => {
                    return Err(self.unexpected_here(
                        "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not \
                         enabled for parser)",
                    ));
                }
                _ => return Ok(Some(byte)),
            }
        }
    }

    fn ended_between(&self) -> Malformed {
        let kind = match self.levels.last() {
            None => "root",
            Some(level) if level.object => "Object",
            Some(_) => "Array",
        };
        self.refuse(format!("Unexpected end-of-input within/between {kind} entries"))
    }

    /// Reports that the byte just read does not belong here.
    fn unexpected_here(&mut self, comment: &str) -> Malformed {
        self.unexpected(self.at - 1, comment)
    }

    /// Reports that the character at `at` does not belong there.
    fn unexpected(&mut self, at: usize, comment: &str) -> Malformed {
        let char = self.text[at..].chars().next().unwrap_or('\0');
        self.at = at + char.len_utf8();
        self.refuse_last(format!("Unexpected character ({}): {comment}", describe(char)))
    }
}
