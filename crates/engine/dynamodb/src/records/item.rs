//! An item as it is from now on, and that an item is gone.

use std::borrow::Cow;

use kernel::codec::{Malformed, Reader, put_bytes, put_list, put_u64};
use kernel::{Extent, Ledger};

/// An item of a table: the whole of it. Its key follows from the table's schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemPut<'a> {
    /// The table's number.
    pub table: u64,
    /// The item's number: another one for each time that an item of this key is made.
    pub id: u64,
    /// Its attributes.
    pub content: Cow<'a, [u8]>,
}

impl<'a> ItemPut<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.table);
        put_u64(out, self.id);
        put_bytes(out, &self.content);
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(ItemPut { table: reader.u64()?, id: reader.u64()?, content: Cow::Borrowed(reader.bytes()?) })
    }
}

/// An item is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemRemoved {
    /// The table's number.
    pub table: u64,
    /// The item's number.
    pub id: u64,
    /// Its key in bytes.
    pub key: Box<[u8]>,
    /// The segments that may still contain the item.
    pub put_in: Vec<u32>,
}

impl ItemRemoved {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.table);
        put_u64(out, self.id);
        put_bytes(out, &self.key);
        put_list(out, &self.put_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ItemRemoved {
            table: reader.u64()?,
            id: reader.u64()?,
            key: reader.bytes()?.into(),
            put_in: reader.list(Reader::u32)?,
        })
    }

    /// The record as it is to be written before the segment at `at` goes: without the segments that need no tombstone. Nothing, if
    /// none does.
    pub fn again(&self, at: Extent, ledger: &Ledger) -> Option<Self> {
        let needs = |&segment: &u32| ledger.needs_tombstone(segment, at);
        let put_in: Vec<u32> = self.put_in.iter().copied().filter(needs).collect();
        (!put_in.is_empty()).then(|| ItemRemoved { put_in, ..self.clone() })
    }
}
