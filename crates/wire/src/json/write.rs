//! Writes shapes as JSON, in AWS's two manners: that of its JSON protocols, and that in which the query protocol is
//! answered where the client accepts JSON.

use std::io::Write as _;

use api::{Json, Map, Text, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kernel::iso8601;

use crate::document::{self, TimeFormat, WriteMembers, WriteValue};
use crate::{http_date, scan};

/// A document that is being written.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    in_query_manner: bool,
    times: TimeFormat,
}

/// What most documents have room in.
const ROOM: usize = 1 << 10;
/// No more than this is added in the expectation that more will follow.
const MORE_ROOM: usize = 16 << 10;

impl Writer {
    /// A document with room for what most hold.
    pub fn with_room() -> Self {
        Writer { out: Vec::with_capacity(ROOM), ..Writer::default() }
    }

    /// A document of the query protocol: members that are absent are `null`, and maps are lists of entries.
    ///
    /// So API Gateway's integrations and other users of `Accept: application/json` have it from AWS: `{"messages":null}`,
    /// `"Attributes":[{"Name":"QueueArn","Value":"arn:…"}]`.
    pub fn in_query_manner() -> Self {
        Writer { in_query_manner: true, ..Writer::default() }
    }

    /// Writes a text.
    pub fn string(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let needed = bytes.len() + 2;
        if self.out.capacity() - self.out.len() < needed {
            // What has no room is long, and there are more like it: a list of ten messages.
            self.out.reserve(needed + (7 * needed).min(MORE_ROOM));
        }
        self.out.push(b'"');
        let mut at = scan::plain_len::<scan::Json>(bytes);
        self.out.extend_from_slice(&bytes[..at]);
        while let Some(&byte) = bytes.get(at) {
            match ESCAPES[usize::from(byte)] {
                // `at` is where the plain ones ended.
                0 => self.out.push(byte),
                b'u' => {
                    const DIGITS: &[u8; 16] = b"0123456789abcdef";
                    let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
                    self.out.extend_from_slice(b"\\u00");
                    self.out.extend_from_slice(&digits);
                }
                escape => self.out.extend_from_slice(&[b'\\', escape]),
            }
            at = scan::copy_plain::<scan::Json>(bytes, at + 1, &mut self.out);
        }
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

    fn number(&mut self, number: impl std::fmt::Display) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "{number}");
    }
}

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

impl document::Members for Members<'_> {
    #[inline]
    fn put<T: WriteValue>(&mut self, name: &str, value: &Option<T>) {
        match value {
            Some(value) => {
                self.name(name);
                value.write_value(self.out);
            }
            None => self.absent(name),
        }
    }

    fn put_in<T: WriteValue>(&mut self, times: TimeFormat, name: &str, value: &Option<T>) {
        let before = std::mem::replace(&mut self.out.times, times);
        self.put(name, value);
        self.out.times = before;
    }

    fn put_as<T: WriteValue>(&mut self, name: &str, query_name: &str, value: &Option<T>) {
        self.put(if self.out.in_query_manner { query_name } else { name }, value);
    }

    fn put_map<T: WriteValue>(&mut self, name: &str, key: &str, value: &str, map: &Option<Map<T>>) {
        let Some(Map(entries)) = map.as_ref().filter(|_| self.out.in_query_manner) else {
            return self.put(name, map);
        };
        self.name(name);
        self.out.raw("[");
        for (at, (entry_name, entry_value)) in entries.iter().enumerate() {
            self.out.raw(if at > 0 { ",{" } else { "{" });
            let mut members = Members { out: self.out, first: true };
            members.name(key);
            members.out.string(entry_name);
            members.name(value);
            entry_value.write_value(members.out);
            self.out.raw("}");
        }
        self.out.raw("]");
    }
}

impl Members<'_> {
    #[inline]
    fn name(&mut self, name: &str) {
        let out = &mut self.out.out;
        out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    }

    fn absent(&mut self, name: &str) {
        if self.out.in_query_manner {
            self.name(name);
            self.out.raw("null");
        }
    }
}

impl document::Writer for Writer {
    fn text(&mut self, text: &str) {
        self.string(text);
    }

    fn integer(&mut self, value: i64) {
        self.number(value);
    }

    fn double(&mut self, value: f64) {
        match value {
            // What numbers can't say (facts/protocols.md § 4).
            value if value.is_nan() => self.raw("\"NaN\""),
            value if value.is_infinite() => {
                self.raw(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
            }
            value => self.number(value),
        }
    }

    fn float(&mut self, value: f32) {
        // By way of its shortest text: 0.1, not 0.10000000149011612.
        if value.is_finite() { self.number(value) } else { self.double(f64::from(value)) }
    }

    fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    fn blob(&mut self, value: &Bytes) {
        self.string(&STANDARD.encode(value));
    }

    fn timestamp(&mut self, value: Timestamp) {
        let Timestamp(millis) = value;
        match self.times {
            // A double holds milliseconds exactly enough for many thousand years.
            TimeFormat::EpochSeconds if millis % 1000 == 0 => self.number(millis / 1000),
            TimeFormat::EpochSeconds => self.number(millis as f64 / 1000.0),
            TimeFormat::DateTime => self.string(&iso8601::write(millis)),
            TimeFormat::HttpDate => self.string(&http_date::write(millis)),
        }
    }

    fn json(&mut self, value: &Json) {
        self.raw(&value.0);
    }

    fn list<T: WriteValue>(&mut self, items: &[T]) {
        self.raw("[");
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.raw(",");
            }
            item.write_value(self);
        }
        self.raw("]");
    }

    fn map<T: WriteValue>(&mut self, entries: &[(Text, T)]) {
        self.raw("{");
        for (at, (name, value)) in entries.iter().enumerate() {
            if at > 0 {
                self.raw(",");
            }
            self.string(name);
            self.raw(":");
            value.write_value(self);
        }
        self.raw("}");
    }

    #[inline]
    fn structure<T: WriteMembers>(&mut self, value: &T) {
        self.out.push(b'{');
        value.write_members(&mut Members { out: self, first: true });
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Reader as _;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut writer = Writer::default();
        writer.string(text);
        String::from_utf8(writer.finish()).unwrap()
    }

    #[test]
    fn only_what_must_be_escaped_is() {
        assert_eq!(written("a\"b\\c/ü😀\u{7f}"), r#""a\"b\\c/ü😀""#.replace("😀", "😀\u{7f}"));
        assert_eq!(written("\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}"), r#""\u0000\b\t\n\u000b\f\r\u001f""#);
    }

    #[test]
    fn doubles_and_moments_are_numbers() {
        let written = |value: &dyn Fn(&mut Writer)| {
            let mut writer = Writer::default();
            value(&mut writer);
            String::from_utf8(writer.finish()).unwrap()
        };
        assert_eq!(written(&|out| 2.5f64.write_value(out)), "2.5");
        assert_eq!(written(&|out| 0.1f32.write_value(out)), "0.1");
        assert_eq!(written(&|out| f64::NAN.write_value(out)), "\"NaN\"");
        assert_eq!(written(&|out| f32::NEG_INFINITY.write_value(out)), "\"-Infinity\"");
        assert_eq!(written(&|out| Timestamp(1_767_225_600_000).write_value(out)), "1767225600");
        assert_eq!(written(&|out| Timestamp(1_767_225_600_123).write_value(out)), "1767225600.123");
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_it_was_written(text in ".{0,100}|[\"\\\\\n\u{1}a]{0,100}") {
            let written = written(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text.clone());
            let document: Text = format!("{{\"QueueUrl\":{written}}}").into();
            let input: api::sqs::PurgeQueueInput = crate::json::Reader::new(&document).document().unwrap();
            prop_assert_eq!(input.queue_url.as_deref(), Some(text.as_str()));
            // And what another writer escapes differently.
            let ascii: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let document: Text = format!("{{\"QueueUrl\":\"{ascii}\"}}").into();
            let input: api::sqs::PurgeQueueInput = crate::json::Reader::new(&document).document().unwrap();
            prop_assert_eq!(input.queue_url.as_deref(), Some(text.as_str()));
        }
    }
}
