//! A topic is gone, and all its subscriptions with it.

use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::TopicId;

/// A topic was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicDeleted {
    /// Which.
    pub id: TopicId,
    /// The segments that may still declare it or its subscriptions.
    pub declared_in: Vec<u32>,
}

impl TopicDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(TopicDeleted { id: TopicId(reader.u64()?), declared_in: reader.list(Reader::u32)? })
    }
}
