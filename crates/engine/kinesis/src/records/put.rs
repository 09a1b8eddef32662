//! Records of one shard, put by one request.

use kernel::codec::{Malformed, Reader, put_u64};
use kernel::{Series, Time};

pub(super) const KIND: u8 = 160;

/// Which part of a record that is too long for one record of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its index, from 0 on.
    pub index: u8,
    /// Number of parts. Each has a number of its own; the first is the record's.
    pub of: u8,
}

/// Records of a shard, in their order. The tail has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordsPut {
    /// The shard's series.
    pub series: Series,
    /// The number of the first; those that follow have the numbers that follow.
    pub first: u64,
    /// How many; of a part 1.
    pub count: u32,
    /// When they arrived.
    pub at: Time,
    /// Whether the stream was encrypted then.
    pub is_encrypted: bool,
    /// Whether it is only a part of a record.
    pub part: Option<Part>,
}

const ENCRYPTED: u8 = 1;
const PART: u8 = 2;

impl RecordsPut {
    /// The number of the last.
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count.max(1) - 1)
    }

    /// Reads the head of a record of the log or of the store.
    pub fn of_head(head: &[u8]) -> Result<RecordsPut, Malformed> {
        let mut reader = Reader::new(head);
        if reader.u8()? != KIND {
            return Err(Malformed);
        }
        let put = RecordsPut::decode(&mut reader)?;
        if reader.is_empty() { Ok(put) } else { Err(Malformed) }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let flags =
            if self.is_encrypted { ENCRYPTED } else { 0 } | if self.part.is_some() { PART } else { 0 };
        out.push(flags);
        put_u64(out, self.series.0);
        put_u64(out, self.first);
        put_u64(out, self.count.into());
        put_u64(out, self.at.0);
        if let Some(part) = self.part {
            out.extend_from_slice(&[part.index, part.of]);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        if flags & !(ENCRYPTED | PART) != 0 {
            return Err(Malformed);
        }
        let (series, first, count) = (Series(reader.u64()?), reader.u64()?, reader.u32()?);
        let at = Time(reader.u64()?);
        let part = match flags & PART {
            0 => None,
            _ => Some(Part { index: reader.u8()?, of: reader.u8()? }),
        };
        if count == 0 || first.checked_add(count.into()).is_none() {
            return Err(Malformed);
        }
        Ok(RecordsPut { series, first, count, at, is_encrypted: flags & ENCRYPTED != 0, part })
    }
}
