//! Message attributes: what a message carries beside its text.

use bytes::Bytes;
use bytestring::ByteString;

use crate::codec::{Malformed, Reader, put_bytes, put_str, put_u64};

/// A message attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: ByteString,
    /// Its data type with the custom label, such as `Number.float`.
    pub data_type: ByteString,
    /// Its value.
    pub value: AttributeValue,
}

impl Attribute {
    /// Its size in bytes, as limits count it.
    pub fn size(&self) -> usize {
        self.name.len() + self.data_type.len() + self.value.len()
    }
}

/// The value of a message attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttributeValue {
    /// Of the types String and Number.
    Text(ByteString),
    /// Of the type Binary.
    Binary(Bytes),
}

impl AttributeValue {
    /// Its size in bytes.
    pub fn len(&self) -> usize {
        match self {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes that [`put_attributes`] will need, about.
pub fn attributes_len(attributes: &[Attribute]) -> usize {
    attributes.iter().map(|a| a.size() + 8).sum()
}

/// Appends attributes; the inverse is [`take_attributes`].
pub fn put_attributes(out: &mut Vec<u8>, attributes: &[Attribute]) {
    put_u64(out, attributes.len() as u64);
    for attribute in attributes {
        put_str(out, &attribute.name);
        put_str(out, &attribute.data_type);
        match &attribute.value {
            AttributeValue::Text(text) => {
                out.push(1);
                put_str(out, text);
            }
            AttributeValue::Binary(bytes) => {
                out.push(2);
                put_bytes(out, bytes);
            }
        }
    }
}

/// Reads attributes; names and values are slices of `bytes`, over which `reader` reads, not copies.
pub fn take_attributes(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Vec<Attribute>, Malformed> {
    let count = reader.u64()?;
    let mut attributes = Vec::with_capacity(count.min(16) as usize);
    for _ in 0..count {
        let name = take_text(reader, bytes)?;
        let data_type = take_text(reader, bytes)?;
        let value = match reader.u8()? {
            1 => AttributeValue::Text(take_text(reader, bytes)?),
            2 => AttributeValue::Binary(bytes.slice_ref(reader.bytes()?)),
            _ => return Err(Malformed),
        };
        attributes.push(Attribute { name, data_type, value });
    }
    Ok(attributes)
}

/// Reads a text as a slice of `bytes`, over which `reader` reads.
pub fn take_text(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<ByteString, Malformed> {
    ByteString::try_from(bytes.slice_ref(reader.bytes()?)).map_err(|_| Malformed)
}
