//! A schedule as it is remembered: what it shares with others by reference, what it has for itself as the bytes of its record.

use std::sync::Arc;

use kernel::codec::Reader;
use kernel::{Extent, Ledger, Secret, Time};
use resources::Standing;

use crate::ScheduleId;
use crate::records::{Own, ScheduleDeclared, Shared};
use crate::rules::timing::{Run, Timing};

/// That a schedule does not run any more.
const NO_RUN: Time = Time(u64::MAX);

/// A schedule. There may be a million of them, so each is small.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What it has in common with others.
    pub shared: Arc<Shared>,
    /// [`Own`], encoded.
    own: Box<[u8]>,
    /// The moment of its next run, or [`NO_RUN`].
    scheduled: Time,
    /// By how many milliseconds its window delays that.
    delay: u32,
    pub(crate) standing: Standing,
    /// Where it stands when it runs next, if its declaration does not say it.
    pub(crate) fact: Option<Extent>,
}

impl Schedule {
    /// A schedule as it was declared.
    pub(crate) fn new(declared: &ScheduleDeclared, shared: Arc<Shared>, standing: Standing) -> Self {
        let mut own = Vec::with_capacity(128);
        declared.own.encode(&mut own);
        let mut schedule =
            Schedule { shared, own: own.into(), scheduled: NO_RUN, delay: 0, standing, fact: None };
        schedule.set_run(declared.run);
        schedule
    }

    /// When it runs next.
    pub fn run(&self) -> Option<Run> {
        let (scheduled, delay) = (self.scheduled, u64::from(self.delay));
        (scheduled != NO_RUN).then(|| Run { scheduled, due: scheduled + delay })
    }

    pub(crate) fn set_run(&mut self, run: Option<Run>) {
        self.scheduled = run.map_or(NO_RUN, |run| run.scheduled);
        // A window is a day at the most.
        self.delay = run.map_or(0, |run| (run.due - run.scheduled).try_into().unwrap_or(u32::MAX));
    }

    /// Bytes of that.
    pub(crate) fn own_bytes(&self) -> usize {
        self.own.len()
    }

    /// What it has for itself.
    pub fn own(&self) -> Own {
        let own = Own::decode(&mut Reader::new(&self.own));
        debug_assert!(own.is_ok(), "a schedule was not encoded as it is decoded");
        own.unwrap_or_else(|_| Own {
            name: String::new(),
            expression: String::new(),
            input: None,
            description: None,
            start: None,
            end: None,
            created: Time(0),
            modified: Time(0),
            token: 0,
        })
    }

    /// The fact that it is so.
    pub fn declared(&self, id: ScheduleId) -> ScheduleDeclared {
        let (shared, own) = (Shared::clone(&self.shared), self.own());
        ScheduleDeclared { id, shared, own, run: self.run() }
    }

    /// When it runs.
    pub(crate) fn timing<'a>(&'a self, id: ScheduleId, own: &'a Own, secret: &'a Secret) -> Timing<'a> {
        Timing {
            id,
            expression: &own.expression,
            zone: &self.shared.zone,
            start: own.start,
            end: own.end,
            window_minutes: self.shared.window_minutes,
            since: own.modified,
            secret,
        }
    }

    /// It is gone.
    pub(crate) fn end(&self, ledger: &mut Ledger) {
        self.standing.end(ledger);
        if let Some(fact) = self.fact {
            ledger.release(fact);
        }
    }
}
