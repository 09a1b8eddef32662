//! A shard as it is from now on.

use kernel::codec::{Malformed, Reader, put_list, put_u64};
use kernel::{Series, Time};
use resources::{Declared, Key};

use crate::ShardKey;
use crate::rules::hash_keys::HashRange;

/// The end of a shard: nothing is put into it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed {
    /// All of its records have numbers below this one.
    pub end: u64,
    /// When it was closed.
    pub at: Time,
}

/// The whole of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardDeclared {
    /// Its number, never reused: also that of its series. All of its records have higher ones.
    pub id: u64,
    /// Stream and number in the stream.
    pub key: ShardKey,
    /// The shards that it came of: none, one that was split, or two that were merged.
    pub parents: Vec<u32>,
    /// The hash keys of its records.
    pub range: HashRange,
    /// When it was made.
    pub created: Time,
    /// Its end, if it is closed.
    pub closed: Option<Closed>,
}

impl Declared for ShardDeclared {
    type Key = ShardKey;

    fn id(&self) -> u64 {
        self.id
    }

    fn key(&self) -> &ShardKey {
        &self.key
    }
}

impl ShardDeclared {
    /// Its series in the store for retained data.
    pub fn series(&self) -> Series {
        Series(self.id)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_list(out, &self.parents, |out, &parent| put_u64(out, parent.into()));
        out.extend_from_slice(&self.range.start.to_le_bytes());
        out.extend_from_slice(&self.range.end.to_le_bytes());
        put_u64(out, self.created.0);
        match self.closed {
            None => out.push(0),
            Some(closed) => {
                out.push(1);
                put_u64(out, closed.end);
                put_u64(out, closed.at.0);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, key) = (reader.u64()?, ShardKey::decode(reader)?);
        let parents = reader.list(Reader::u32)?;
        let range = HashRange { start: hash(reader)?, end: hash(reader)? };
        let created = Time(reader.u64()?);
        let closed = match reader.u8()? {
            0 => None,
            1 => Some(Closed { end: reader.u64()?, at: Time(reader.u64()?) }),
            _ => return Err(Malformed),
        };
        Ok(ShardDeclared { id, key, parents, range, created, closed })
    }
}

fn hash(reader: &mut Reader<'_>) -> Result<u128, Malformed> {
    reader.take(16)?.try_into().map(u128::from_le_bytes).map_err(|_| Malformed)
}
