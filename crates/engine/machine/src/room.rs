//! What the disk has room for, and what is kept of the last room for those who free some.

use kernel::Demand;

use crate::house::House;
use crate::machine::Machine;

/// In small segments, what is kept for purges on a full disk is this much at least.
const SMALLEST_RESERVE: u64 = 512;

impl<H: House> Machine<H> {
    /// What the disk has room for.
    pub fn room(&self) -> Demand {
        let Some(left) = self.left() else { return Demand::Growth };
        let enough = |demand: &Demand| left > self.reserve(*demand);
        let by_need = [Demand::Change, Demand::Delete, Demand::Purge];
        by_need.into_iter().find(enough).unwrap_or(Demand::Nothing)
    }

    /// Bytes that the log can still take, if the disk has no room for another segment.
    pub(crate) fn left(&self) -> Option<u64> {
        let (end, at) = (self.space_end?, self.appender.end());
        let segments = u64::from(end.segment()).saturating_sub(at.segment().into());
        if end.segment() < at.segment() {
            return Some(0);
        }
        let whole = segments * u64::from(self.appender.segment_bytes());
        Some((whole + u64::from(end.offset())).saturating_sub(at.offset().into()))
    }

    /// Bytes that are kept for what asks for less than this.
    pub(crate) fn reserve(&self, demand: Demand) -> u64 {
        let segment = u64::from(self.appender.segment_bytes());
        match demand {
            Demand::Nothing => 0,
            Demand::Purge => (segment / 64).max(SMALLEST_RESERVE),
            Demand::Delete => (segment / 16).max(2 * SMALLEST_RESERVE),
            Demand::Change | Demand::Growth => segment / 2,
        }
    }
}

/// What a client hears that asks for more than the disk has room for.
pub(crate) fn refusal_text(room: Demand) -> &'static str {
    match room {
        Demand::Growth | Demand::Change => {
            "The disk that holds this server's data is full. Nothing was stored; receives and deletes still work. Free \
             some space, or delete messages, and try again."
        }
        Demand::Delete => {
            "The disk that holds this server's data is full, and what is left is kept for deletes. Nothing was done. Free \
             some space, or delete messages or resources, and try again."
        }
        Demand::Purge => {
            "The disk that holds this server's data is full, and what is left is kept for purges and for the deletion of \
             resources. Nothing was done. Free some space, or purge or delete resources, and try again."
        }
        Demand::Nothing => {
            "The disk that holds this server's data is full, and nothing can be written any more. Nothing was done. Free \
             some space and try again."
        }
    }
}
