//! The heads of records: whose they are, their order, and how long they are kept.

use kernel::Time;
use kernel::codec::{self, Malformed};

use crate::series::{Retention, Rule, Series};

/// A record to append.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// The series.
    pub series: Series,
    /// Its number in the series, larger than all earlier ones and less than `u64::MAX`.
    pub sequence: u64,
    /// Its time. It must not be before that of an earlier record of the series.
    pub time: Time,
    /// How long it is kept, counted from its time.
    pub retention: Retention,
    /// Bytes of the owner that a reader gets apart from the payload.
    pub head: &'a [u8],
    /// The payload.
    pub tail: &'a [u8],
}

/// What the store itself reads of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub series: Series,
    pub sequence: u64,
    pub time: Time,
    pub retention: Retention,
}

impl New<'_> {
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { series: self.series, sequence: self.sequence, time: self.time, retention: self.retention }
    }
}

impl Stamp {
    pub fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.series.0);
        codec::put_u64(out, self.sequence);
        codec::put_u64(out, self.time.millis());
        codec::put_u64(out, u64::from(self.retention.to_bits()));
    }

    /// Reads a stamp. Returns it with its length in bytes.
    pub fn decode(head: &[u8]) -> Result<(Stamp, usize), Malformed> {
        let mut reader = codec::Reader::new(head);
        let stamp = Stamp {
            series: Series(reader.u64()?),
            sequence: reader.u64()?,
            time: Time(reader.u64()?),
            retention: Retention::from_bits(reader.u32()?),
        };
        Ok((stamp, head.len() - reader.rest().len()))
    }
}

const KEEP: u8 = 1;
const DELETE: u8 = 2;

/// Writes the head of a rule's record.
pub fn encode_rule(series: Series, rule: Rule, out: &mut Vec<u8>) {
    codec::put_u64(out, series.0);
    match rule {
        Rule::Keep(retention) => {
            out.push(KEEP);
            codec::put_u64(out, u64::from(retention.to_bits()));
        }
        Rule::Delete => out.push(DELETE),
    }
}

/// Reads the head of a rule's record.
pub fn decode_rule(head: &[u8]) -> Result<(Series, Rule), Malformed> {
    let mut reader = codec::Reader::new(head);
    let series = Series(reader.u64()?);
    let rule = match reader.u8()? {
        KEEP => Rule::Keep(Retention::from_bits(reader.u32()?)),
        DELETE => Rule::Delete,
        _ => return Err(Malformed),
    };
    if reader.is_empty() { Ok((series, rule)) } else { Err(Malformed) }
}
