//! Writes shapes as documents.

use api::{Json, Map, Text, Timestamp};
use bytes::Bytes;

use super::TimeFormat;

/// Writes the values of a document in their order.
pub trait Writer {
    /// Writes a text.
    fn text(&mut self, text: &str);
    /// Writes an integer.
    fn integer(&mut self, value: i64);
    /// Writes a double.
    fn double(&mut self, value: f64);
    /// Writes a float.
    fn float(&mut self, value: f32);
    /// Writes a boolean.
    fn boolean(&mut self, value: bool);
    /// Writes a blob.
    fn blob(&mut self, value: &Bytes);
    /// Writes a moment, in the format that is set.
    fn timestamp(&mut self, value: Timestamp);
    /// Writes a value that is JSON already.
    fn json(&mut self, value: &Json);
    /// Writes a list.
    fn list<T: WriteValue>(&mut self, items: &[T]);
    /// Writes a map.
    fn map<T: WriteValue>(&mut self, entries: &[(Text, T)]);
    /// Writes a structure.
    fn structure<T: WriteMembers>(&mut self, value: &T);
}

/// Writes the members of a structure.
pub trait Members {
    /// Writes a member, if it is there. Its name needs no escapes.
    fn put<T: WriteValue>(&mut self, name: &str, value: &Option<T>);

    /// Writes a member whose moments have another format than usual.
    fn put_in<T: WriteValue>(&mut self, times: TimeFormat, name: &str, value: &Option<T>);

    /// Writes a member that has another name in the query protocol's JSON.
    #[inline]
    fn put_as<T: WriteValue>(&mut self, name: &str, _query_name: &str, value: &Option<T>) {
        self.put(name, value);
    }

    /// Writes a member that is a map; in the query protocol's JSON, a list of entries whose members have these names.
    #[inline]
    fn put_map<T: WriteValue>(&mut self, name: &str, _key: &str, _value: &str, map: &Option<Map<T>>) {
        self.put(name, map);
    }
}

/// A structure that can be written member by member.
pub trait WriteMembers {
    /// Writes the members that are there.
    fn write_members<M: Members>(&self, members: &mut M);
}

/// A value that can be written.
pub trait WriteValue {
    /// Writes the value.
    fn write_value<W: Writer>(&self, out: &mut W);
}

impl<T: WriteMembers> WriteValue for T {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.structure(self);
    }
}

impl WriteValue for Text {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.text(self);
    }
}

impl WriteValue for Json {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.json(self);
    }
}

impl WriteValue for i32 {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.integer(i64::from(*self));
    }
}

impl WriteValue for i64 {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.integer(*self);
    }
}

impl WriteValue for f64 {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.double(*self);
    }
}

impl WriteValue for f32 {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.float(*self);
    }
}

impl WriteValue for Timestamp {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.timestamp(*self);
    }
}

impl WriteValue for bool {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.boolean(*self);
    }
}

impl WriteValue for Bytes {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.blob(self);
    }
}

/// A structure that contains itself.
impl<T: WriteMembers> WriteMembers for Box<T> {
    fn write_members<M: Members>(&self, members: &mut M) {
        (**self).write_members(members);
    }
}

impl<T: WriteValue> WriteValue for Vec<T> {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.list(self);
    }
}

impl<T: WriteValue> WriteValue for Map<T> {
    fn write_value<W: Writer>(&self, out: &mut W) {
        out.map(&self.0);
    }
}
