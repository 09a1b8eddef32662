//! What a message carries, as it stands in the log: written once when it is sent, read when it is received.

use bytes::Bytes;
use bytestring::ByteString;
use kernel::attributes::{attributes_len, put_attributes, take_attributes, take_text};
use kernel::codec::{Malformed, Reader, put_str};
pub use kernel::{Attribute, AttributeValue};

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

/// What is written of a payload, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The text.
    pub body: &'a str,
    /// MD5 of the text.
    pub body_md5: &'a [u8; 16],
    /// Who sent it.
    pub sender: &'a str,
    /// In the order of their names.
    pub attributes: &'a [Attribute],
    /// The system attribute `AWSTraceHeader`.
    pub trace_header: Option<&'a str>,
}

impl Parts<'_> {
    /// Writes a payload, behind what is in `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.room());
        out.extend_from_slice(self.body_md5);
        put_str(out, self.body);
        put_str(out, self.sender);
        put_attributes(out, self.attributes);
        if let Some(header) = self.trace_header {
            put_str(out, header);
        }
    }

    /// Bytes that it needs at the most when it is written.
    fn room(&self) -> usize {
        let trace_header = self.trace_header.map_or(0, |header| header.len() + 8);
        64 + self.body.len() + self.sender.len() + attributes_len(self.attributes) + trace_header
    }
}

impl Payload {
    /// Reads it; texts and values are slices of `bytes`, not copies.
    pub fn decode(bytes: &Bytes) -> Result<Payload, Malformed> {
        let mut reader = Reader::new(bytes);
        let body_md5 = reader.take(16)?.try_into().map_err(|_| Malformed)?;
        let body = take_text(&mut reader, bytes)?;
        let sender = take_text(&mut reader, bytes)?;
        let attributes = take_attributes(&mut reader, bytes)?;
        let trace_header = if reader.is_empty() { None } else { Some(take_text(&mut reader, bytes)?) };
        Ok(Payload { body, body_md5, sender, attributes, trace_header })
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
        let mut bytes = b"before".to_vec();
        let parts = Parts {
            body: &payload.body,
            body_md5: &payload.body_md5,
            sender: &payload.sender,
            attributes: &payload.attributes,
            trace_header: payload.trace_header.as_deref(),
        };
        parts.encode(&mut bytes);
        assert!(bytes.len() <= b"before".len() + parts.room());
        let bytes = Bytes::from(bytes).slice(b"before".len()..);
        assert_eq!(Payload::decode(&bytes), Ok(payload.clone()));
        for cut in 0..bytes.len() - 7 {
            assert_ne!(Payload::decode(&bytes.slice(..cut)), Ok(payload.clone()));
        }
    }
}
