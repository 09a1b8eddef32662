//! What a message carries, as it stands in the log: written once when it is sent, read when it is received.

use bytes::Bytes;
use bytestring::ByteString;
use kernel::codec::{Malformed, Reader, put_bytes, put_str, put_u64};

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

/// The value of a message attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttributeValue {
    /// Of the types String and Number.
    Text(ByteString),
    /// Of the type Binary.
    Binary(Bytes),
}

/// Everything of a message that the engine does not need to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    /// The text.
    pub body: ByteString,
    /// MD5 of the text, so that it is computed once.
    pub body_md5: [u8; 16],
    /// Who sent it.
    pub sender: ByteString,
    /// In the order of their names.
    pub attributes: Vec<Attribute>,
    /// The system attribute `AWSTraceHeader`.
    pub trace_header: Option<ByteString>,
}

impl Payload {
    /// Writes it.
    pub fn encode(&self) -> Vec<u8> {
        let attributes: usize =
            self.attributes.iter().map(|a| a.name.len() + a.data_type.len() + a.value.len() + 8).sum();
        let mut out = Vec::with_capacity(64 + self.body.len() + self.sender.len() + attributes);
        out.extend_from_slice(&self.body_md5);
        put_str(&mut out, &self.body);
        put_str(&mut out, &self.sender);
        put_u64(&mut out, self.attributes.len() as u64);
        for attribute in &self.attributes {
            put_str(&mut out, &attribute.name);
            put_str(&mut out, &attribute.data_type);
            match &attribute.value {
                AttributeValue::Text(text) => {
                    out.push(1);
                    put_str(&mut out, text);
                }
                AttributeValue::Binary(bytes) => {
                    out.push(2);
                    put_bytes(&mut out, bytes);
                }
            }
        }
        if let Some(header) = &self.trace_header {
            put_str(&mut out, header);
        }
        out
    }

    /// Reads it; texts and values are slices of `bytes`, not copies.
    pub fn decode(bytes: &Bytes) -> Result<Payload, Malformed> {
        let mut reader = Reader::new(bytes);
        let text = |text: &str| ByteString::try_from(bytes.slice_ref(text.as_bytes())).map_err(|_| Malformed);
        let body_md5 = reader.take(16)?.try_into().map_err(|_| Malformed)?;
        let body = text(reader.str()?)?;
        let sender = text(reader.str()?)?;
        let count = reader.u64()?;
        let mut attributes = Vec::with_capacity(count.min(16) as usize);
        for _ in 0..count {
            let name = text(reader.str()?)?;
            let data_type = text(reader.str()?)?;
            let value = match reader.u8()? {
                1 => AttributeValue::Text(text(reader.str()?)?),
                2 => AttributeValue::Binary(bytes.slice_ref(reader.bytes()?)),
                _ => return Err(Malformed),
            };
            attributes.push(Attribute { name, data_type, value });
        }
        let trace_header = if reader.is_empty() { None } else { Some(text(reader.str()?)?) };
        Ok(Payload { body, body_md5, sender, attributes, trace_header })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_as_it_was_written() {
        let payload = Payload {
            body: "grüße".into(),
            body_md5: [7; 16],
            sender: "000000000000".into(),
            attributes: vec![
                Attribute {
                    name: "a".into(),
                    data_type: "Number.int".into(),
                    value: AttributeValue::Text("1".into()),
                },
                Attribute {
                    name: "b".into(),
                    data_type: "Binary".into(),
                    value: AttributeValue::Binary(Bytes::from_static(b"\0\xff")),
                },
            ],
            trace_header: Some("Root=1".into()),
        };
        let bytes = Bytes::from(payload.encode());
        assert_eq!(Payload::decode(&bytes), Ok(payload.clone()));
        for cut in 0..bytes.len() - 7 {
            assert_ne!(Payload::decode(&bytes.slice(..cut)), Ok(payload.clone()));
        }
    }
}
