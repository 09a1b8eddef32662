//! A rule is gone, and what was still to be delivered to its targets.

use kernel::codec::{Malformed, Reader, put_list, put_u64};

use crate::RuleId;

/// A rule was deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleDeleted {
    /// Which.
    pub id: RuleId,
    /// The segments that may still declare it.
    pub declared_in: Vec<u32>,
}

impl RuleDeleted {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(RuleDeleted { id: RuleId(reader.u64()?), declared_in: reader.list(Reader::u32)? })
    }
}
