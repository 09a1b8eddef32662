//! A rule with a schedule ran: when it runs next. What its targets got is a parcel of the same group.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_u64};

use crate::RuleId;
use crate::rules::timing::{decode_run, encode_run};

/// A rule ran.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleRan {
    /// Which.
    pub id: RuleId,
    /// When it runs next; none after the last run.
    pub next: Option<Time>,
}

impl RuleRan {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        encode_run(self.next, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(RuleRan { id: RuleId(reader.u64()?), next: decode_run(reader)? })
    }
}
