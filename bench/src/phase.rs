//! What the connections of one phase of a measurement have in common: the requests, the books, the clock, the goal.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crate::ledger::Ledger;
use crate::requests::{DeleteTemplate, ReceiveTemplate, SendTemplate};
use crate::tally::Progress;

/// What the connections of a phase have in common.
pub(crate) struct Phase<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) progress: &'a Progress,
    pub(crate) queues: &'a [QueueTemplates],
    /// Tells this run's messages from others'.
    pub(crate) run: u32,
    /// A body whose first bytes an identity takes.
    pub(crate) filler: &'a [u8],
    /// What stands before a message in the bodies that come, if they hold more than it.
    pub(crate) wrapping: Option<&'static [u8]>,
    /// Look at what the answers say; otherwise only count them.
    pub(crate) checks: bool,
    /// Compare digests and whole bodies in one answer of so many.
    pub(crate) compare_every: u64,
    /// Number of FIFO groups; 0 for standard queues.
    pub(crate) groups: u32,
    /// Messages that each producer sends; otherwise it sends until the end of the window.
    pub(crate) share: Option<u64>,
    /// Nanoseconds between two requests of one producer; otherwise as fast as answers come.
    pub(crate) interval: Option<u64>,
    /// Producers wait while so many messages are sent and have not come.
    pub(crate) outstanding: Option<u64>,
    /// Consumers stop when so many messages have come.
    pub(crate) goal: Option<u64>,
    /// Consumers and producers are at work together: consumers stop once producers have and all has come.
    pub(crate) both_sides: bool,
    /// Nanoseconds of the phase's clock between which answers count. After the second nobody begins anything new, unless
    /// there is a `share` still to send.
    pub(crate) window: Window,
    pub(crate) clock: Instant,
    pub(crate) producers_at_work: AtomicUsize,
    /// When the last message came.
    pub(crate) last_arrival: AtomicU64,
    /// When nothing has come for so long, what is missing will not come.
    pub(crate) stall_nanos: u64,
}

impl Phase<'_> {
    /// Nanoseconds since the phase's clock began.
    pub(crate) fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Consumers have nothing to wait for.
    pub(crate) fn all_has_come(&self) -> bool {
        if self.both_sides {
            return self.producers_at_work.load(Relaxed) == 0 && self.ledger.outstanding() == 0;
        }
        self.goal.is_some_and(|goal| self.ledger.arrived() >= goal)
    }

    /// Whether an answer at this time is measured.
    pub(crate) fn counts(&self, now: u64) -> bool {
        now >= self.window.from.load(Relaxed) && now < self.window.until.load(Relaxed)
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn ended(&self, now: u64) -> bool {
        now >= self.window.until.load(Relaxed)
    }
}

/// When answers count, in nanoseconds of the phase's clock; set when all connections stand.
#[derive(Default)]
pub(crate) struct Window {
    pub(crate) from: AtomicU64,
    pub(crate) until: AtomicU64,
}

/// The requests for one queue.
pub(crate) struct QueueTemplates {
    pub(crate) send: SendTemplate,
    pub(crate) receive: ReceiveTemplate,
    pub(crate) delete: DeleteTemplate,
}
