//! The counters of a consumer, for the application and for the metrics recorder that it may have installed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Number of messages of a consumer, by result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Received.
    pub received: u64,
    /// Handled: the handler returned done.
    pub done: u64,
    /// Returned for another attempt.
    pub retried: u64,
    /// Moved to the dead-letter queue.
    pub dead_lettered: u64,
    /// Returned without an attempt, because the consumer stopped or an earlier message of the group failed.
    pub released: u64,
    /// Deleted from the queue.
    pub deleted: u64,
}

pub(super) struct Tallies {
    received: (AtomicU64, Counter),
    done: (AtomicU64, Counter),
    retried: (AtomicU64, Counter),
    dead_lettered: (AtomicU64, Counter),
    released: (AtomicU64, Counter),
    deleted: (AtomicU64, Counter),
    processing_time: Histogram,
    latency: Histogram,
    circuit_open: Gauge,
}

impl Tallies {
    pub fn of(queue: &str) -> Tallies {
        let labels = [("queue", queue.to_owned())];
        let processed = |status: &'static str| {
            let counter = counter!("messages.processed", "queue" => queue.to_owned(), "status" => status);
            (AtomicU64::new(0), counter)
        };
        Tallies {
            received: (AtomicU64::new(0), counter!("messages.received", &labels)),
            done: processed("success"),
            retried: processed("retry"),
            dead_lettered: processed("dead_letter"),
            released: (AtomicU64::new(0), counter!("messages.released", &labels)),
            deleted: (AtomicU64::new(0), counter!("messages.deleted", &labels)),
            processing_time: histogram!("message.processing_time", &labels),
            latency: histogram!("message.latency", &labels),
            circuit_open: gauge!("consumer.circuit_open", &labels),
        }
    }

    pub fn counts(&self) -> Counts {
        let read = |tally: &(AtomicU64, Counter)| tally.0.load(Ordering::Relaxed);
        Counts {
            received: read(&self.received),
            done: read(&self.done),
            retried: read(&self.retried),
            dead_lettered: read(&self.dead_lettered),
            released: read(&self.released),
            deleted: read(&self.deleted),
        }
    }

    pub fn received(&self, messages: usize) {
        add(&self.received, messages as u64);
    }
    pub fn done(&self, messages: usize) {
        add(&self.done, messages as u64);
    }
    pub fn retried(&self) {
        add(&self.retried, 1);
    }
    pub fn dead_lettered(&self) {
        add(&self.dead_lettered, 1);
    }
    pub fn released(&self, messages: usize) {
        add(&self.released, messages as u64);
    }
    pub fn deleted(&self, messages: usize) {
        add(&self.deleted, messages as u64);
    }

    /// `latency`: from the send to the end of the handler.
    pub fn handled(&self, processing: Duration, latency: Duration) {
        self.processing_time.record(processing.as_secs_f64());
        self.latency.record(latency.as_secs_f64());
    }

    pub fn circuit(&self, open: bool) {
        self.circuit_open.set(f64::from(u8::from(open)));
    }
}

fn add(tally: &(AtomicU64, Counter), count: u64) {
    tally.0.fetch_add(count, Ordering::Relaxed);
    tally.1.increment(count);
}
