//! Writes shapes as CBOR. Structures have an indefinite length, since the members that are there are not counted first.

use api::{Json, Text, Timestamp};
use bytes::Bytes;

use super::{BREAK, Dialect, FALSE, TRUE, info, major, tag};
use crate::document::{self, TimeFormat, WriteMembers, WriteValue};

/// A document that is being written.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    dialect: Dialect,
}

impl Writer {
    /// An empty document.
    pub fn new(dialect: Dialect) -> Self {
        Writer { out: Vec::new(), dialect }
    }

    /// Writes a structure whose members are texts.
    pub fn texts(&mut self, members: &[(&str, &str)]) {
        self.head(major::MAP, members.len() as u64);
        for (name, value) in members {
            self.string(name);
            self.string(value);
        }
    }

    /// The document.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        let bytes = argument.to_be_bytes();
        let (info, bytes) = match argument {
            0..24 => return self.out.push(major | argument as u8),
            24..0x100 => (info::ONE_BYTE, &bytes[7..]),
            0x100..0x1_0000 => (info::TWO_BYTES, &bytes[6..]),
            0x1_0000..0x1_0000_0000 => (info::FOUR_BYTES, &bytes[4..]),
            _ => (info::EIGHT_BYTES, &bytes[..]),
        };
        self.out.push(major | info);
        self.out.extend_from_slice(bytes);
    }

    fn string(&mut self, text: &str) {
        self.head(major::TEXT, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(major::UNSIGNED, value),
            // -1 - value, which never overflows.
            Err(_) => self.head(major::NEGATIVE, !value as u64),
        }
    }

    fn float64(&mut self, value: f64) {
        self.out.push(major::SIMPLE << 5 | info::EIGHT_BYTES);
        self.out.extend_from_slice(&value.to_be_bytes());
    }
}

impl document::Writer for Writer {
    fn text(&mut self, text: &str) {
        self.string(text);
    }

    fn json(&mut self, value: &Json) {
        // No service with such values is spoken in CBOR.
        self.string(&value.0);
    }

    fn integer(&mut self, value: i64) {
        self.number(value);
    }

    fn double(&mut self, value: f64) {
        self.float64(value);
    }

    fn float(&mut self, value: f32) {
        self.out.push(major::SIMPLE << 5 | info::FOUR_BYTES);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn boolean(&mut self, value: bool) {
        self.out.push(if value { TRUE } else { FALSE });
    }

    fn blob(&mut self, value: &Bytes) {
        self.head(major::BYTES, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    fn timestamp(&mut self, value: Timestamp) {
        let Timestamp(millis) = value;
        self.head(major::TAG, tag::EPOCH);
        match self.dialect {
            Dialect::Amz11 => self.number(millis),
            Dialect::RpcV2 if millis % 1000 == 0 => self.number(millis / 1000),
            Dialect::RpcV2 => self.float64(millis as f64 / 1000.0),
        }
    }

    fn list<T: WriteValue>(&mut self, items: &[T]) {
        self.head(major::ARRAY, items.len() as u64);
        items.iter().for_each(|item| item.write_value(self));
    }

    fn map<T: WriteValue>(&mut self, entries: &[(Text, T)]) {
        self.head(major::MAP, entries.len() as u64);
        for (name, value) in entries {
            self.string(name);
            value.write_value(self);
        }
    }

    fn structure<T: WriteMembers>(&mut self, value: &T) {
        self.out.push(major::MAP << 5 | info::INDEFINITE);
        value.write_members(&mut Members { out: self });
        self.out.push(BREAK);
    }
}

/// The members of a structure that is being written.
#[derive(Debug)]
pub struct Members<'w> {
    out: &'w mut Writer,
}

impl document::Members for Members<'_> {
    fn put<T: WriteValue>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.out.string(name);
            value.write_value(self.out);
        }
    }

    /// The dialect alone says how moments are written.
    fn put_in<T: WriteValue>(&mut self, _times: TimeFormat, name: &str, value: &Option<T>) {
        self.put(name, value);
    }
}
