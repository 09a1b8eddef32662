//! How long messages are kept.

use kernel::{Deadlines, Extent, Time};

use super::Queue;
use crate::Seq;
use crate::due::Due;

impl Queue {
    pub(crate) fn retention_millis(&self) -> u64 {
        u64::from(self.settings.retention_seconds) * 1000
    }

    /// Whether a message sent then is to be kept no longer.
    pub(crate) fn is_expired(&self, sent: Time, now: Time) -> bool {
        sent + self.retention_millis() <= now
    }

    /// Everything that the retention period determines is to be determined anew: what was received by [`Queue::sweep`].
    pub(crate) fn retention_changed(&mut self, deadlines: &mut Deadlines<Due>) {
        self.swept_to = Some(Seq(0));
        self.retention_looked_at(deadlines);
    }

    /// Lets `most` received messages hear that the retention period is another; says whether all have. One that has not yet
    /// is not given to anybody if its time is over, and is looked at again if it falls due too soon.
    pub(crate) fn sweep(&mut self, most: usize, deadlines: &mut Deadlines<Due>) -> bool {
        let Some(from) = self.swept_to.take() else { return true };
        let millis = self.retention_millis();
        for (swept, (&seq, touched)) in self.touched.range_mut(from..).enumerate() {
            if swept == most {
                self.swept_to = Some(seq);
                return false;
            }
            let expires = touched.sent + millis;
            let due = if touched.in_flight { touched.visible.min(expires) } else { expires };
            if due != touched.due {
                deadlines.clear(touched.due, Due::MessageDue(self.id, seq));
                deadlines.set(due, Due::MessageDue(self.id, seq));
                touched.due = due;
            }
        }
        true
    }

    /// No message that was never received and could be is older than this; nothing if there is none.
    ///
    /// A group may wait since a message came back that was sent before. By the time that message has expired since it came back,
    /// it is gone by its own deadline, and the group stands elsewhere. What waits behind the first message of a FIFO group is
    /// younger than that one.
    pub(super) fn oldest(&self) -> Option<Time> {
        let fifo = self.is_fifo();
        self.ready.first().into_iter().chain(self.noisy()).map(|turn| turn.since(fifo)).min()
    }

    /// One deadline a queue is enough: when it comes, the next oldest message says when to look again. Only a group that is
    /// listed can make it come sooner: what was delayed, or waited behind others of its group, may be older than all else.
    pub(crate) fn watch_retention(&mut self, deadlines: &mut Deadlines<Due>) {
        let Some(oldest) = self.oldest_listed.take() else { return };
        let due = oldest + self.retention_millis();
        if self.retention_due.is_none_or(|set| due < set) {
            self.forget_retention(deadlines);
            deadlines.set(due, Due::RetentionEnds(self.id));
            self.retention_due = Some(due);
        }
    }

    /// What has expired is gone, or the period is another: the deadline is found anew.
    pub(crate) fn retention_looked_at(&mut self, deadlines: &mut Deadlines<Due>) {
        self.forget_retention(deadlines);
        self.oldest_listed = self.oldest();
        self.watch_retention(deadlines);
    }

    pub(crate) fn forget_retention(&mut self, deadlines: &mut Deadlines<Due>) {
        if let Some(due) = self.retention_due.take() {
            deadlines.clear(due, Due::RetentionEnds(self.id));
        }
    }

    /// The messages at the front of the groups' lanes that have expired, at most `most`.
    pub(crate) fn expired(&self, now: Time, most: usize) -> Vec<(Seq, Extent, u32)> {
        let fifo = self.is_fifo();
        let mut found = Vec::new();
        let look = |number: u32, found: &mut Vec<_>| {
            let Some(group) = self.groups.get(number) else { return };
            let waiting = group.lane.iter(self.groups.cells());
            for entry in waiting.take_while(|entry| self.is_expired(entry.sent, now)) {
                if found.len() >= most {
                    break;
                }
                found.push((entry.seq, entry.extent, number));
            }
        };
        // FIFO groups and quiet ones are listed by the moment since when they wait: behind one that waits since a moment that is
        // too young are only such.
        for turn in self.ready.iter().take_while(|turn| fifo || turn.burden() == 0) {
            if !self.is_expired(turn.since(fifo), now) || found.len() >= most {
                break;
            }
            look(turn.group, &mut found);
        }
        for turn in self.noisy() {
            look(turn.group, &mut found);
        }
        found
    }
}
