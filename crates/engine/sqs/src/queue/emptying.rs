//! A queue is emptied at once; what its messages held is given back in steps.

use std::collections::BTreeMap;

use kernel::{Deadlines, Ledger};

use super::{Queue, Touched};
use crate::borrowed::Borrowed;
use crate::due::Due;
use crate::rules::attempts::Attempts;
use crate::rules::group::Groups;
use crate::rules::shares::Shares;
use crate::{QueueId, Seq};
use collections::Lane;
use collections::dedup::Dedup;

impl Queue {
    /// Forgets all messages; what they lie on is released by whoever dismantles the rest that is returned.
    pub(crate) fn empty(&mut self, seed: u64, deadlines: &mut Deadlines<Due>) -> Rest {
        for (&delay, delayed) in &self.delayed {
            if let Some(due) = delayed.due {
                deadlines.clear(due, Due::DelayEnds(self.id, delay));
            }
        }
        self.forget_retention(deadlines);
        self.swept_to = None;
        self.oldest_listed = None;
        if let Some(due) = self.dedup_due.take() {
            deadlines.clear(due, Due::DedupEnds(self.id));
        }
        self.dedup = Dedup::default();
        self.attempts = Attempts::default();
        self.shares = Shares::default();
        self.ready.clear();
        self.visible_count = 0;
        self.in_flight_count = 0;
        self.delayed_count = 0;
        Rest {
            queue: self.id,
            touched: std::mem::take(&mut self.touched),
            groups: std::mem::replace(&mut self.groups, Groups::new(seed)),
            delayed: std::mem::take(&mut self.delayed).into_values().map(|delayed| delayed.lane).collect(),
        }
    }
}

/// Messages of a queue that was emptied, whose records are still to be released, a few at a time.
#[derive(Clone, Debug)]
pub struct Rest {
    queue: QueueId,
    touched: BTreeMap<Seq, Box<Touched>>,
    groups: Groups,
    delayed: Vec<Lane>,
}

impl Rest {
    /// Releases about `most`; says whether all is done.
    pub(crate) fn dismantle(
        &mut self,
        most: usize,
        ledger: &mut Ledger,
        deadlines: &mut Deadlines<Due>,
        borrowed: &mut Borrowed,
    ) -> bool {
        for _ in 0..most {
            let Some((seq, touched)) = self.touched.pop_first() else { break };
            deadlines.clear(touched.due, Due::MessageDue(self.queue, seq));
            if touched.borrowed {
                borrowed.remove(touched.extent, self.queue, seq);
            }
            ledger.release(touched.extent);
            for fact in [touched.fact, touched.placed].into_iter().flatten() {
                ledger.release(fact);
            }
        }
        if !self.touched.is_empty() {
            return false;
        }
        if !self.groups.dismantle(most, |entry| ledger.release(entry.extent)) {
            return false;
        }
        for _ in 0..most {
            let Some(lane) = self.delayed.last_mut() else { return true };
            match lane.pop_front() {
                Some(entry) => ledger.release(entry.extent),
                None => {
                    self.delayed.pop();
                }
            }
        }
        false
    }
}
