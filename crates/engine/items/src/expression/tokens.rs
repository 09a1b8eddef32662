//! An expression as tokens, each with its place in the text.

/// A token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'t> {
    /// A keyword, a name, or the name of a function.
    Word(&'t str),
    /// `#name`.
    NameRef(&'t str),
    /// `:value`.
    ValueRef(&'t str),
    /// Digits.
    Index(&'t str),
    /// `(`, `<=` and the like.
    Sign(&'t str),
    /// What no expression contains.
    Unknown(&'t str),
    /// The end of the text.
    End,
}

impl<'t> Token<'t> {
    pub(super) fn text(self) -> &'t str {
        match self {
            Token::Word(text)
            | Token::NameRef(text)
            | Token::ValueRef(text)
            | Token::Index(text)
            | Token::Sign(text)
            | Token::Unknown(text) => text,
            Token::End => "<EOF>",
        }
    }

    /// Whether it is this keyword, in any case.
    pub(super) fn is(self, keyword: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

/// The tokens of a text, with the offsets at which they begin.
pub(super) fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    let run = |from: usize| {
        let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        from + bytes[from..].iter().take_while(is_word).count()
    };
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (end, token): (usize, fn(&str) -> Token<'_>) = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => (run(at), |text| Token::Word(text)),
            b'0'..=b'9' => {
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                (at + digits, |text| Token::Index(text))
            }
            b'#' if run(at + 1) > at + 1 => (run(at + 1), |text| Token::NameRef(text)),
            b':' if run(at + 1) > at + 1 => (run(at + 1), |text| Token::ValueRef(text)),
            b'<' if matches!(bytes.get(at + 1), Some(b'=' | b'>')) => (at + 2, |text| Token::Sign(text)),
            b'>' if bytes.get(at + 1) == Some(&b'=') => (at + 2, |text| Token::Sign(text)),
            b'(' | b')' | b',' | b'.' | b'[' | b']' | b'=' | b'<' | b'>' | b'+' | b'-' => {
                (at + 1, |text| Token::Sign(text))
            }
            _ => {
                let rest = text.get(at..).unwrap_or_default();
                (at + rest.chars().next().map_or(1, char::len_utf8), |text| Token::Unknown(text))
            }
        };
        out.push((at, token(text.get(at..end).unwrap_or_default())));
        at = end;
    }
    out.push((bytes.len(), Token::End));
    out
}
