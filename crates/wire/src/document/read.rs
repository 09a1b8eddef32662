//! Reads shapes from documents: typed, forgiving about what is not known, strict about types.

use std::fmt;

use api::{Json, Map, Text, Timestamp};
use bytes::Bytes;

use super::TimeFormat;

/// What is wrong with a document, in AWS's words where they are known.
///
/// facts/protocols.md § 7; what AWS says about lists, maps and blobs was recorded from Kinesis, whose framework is SQS's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is no document of its format, or not a structure. AWS says nothing more.
    Malformed,
    /// A plain value of another kind was expected: the kind that came, the kind that was expected.
    Kind(&'static str, &'static str),
    /// A list stands where none was expected.
    List,
    /// A structure or a map stands where none was expected.
    Structure,
    /// A plain value stands where something else was expected: `list`, `map`, or nothing that has a name.
    Plain(&'static str),
    /// A blob is not base64: the text and what is wrong with it.
    Blob(Text, String),
    /// A number does not fit: the kind that was expected. In our words.
    Range(&'static str),
    /// A text has half of a surrogate pair, so it is no text. In our words.
    Surrogate,
    /// It is nested too deeply. In our words.
    Deep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Malformed => Ok(()),
            Fault::Kind(came, expected) => write!(f, "{came} can not be converted to {expected}"),
            Fault::List => f.write_str("Start of list found where not expected"),
            Fault::Structure => f.write_str("Start of structure or map found where not expected."),
            Fault::Plain("") => f.write_str("Expected null"),
            Fault::Plain(expected) => write!(f, "Expected {expected} or null"),
            Fault::Blob(text, why) => write!(f, "'{text}' can not be converted to a Blob: {why}"),
            Fault::Range(expected) => write!(f, "NUMBER_VALUE does not fit into {expected}"),
            Fault::Surrogate => f.write_str("A text has half of a surrogate pair, which is no character"),
            Fault::Deep => f.write_str("The request body is nested too deeply"),
        }
    }
}

/// Reads the values of a document in their order.
pub trait Reader {
    /// Goes over a `null`, if it is next; returns whether it was.
    fn null(&mut self) -> Result<bool, Fault>;
    /// Reads a text.
    fn text(&mut self) -> Result<Text, Fault>;
    /// Reads an integer; `kind` names its type in faults.
    fn integer<T: TryFrom<i64>>(&mut self, kind: &'static str) -> Result<T, Fault>;
    /// Reads a floating-point number; `kind` names its type in faults.
    fn float(&mut self, kind: &'static str) -> Result<f64, Fault>;
    /// Reads a boolean.
    fn boolean(&mut self) -> Result<bool, Fault>;
    /// Reads a blob.
    fn blob(&mut self) -> Result<Bytes, Fault>;
    /// Reads a moment, in the format that is set.
    fn timestamp(&mut self) -> Result<Timestamp, Fault>;
    /// Reads a structure: calls `member` with each name; `member` reads the value or calls [`Reader::skip`].
    fn members(&mut self, member: impl FnMut(&mut Self, &str) -> Result<(), Fault>) -> Result<(), Fault>;
    /// Reads a list: calls `item` before each item, which reads it.
    fn items(&mut self, item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault>;
    /// Reads a map: calls `entry` with each key, which reads the value.
    fn entries(&mut self, entry: impl FnMut(&mut Self, Text) -> Result<(), Fault>) -> Result<(), Fault>;
    /// Reads any value as JSON. Only a document of JSON has such values.
    fn json(&mut self) -> Result<Json, Fault>;
    /// Goes over a value.
    fn skip(&mut self) -> Result<(), Fault>;
    /// Sets the format of the moments that follow, if the document's format leaves a choice; returns the one before.
    fn set_times(&mut self, times: TimeFormat) -> TimeFormat;
    /// Reads the whole document as a structure; an empty document has no members.
    fn document<T: ReadMembers>(&mut self) -> Result<T, Fault>;

    /// Reads a value; `null` is none.
    #[inline]
    fn optional<T: ReadValue>(&mut self) -> Result<Option<T>, Fault>
    where
        Self: Sized,
    {
        if self.null()? { Ok(None) } else { T::read_value(self).map(Some) }
    }

    /// Reads a value whose moments have another format than usual; `null` is none.
    fn optional_in<T: ReadValue>(&mut self, times: TimeFormat) -> Result<Option<T>, Fault>
    where
        Self: Sized,
    {
        let before = self.set_times(times);
        let value = self.optional();
        self.set_times(before);
        value
    }

    /// Reads a structure.
    #[inline]
    fn structure<T: ReadMembers>(&mut self) -> Result<T, Fault>
    where
        Self: Sized,
    {
        let mut value = T::default();
        self.members(|reader, name| if value.read_member(name, reader)? { Ok(()) } else { reader.skip() })?;
        Ok(value)
    }
}

/// A structure that can be read member by member.
pub trait ReadMembers: Default {
    /// Reads the member's value if it is one of the structure's; returns whether it was.
    fn read_member<R: Reader>(&mut self, name: &str, reader: &mut R) -> Result<bool, Fault>;
}

/// A value that can be read.
pub trait ReadValue: Sized {
    /// Reads the value; what comes is not `null`.
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault>;
}

impl<T: ReadMembers> ReadValue for T {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.structure()
    }
}

impl ReadValue for Text {
    #[inline]
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.text()
    }
}

impl ReadValue for Json {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.json()
    }
}

impl ReadValue for i32 {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.integer("an Integer")
    }
}

impl ReadValue for i64 {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.integer("a Long")
    }
}

impl ReadValue for f64 {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.float("a Double")
    }
}

impl ReadValue for f32 {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.float("a Float").map(|value| value as f32)
    }
}

impl ReadValue for Timestamp {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.timestamp()
    }
}

impl ReadValue for bool {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.boolean()
    }
}

impl ReadValue for Bytes {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        reader.blob()
    }
}

/// A structure that contains itself.
impl<T: ReadMembers> ReadMembers for Box<T> {
    fn read_member<R: Reader>(&mut self, name: &str, reader: &mut R) -> Result<bool, Fault> {
        (**self).read_member(name, reader)
    }
}

impl<T: ReadValue> ReadValue for Vec<T> {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        let mut items = Vec::new();
        reader.items(|reader| {
            // The usual list is a batch, of ten at the most.
            if items.capacity() == 0 {
                items.reserve(10);
            }
            // AWS drops null items.
            items.extend(reader.optional()?);
            Ok(())
        })?;
        Ok(items)
    }
}

impl<T: ReadValue> ReadValue for Map<T> {
    fn read_value<R: Reader>(reader: &mut R) -> Result<Self, Fault> {
        let mut entries: Vec<(Text, T)> = Vec::new();
        reader.entries(|reader, name| {
            let Some(value) = reader.optional()? else { return Ok(()) };
            // Of entries of one name the last counts.
            let few = if entries.len() <= FEW { &mut entries[..] } else { &mut [] };
            match few.iter_mut().find(|(other, _)| *other == name) {
                Some(entry) => entry.1 = value,
                None => entries.push((name, value)),
            }
            Ok(())
        })?;
        if entries.len() > FEW {
            entries.reverse();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.dedup_by(|(later, _), (first, _)| later == first);
        }
        Ok(Map(entries))
    }
}

/// Entries up to which it is cheapest to compare each with each; more would keep us busy.
const FEW: usize = 32;
