//! Reads shapes from JSON. A text without escapes is a slice of the request's buffer, not a copy.

mod values;

use std::borrow::Cow;

use api::Text;

use crate::document::{DEPTH, Fault, Reader as _, TimeFormat};
use crate::scan;

/// Reads a document from its beginning to its end.
#[derive(Debug)]
pub struct Reader<'a> {
    document: &'a Text,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    times: TimeFormat,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of a document.
    pub fn new(document: &'a Text) -> Self {
        Reader { document, bytes: document.as_bytes(), at: 0, depth: 0, times: TimeFormat::EpochSeconds }
    }

    /// The members of a structure or a map; the next byte is its bracket.
    fn in_braces(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.enter()?;
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                if self.peek()? != b'"' {
                    return Err(Fault::Malformed);
                }
                let name = self.name()?;
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

    /// The items of a list; the next byte is its bracket.
    fn in_brackets(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.enter()?;
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

    /// Goes in; the next byte has been seen to be a bracket.
    fn enter(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH { Err(Fault::Deep) } else { Ok(()) }
    }

    #[inline]
    fn next_or_end(&mut self, close: u8) -> Result<bool, Fault> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(false),
            byte if byte == close => Ok(true),
            _ => Err(Fault::Malformed),
        }
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space; it stays where it is.
    #[inline]
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
        Ok(match self.name()? {
            Cow::Borrowed(text) => self.document.slice_ref(text),
            Cow::Owned(text) => text.into(),
        })
    }

    /// A text that need not outlive the document; the next byte is its quotation mark.
    #[inline]
    fn name(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at + 1;
        let stop = start + scan::plain_len::<scan::Json>(self.bytes.get(start..).ok_or(Fault::Malformed)?);
        match self.bytes.get(stop) {
            Some(b'"') => {
                self.at = stop + 1;
                // Both ends stand beside an ASCII character, so this is a whole text.
                Ok(Cow::Borrowed(&self.document[start..stop]))
            }
            Some(b'\\') => self.escaped(start, stop).map(Cow::Owned),
            // A control character that is not escaped, or the document's end.
            _ => Err(Fault::Malformed),
        }
    }

    /// The text from `start` on, of which the first escape is at `at`.
    fn escaped(&mut self, start: usize, at: usize) -> Result<String, Fault> {
        let bytes = self.bytes;
        let mut text = Vec::with_capacity(2 * (at - start) + 64);
        text.extend_from_slice(&bytes[start..at]);
        self.at = at;
        loop {
            self.at = scan::copy_plain::<scan::Json>(bytes, self.at, &mut text);
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {}
                _ => return Err(Fault::Malformed),
            }
            let escape = *bytes.get(self.at + 1).ok_or(Fault::Malformed)?;
            self.at += 2;
            text.push(match escape {
                b'"' | b'\\' | b'/' => escape,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let character = self.unicode()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                _ => return Err(Fault::Malformed),
            });
        }
        self.at += 1;
        // It is a text: pieces of one, cut beside ASCII characters, and whole characters. Looking again costs little.
        String::from_utf8(text).map_err(|_| Fault::Malformed)
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
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Fault::Malformed)?;
        self.at += 4;
        digits.iter().try_fold(0, |number, &digit| {
            Ok(number << 4 | char::from(digit).to_digit(16).ok_or(Fault::Malformed)?)
        })
    }

    /// A plain value stands where something else was expected, if it is a value at all.
    fn plain(&mut self, expected: &'static str) -> Fault {
        match self.skip() {
            Ok(()) => Fault::Plain(expected),
            Err(fault) => fault,
        }
    }

    /// What a value of another kind than expected is called.
    fn unexpected(&mut self, expected: &'static str) -> Fault {
        match self.peek() {
            Ok(b'"') => Fault::Kind("STRING_VALUE", expected),
            Ok(b't') => Fault::Kind("TRUE_VALUE", expected),
            Ok(b'f') => Fault::Kind("FALSE_VALUE", expected),
            Ok(b'0'..=b'9' | b'-') => match self.number() {
                Ok(number) if is_integer(number) => Fault::Kind("NUMBER_VALUE", expected),
                Ok(_) => Fault::Kind("DECIMAL_VALUE", expected),
                Err(fault) => fault,
            },
            Ok(b'{') => Fault::Structure,
            Ok(b'[') => Fault::List,
            _ => Fault::Malformed,
        }
    }

    /// The text of a number.
    fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let first = self.bytes.get(self.at);
        if self.digits()? > 1 && first == Some(&b'0') {
            return Err(Fault::Malformed);
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.document[start..self.at])
    }

    /// Goes over digits, of which there is at least one; says how many.
    fn digits(&mut self) -> Result<usize, Fault> {
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(Fault::Malformed) } else { Ok(digits) }
    }
}

fn is_integer(number: &str) -> bool {
    number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::ReadValue;
    use api::Timestamp;
    use api::sqs::{SendMessageInput, TagQueueInput};
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
    fn names_may_be_escaped_too() {
        assert_eq!(read(r#"{"Queue\u0055rl":"q"}"#).unwrap().queue_url.as_deref(), Some("q"));
    }

    #[test]
    fn a_text_without_escapes_is_a_slice_of_the_document() {
        let document: Text = r#"{"MessageBody":"hello"}"#.into();
        let input: SendMessageInput = Reader::new(&document).document().unwrap();
        let body = input.message_body.unwrap();
        assert!(document.as_bytes().as_ptr_range().contains(&body.as_bytes().as_ptr()));
    }

    #[test]
    fn escapes_stand_for_characters() {
        let body = |json: &str| {
            read(&format!(r#"{{"MessageBody":"{json}"}}"#)).map(|input| input.message_body.unwrap())
        };
        assert_eq!(body(r#"\"\\\/\b\f\n\r\t\u00fc\u20AC"#).unwrap(), "\"\\/\u{8}\u{c}\n\r\tü€");
        assert_eq!(body(r"a\ud83d\ude00b").unwrap(), "a😀b");
        for half in [r"\ud83d", r"\ud83dx", r"\ude00", r"\ud83d\n", r"\ud83d\u0041"] {
            assert_eq!(body(half), Err(Fault::Surrogate), "{half}");
        }
        for wrong in [r"\x", r"\u12", r"\u12g4", "\\", "a\nb", "a\0b"] {
            assert_eq!(body(wrong), Err(Fault::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn faults_are_told_in_aws_s_words() {
        // facts/protocols.md § 7, and recordings from Kinesis
        let text = |json: &str| read(json).unwrap_err().to_string();
        assert_eq!(text(r#"{"MessageBody":5}"#), "NUMBER_VALUE can not be converted to a String");
        assert_eq!(text(r#"{"MessageBody":5.5}"#), "DECIMAL_VALUE can not be converted to a String");
        assert_eq!(text(r#"{"MessageBody":true}"#), "TRUE_VALUE can not be converted to a String");
        assert_eq!(text(r#"{"DelaySeconds":"5"}"#), "STRING_VALUE can not be converted to an Integer");
        assert_eq!(text(r#"{"MessageBody":{}}"#), "Start of structure or map found where not expected.");
        assert_eq!(text(r#"{"MessageBody":[]}"#), "Start of list found where not expected");
        assert_eq!(text("[]"), "Start of list found where not expected");
        assert_eq!(text(r#"{"MessageAttributes":1}"#), "Expected map or null");
        assert_eq!(text(r#"{"MessageAttributes":[]}"#), "Start of list found where not expected");
        assert_eq!(text(r#"{"MessageAttributes":{"a":"b"}}"#), "Expected null");
        let list =
            |json| Reader::new(&Text::from_static(json)).document::<api::sqs::UntagQueueInput>().unwrap_err();
        assert_eq!(list(r#"{"TagKeys":"a"}"#).to_string(), "Expected list or null");
        assert_eq!(list(r#"{"TagKeys":{}}"#), Fault::Structure);
        let blob =
            |blob: &str| text(&format!(r#"{{"MessageAttributes":{{"a":{{"BinaryValue":"{blob}"}}}}}}"#));
        assert_eq!(
            blob("23456"),
            "'23456' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5"
        );
        assert_eq!(blob("=+/="), "'=+/=' can not be converted to a Blob: Invalid Base64 character: '='");
        assert_eq!(
            blob("+/+="),
            "'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected"
        );
        // What is no JSON is told without a word.
        assert_eq!(text("{"), "");
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for malformed in [
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{}x",
            "{\"a\":1,}",
            "{\"a\":tru}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":-}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "null",
            "5",
            "\"x\"",
            "{\"a",
        ] {
            assert_eq!(read(malformed), Err(Fault::Malformed), "{malformed}");
        }
    }

    #[test]
    fn integers_may_be_written_as_decimals_and_must_fit() {
        let delay =
            |json: &str| read(&format!(r#"{{"DelaySeconds":{json}}}"#)).map(|input| input.delay_seconds);
        assert_eq!(delay("-5"), Ok(Some(-5)));
        assert_eq!(delay("5.0"), Ok(Some(5)));
        assert_eq!(delay("5.9"), Ok(Some(5)));
        assert_eq!(delay("1e2"), Ok(Some(100)));
        for large in ["2147483648", "1e10", "1.5e300", "99999999999999999999"] {
            assert_eq!(delay(large), Err(Fault::Range("an Integer")), "{large}");
        }
    }

    #[test]
    fn doubles_and_moments_are_numbers() {
        fn value<T: ReadValue>(json: &'static str) -> Result<T, Fault> {
            T::read_value(&mut Reader::new(&Text::from_static(json)))
        }
        assert_eq!(value::<f64>("-2.5e3"), Ok(-2500.0));
        assert_eq!(value::<f64>("\"-Infinity\""), Ok(f64::NEG_INFINITY));
        assert_eq!(value::<f64>("\"x\""), Err(Fault::Kind("STRING_VALUE", "a Double")));
        assert_eq!(value::<f32>("0.5"), Ok(0.5));
        assert_eq!(value::<Timestamp>("1767225600.1234"), Ok(Timestamp(1_767_225_600_123)));
        assert_eq!(value::<Timestamp>("\"2026\""), Err(Fault::Kind("STRING_VALUE", "a Timestamp")));
        assert_eq!(value::<Timestamp>("1e300"), Err(Fault::Range("a Timestamp")));
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = |open: &str, close: &str, levels: usize| {
            read(&format!("{{\"a\":{}1{}}}", open.repeat(levels), close.repeat(levels)))
        };
        assert!(deep("[", "]", 60).is_ok());
        assert_eq!(deep("[", "]", 100_000), Err(Fault::Deep));
        assert_eq!(deep("{\"a\":", "}", 100_000), Err(Fault::Deep));
    }

    #[test]
    fn of_entries_of_one_name_the_last_counts() {
        let document = Text::from_static(r#"{"Tags":{"a":"1","b":"2","a":"3","c":null,"d":"4","a":"5"}}"#);
        let input: TagQueueInput = Reader::new(&document).document().unwrap();
        let entries = input.tags.unwrap().0;
        let entries: Vec<(&str, &str)> = entries.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(entries, [("a", "5"), ("b", "2"), ("d", "4")]);
        let many: Vec<String> = (0..2000).map(|n| format!("\"k{}\":\"{n}\"", n % 1000)).collect();
        let document: Text = format!("{{\"Tags\":{{{}}}}}", many.join(",")).into();
        let input: TagQueueInput = Reader::new(&document).document().unwrap();
        let entries = input.tags.unwrap().0;
        assert_eq!(entries.len(), 1000);
        assert!(entries.iter().all(|(name, value)| value.parse::<usize>() == Ok(name[1..].parse::<usize>().unwrap() + 1000)));
    }

    proptest! {
        #[test]
        fn anything_like_a_document_is_read_or_refused(
            json in r#"[\{\}\[\]:,"\\a-z0-9.eE+ \u{fc}-]{0,60}|\{"(MessageBody|DelaySeconds|MessageAttributes)":.{0,40}\}"#,
        ) {
            let ours = read(&json);
            let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&json);
            // What we take for a document must be one, except that an empty one is an empty structure.
            prop_assert!(ours.is_err() || theirs.is_ok() || json.trim().is_empty(), "{:?}", json);
            if ours == Err(Fault::Malformed) {
                // serde_json refuses numbers too large for a double, and what is nested too deeply.
                prop_assert!(theirs.is_err(), "{:?}", json);
            }
        }
    }
}
