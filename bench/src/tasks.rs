//! A complete measurement: queues and topics, phases, checks, report.

mod books;
mod deliveries;
mod driving;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::arguments::{Arguments, LONGEST_REQUEST_BYTES, SHORTEST_MESSAGE_BYTES, Task};
use crate::error::Error;
use crate::hubs::Hub;
use crate::ledger::Ledger;
use crate::queues::Endpoint;
use crate::receiver::Receiver;
use crate::report::{Latency, OperationReport, Report};
use crate::requests::Operation;
use crate::tally::Tally;
use crate::topics::Subscriber;
use crate::usage;
use crate::worker::Role;

/// Default number of messages that `drain` prefills.
const DRAIN_MESSAGES: u64 = 200_000;
/// Default number of messages that `fan-out` publishes.
const FAN_OUT_MESSAGES: u64 = 20_000;
/// Default number of messages per second of `deliver`.
const DELIVER_RATE: f64 = 1000.0;
/// Length of a consumer's long poll in `end-to-end`, in seconds: the maximum of SQS.
const LONG_POLL_SECONDS: u32 = 20;
/// During the measurement one of this many answers is compared byte for byte: a prime, so that each operation
/// has its turn.
const COMPARE_EVERY: u64 = 61;

/// Measures one task.
pub(crate) fn measure(task: Task, arguments: &Arguments) -> Result<Report, Error> {
    validate(task, arguments)?;
    let endpoint = Endpoint::new(&arguments.endpoint, Duration::from_secs_f64(arguments.timeout))?;
    let mut run = Run::new(task, arguments, endpoint);
    let result = run.prepare().and_then(|()| run.measure());
    // The queues are deleted even if the measurement failed, and its error is the one to report.
    let cleared = run.end();
    let mut report = result?;
    if let Err(error) = cleared {
        report.failures.push(format!("the queues could not be deleted: {error}"));
    }
    Ok(report)
}

fn validate(task: Task, arguments: &Arguments) -> Result<(), Error> {
    let batch = match task {
        Task::SendBatch | Task::PublishBatch => 10,
        Task::PutEvents | Task::Route | Task::PutRecords => arguments.batch as usize,
        _ => 1,
    };
    let queues = match task {
        // Each of the topic's queues needs a connection that drains it.
        Task::FanOut if !arguments.filtered => arguments.subscriptions,
        _ if task.has_hub() => 1,
        _ => arguments.queues.max(arguments.queue_urls.len()),
    };
    let returns = task.has_both_sides() || matches!(task, Task::FanOut | Task::Deliver);
    let sides = if task.has_both_sides() { 2 } else { 1 };
    let producers = arguments.connections / sides;
    let wrong = if arguments.size < SHORTEST_MESSAGE_BYTES {
        format!("--size must be at least {SHORTEST_MESSAGE_BYTES}: a message carries its own identity")
    } else if arguments.size * batch > LONGEST_REQUEST_BYTES {
        format!("--size must be at most {} for {}", LONGEST_REQUEST_BYTES / batch, task.name())
    } else if queues == 0 || arguments.threads == 0 {
        "--queues and --threads must be at least 1".into()
    } else if producers < queues {
        format!("--connections must be at least {} for {} with {queues} queues", queues * sides, task.name())
    } else if arguments.connections < arguments.threads {
        "--connections must be at least --threads".into()
    } else if arguments.fifo && (arguments.groups as usize) < producers {
        format!("--groups must be at least {producers}: each group belongs to one connection")
    } else if arguments.no_checks && returns {
        format!("{} needs messages that come back, so it cannot run with --no-checks", task.name())
    } else if task.has_hub() && !arguments.queue_urls.is_empty() {
        format!("{} makes queues of its own, so it cannot run with --queue", task.name())
    } else if arguments.batch > 10 && task != Task::PutRecords {
        "--batch must be at most 10, except for put-records".into()
    } else if arguments.subscriptions == 0 {
        "--subscriptions must be at least 1".into()
    } else if task == Task::Deliver && arguments.fifo {
        "HTTP endpoints do not subscribe to FIFO topics, so deliver cannot run with --fifo".into()
    } else if task.has_hub() && !task.publishes() && arguments.fifo {
        format!("{} sends to standard queues, so it cannot run with --fifo", task.name())
    } else if !(arguments.duration > 0.0 && arguments.warmup >= 0.0 && arguments.timeout > 0.0) {
        "--duration and --timeout must be above 0, --warmup at least 0".into()
    } else if arguments.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
        "--rate must be above 0".into()
    } else {
        return Ok(());
    };
    Err(Error::Arguments(wrong))
}

/// One task with its queues.
struct Run<'a> {
    task: Task,
    arguments: &'a Arguments,
    endpoint: Endpoint,
    /// Distinguishes this run's messages from others.
    number: u32,
    filler: String,
    queue_urls: Vec<String>,
    /// The queues that get messages: all, unless a topic's subscriptions filter.
    reached: Vec<String>,
    hub: Option<Hub>,
    /// The receiver of `deliver`.
    receivers: Option<deliveries::Receivers>,
    /// Number of messages in the queues before the task.
    base: u64,
    ledger: Arc<Ledger>,
    /// The clock of all phases.
    clock: Instant,
}

/// The properties of a phase.
struct Plan<'a> {
    label: &'a str,
    /// Sends go through this, otherwise to the queues.
    hub: Option<&'a Hub>,
    ledger: &'a Ledger,
    /// The receiver of the publishes, which must know the time window.
    receiver: Option<&'a Receiver>,
    /// The role of each connection.
    roles: Vec<Role>,
    /// Messages per send; 1 is SendMessage.
    batch: usize,
    /// Messages per receive; 1 is deleted by DeleteMessage.
    receive: u64,
    wait_seconds: u32,
    compare_every: u64,
    messages: Option<u64>,
    rate: Option<f64>,
    goal: Option<u64>,
    outstanding: Option<u64>,
    warmup: Duration,
    /// Without a duration the phase ends by its own counts.
    duration: Option<Duration>,
}

/// The measurements of a phase.
struct Measured {
    tally: Tally,
    window: Duration,
    client_cpu_nanos: u64,
    server_cpu_nanos: Option<u64>,
    server_disk_bytes: Option<u64>,
}

impl<'a> Run<'a> {
    fn new(task: Task, arguments: &'a Arguments, endpoint: Endpoint) -> Run<'a> {
        let copies = match task {
            Task::Publish | Task::PublishBatch | Task::FanOut | Task::PutEvents if !arguments.filtered => {
                arguments.subscriptions
            }
            _ => 1,
        };
        let groups = if arguments.fifo { arguments.groups as usize } else { 0 };
        Run {
            task,
            arguments,
            endpoint,
            number: RandomState::new().build_hasher().finish() as u32,
            filler: filler(arguments.size),
            queue_urls: arguments.queue_urls.clone(),
            reached: Vec::new(),
            hub: None,
            receivers: None,
            base: 0,
            ledger: Arc::new(Ledger::of_copies(groups, copies)),
            clock: Instant::now(),
        }
    }

    /// Creates queues and topics for the task. [`Run::end`] removes those that exist if this fails.
    fn prepare(&mut self) -> Result<(), Error> {
        let arguments = self.arguments;
        let queues = match self.task {
            Task::Deliver | Task::ExecuteSync | Task::PutItem | Task::PutRecords => 0,
            Task::Route | Task::Execute | Task::Schedule => 1,
            task if task.has_hub() => arguments.subscriptions,
            _ => arguments.queues,
        };
        if self.queue_urls.is_empty() {
            let bar = self.counting_bar("queues", queues as u64);
            for queue in 0..queues {
                let name = self.name(&queue.to_string());
                self.queue_urls.push(self.endpoint.create_queue(&name, arguments.fifo)?);
                bar.inc(1);
            }
            bar.finish_and_clear();
        } else if !arguments.no_checks {
            self.base = self.count(&self.queue_urls)?;
        }
        match self.task {
            Task::Deliver => self.prepare_receivers()?,
            Task::PutEvents | Task::Route => self.prepare_bus()?,
            Task::Execute | Task::ExecuteSync => {
                let queue = self.queue_urls.first().map(String::as_str);
                let arn = self.endpoint.create_workflow(&self.name("workflow"), queue)?;
                self.hub = Some(Hub::Workflow { arn, is_express: self.task == Task::ExecuteSync });
            }
            Task::Schedule => {
                let queue_arn = self.endpoint.queue_arn(&self.queue_urls[0])?;
                let group = self.name("group");
                self.endpoint.create_schedule_group(&group)?;
                self.hub = Some(Hub::Schedules { group, queue_arn });
            }
            Task::PutItem => {
                let name = self.name("table");
                self.endpoint.create_table(&name)?;
                self.hub = Some(Hub::Table { name });
            }
            Task::PutRecords => {
                let name = self.name("stream");
                self.endpoint.create_stream(&name)?;
                self.hub = Some(Hub::Stream { name });
            }
            task if task.publishes() => self.prepare_topic()?,
            _ => {}
        }
        if self.reached.is_empty() {
            self.reached = self.queue_urls.clone();
        }
        Ok(())
    }

    /// Creates a topic to which all queues subscribe.
    fn prepare_topic(&mut self) -> Result<(), Error> {
        let arguments = self.arguments;
        let kind = |queue: usize| format!("kind-{queue}");
        // Neither the first nor the last, so that no search is lucky.
        let wanted = arguments.subscriptions / 2;
        let arn = self.endpoint.create_topic(&self.name("topic"), arguments.fifo)?;
        let carries = arguments.filtered || arguments.attribute;
        self.hub = Some(Hub::Topic { arn: arn.clone(), kind: carries.then(|| kind(wanted)) });
        let bar = self.counting_bar("subscribe", self.queue_urls.len() as u64);
        for (queue, url) in self.queue_urls.iter().enumerate() {
            let subscriber = self.endpoint.queue_arn(url)?;
            let filter = arguments.filtered.then(|| kind(queue));
            self.endpoint.subscribe(&arn, &Subscriber::Queue(&subscriber), filter.as_deref(), None)?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        if arguments.filtered {
            self.reached = vec![self.queue_urls[wanted].clone()];
        }
        Ok(())
    }

    /// Creates a bus with a rule for each queue.
    fn prepare_bus(&mut self) -> Result<(), Error> {
        let filtered = self.arguments.filtered;
        let kind = |queue: usize| format!("kind-{queue}");
        let wanted = self.queue_urls.len() / 2;
        let name = self.name("bus");
        self.endpoint.create_bus(&name)?;
        let rules = self.queue_urls.len();
        let wants = (filtered || self.arguments.attribute).then(|| kind(wanted));
        self.hub = Some(Hub::Bus { name: name.clone(), rules, kind: wants });
        let bar = self.counting_bar("rules", rules as u64);
        for (queue, url) in self.queue_urls.iter().enumerate() {
            let target = self.endpoint.queue_arn(url)?;
            self.endpoint.create_rule(&name, queue, &target, filtered.then(|| kind(queue)).as_deref())?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        if filtered {
            self.reached = vec![self.queue_urls[wanted].clone()];
        }
        Ok(())
    }

    fn name(&self, of: &str) -> String {
        let suffix = if self.arguments.fifo { ".fifo" } else { "" };
        format!("{}-{:08x}-{of}{suffix}", self.arguments.queue_prefix, self.number)
    }

    fn end(&self) -> Result<(), Error> {
        if !self.arguments.keep
            && let Some(hub) = &self.hub
        {
            self.endpoint.delete_hub(hub)?;
        }
        if let Some(receivers) = &self.receivers {
            self.end_receivers(receivers)?;
        }
        if self.arguments.keep || !self.arguments.queue_urls.is_empty() {
            return Ok(());
        }
        self.queue_urls.iter().try_for_each(|url| self.endpoint.delete_queue(url))
    }

    fn measure(&self) -> Result<Report, Error> {
        let connections = self.arguments.connections;
        let checks = !self.arguments.no_checks;
        let usual = Plan {
            label: self.task.name(),
            hub: self.hub.as_ref(),
            ledger: &self.ledger,
            receiver: None,
            roles: vec![Role::Producer; connections],
            batch: 1,
            receive: 10,
            wait_seconds: 0,
            compare_every: COMPARE_EVERY,
            messages: None,
            rate: self.arguments.rate,
            goal: None,
            outstanding: None,
            warmup: Duration::from_secs_f64(self.arguments.warmup),
            duration: Some(Duration::from_secs_f64(self.arguments.duration)),
        };
        let mut before = Tally::new();
        let mut pending = None;
        let mut failures = Vec::new();
        let measured = match self.task {
            Task::Send
            | Task::SendBatch
            | Task::Publish
            | Task::PublishBatch
            | Task::PutEvents
            | Task::ExecuteSync
            | Task::Schedule
            | Task::PutItem
            | Task::PutRecords => {
                let batch = match self.task {
                    Task::SendBatch | Task::PublishBatch => 10,
                    Task::PutEvents | Task::PutRecords => self.arguments.batch as usize,
                    _ => 1,
                };
                self.phase(match self.arguments.messages {
                    Some(_) => Plan {
                        batch,
                        messages: self.arguments.messages,
                        warmup: Duration::ZERO,
                        duration: None,
                        ..usual
                    },
                    None => Plan { batch, ..usual },
                })?
            }
            Task::Drain | Task::FanOut if checks => {
                before = self.phase(self.prefill())?.tally;
                let goal = Some(self.ledger.acknowledged() * self.ledger.copies());
                self.phase(Plan {
                    roles: vec![Role::Consumer; connections],
                    goal,
                    warmup: Duration::ZERO,
                    ..usual
                })?
            }
            Task::Drain | Task::FanOut => {
                self.phase(Plan { roles: vec![Role::Consumer; connections], ..usual })?
            }
            Task::EndToEnd | Task::Route | Task::Execute => {
                let roles = (0..connections).map(|slot| [Role::Producer, Role::Consumer][slot % 2]).collect();
                let batch = if self.task == Task::Execute { 1 } else { self.arguments.batch };
                let outstanding = Some(self.arguments.window.max(batch));
                let batch = batch as usize;
                self.phase(Plan { roles, batch, outstanding, wait_seconds: LONG_POLL_SECONDS, ..usual })?
            }
            Task::Cycle => {
                self.phase(Plan { roles: vec![Role::Cycler; connections], receive: 1, ..usual })?
            }
            Task::Poll => self.phase(Plan { roles: vec![Role::Poller; connections], ..usual })?,
            Task::Deliver => {
                let rate = Some(self.arguments.rate.unwrap_or(DELIVER_RATE));
                let delivered = self.deliver(Plan { rate, ..usual })?;
                (pending, failures) = (delivered.pending, delivered.failures);
                delivered.measured
            }
        };
        let resident = self.arguments.server_pid.and_then(usage::resident_bytes);
        let mut report = self.report(&measured);
        report.server_resident_bytes = resident;
        report.pending = pending;
        report.failures = failures;
        let mut tally = measured.tally;
        tally.add(before);
        if checks {
            self.check(&mut report, &mut tally)?;
        }
        report.acknowledged = self.ledger.acknowledged();
        report.arrived = self.ledger.arrived();
        report.compared = tally.compared;
        report.foreign = tally.foreign;
        let errors: u64 = tally.errors.values().sum();
        if errors > 0 {
            report.failures.push(format!("{errors} errors"));
        }
        report.errors = tally.errors;
        Ok(report)
    }

    fn prefill(&self) -> Plan<'_> {
        let usual = if self.task == Task::FanOut { FAN_OUT_MESSAGES } else { DRAIN_MESSAGES };
        Plan {
            label: "prefill",
            hub: self.hub.as_ref(),
            ledger: &self.ledger,
            receiver: None,
            roles: vec![Role::Producer; self.arguments.connections],
            batch: (LONGEST_REQUEST_BYTES / self.arguments.size).clamp(1, 10),
            receive: 10,
            wait_seconds: 0,
            compare_every: COMPARE_EVERY,
            messages: Some(self.arguments.messages.unwrap_or(usual)),
            rate: None,
            goal: None,
            outstanding: None,
            warmup: Duration::ZERO,
            duration: None,
        }
    }

    fn report(&self, measured: &Measured) -> Report {
        let tally = &measured.tally;
        let seconds = measured.window.as_secs_f64();
        let requests: u64 = tally.latencies.iter().map(|histogram| histogram.len()).sum();
        let sum = |operations: &[Operation]| -> u64 {
            operations.iter().map(|&operation| tally.messages[operation as usize]).sum()
        };
        let messages = match self.task {
            Task::Send | Task::SendBatch => sum(&[Operation::Send, Operation::SendBatch]),
            Task::Drain | Task::FanOut | Task::EndToEnd | Task::Cycle | Task::Route | Task::Execute => {
                sum(&[Operation::Delete, Operation::DeleteBatch])
            }
            Task::Poll => sum(&[Operation::Receive]),
            Task::Publish | Task::PublishBatch => sum(&[Operation::Publish, Operation::PublishBatch]),
            Task::PutEvents => sum(&[Operation::PutEvents]),
            Task::ExecuteSync => sum(&[Operation::StartSyncExecution]),
            Task::Schedule => sum(&[Operation::CreateSchedule]),
            Task::PutItem => sum(&[Operation::PutItem]),
            Task::PutRecords => sum(&[Operation::PutRecords]),
            Task::Deliver => tally.end_to_end.len(),
        };
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let per_request = |nanos: u64| nanos as f64 / 1e3 / requests.max(1) as f64;
        let arguments = self.arguments;
        Report {
            task: self.task,
            endpoint: arguments.endpoint.clone(),
            connections: arguments.connections,
            threads: arguments.threads,
            queues: self.queue_urls.len(),
            kept_queue_urls: if arguments.keep { self.queue_urls.clone() } else { Vec::new() },
            topic: matches!(self.hub, Some(Hub::Topic { .. })),
            filtered: self.hub.is_some() && arguments.filtered,
            fifo: arguments.fifo,
            size: arguments.size,
            seconds,
            requests,
            requests_per_second: rate(requests),
            messages,
            messages_per_second: rate(messages),
            empty_receives: tally.empty_receives,
            operations: Operation::ALL
                .iter()
                .filter(|&&operation| !tally.latencies[operation as usize].is_empty())
                .map(|&operation| OperationReport {
                    operation: operation.name().to_owned(),
                    messages: tally.messages[operation as usize],
                    latency: Latency::of(&tally.latencies[operation as usize]),
                })
                .collect(),
            end_to_end: (!tally.end_to_end.is_empty()).then(|| Latency::of(&tally.end_to_end)),
            client_cpu_micros_per_request: per_request(measured.client_cpu_nanos),
            server_cpu_micros_per_request: measured.server_cpu_nanos.map(per_request),
            server_disk_bytes_per_request: measured
                .server_disk_bytes
                .map(|bytes| bytes as f64 / requests.max(1) as f64),
            pending: None,
            server_resident_bytes: None,
            checked: !arguments.no_checks,
            acknowledged: 0,
            arrived: 0,
            compared: 0,
            foreign: 0,
            errors: Default::default(),
            failures: Vec::new(),
        }
    }
}

/// Returns a body of this length that looks like text to a compressor or a JSON parser: letters and digits
/// without a short period.
fn filler(size: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[(state >> 58) as usize],
        )
    };
    (0..size).map(|_| letter()).collect()
}
