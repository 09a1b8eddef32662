//! The results: as a table for people, as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::arguments::Task;
use crate::error::Error;

/// The result of one task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The task.
    pub task: Task,
    /// The endpoint.
    pub endpoint: String,
    /// Connections, each with one request in progress.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Queues that shared the load.
    pub queues: usize,
    /// Whether the queues belong to a topic, whose messages reach all of them, or one if they are filtered.
    pub topic: bool,
    /// Whether each of them has a filter.
    pub filtered: bool,
    /// Their URLs, if they were kept.
    pub kept_queue_urls: Vec<String>,
    /// Whether they are FIFO queues.
    pub fifo: bool,
    /// Length of a message's body, in bytes.
    pub size: usize,
    /// Length of the measuring window.
    pub seconds: f64,
    /// Answers with status 200 within the window.
    pub requests: u64,
    /// The same per second.
    pub requests_per_second: f64,
    /// Messages within the window: sent, for tasks that only send; received and deleted, for others.
    pub messages: u64,
    /// The same per second.
    pub messages_per_second: f64,
    /// ReceiveMessage answers within the window without a message.
    pub empty_receives: u64,
    /// Latencies by API operation.
    pub operations: Vec<OperationReport>,
    /// The time from just before a message's send to its arrival, for `end-to-end` and `deliver`.
    pub end_to_end: Option<Latency>,
    /// CPU time of this client within the window, in microseconds per request.
    pub client_cpu_micros_per_request: f64,
    /// CPU time of the server, if its process is known.
    pub server_cpu_micros_per_request: Option<f64>,
    /// Bytes per request that the server passed to the system for writing to disk, if its process is known.
    pub server_disk_bytes_per_request: Option<f64>,
    /// The deliveries that waited for a dead endpoint.
    pub pending: Option<Pending>,
    /// The server's resident memory at the end, in bytes, if its process is known.
    pub server_resident_bytes: Option<u64>,
    /// Whether the answers were checked; otherwise they were only counted.
    pub checked: bool,
    /// Messages acknowledged by the server during the whole run, prefill included.
    pub acknowledged: u64,
    /// Different messages that arrived during the whole run, final sample included; a topic's count once per
    /// queue.
    pub arrived: u64,
    /// Digests and bodies that were compared.
    pub compared: u64,
    /// Messages of other runs that arrived.
    pub foreign: u64,
    /// Errors during the whole run, with their numbers.
    pub errors: BTreeMap<String, u64>,
    /// Why the numbers cannot be trusted; empty if they can.
    pub failures: Vec<String>,
}

/// Deliveries that wait for a dead endpoint, and their cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// Number of deliveries.
    pub messages: u64,
    /// The anonymous memory of the server that they added, in bytes, if its process is known.
    pub own_bytes_added: Option<u64>,
    /// Length of the idle time between two retries, in seconds.
    pub idle_seconds: f64,
    /// CPU time of the server in that time, in milliseconds.
    pub idle_cpu_millis: Option<f64>,
    /// Number of deliveries that arrived after the endpoint was back.
    pub came: u64,
}

/// The results of one API operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperationReport {
    /// The operation's name in the API.
    pub operation: String,
    /// Messages in its answers.
    pub messages: u64,
    /// Time from just before the request to the complete answer.
    pub latency: Latency,
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Number of measurements.
    pub count: u64,
    /// The average.
    pub mean: f64,
    /// Half were faster.
    pub p50: f64,
    /// One in ten was slower.
    pub p90: f64,
    /// One in a hundred was slower.
    pub p99: f64,
    /// One in a thousand was slower.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Latency {
        let micros = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            count: histogram.len(),
            mean: histogram.mean() / 1e3,
            p50: micros(0.5),
            p90: micros(0.9),
            p99: micros(0.99),
            p999: micros(0.999),
            max: histogram.max() as f64 / 1e3,
        }
    }
}

impl Report {
    /// Prints the table on standard output. Its errors are those of [`stdio::out`].
    pub fn print(&self) -> io::Result<()> {
        stdio::out(format_args!("{self}"))
    }
}

/// Writes the table.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "\n{} · {} · {} B{} · {} connections · {} {}queue{}{} · {:.2} s",
            self.task.name(),
            self.endpoint,
            self.size,
            if self.fifo { " · FIFO" } else { "" },
            self.connections,
            self.queues,
            if self.filtered { "filtered " } else { "" },
            if self.queues == 1 { "" } else { "s" },
            if self.topic { " of a topic" } else { "" },
            self.seconds,
        )?;
        writeln!(
            out,
            "  {:>12} requests/s   {:>12} messages/s",
            grouped(self.requests_per_second),
            grouped(self.messages_per_second)
        )?;
        writeln!(
            out,
            "  {:<22}{:>11}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "latency, ms", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        let lines = self.operations.iter().map(|line| (line.operation.as_str(), &line.latency));
        for (name, latency) in lines.chain(self.end_to_end.iter().map(|latency| ("send to arrival", latency)))
        {
            let cells = [latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
            let cells: String = cells.iter().map(|micros| format!("{:>10.3}", micros / 1e3)).collect();
            writeln!(out, "  {name:<22}{:>11}{cells}", latency.count)?;
        }
        write!(out, "  CPU per request: client {:.2} µs", self.client_cpu_micros_per_request)?;
        if let Some(server) = self.server_cpu_micros_per_request {
            write!(out, ", server {server:.2} µs")?;
        }
        if let Some(bytes) = self.server_disk_bytes_per_request {
            write!(out, "; to disk {bytes:.0} B a request")?;
        }
        if let Some(bytes) = self.server_resident_bytes {
            write!(out, "; server's memory {:.1} MiB", bytes as f64 / 1048576.0)?;
        }
        writeln!(out)?;
        if let Some(pending) = &self.pending {
            write!(out, "  {} deliveries waited for a dead endpoint", pending.messages)?;
            if let Some(bytes) = pending.own_bytes_added {
                write!(out, "; memory that came with them {:.1} MiB", bytes as f64 / 1048576.0)?;
            }
            if let Some(millis) = pending.idle_cpu_millis {
                write!(
                    out,
                    "; server's CPU in {:.1} s between retries {millis:.1} ms",
                    pending.idle_seconds
                )?;
            }
            writeln!(out, "; {} came when it was back", pending.came)?;
        }
        if self.empty_receives > 0 {
            writeln!(out, "  {} receives found nothing", self.empty_receives)?;
        }
        if self.foreign > 0 {
            writeln!(out, "  {} messages of other runs came", self.foreign)?;
        }
        for (kind, count) in &self.errors {
            writeln!(out, "  error: {kind}: {count}")?;
        }
        match (self.checked, self.failures.is_empty()) {
            (true, true) => writeln!(
                out,
                "  checked: {} acknowledged, {} came, {} digests and bodies compared",
                self.acknowledged, self.arrived, self.compared
            )?,
            (false, true) => writeln!(out, "  answers counted, not checked")?,
            _ => {}
        }
        for failure in &self.failures {
            writeln!(out, "  FAILED: {failure}")?;
        }
        for url in &self.kept_queue_urls {
            writeln!(out, "  kept: {url}")?;
        }
        Ok(())
    }
}

/// Formats a number without decimals, with commas between thousands.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn write_json(path: &Path, reports: &[Report]) -> Result<(), Error> {
    let write =
        || -> std::io::Result<()> { std::fs::write(path, serde_json::to_string_pretty(reports)? + "\n") };
    write().map_err(|cause| Error::Output { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        let cases = [(0.4, "0"), (999.0, "999"), (1000.0, "1,000"), (1234567.6, "1,234,568")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
