//! Which messages have their payload in a record that names another message.

use std::collections::BTreeSet;

use kernel::{Extent, Place};

use crate::{QueueId, Seq};

/// Messages that were moved, by where their payloads lie. There may be millions, so that nothing here looks at all of them: who
/// takes a message out of its queue takes it out here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Borrowed(BTreeSet<(Place, QueueId, Seq)>);

impl Borrowed {
    /// A message's payload lies there.
    pub(crate) fn insert(&mut self, extent: Extent, queue: QueueId, seq: Seq) {
        self.0.insert((extent.place, queue, seq));
    }

    /// It does no longer, or the message is gone.
    pub(crate) fn remove(&mut self, extent: Extent, queue: QueueId, seq: Seq) {
        self.0.remove(&(extent.place, queue, seq));
    }

    /// The messages whose payload lies there.
    pub(crate) fn at(&self, extent: Extent) -> impl Iterator<Item = (QueueId, Seq)> {
        let first = (extent.place, QueueId(0), Seq(0));
        let last = (extent.place, QueueId(u64::MAX), Seq(u64::MAX));
        self.0.range(first..=last).map(|&(_, id, seq)| (id, seq))
    }
}
