//! How a client's records lie in the log and in the store: many of one shard and one request in one record, a *chunk*.
//!
//! A small record costs little so, and a chunk is short enough that a reader of one of its records reads little besides. A record that is
//! longer than [`PART_BYTES`] lies in several parts, since the groups of log and store are bounded; each part has a number of its own.
//!
//! The number of a chunk in its series is that of its **last** record: so the first chunk at or above a number has the record with it.

use bytes::{Buf, Bytes};
use kernel::codec::{Malformed, put_u64};

/// A chunk takes no further record if it would be longer.
pub const CHUNK_BYTES: usize = 64 << 10;

/// What is longer is divided into parts of this length.
pub const PART_BYTES: usize = 1 << 20;

/// A record of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its partition key; absent if the stream distributes records itself and none was given.
    pub partition_key: Option<Bytes>,
    /// Its data.
    pub data: Bytes,
}

/// Appends a record.
pub fn put_entry(out: &mut Vec<u8>, partition_key: Option<&str>, data: &[u8]) {
    match partition_key {
        None => out.push(0),
        Some(key) => {
            put_u64(out, key.len() as u64 + 1);
            out.extend_from_slice(key.as_bytes());
        }
    }
    put_u64(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// Takes the next record off a chunk. Its bytes are not copied.
pub fn take_entry(chunk: &mut Bytes) -> Result<Entry, Malformed> {
    let partition_key = match length(chunk)? {
        0 => None,
        more => Some(take(chunk, more - 1)?),
    };
    let len = length(chunk)?;
    Ok(Entry { partition_key, data: take(chunk, len)? })
}

fn length(chunk: &mut Bytes) -> Result<usize, Malformed> {
    let mut reader = kernel::codec::Reader::new(chunk);
    let len = reader.u64()?;
    let read = chunk.len() - reader.rest().len();
    chunk.advance(read);
    usize::try_from(len).map_err(|_| Malformed)
}

fn take(chunk: &mut Bytes, len: usize) -> Result<Bytes, Malformed> {
    if len > chunk.len() {
        return Err(Malformed);
    }
    Ok(chunk.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_as_they_were_written() {
        let mut out = Vec::new();
        put_entry(&mut out, Some("k"), b"data");
        put_entry(&mut out, None, b"");
        put_entry(&mut out, Some(""), &[7; 300]);
        let whole = Bytes::from(out);
        let mut chunk = whole.clone();
        let entry = |key: Option<&'static [u8]>, data: &'static [u8]| Entry {
            partition_key: key.map(Bytes::from_static),
            data: Bytes::from_static(data),
        };
        assert_eq!(take_entry(&mut chunk), Ok(entry(Some(b"k"), b"data")));
        assert_eq!(take_entry(&mut chunk), Ok(entry(None, b"")));
        assert_eq!(take_entry(&mut chunk).unwrap().data.len(), 300);
        assert!(chunk.is_empty());
        for cut in 0..whole.len() {
            let mut chunk = whole.slice(..cut);
            while !chunk.is_empty() && take_entry(&mut chunk).is_ok() {}
        }
    }
}
