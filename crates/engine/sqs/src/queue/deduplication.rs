//! When deduplication ids stop counting.

use kernel::{Deadlines, Time};

use super::Queue;
use crate::due::Due;

impl Queue {
    pub(crate) fn watch_dedup(&mut self, deadlines: &mut Deadlines<Due>) {
        if self.dedup_due.is_none()
            && let Some(at) = self.dedup.oldest_at()
        {
            self.set_dedup_due(at + collections::dedup::WINDOW_MILLIS, deadlines);
        }
    }

    pub(crate) fn dedup_ends(&mut self, now: Time, most: usize, deadlines: &mut Deadlines<Due>) {
        self.dedup_due = None;
        if let Some(due) = self.dedup.expire(now, most) {
            // If there is more to forget now, it is forgotten a little later, between other work.
            self.set_dedup_due(due.max(now + 1), deadlines);
        }
    }

    pub(super) fn set_dedup_due(&mut self, due: Time, deadlines: &mut Deadlines<Due>) {
        deadlines.set(due, Due::DedupEnds(self.id));
        self.dedup_due = Some(due);
    }
}
