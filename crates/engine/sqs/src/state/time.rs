//! What happens as time passes, without a record.

use kernel::{Demand, Ledger, Time};

use super::State;
use crate::due::Due;

/// Messages of a queue that was emptied, of which the log is told in one go that nobody needs them.
const DISMANTLED: usize = 1000;

/// Messages that hear in one go that their queue's retention period is another.
pub(super) const SWEPT: usize = 500;

/// Deduplication ids that are forgotten in one go.
const DEDUP_ENDS: usize = 2000;

impl State {
    /// Time has come to `now`: what follows from that alone, and needs no record, happens.
    pub fn advance(&mut self, now: Time) {
        let mut room = usize::MAX;
        self.advance_some(now, &mut room);
    }

    /// The same, but no more than there is room for, which it takes up. What falls due and has not been looked at yet makes no
    /// difference but for that: nobody is given a message whose retention has ended, though it still counts.
    pub fn advance_some(&mut self, now: Time, room: &mut usize) {
        self.now = self.now.max(now);
        while *room > 0 {
            let Some((_, due)) = self.deadlines.take_due(now) else { return };
            *room -= 1;
            match due {
                Due::MessageDue(id, seq) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    if queue.message_due(seq, now, &mut self.deadlines) {
                        self.overdue_messages.push_back((id, seq));
                    }
                    self.changed(id);
                }
                Due::DelayEnds(id, delay) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    let moved = queue.delay_ends(delay, now, (*room).clamp(1, 1000), &mut self.deadlines);
                    *room = room.saturating_sub(moved);
                    self.changed(id);
                }
                Due::RetentionEnds(id) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    queue.forget_retention(&mut self.deadlines);
                    self.overdue_queues.insert(id);
                }
                Due::PollEnds(id, number) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    if let Some(waiter) = queue.waiters.remove(&number) {
                        self.waiting.remove(&waiter.ticket);
                        self.ended_polls.push_back(waiter.ticket);
                    }
                }
                Due::DedupEnds(id) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    queue.dedup_ends(now, DEDUP_ENDS, &mut self.deadlines);
                    *room = room.saturating_sub(DEDUP_ENDS / 8);
                }
                Due::MoveStep(id) => {
                    self.due_tasks.insert(id);
                }
            }
        }
    }

    /// When time must be told again at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Whether something follows from the time that was told last and has not happened yet, though the disk has `room` for it.
    pub fn is_behind(&self, room: Demand) -> bool {
        self.deadlines.next().is_some_and(|due| due <= self.now)
            || !self.sweeps.is_empty()
            || !self.ended_polls.is_empty()
            || !self.filled.is_empty()
            || room >= Demand::Delete && !(self.overdue_messages.is_empty() && self.overdue_queues.is_empty())
            || room >= Demand::Change && !(self.woken.is_empty() && self.due_tasks.is_empty())
    }

    /// Whether there is work that can be done between requests.
    pub fn has_background_work(&self) -> bool {
        !self.rests.is_empty() || !self.sweeps.is_empty()
    }

    /// Does a little of that work.
    pub fn work_in_background(&mut self, ledger: &mut Ledger) {
        if let Some(rest) = self.rests.last_mut()
            && rest.dismantle(DISMANTLED, ledger, &mut self.deadlines, &mut self.borrowed)
        {
            self.rests.pop();
        }
        if let Some(&id) = self.sweeps.first()
            && self.queues.get_mut(&id).is_none_or(|queue| queue.sweep(SWEPT, &mut self.deadlines))
        {
            self.sweeps.remove(&id);
        }
    }
}
