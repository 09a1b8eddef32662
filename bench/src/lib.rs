//! Loads any endpoint of SQS, SNS, EventBridge, Scheduler, Step Functions, Kinesis or DynamoDB and measures it: rates, latencies, errors, and
//! whether every message arrived.
//!
//! The client shares the machine with the server that it measures, so it is cheap rather than general: one
//! thread with an event loop, request bytes that are built before the start and patched in place, answers
//! that are scanned rather than parsed. Its requests have the same headers as an SDK's, so the server has
//! realistic requests to parse. It checks the answers: statuses other than 200, wrong digests, wrong bytes,
//! messages that never arrive or arrive twice, and groups out of order all make a run fail.
//!
//! `posthaste bench` is this library; `posthaste-bench` is the same as a separate program.

mod answers;
mod arguments;
#[cfg(feature = "bare")]
pub mod bare;
mod checks;
mod error;
mod hubs;
mod ledger;
mod load;
mod phase;
mod queues;
mod receiver;
mod report;
mod requests;
mod tally;
mod tasks;
mod topics;
mod usage;
mod worker;

pub use arguments::{Arguments, Task};
pub use error::Error;
pub use report::{Latency, OperationReport, Pending, Report, grouped};

/// Measures each task in turn, prints a table for each, and writes the JSON file if one is requested.
///
/// # Errors
///
/// The arguments contradict each other, the endpoint does not answer, or a measurement's checks failed. In
/// the last case ([`Error::Failed`]) the tables and the file have been written.
pub fn run(arguments: Arguments) -> Result<(), Error> {
    let reports = measure(&arguments)?;
    if let Some(path) = &arguments.json {
        report::write_json(path, &reports)?;
    }
    let failures: usize = reports.iter().map(|report| report.failures.len()).sum();
    if failures > 0 { Err(Error::Failed { failures }) } else { Ok(()) }
}

/// Measures each task in turn and prints a table for each. A report whose `failures` is not empty is of a run that cannot
/// be trusted.
///
/// # Errors
///
/// If the arguments contradict each other or the endpoint does not answer.
pub fn measure(arguments: &Arguments) -> Result<Vec<Report>, Error> {
    let mut reports = Vec::new();
    for &task in &arguments.tasks {
        let report = tasks::measure(task, arguments)?;
        report.print().map_err(Error::Print)?;
        reports.push(report);
    }
    Ok(reports)
}
