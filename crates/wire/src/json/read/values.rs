//! How each kind of value is read: texts, numbers, moments, blobs, lists and maps.

use std::borrow::Cow;

use api::{Map, Text, Timestamp};
use base64::DecodeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Fault, ReadMembers, ReadValue, Reader};

impl<T: ReadMembers> ReadValue for T {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.structure()
    }
}

impl ReadValue for Text {
    #[inline]
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek()? == b'"' { reader.string() } else { Err(reader.unexpected("a String")) }
    }
}

impl ReadValue for i32 {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.integer("an Integer")
    }
}

impl ReadValue for i64 {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.integer("a Long")
    }
}

impl ReadValue for f64 {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.float("a Double")
    }
}

impl ReadValue for f32 {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.float("a Float").map(|value| value as f32)
    }
}

impl ReadValue for Timestamp {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek()? == b'"' {
            return Err(reader.unexpected("a Timestamp"));
        }
        // Seconds, of which AWS keeps thousandths.
        let millis = (reader.float("a Timestamp")? * 1000.0).round();
        if millis.abs() > 9e15 { Err(Fault::Range("a Timestamp")) } else { Ok(Timestamp(millis as i64)) }
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
        STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(|error| {
            let why = match error {
                _ if text.len() % 4 != 0 => {
                    format!(
                        "Base64 encoded length is expected a multiple of 4 bytes but found: {}",
                        text.len()
                    )
                }
                DecodeError::InvalidByte(at, _) => {
                    let character = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('=');
                    format!("Invalid Base64 character: '{character}'")
                }
                // The typing error is AWS's.
                _ => "Invalid last non-pad Base64 character dectected".to_owned(),
            };
            Fault::Blob(text, why)
        })
    }
}

impl<T: ReadValue> ReadValue for Vec<T> {
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.peek()? {
            b'[' => {}
            b'{' => return Err(Fault::Structure),
            _ => return Err(reader.plain("list")),
        }
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
    fn read_value(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.peek()? {
            b'{' => {}
            b'[' => return Err(Fault::List),
            _ => return Err(reader.plain("map")),
        }
        let document = reader.document;
        let mut entries: Vec<(Text, T)> = Vec::new();
        reader.members(|reader, name| {
            let Some(value) = reader.optional()? else { return Ok(()) };
            let name = match name {
                Cow::Borrowed(name) => document.slice_ref(name),
                Cow::Owned(name) => name.into(),
            };
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
