//! Frames: how a message of an event stream is written and read (facts/protocols.md § 10).
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the whole frame |
//! | 4 | length of the headers |
//! | 4 | CRC-32 of the 8 bytes before |
//! | … | headers |
//! | … | payload |
//! | 4 | CRC-32 of everything before |
//!
//! Numbers are big-endian. A header is the length of its name (1 byte), its name, its type (1 byte) and its value.

use std::fmt;

use api::{Text, Timestamp};
use bytes::{Buf, BufMut};
use bytes::{Bytes, TryGetError};

/// Bytes of the payload at the most.
const PAYLOAD: usize = 24 << 20;
/// Bytes of the headers at the most.
const HEADERS: usize = 128 << 10;
/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// Bytes of a frame beside its headers and its payload.
const OVERHEAD: usize = PRELUDE + 4;

/// One message of an event stream.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Message {
    /// The headers, in their order.
    pub headers: Vec<(Text, HeaderValue)>,
    /// The payload.
    pub payload: Bytes,
}

/// The value of a header.
#[derive(Clone, PartialEq, Debug)]
pub enum HeaderValue {
    /// Types 0 (true) and 1 (false).
    Boolean(bool),
    /// Type 2.
    Byte(i8),
    /// Type 3.
    Short(i16),
    /// Type 4.
    Integer(i32),
    /// Type 5.
    Long(i64),
    /// Type 6: up to 65,535 bytes.
    Bytes(Bytes),
    /// Type 7: up to 65,535 bytes of UTF-8.
    Text(Text),
    /// Type 8: milliseconds since 1970-01-01T00:00Z.
    Timestamp(Timestamp),
    /// Type 9.
    Uuid([u8; 16]),
}

/// Why a message cannot be written or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameFault {
    /// A length is beyond what the format permits.
    TooLong,
    /// The lengths do not agree with each other.
    Lengths,
    /// The checksum of the lengths is wrong.
    PreludeChecksum,
    /// The checksum of the frame is wrong.
    Checksum,
    /// The headers are damaged, or one has a type that does not exist.
    Headers,
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameFault::TooLong => "The message is longer than an event stream permits",
            FrameFault::Lengths => "The lengths of the message do not agree",
            FrameFault::PreludeChecksum => "The checksum of the message's lengths is wrong",
            FrameFault::Checksum => "The checksum of the message is wrong",
            FrameFault::Headers => "The headers of the message are damaged",
        })
    }
}

impl std::error::Error for FrameFault {}

impl From<TryGetError> for FrameFault {
    fn from(_: TryGetError) -> Self {
        FrameFault::Headers
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

impl Message {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// The message as a frame.
    ///
    /// Errors: [`FrameFault::TooLong`].
    pub fn encode(&self) -> Result<Bytes, FrameFault> {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            headers.put_u8(u8::try_from(name.len()).map_err(|_| FrameFault::TooLong)?);
            headers.put_slice(name.as_bytes());
            value.encode(&mut headers)?;
        }
        if headers.len() > HEADERS || self.payload.len() > PAYLOAD {
            return Err(FrameFault::TooLong);
        }
        let total = OVERHEAD + headers.len() + self.payload.len();
        let mut frame = Vec::with_capacity(total);
        // Both fit: the limits are far below 4 GiB.
        frame.put_u32(total as u32);
        frame.put_u32(headers.len() as u32);
        frame.put_u32(crc(&frame));
        frame.put_slice(&headers);
        frame.put_slice(&self.payload);
        frame.put_u32(crc(&frame));
        Ok(frame.into())
    }

    /// Takes a message from the beginning of a stream; none if the stream does not have all of it yet. The lengths are
    /// believed only when their checksum is right.
    pub fn decode(stream: &mut Bytes) -> Result<Option<Message>, FrameFault> {
        let Some(mut prelude) = stream.get(..PRELUDE) else { return Ok(None) };
        let (total, headers, checksum) = (prelude.get_u32(), prelude.get_u32(), prelude.get_u32());
        if crc(&stream[..PRELUDE - 4]) != checksum {
            return Err(FrameFault::PreludeChecksum);
        }
        let (total, headers) = (total as usize, headers as usize);
        let payload = total.checked_sub(OVERHEAD + headers).ok_or(FrameFault::Lengths)?;
        if headers > HEADERS || payload > PAYLOAD {
            return Err(FrameFault::TooLong);
        }
        if stream.len() < total {
            return Ok(None);
        }
        let frame = stream.split_to(total);
        let (content, mut checksum) = frame.split_at(total - 4);
        if crc(content) != checksum.get_u32() {
            return Err(FrameFault::Checksum);
        }
        let payload = frame.slice(PRELUDE + headers..total - 4);
        let mut rest = frame.slice(PRELUDE..PRELUDE + headers);
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let name = usize::from(rest.try_get_u8()?);
            let name = text(take(&mut rest, name)?)?;
            headers.push((name, HeaderValue::decode(&mut rest)?));
        }
        Ok(Some(Message { headers, payload }))
    }
}

impl HeaderValue {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameFault> {
        let long = |out: &mut Vec<u8>, kind: u8, bytes: &[u8]| {
            out.put_u8(kind);
            out.put_u16(u16::try_from(bytes.len()).map_err(|_| FrameFault::TooLong)?);
            out.put_slice(bytes);
            Ok(())
        };
        match self {
            HeaderValue::Boolean(true) => out.put_u8(0),
            HeaderValue::Boolean(false) => out.put_u8(1),
            HeaderValue::Byte(value) => {
                out.put_u8(2);
                out.put_i8(*value);
            }
            HeaderValue::Short(value) => {
                out.put_u8(3);
                out.put_i16(*value);
            }
            HeaderValue::Integer(value) => {
                out.put_u8(4);
                out.put_i32(*value);
            }
            HeaderValue::Long(value) => {
                out.put_u8(5);
                out.put_i64(*value);
            }
            HeaderValue::Bytes(bytes) => return long(out, 6, bytes),
            HeaderValue::Text(text) => return long(out, 7, text.as_bytes()),
            HeaderValue::Timestamp(Timestamp(millis)) => {
                out.put_u8(8);
                out.put_i64(*millis);
            }
            HeaderValue::Uuid(bytes) => {
                out.put_u8(9);
                out.put_slice(bytes);
            }
        }
        Ok(())
    }

    fn decode(rest: &mut Bytes) -> Result<Self, FrameFault> {
        Ok(match rest.try_get_u8()? {
            0 => HeaderValue::Boolean(true),
            1 => HeaderValue::Boolean(false),
            2 => HeaderValue::Byte(rest.try_get_i8()?),
            3 => HeaderValue::Short(rest.try_get_i16()?),
            4 => HeaderValue::Integer(rest.try_get_i32()?),
            5 => HeaderValue::Long(rest.try_get_i64()?),
            kind @ (6 | 7) => {
                let len = usize::from(rest.try_get_u16()?);
                let bytes = take(rest, len)?;
                if kind == 6 { HeaderValue::Bytes(bytes) } else { HeaderValue::Text(text(bytes)?) }
            }
            8 => HeaderValue::Timestamp(Timestamp(rest.try_get_i64()?)),
            9 => {
                let mut uuid = [0; 16];
                rest.try_copy_to_slice(&mut uuid)?;
                HeaderValue::Uuid(uuid)
            }
            _ => return Err(FrameFault::Headers),
        })
    }
}

fn take(rest: &mut Bytes, len: usize) -> Result<Bytes, FrameFault> {
    if rest.len() < len { Err(FrameFault::Headers) } else { Ok(rest.split_to(len)) }
}

fn text(bytes: Bytes) -> Result<Text, FrameFault> {
    Text::try_from(bytes).map_err(|_| FrameFault::Headers)
}

#[cfg(test)]
mod tests;
