//! What the server takes of the machine over time, and whether that stays the same.

use std::path::Path;
use std::time::{Duration, Instant};

use conformance_crash::progress::directory_size;
use conformance_crash::server::Server;

const MIB: f64 = 1_048_576.0;
/// Growth that is no growth: allocators keep some, and cleaning comes when it comes. (A segment of the log has 64 MiB.)
const MEMORY_SLACK: f64 = 32.0 * MIB;
const DISK_SLACK: f64 = 192.0 * MIB;
const DESCRIPTORS_SLACK: f64 = 32.0;

/// One look at the server.
#[derive(Clone, Copy)]
struct Sample {
    memory: f64,
    disk: f64,
    descriptors: f64,
}

/// Looks at the server, evenly over the time.
pub struct Samples {
    every: Duration,
    next: Instant,
    all: Vec<Sample>,
}

impl Samples {
    pub fn new(over: Duration) -> Samples {
        Samples { every: (over / 300).max(Duration::from_millis(200)), next: Instant::now(), all: Vec::new() }
    }

    /// Looks, if it is time.
    pub fn take(&mut self, server: &Server, data: &Path) -> Result<(), String> {
        if Instant::now() < self.next {
            return Ok(());
        }
        self.next = Instant::now() + self.every;
        let process = format!("/proc/{}", server.id());
        let status = std::fs::read_to_string(format!("{process}/status"))
            .map_err(|error| format!("the server ended by itself: {process}: {error}"))?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let memory: f64 = memory.and_then(|kib| kib.trim().parse().ok()).unwrap_or(0.0);
        let descriptors = std::fs::read_dir(format!("{process}/fd")).map_or(0, Iterator::count);
        let disk = directory_size(data) as f64;
        self.all.push(Sample { memory: memory * 1024.0, disk, descriptors: descriptors as f64 });
        Ok(())
    }

    /// The last look, in words.
    pub fn last(&self) -> String {
        let Some(last) = self.all.last() else { return "not looked at yet".to_owned() };
        let Sample { memory, disk, descriptors } = last;
        format!("{:.0} MiB of memory, {:.0} MiB on disk, {descriptors} descriptors", memory / MIB, disk / MIB)
    }

    /// Compares the second third of the time with the last one: the first is for warming up.
    pub fn are_flat(&self) -> Result<(), String> {
        let third = self.all.len() / 3;
        if third < 5 {
            return Err(format!("only {} looks at the server: too few to compare", self.all.len()));
        }
        let (middle, end) = (&self.all[third..2 * third], &self.all[2 * third..]);
        type Value = fn(&Sample) -> f64;
        let kinds: [(&str, Value, f64, f64); 3] = [
            ("MiB of memory", |sample| sample.memory, MEMORY_SLACK, MIB),
            ("MiB on disk", |sample| sample.disk, DISK_SLACK, MIB),
            ("descriptors", |sample| sample.descriptors, DESCRIPTORS_SLACK, 1.0),
        ];
        let mut grown = Vec::new();
        for (what, value, slack, unit) in kinds {
            let (before, after) = (median(middle, value), median(end, value));
            println!("soak: {:.0} {what} in the middle, {:.0} at the end", before / unit, after / unit);
            if after > before * 1.2 + slack {
                grown.push(format!("{:.0} {what} have become {:.0}", before / unit, after / unit));
            }
        }
        if grown.is_empty() { Ok(()) } else { Err(grown.join("; ")) }
    }
}

fn median(samples: &[Sample], value: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
