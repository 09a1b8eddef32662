//! Shard iterators: where a reader of a shard stands (facts/kinesis.md §§ 4, 13).
//!
//! An iterator says which incarnation of a stream it is of (its number), which shard, from where to read, and when it was made. It needs no
//! signature: a made-up iterator reads what its maker may read anyway, since each read checks who may.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::codec::{Malformed, Reader, put_u64};
use kernel::{Series, Time};
use resources::Key;

use crate::StreamKey;

/// From where to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// The record with this number, or the first above it. Zero is the oldest.
    Number(u64),
    /// The first record of this moment or a later one.
    Time(Time),
}

/// An iterator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Iterator {
    /// The stream's name.
    pub stream: StreamKey,
    /// Its number.
    pub id: u64,
    /// The shard.
    pub series: Series,
    /// From where to read.
    pub position: Position,
    /// When it was made.
    pub made: Time,
}

const VERSION: u8 = 1;

impl std::fmt::Display for Iterator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = vec![VERSION];
        self.stream.encode(&mut out);
        put_u64(&mut out, self.id);
        put_u64(&mut out, self.series.0);
        let (kind, value) = match self.position {
            Position::Number(number) => (0, number),
            Position::Time(time) => (1, time.0),
        };
        out.push(kind);
        put_u64(&mut out, value);
        put_u64(&mut out, self.made.0);
        f.write_str(&STANDARD.encode(out))
    }
}

impl Iterator {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Iterator> {
        let bytes = STANDARD.decode(text).ok()?;
        let mut reader = Reader::new(&bytes);
        let iterator = Iterator::read(&mut reader).ok()?;
        reader.is_empty().then_some(iterator)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Iterator, Malformed> {
        if reader.u8()? != VERSION {
            return Err(Malformed);
        }
        let (stream, id) = (StreamKey::decode(reader)?, reader.u64()?);
        let series = Series(reader.u64()?);
        let position = match (reader.u8()?, reader.u64()?) {
            (0, number) => Position::Number(number),
            (1, time) => Position::Time(Time(time)),
            _ => return Err(Malformed),
        };
        Ok(Iterator { stream, id, series, position, made: Time(reader.u64()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterators_read_back_as_they_were_written_and_are_no_longer_than_the_model_says() {
        let stream = StreamKey {
            account: "000000000000".to_owned(),
            region: "us-gov-west-1".to_owned(),
            name: "s".repeat(128),
        };
        for position in [Position::Number(u64::MAX), Position::Time(Time(u64::MAX))] {
            let iterator = Iterator {
                stream: stream.clone(),
                id: u64::MAX,
                series: Series(u64::MAX),
                position,
                made: Time(u64::MAX),
            };
            let text = iterator.to_string();
            assert!(text.len() <= 512, "{}", text.len());
            assert_eq!(Iterator::parse(&text), Some(iterator));
            for cut in 0..text.len() {
                assert_eq!(Iterator::parse(&text[..cut]), None);
            }
        }
        assert_eq!(Iterator::parse("AAAA"), None);
    }
}
