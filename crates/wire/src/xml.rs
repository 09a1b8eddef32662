//! XML as AWS's query protocol answers it.

use std::io::Write as _;

use api::{Map, Text, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use kernel::iso8601;

use crate::scan;

/// A document that is being written.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

/// A structure that can be written as elements.
pub trait WriteXml {
    /// Writes the members that are there.
    fn write_xml(&self, xml: &mut Writer);
}

/// A value that can stand in an element.
pub trait XmlValue {
    /// Writes it.
    fn xml_value(&self, xml: &mut Writer);
}

impl Writer {
    /// Writes an element around something.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.raw("<");
        self.raw(name);
        self.raw(">");
        content(self);
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    /// Writes text. SQS escapes quotation marks and carriage returns, too (facts/protocols.md § 12).
    ///
    /// What XML cannot hold at all becomes U+FFFD: one such character, in a tag or in what a topic has published, would else
    /// make the whole answer unreadable.
    pub fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = scan::plain_len::<scan::Xml>(bytes);
        self.out.extend_from_slice(&bytes[..at]);
        while let Some(&byte) = bytes.get(at) {
            let mut next = at + 1;
            match byte {
                b'&' => self.raw("&amp;"),
                b'<' => self.raw("&lt;"),
                b'>' => self.raw("&gt;"),
                b'"' => self.raw("&quot;"),
                b'\r' => self.raw("&#xD;"),
                b'\n' | b'\t' => self.out.push(byte),
                0xEF if !matches!(bytes[next..], [0xBF, 0xBE | 0xBF, ..]) => self.out.push(byte),
                _ => {
                    self.raw("\u{FFFD}");
                    next += if byte == 0xEF { 2 } else { 0 };
                }
            }
            at = scan::copy_plain::<scan::Xml>(bytes, next, &mut self.out);
        }
    }

    /// Writes what is XML already.
    pub fn raw(&mut self, xml: &str) {
        self.out.extend_from_slice(xml.as_bytes());
    }

    fn number(&mut self, number: &impl std::fmt::Display) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "{number}");
    }

    /// Writes a member, if it is there.
    pub fn member<T: XmlValue>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.element(name, |xml| value.xml_value(xml));
        }
    }

    /// Writes a list: an element an item, or, if items have a name, those inside one element.
    pub fn list<T: XmlValue>(&mut self, name: &str, item: Option<&str>, list: &Option<Vec<T>>) {
        let Some(list) = list else { return };
        match item {
            None => list.iter().for_each(|value| self.element(name, |xml| value.xml_value(xml))),
            Some(item) => self.element(name, |xml| {
                list.iter().for_each(|value| xml.element(item, |xml| value.xml_value(xml)));
            }),
        }
    }

    /// Writes a map, likewise.
    pub fn map<T: XmlValue>(
        &mut self,
        name: &str,
        entry: Option<&str>,
        key: &str,
        value: &str,
        map: &Option<Map<T>>,
    ) {
        let Some(map) = map else { return };
        let write = |xml: &mut Self, element: &str| {
            for (name, content) in &map.0 {
                xml.element(element, |xml| {
                    xml.element(key, |xml| xml.text(name));
                    xml.element(value, |xml| content.xml_value(xml));
                });
            }
        };
        match entry {
            None => write(self, name),
            Some(entry) => self.element(name, |xml| write(xml, entry)),
        }
    }

    /// The document.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

impl<T: WriteXml> XmlValue for T {
    fn xml_value(&self, xml: &mut Writer) {
        self.write_xml(xml);
    }
}

impl XmlValue for Text {
    fn xml_value(&self, xml: &mut Writer) {
        xml.text(self);
    }
}

impl XmlValue for i32 {
    fn xml_value(&self, xml: &mut Writer) {
        xml.number(self);
    }
}

impl XmlValue for i64 {
    fn xml_value(&self, xml: &mut Writer) {
        xml.number(self);
    }
}

impl XmlValue for f64 {
    fn xml_value(&self, xml: &mut Writer) {
        xml.number(self);
    }
}

impl XmlValue for f32 {
    fn xml_value(&self, xml: &mut Writer) {
        xml.number(self);
    }
}

impl XmlValue for Timestamp {
    fn xml_value(&self, xml: &mut Writer) {
        xml.raw(&iso8601::write(self.0));
    }
}

impl XmlValue for bool {
    fn xml_value(&self, xml: &mut Writer) {
        xml.raw(if *self { "true" } else { "false" });
    }
}

impl XmlValue for Bytes {
    fn xml_value(&self, xml: &mut Writer) {
        xml.raw(&STANDARD.encode(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_marks_and_carriage_returns_are_escaped() {
        // facts/protocols.md § 12
        let mut xml = Writer::default();
        xml.text("\"&<>\r\nü");
        assert_eq!(String::from_utf8(xml.finish()).unwrap(), "&quot;&amp;&lt;&gt;&#xD;\nü");
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        let written = |text: &str| {
            let mut xml = Writer::default();
            xml.text(text);
            String::from_utf8(xml.finish()).unwrap()
        };
        assert_eq!(
            written("a\0b\u{1}\u{1f}\u{fffe}\u{ffff}c\0"),
            "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}c\u{fffd}"
        );
        // XML 1.0 allows these, though some look alike in UTF-8.
        let allowed = "\t\n \u{7f}\u{80}\u{f000}\u{feff}\u{ff01}\u{fffd}\u{10000}\u{10ffff}".repeat(10);
        assert_eq!(written(&allowed), allowed);
    }
}
