//! What may be seen of queues by whoever only looks.

use crate::QueueKey;
use crate::state::State;

/// A queue and how many messages it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueView<'a> {
    /// Account, region and name.
    pub key: &'a QueueKey,
    /// Messages that can be received or wait behind others of their group.
    pub visible: u64,
    /// Messages that were received and not deleted, and are hidden.
    pub in_flight: u64,
    /// Messages whose delay has not ended.
    pub delayed: u64,
}

impl State {
    /// All queues, by account, region and name.
    pub fn queues(&self) -> impl Iterator<Item = QueueView<'_>> {
        self.names.values().filter_map(|id| self.queues.get(id)).map(|queue| {
            let (visible, in_flight, delayed) = queue.counts();
            QueueView { key: &queue.key, visible, in_flight, delayed }
        })
    }
}
