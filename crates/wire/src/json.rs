//! JSON as AWS reads and writes it: typed, forgiving about what is not known, strict about types.
//!
//! A text without escapes is a slice of the request's buffer, not a copy.

use std::fmt;

use api::{Map, Text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// What is wrong with a document, in AWS's words where they are known (facts/protocols.md § 7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A value of another kind was expected: the kind that came, the kind that was expected.
    Kind(&'static str, &'static str),
    /// A structure or list stands where a plain value was expected.
    Structure,
    /// A plain value stands where a structure was expected.
    NoStructure,
    /// It is no JSON.
    Malformed,
    /// It is nested too deeply.
    Deep,
    /// A text has half of a surrogate pair.
    Surrogate,
    /// A blob is not base64.
    Base64,
    /// A number does not fit.
    Range(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kind(came, expected) => write!(f, "{came} can not be converted to {expected}"),
            Fault::Structure => f.write_str("Start of structure or map found where not expected."),
            Fault::NoStructure => f.write_str("Unexpected token received from parser"),
            Fault::Malformed => f.write_str("Unable to parse the request body as JSON"),
            Fault::Deep => f.write_str("The request body is nested too deeply"),
            Fault::Surrogate => f.write_str("A text has half of a surrogate pair, which is no character"),
            Fault::Base64 => f.write_str("A blob is not valid base64"),
            Fault::Range(what) => write!(f, "A number does not fit into {what}"),
        }
    }
}

/// A structure that can be read member by member.
pub trait ReadMembers: Default {
    /// Reads the member's value if it is one of the structure's; says whether it was.
    fn read_member(&mut self, name: &str, reader: &mut Reader<'_>) -> Result<bool, Fault>;
}

/// A value that can be read.
pub trait ReadValue: Sized {
    /// Reads it; what comes is not `null`.
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault>;
}

/// Levels of nesting beyond which nothing is read.
const DEPTH: u32 = 64;

/// Reads a document from its beginning to its end.
#[derive(Debug)]
pub struct Reader<'a> {
    document: &'a Text,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of a document.
    pub fn new(document: &'a Text) -> Self {
        Reader { document, bytes: document.as_bytes(), at: 0, depth: 0 }
    }

    /// The whole document as a structure; an empty one has no members.
    pub fn document<T: ReadMembers>(&mut self) -> Result<T, Fault> {
        self.space();
        if self.at == self.bytes.len() {
            return Ok(T::default());
        }
        let document = self.structure()?;
        self.space();
        if self.at < self.bytes.len() { Err(Fault::Malformed) } else { Ok(document) }
    }

    /// A value; `null` is none.
    pub fn optional<T: ReadValue>(&mut self) -> Result<Option<T>, Fault> {
        if self.peek()? == b'n' {
            self.word("null")?;
            return Ok(None);
        }
        T::read_value(self).map(Some)
    }

    /// A structure.
    pub fn structure<T: ReadMembers>(&mut self) -> Result<T, Fault> {
        if self.peek()? != b'{' {
            return Err(if self.peek()? == b'[' { Fault::Structure } else { Fault::NoStructure });
        }
        let mut value = T::default();
        self.members(|reader, name| {
            if !value.read_member(&name, reader)? {
                reader.skip()?;
            }
            Ok(())
        })?;
        Ok(value)
    }

    fn members(&mut self, mut member: impl FnMut(&mut Self, Text) -> Result<(), Fault>) -> Result<(), Fault> {
        self.enter(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                if self.peek()? != b'"' {
                    return Err(Fault::Malformed);
                }
                let name = self.string()?;
                if self.peek()? != b':' {
                    return Err(Fault::Malformed);
                }
                self.at += 1;
                member(self, name)?;
                if self.next_or_end(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.enter(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
        } else {
            loop {
                item(self)?;
                if self.next_or_end(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self, open: u8) -> Result<(), Fault> {
        if self.peek()? != open {
            return Err(Fault::Malformed);
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH { Err(Fault::Deep) } else { Ok(()) }
    }

    fn next_or_end(&mut self, close: u8) -> Result<bool, Fault> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(false),
            byte if byte == close => Ok(true),
            _ => Err(Fault::Malformed),
        }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space; it stays where it is.
    fn peek(&mut self) -> Result<u8, Fault> {
        self.space();
        self.bytes.get(self.at).copied().ok_or(Fault::Malformed)
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Fault::Malformed)
        }
    }

    /// A text; the next byte is its quotation mark.
    fn string(&mut self) -> Result<Text, Fault> {
        let start = self.at + 1;
        let rest = self.bytes.get(start..).ok_or(Fault::Malformed)?;
        let stop = memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::Malformed)?;
        if rest[stop] == b'"' {
            self.at = start + stop + 1;
            // Both ends stand beside an ASCII character, so this is a whole text.
            return Ok(self.document.slice_ref(&self.document[start..start + stop]));
        }
        self.escaped_string(start, start + stop)
    }

    fn escaped_string(&mut self, start: usize, first: usize) -> Result<Text, Fault> {
        let mut text = String::with_capacity(2 * (first - start) + 64);
        text.push_str(&self.document[start..first]);
        self.at = first;
        loop {
            let rest = &self.bytes[self.at..];
            let stop = memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::Malformed)?;
            text.push_str(&self.document[self.at..self.at + stop]);
            self.at += stop + 1;
            if rest[stop] == b'"' {
                return Ok(text.into());
            }
            let escape = *self.bytes.get(self.at).ok_or(Fault::Malformed)?;
            self.at += 1;
            text.push(match escape {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.unicode()?,
                _ => return Err(Fault::Malformed),
            });
        }
    }

    fn unicode(&mut self) -> Result<char, Fault> {
        let high = self.four_digits()?;
        if !(0xd800..0xe000).contains(&high) {
            return char::from_u32(high).ok_or(Fault::Malformed);
        }
        // A character beyond the basic plane comes as a pair; half a pair is no character, and no text can hold it.
        if high >= 0xdc00 || self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
            return Err(Fault::Surrogate);
        }
        self.at += 2;
        let low = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(Fault::Surrogate);
        }
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(Fault::Malformed)
    }

    fn four_digits(&mut self) -> Result<u32, Fault> {
        let digits = self.document.get(self.at..self.at + 4).ok_or(Fault::Malformed)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Fault::Malformed);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Fault::Malformed)
    }

    /// What a value of another kind than expected is called.
    fn unexpected(&mut self, expected: &'static str) -> Fault {
        match self.peek() {
            Ok(b'"') => Fault::Kind("STRING_VALUE", expected),
            Ok(b't') => Fault::Kind("TRUE_VALUE", expected),
            Ok(b'f') => Fault::Kind("FALSE_VALUE", expected),
            Ok(b'0'..=b'9' | b'-') => match self.number() {
                Ok(text) if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
                    Fault::Kind("DECIMAL_VALUE", expected)
                }
                Ok(_) => Fault::Kind("NUMBER_VALUE", expected),
                Err(fault) => fault,
            },
            Ok(b'{' | b'[') => Fault::Structure,
            _ => Fault::Malformed,
        }
    }

    fn number(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let len = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let text = &self.document[self.at..self.at + len];
        if text.parse::<f64>().is_err() {
            return Err(Fault::Malformed);
        }
        self.at += len;
        Ok(text)
    }

    fn integer<T: std::str::FromStr>(
        &mut self,
        expected: &'static str,
        kind: &'static str,
    ) -> Result<T, Fault> {
        if !matches!(self.peek()?, b'0'..=b'9' | b'-') {
            return Err(self.unexpected(expected));
        }
        let start = self.at;
        let text = self.number()?;
        if let Ok(value) = text.parse() {
            return Ok(value);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return Err(Fault::Range(kind));
        }
        // 5.0 and 1e3 are integers, too.
        match text.parse::<f64>() {
            Ok(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
                format!("{value:.0}").parse().map_err(|_| Fault::Range(kind))
            }
            _ => {
                self.at = start;
                Err(self.unexpected(expected))
            }
        }
    }

    /// Goes over a value that nobody asked for.
    fn skip(&mut self) -> Result<(), Fault> {
        match self.peek()? {
            b'{' => self.members(|reader, _| reader.skip()),
            b'[' => self.items(Self::skip),
            b'"' => self.string().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'0'..=b'9' | b'-' => self.number().map(drop),
            _ => Err(Fault::Malformed),
        }
    }
}

impl<T: ReadMembers> ReadValue for T {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.structure()
    }
}

impl ReadValue for Text {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek()? == b'"' { reader.string() } else { Err(reader.unexpected("a String")) }
    }
}

impl ReadValue for i32 {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.integer("an Integer", "an Integer")
    }
}

impl ReadValue for i64 {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.integer("a Long", "a Long")
    }
}

impl ReadValue for bool {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.peek()? {
            b't' => reader.word("true").map(|()| true),
            b'f' => reader.word("false").map(|()| false),
            _ => Err(reader.unexpected("a Boolean")),
        }
    }
}

impl ReadValue for Bytes {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek()? != b'"' {
            return Err(reader.unexpected("a Blob"));
        }
        let text = reader.string()?;
        STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(|_| Fault::Base64)
    }
}

impl<T: ReadValue> ReadValue for Vec<T> {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek()? != b'[' {
            return Err(match reader.peek()? {
                b'{' => Fault::Structure,
                _ => Fault::NoStructure,
            });
        }
        let mut items = Vec::new();
        reader.items(|reader| {
            // AWS drops null items.
            items.extend(reader.optional()?);
            Ok(())
        })?;
        Ok(items)
    }
}

impl<T: ReadValue> ReadValue for Map<T> {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek()? != b'{' {
            return Err(match reader.peek()? {
                b'[' => Fault::Structure,
                _ => Fault::NoStructure,
            });
        }
        let mut entries: Vec<(Text, T)> = Vec::new();
        reader.members(|reader, name| {
            if let Some(value) = reader.optional()? {
                match entries.iter_mut().find(|(other, _)| *other == name) {
                    Some(entry) => entry.1 = value,
                    None => entries.push((name, value)),
                }
            }
            Ok(())
        })?;
        Ok(Map(entries))
    }
}

/// A structure that can be written member by member.
pub trait WriteMembers {
    /// Writes the members that are there.
    fn write_members(&self, members: &mut Members<'_>);
}

/// A value that can be written.
pub trait WriteValue {
    /// Writes it.
    fn write_value(&self, out: &mut Writer);
}

/// A document that is being written.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Writes a structure as the whole document.
    pub fn document(&mut self, value: &impl WriteMembers) {
        self.out.push(b'{');
        value.write_members(&mut Members { out: self, first: true });
        self.out.push(b'}');
    }

    /// Writes a text.
    pub fn string(&mut self, text: &str) {
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        let bytes = text.as_bytes();
        let mut from = 0;
        let mut at = 0;
        while at < bytes.len() {
            // Whole pieces are looked at without leaving early, so that the compiler can look at many bytes at once.
            let piece = &bytes[at..bytes.len().min(at + PIECE)];
            if !piece
                .iter()
                .fold(false, |found, &byte| found | (byte < 0x20) | (byte == b'"') | (byte == b'\\'))
            {
                at += piece.len();
                continue;
            }
            for _ in 0..piece.len() {
                let byte = bytes[at];
                at += 1;
                let escape = ESCAPES[usize::from(byte)];
                if escape == 0 {
                    continue;
                }
                self.out.extend_from_slice(&bytes[from..at - 1]);
                from = at;
                if escape == b'u' {
                    const DIGITS: &[u8; 16] = b"0123456789abcdef";
                    self.out.extend_from_slice(b"\\u00");
                    self.out.push(DIGITS[usize::from(byte >> 4)]);
                    self.out.push(DIGITS[usize::from(byte & 15)]);
                } else {
                    self.out.extend_from_slice(&[b'\\', escape]);
                }
            }
        }
        self.out.extend_from_slice(&bytes[from..]);
        self.out.push(b'"');
    }

    /// Writes what is JSON already.
    pub fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    /// The document.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Bytes that are looked at together for whether any needs an escape.
const PIECE: usize = 64;

/// What follows the backslash for each byte: 0 for none, `u` for a number.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// The members of a structure that is being written.
#[derive(Debug)]
pub struct Members<'w> {
    out: &'w mut Writer,
    first: bool,
}

impl Members<'_> {
    /// Writes a member, if it is there.
    pub fn put<T: WriteValue>(&mut self, name: &str, value: &Option<T>) {
        let Some(value) = value else { return };
        if !self.first {
            self.out.out.push(b',');
        }
        self.first = false;
        self.out.string(name);
        self.out.out.push(b':');
        value.write_value(self.out);
    }
}

impl<T: WriteMembers> WriteValue for T {
    fn write_value(&self, out: &mut Writer) {
        out.document(self);
    }
}

impl WriteValue for Text {
    fn write_value(&self, out: &mut Writer) {
        out.string(self);
    }
}

impl WriteValue for i32 {
    fn write_value(&self, out: &mut Writer) {
        out.raw(&self.to_string());
    }
}

impl WriteValue for i64 {
    fn write_value(&self, out: &mut Writer) {
        out.raw(&self.to_string());
    }
}

impl WriteValue for bool {
    fn write_value(&self, out: &mut Writer) {
        out.raw(if *self { "true" } else { "false" });
    }
}

impl WriteValue for Bytes {
    fn write_value(&self, out: &mut Writer) {
        out.string(&STANDARD.encode(self));
    }
}

impl<T: WriteValue> WriteValue for Vec<T> {
    fn write_value(&self, out: &mut Writer) {
        out.out.push(b'[');
        for (at, item) in self.iter().enumerate() {
            if at > 0 {
                out.out.push(b',');
            }
            item.write_value(out);
        }
        out.out.push(b']');
    }
}

impl<T: WriteValue> WriteValue for Map<T> {
    fn write_value(&self, out: &mut Writer) {
        out.out.push(b'{');
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.out.push(b',');
            }
            out.string(name);
            out.out.push(b':');
            value.write_value(out);
        }
        out.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::sqs::SendMessageInput;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<SendMessageInput, Fault> {
        Reader::new(&json.into()).document()
    }

    #[test]
    fn members_are_read_and_others_are_passed_over() {
        let input = read(
            r#" {"QueueUrl":"q","Other":{"a":[1,-2.5e3,true,null,{"b":"\"\\"}]},"MessageBody":"b","DelaySeconds":5,
                "MessageGroupId":null} "#,
        )
        .unwrap();
        assert_eq!(input.queue_url.as_deref(), Some("q"));
        assert_eq!(input.message_body.as_deref(), Some("b"));
        assert_eq!(input.delay_seconds, Some(5));
        assert_eq!(input.message_group_id, None);
        assert_eq!(read(""), Ok(SendMessageInput::default()));
    }

    #[test]
    fn a_text_without_escapes_is_a_slice_of_the_document() {
        let document: Text = r#"{"MessageBody":"hello"}"#.into();
        let input: SendMessageInput = Reader::new(&document).document().unwrap();
        let body = input.message_body.unwrap();
        assert!(document.as_bytes().as_ptr_range().contains(&body.as_bytes().as_ptr()));
    }

    #[test]
    fn faults_are_told_in_aws_s_words() {
        // facts/protocols.md § 7
        let text = |json: &str| read(json).unwrap_err().to_string();
        assert_eq!(text(r#"{"MessageBody":5}"#), "NUMBER_VALUE can not be converted to a String");
        assert_eq!(text(r#"{"DelaySeconds":"5"}"#), "STRING_VALUE can not be converted to an Integer");
        assert_eq!(text(r#"{"MessageBody":{}}"#), "Start of structure or map found where not expected.");
        for malformed in
            ["{", "{\"a\"}", "{\"a\":}", "{}x", "{\"a\":1,}", "{\"a\":tru}", "{\"MessageBody\":\"\\x\"}"]
        {
            assert_eq!(read(malformed), Err(Fault::Malformed), "{malformed}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        assert_eq!(read(&deep), Err(Fault::Deep));
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_it_was_written(text in any::<String>()) {
            let mut writer = Writer::default();
            let input = SendMessageInput { message_body: Some(text.as_str().into()), ..Default::default() };
            writer.document(&input);
            let written = String::from_utf8(writer.finish()).unwrap();
            prop_assert_eq!(read(&written), Ok(input));
            let other: serde_json::Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(other["MessageBody"].as_str(), Some(text.as_str()));
            // And what another writer escapes differently.
            let ascii: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let read = read(&format!("{{\"MessageBody\":\"{ascii}\"}}")).unwrap();
            prop_assert_eq!(read.message_body.as_deref(), Some(text.as_str()));
        }

        #[test]
        fn any_document_is_read_or_refused(document in any::<String>()) {
            let _ = read(&document);
        }

        #[test]
        fn anything_like_a_document_is_read_or_refused(document in r#"[{}\[\]",:\\u0-9a-fntr MessageBody.-]{0,60}"#) {
            let _ = read(&format!("{{{document}"));
        }
    }
}
