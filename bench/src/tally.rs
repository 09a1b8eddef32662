//! What one thread has seen so far: counts, latencies, errors; and how the threads' are added up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hdrhistogram::Histogram;

use crate::requests::Operation;

/// Longer than any timeout that makes sense; latencies are kept to three digits up to here.
const LONGEST_LATENCY_NANOS: u64 = 1_000_000_000_000;

/// What one thread has seen so far.
pub(crate) struct Tally {
    /// Latencies of the answers within the measuring window, in nanoseconds, by [`Operation`].
    pub(crate) latencies: [Histogram<u64>; Operation::ALL.len()],
    /// Messages that these answers spoke of, by [`Operation`].
    pub(crate) messages: [u64; Operation::ALL.len()],
    /// From just before a message's send to its arrival, in nanoseconds, for arrivals within the window.
    pub(crate) end_to_end: Histogram<u64>,
    /// ReceiveMessage answers within the window that had no message.
    pub(crate) empty_receives: u64,
    /// What went wrong, at any time of the run, and how often.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Messages of other runs that came.
    pub(crate) foreign: u64,
    /// Digests and bodies that were compared.
    pub(crate) compared: u64,
    /// When the last answer within the window came.
    pub(crate) last_answer: u64,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        // The bounds are constants that the histogram accepts; what lies above them is recorded as the longest.
        let histogram = || Histogram::new_with_max(LONGEST_LATENCY_NANOS, 3).expect("valid bounds");
        Tally {
            latencies: std::array::from_fn(|_| histogram()),
            messages: [0; Operation::ALL.len()],
            end_to_end: histogram(),
            empty_receives: 0,
            errors: BTreeMap::new(),
            foreign: 0,
            compared: 0,
            last_answer: 0,
        }
    }

    /// Something went wrong.
    pub(crate) fn error(&mut self, kind: impl Into<String>) {
        *self.errors.entry(kind.into()).or_default() += 1;
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: Tally) {
        for (mine, theirs) in self.latencies.iter_mut().zip(&other.latencies) {
            *mine += theirs;
        }
        for (mine, theirs) in self.messages.iter_mut().zip(other.messages) {
            *mine += theirs;
        }
        self.end_to_end += other.end_to_end;
        self.empty_receives += other.empty_receives;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.foreign += other.foreign;
        self.compared += other.compared;
        self.last_answer = self.last_answer.max(other.last_answer);
    }
}

/// Numbers that the progress bar shows while the threads work.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) requests: AtomicU64,
    pub(crate) messages: AtomicU64,
}

impl Progress {
    pub(crate) fn count(&self, messages: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.messages.fetch_add(messages, Relaxed);
    }
}
