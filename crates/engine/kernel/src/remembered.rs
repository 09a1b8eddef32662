//! Deduplication ids that still count, written again because the segment that told them is given up.
//!
//! A FIFO message may be deleted at once, but its deduplication id counts for five minutes (facts/sqs.md § 7). What is
//! remembered of it takes some fifteen bytes; its record, and its segment with all others, need not be kept for that.

use crate::Time;
use crate::codec::{Malformed, Reader, put_list, put_near, put_u64};

/// The kind of its record in the log.
pub const IDS_REMEMBERED: u8 = 129;

/// Ids that things of any service have accepted. Nothing new has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdsRemembered {
    /// The ids.
    pub ids: Vec<RememberedId>,
}

/// One id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RememberedId {
    /// The number of the thing that accepted it: no two things have the same.
    pub owner: u64,
    /// The number of the message that was accepted with it.
    pub message: u64,
    /// When.
    pub at: Time,
    /// What is remembered of the id itself.
    pub key: [u8; 10],
}

impl RememberedId {
    /// What it takes in a record at the most.
    pub fn most_bytes(&self) -> usize {
        40
    }
}

impl IdsRemembered {
    /// Appends its bytes, the kind before them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(IDS_REMEMBERED);
        let first = self.ids.first().copied();
        let (mut owner, mut message, mut at) = first.map_or((0, 0, 0), |id| (id.owner, id.message, id.at.0));
        for number in [owner, message, at] {
            put_u64(out, number);
        }
        put_list(out, &self.ids, |out, id| {
            put_near(out, id.owner, &mut owner);
            put_near(out, id.message, &mut message);
            put_near(out, id.at.0, &mut at);
            out.extend_from_slice(&id.key);
        });
    }

    /// Reads what [`IdsRemembered::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != IDS_REMEMBERED {
            return Err(Malformed);
        }
        let (mut owner, mut message, mut at) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let ids = reader.list(|reader| {
            let owner = reader.near(&mut owner)?;
            let message = reader.near(&mut message)?;
            let at = Time(reader.near(&mut at)?);
            let mut key = [0; 10];
            key.copy_from_slice(reader.take(10)?);
            Ok(RememberedId { owner, message, at, key })
        })?;
        if reader.is_empty() { Ok(IdsRemembered { ids }) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u64) -> IdsRemembered {
        let id = |n: u64| RememberedId {
            owner: 70 + n / 500,
            message: (1 << 40) + 200 * n,
            at: Time(1_700_000_000_000 + n),
            key: [n as u8; 10],
        };
        IdsRemembered { ids: (0..count).map(id).collect() }
    }

    #[test]
    fn what_is_remembered_reads_back_as_it_was_written() {
        for count in [0, 1, 3] {
            let remembered = ids(count);
            let mut bytes = Vec::new();
            remembered.encode(&mut bytes);
            assert_eq!(IdsRemembered::decode(&bytes), Ok(remembered));
            for cut in 0..bytes.len() {
                assert!(IdsRemembered::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn an_id_takes_about_fifteen_bytes() {
        let mut bytes = Vec::new();
        ids(1000).encode(&mut bytes);
        assert!(bytes.len() < 16_000, "{} bytes for a thousand", bytes.len());
    }
}
