//! A queue is gone, and all its messages with it.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::QueueId;

/// A queue was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueDeleted {
    /// Which.
    pub id: QueueId,
    /// When.
    pub at: Time,
    /// The segments that may still declare it.
    pub declared_in: Vec<u32>,
}

impl QueueDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_u64(out, self.at.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(QueueDeleted {
            id: QueueId(reader.u64()?),
            at: Time(reader.u64()?),
            declared_in: reader.list(Reader::u32)?,
        })
    }
}
