//! Counts what the toolkit measures, and says it once in a while: rates, dead letters, latencies, errors.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Keeps all metrics of this process. Install it before the first publisher or consumer is made.
#[derive(Clone, Default)]
pub struct Metrics {
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    counters: HashMap<Key, Arc<AtomicU64>>,
    gauges: HashMap<Key, Arc<AtomicU64>>,
    histograms: HashMap<Key, Arc<Spread>>,
}

impl Metrics {
    /// All there is, now.
    pub fn read(&self) -> Reading {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |name: &str, status: Option<&str>| -> u64 {
            let counters = held.counters.iter().filter(|(key, _)| key.name() == name);
            let counters = counters.filter(|(key, _)| {
                status.is_none_or(|status| key.labels().any(|label| label.value() == status))
            });
            counters.map(|(_, count)| count.load(Ordering::Relaxed)).sum()
        };
        let mut latency = [0; BUCKETS];
        for (_, spread) in held.histograms.iter().filter(|(key, _)| key.name() == "message.latency") {
            for (sum, bucket) in latency.iter_mut().zip(&spread.0) {
                *sum += bucket.load(Ordering::Relaxed);
            }
        }
        let gauges = |name: &str| -> Vec<(String, u64)> {
            let gauges = held.gauges.iter().filter(|(key, _)| key.name() == name);
            let queue = |key: &Key| key.labels().next().map_or("", |label| label.value()).to_owned();
            gauges
                .map(|(key, bits)| (queue(key), f64::from_bits(bits.load(Ordering::Relaxed)) as u64))
                .collect()
        };
        Reading {
            published: sum("messages.published", None),
            processed: sum("messages.processed", Some("success")),
            failed: sum("messages.processed", Some("retry")) + sum("messages.processed", Some("dead_letter")),
            latency,
            depths: gauges("queue.depth"),
            dead_letters: gauges("dead_letters.depth"),
        }
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Counter::from_arc(held.counters.entry(key.clone()).or_default().clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Gauge::from_arc(held.gauges.entry(key.clone()).or_default().clone())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Histogram::from_arc(held.histograms.entry(key.clone()).or_default().clone())
    }
}

/// So many that the last begins at a day.
const BUCKETS: usize = 84;
/// Each bucket ends a quarter above where it begins; the first ends at a millisecond.
const STEP: f64 = 1.25;

/// How often a time of each size was measured.
struct Spread([AtomicU64; BUCKETS]);

impl Default for Spread {
    fn default() -> Spread {
        Spread([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl HistogramFn for Spread {
    fn record(&self, seconds: f64) {
        let bucket = ((seconds * 1_000.0).max(1.0).ln() / STEP.ln()).ceil() as usize;
        self.0[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }
}

/// The metrics at one moment, since the start of the process.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub published: u64,
    /// Handled with success.
    pub processed: u64,
    /// To be handled again, or given up.
    pub failed: u64,
    latency: [u64; BUCKETS],
    /// Waiting messages, by queue.
    pub depths: Vec<(String, u64)>,
    /// Dead letters, by queue.
    pub dead_letters: Vec<(String, u64)>,
}

impl Reading {
    /// What happened since an earlier reading, that long ago.
    pub fn since(&self, earlier: &Reading, time: Duration) -> Interval {
        let mut latency = self.latency;
        latency.iter_mut().zip(earlier.latency).for_each(|(now, then)| *now -= then.min(*now));
        let (processed, failed) = (self.processed - earlier.processed, self.failed - earlier.failed);
        let seconds = time.as_secs_f64().max(1e-9);
        Interval {
            published_per_second: (self.published - earlier.published) as f64 / seconds,
            processed_per_second: processed as f64 / seconds,
            attempts: processed + failed,
            error_rate: if failed == 0 { 0.0 } else { failed as f64 / (processed + failed) as f64 },
            latency_p95: percentile(&latency, 0.95),
        }
    }
}

/// What happened in a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub published_per_second: f64,
    pub processed_per_second: f64,
    /// How often a message was handled, well or not.
    pub attempts: u64,
    /// The share of those that ended in failure.
    pub error_rate: f64,
    /// From send to handled; 95 of 100 were at most so slow.
    pub latency_p95: Option<Duration>,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "published {:.1}/s, consumed {:.1}/s",
            self.published_per_second, self.processed_per_second
        )?;
        write!(f, ", errors {:.0} %", self.error_rate * 100.0)?;
        match self.latency_p95 {
            Some(latency) => write!(f, ", latency P95 {latency:.1?}"),
            None => Ok(()),
        }
    }
}

fn percentile(buckets: &[u64; BUCKETS], share: f64) -> Option<Duration> {
    let all: u64 = buckets.iter().sum();
    let mut left = (all as f64 * share).ceil() as u64;
    for (bucket, count) in buckets.iter().enumerate() {
        if left <= *count && *count > 0 {
            return Some(Duration::from_secs_f64(STEP.powi(bucket as i32) / 1_000.0));
        }
        left -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_says_what_happened_in_it_alone() {
        let metrics = Metrics::default();
        let record = |seconds: f64, successes: u64, failures: u64| {
            metrics::with_local_recorder(&metrics, || {
                metrics::histogram!("message.latency", "queue" => "q").record(seconds);
                metrics::counter!("messages.processed", "queue" => "q", "status" => "success")
                    .increment(successes);
                metrics::counter!("messages.processed", "queue" => "q", "status" => "retry")
                    .increment(failures);
                metrics::gauge!("queue.depth", "queue" => "q").set(7.0);
            });
        };
        record(100.0, 50, 50);
        let before = metrics.read();
        record(0.010, 30, 10);
        let after = metrics.read();
        let interval = after.since(&before, Duration::from_secs(10));
        assert_eq!((interval.attempts, interval.error_rate, interval.processed_per_second), (40, 0.25, 3.0));
        let latency = interval.latency_p95.unwrap().as_secs_f64();
        assert!((0.010..0.0126).contains(&latency), "{latency}");
        assert_eq!(after.depths, [("q".to_owned(), 7)]);
        assert_eq!(after.since(&after, Duration::from_secs(1)).latency_p95, None);
    }
}
