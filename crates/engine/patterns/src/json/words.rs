//! Descriptions and places of errors in a text, in the words of Jackson, AWS's parser.

/// Maximum length of the quoted text in a location, in UTF-16 units (Jackson's default).
const QUOTED_LIMIT: usize = 500;

/// An error: the text is not JSON, or not what the caller of the token reader expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub what: String,
    /// The place, as an offset into the text; `None` if AWS does not name it.
    pub at: Option<usize>,
}

impl Malformed {
    /// Creates an error without a place.
    pub fn somewhere(what: String) -> Malformed {
        Malformed { what, at: None }
    }

    /// Creates the text of the error with its place, in Jackson's words.
    pub fn describe(&self, text: &str) -> String {
        match self.at {
            Some(at) => format!("{}\n at {}", self.what, location(text, at, 0, false)),
            None => self.what.clone(),
        }
    }
}

/// Returns `[Source: (String)"…"; line: 1, column: 11]`: the place of a character, or a number of columns
/// behind it. If the text is redacted, which is Jackson's default, other words replace it.
pub(super) fn location(text: &str, at: usize, columns: usize, redacted: bool) -> String {
    let at = text.floor_char_boundary(at);
    let mut line = 1;
    let mut line_start = 0;
    let bytes = &text.as_bytes()[..at];
    for newline in memchr::memchr2_iter(b'\n', b'\r', bytes) {
        if bytes[newline] == b'\r' && text.as_bytes().get(newline + 1) == Some(&b'\n') {
            continue; // the two together end one line
        }
        line += 1;
        line_start = newline + 1;
    }
    let column = utf16_len(&text[line_start..at]) + 1 + columns;
    if redacted {
        let source = "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";
        return format!("[Source: {source}; line: {line}, column: {column}]");
    }
    let quoted: Vec<u16> = text.encode_utf16().take(QUOTED_LIMIT).collect();
    let left_out = match utf16_len(text) - quoted.len() {
        0 => String::new(),
        more => format!("[truncated {more} chars]"),
    };
    let mut shown = String::new();
    for char in String::from_utf16_lossy(&quoted).chars() {
        match char {
            '\n' | '\r' => shown.push(char),
            '\u{FFFD}' => shown.push('?'), // half a pair: the other half was cut off
            char if char.is_control() => shown.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => shown.push(char),
        }
    }
    format!("[Source: (String)\"{shown}\"{left_out}; line: {line}, column: {column}]")
}

pub(super) fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

pub(super) const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

pub(super) fn non_standard(word: &str) -> String {
    format!("Non-standard token '{word}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow")
}

pub(super) fn bad_number(char: char, comment: &str) -> String {
    format!("Unexpected character ({}) in numeric value: {comment}", describe(char))
}

pub(super) fn describe(char: char) -> String {
    let mut units = [0; 2];
    let code = char.encode_utf16(&mut units)[0];
    if char.is_control() {
        return format!("(CTRL-CHAR, code {code})");
    }
    let shown = if char.len_utf16() == 1 { char } else { '?' };
    match code {
        256.. => format!("'{shown}' (code {code} / 0x{code:x})"),
        _ => format!("'{shown}' (code {code})"),
    }
}

pub(super) fn is_identifier_start(char: char) -> bool {
    // Java looks at halves of surrogate pairs, which are not letters.
    char.len_utf16() == 1
        && (char.is_alphabetic() || matches!(char, '_' | '$' | '\u{a2}'..='\u{a5}' | '\u{20ac}'))
}

pub(super) fn is_identifier_part(char: char) -> bool {
    let ignorable = matches!(char, '\0'..='\u{8}' | '\u{e}'..='\u{1b}' | '\u{7f}'..='\u{9f}');
    is_identifier_start(char) || ignorable || (char.len_utf16() == 1 && char.is_numeric())
}
