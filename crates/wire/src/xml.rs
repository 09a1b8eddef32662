//! XML as AWS's query protocol answers it.

use api::{Map, Text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// A document that is being written.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
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
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        content(self);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Writes text. SQS escapes quotation marks and carriage returns, too (facts/protocols.md § 12).
    pub fn text(&mut self, text: &str) {
        let mut from = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\r' => "&#xD;",
                _ => continue,
            };
            // An ASCII character is a whole one.
            self.out.push_str(&text[from..at]);
            self.out.push_str(escape);
            from = at + 1;
        }
        self.out.push_str(&text[from..]);
    }

    /// Writes what is XML already.
    pub fn raw(&mut self, xml: &str) {
        self.out.push_str(xml);
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
    pub fn finish(self) -> String {
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
        xml.raw(&self.to_string());
    }
}

impl XmlValue for i64 {
    fn xml_value(&self, xml: &mut Writer) {
        xml.raw(&self.to_string());
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
        assert_eq!(xml.finish(), "&quot;&amp;&lt;&gt;&#xD;\nü");
    }
}
