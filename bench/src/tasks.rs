//! A measurement from beginning to end: queues, phases, checks, report.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::{Arguments, LONGEST_REQUEST_BYTES, SHORTEST_MESSAGE_BYTES, Task};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::load::Client;
use crate::phase::{Phase, QueueTemplates, Window};
use crate::queues::Endpoint;
use crate::report::{Latency, OperationReport, Report};
use crate::requests::{DeleteTemplate, Operation, ReceiveTemplate, SendTemplate};
use crate::tally::{Progress, Tally};
use crate::usage;
use crate::worker::{Role, Worker};

/// How many messages `drain` prefills unless told.
const DRAIN_MESSAGES: u64 = 200_000;
/// After a task that only sends, so many messages are received and compared.
const SAMPLE_MESSAGES: u64 = 1000;
/// Seconds of a consumer's long poll in `end-to-end`, the longest that SQS takes.
const LONG_POLL_SECONDS: u32 = 20;
/// While the clock runs, one answer of so many is compared byte for byte: a prime, so that it falls on each operation in turn.
const COMPARE_EVERY: u64 = 61;

/// Measures one task.
pub(crate) fn measure(task: Task, arguments: &Arguments) -> Result<Report, Error> {
    validate(task, arguments)?;
    let endpoint = Endpoint::new(&arguments.endpoint, Duration::from_secs_f64(arguments.timeout))?;
    let run = Run::begin(task, arguments, endpoint)?;
    let result = run.measure();
    // The queues go even if the measurement failed, and its failure is the one to tell.
    let cleared = run.end();
    let mut report = result?;
    if let Err(error) = cleared {
        report.failures.push(format!("the queues could not be deleted: {error}"));
    }
    Ok(report)
}

fn validate(task: Task, arguments: &Arguments) -> Result<(), Error> {
    let batch = if task == Task::SendBatch { 10 } else { 1 };
    let queues = arguments.queues.max(arguments.queue_urls.len());
    let sides = if task == Task::EndToEnd { 2 } else { 1 };
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
    } else if arguments.no_checks && task == Task::EndToEnd {
        "end-to-end needs messages that come back, so it cannot run with --no-checks".into()
    } else if !(arguments.duration > 0.0 && arguments.warmup >= 0.0 && arguments.timeout > 0.0) {
        "--duration and --timeout must be above 0, --warmup at least 0".into()
    } else if arguments.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
        "--rate must be above 0".into()
    } else {
        return Ok(());
    };
    Err(Error::Arguments(wrong))
}

/// One task on its queues.
struct Run<'a> {
    task: Task,
    arguments: &'a Arguments,
    endpoint: Endpoint,
    /// Tells this run's messages from others'.
    number: u32,
    filler: String,
    queue_urls: Vec<String>,
    /// Messages that the queues held before.
    base: u64,
    ledger: Ledger,
}

/// How a phase differs from the usual.
struct Plan<'a> {
    label: &'a str,
    /// What each connection is for.
    roles: Vec<Role>,
    /// Messages in one send; 1 is SendMessage.
    batch: usize,
    /// Messages in one receive; 1 is deleted by DeleteMessage.
    receive: u64,
    wait_seconds: u32,
    compare_every: u64,
    messages: Option<u64>,
    rate: Option<f64>,
    goal: Option<u64>,
    outstanding: Option<u64>,
    warmup: Duration,
    /// Without one the phase ends by its own counts.
    duration: Option<Duration>,
}

/// What a phase measured.
struct Measured {
    tally: Tally,
    window: Duration,
    client_cpu_nanos: u64,
    server_cpu_nanos: Option<u64>,
}

impl<'a> Run<'a> {
    fn begin(task: Task, arguments: &'a Arguments, endpoint: Endpoint) -> Result<Run<'a>, Error> {
        let number = RandomState::new().build_hasher().finish() as u32;
        let mut run = Run {
            task,
            arguments,
            endpoint,
            number,
            filler: filler(arguments.size),
            queue_urls: arguments.queue_urls.clone(),
            base: 0,
            ledger: Ledger::new(if arguments.fifo { arguments.groups as usize } else { 0 }),
        };
        if run.queue_urls.is_empty() {
            for queue in 0..arguments.queues {
                let suffix = if arguments.fifo { ".fifo" } else { "" };
                let name = format!("{}-{number:08x}-{queue}{suffix}", arguments.queue_prefix);
                run.queue_urls.push(run.endpoint.create_queue(&name, arguments.fifo)?);
            }
        } else if !arguments.no_checks {
            run.base = run.count()?;
        }
        Ok(run)
    }

    fn end(&self) -> Result<(), Error> {
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
        let measured = match self.task {
            Task::Send | Task::SendBatch => {
                let batch = if self.task == Task::Send { 1 } else { 10 };
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
            Task::Drain if checks => {
                before = self.phase(self.prefill())?.tally;
                let goal = Some(self.ledger.acknowledged());
                self.phase(Plan {
                    roles: vec![Role::Consumer; connections],
                    goal,
                    warmup: Duration::ZERO,
                    ..usual
                })?
            }
            Task::Drain => self.phase(Plan { roles: vec![Role::Consumer; connections], ..usual })?,
            Task::EndToEnd => {
                let roles = (0..connections).map(|slot| [Role::Producer, Role::Consumer][slot % 2]).collect();
                let batch = self.arguments.batch as usize;
                let outstanding = Some(self.arguments.window.max(self.arguments.batch));
                self.phase(Plan { roles, batch, outstanding, wait_seconds: LONG_POLL_SECONDS, ..usual })?
            }
            Task::Cycle => {
                self.phase(Plan { roles: vec![Role::Cycler; connections], receive: 1, ..usual })?
            }
            Task::Poll => self.phase(Plan { roles: vec![Role::Poller; connections], ..usual })?,
        };
        let resident = self.arguments.server_pid.and_then(usage::resident_bytes);
        let mut report = self.report(&measured);
        report.server_resident_bytes = resident;
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

    fn prefill(&self) -> Plan<'static> {
        Plan {
            label: "prefill",
            roles: vec![Role::Producer; self.arguments.connections],
            batch: (LONGEST_REQUEST_BYTES / self.arguments.size).clamp(1, 10),
            receive: 10,
            wait_seconds: 0,
            compare_every: COMPARE_EVERY,
            messages: Some(self.arguments.messages.unwrap_or(DRAIN_MESSAGES)),
            rate: None,
            goal: None,
            outstanding: None,
            warmup: Duration::ZERO,
            duration: None,
        }
    }

    /// The books must balance: what was acknowledged is there or has come, and a sample of it has its own bytes.
    fn check(&self, report: &mut Report, tally: &mut Tally) -> Result<(), Error> {
        let ledger = &self.ledger;
        if report.requests == 0 {
            report.failures.push("nothing was answered within the window".into());
        }
        // The counts are called approximate, so a server may take a moment to bring them up to date.
        let patience = Duration::from_secs_f64(self.arguments.timeout.min(5.0));
        let begin = Instant::now();
        let wrong = loop {
            let gone = ledger.arrived() + tally.foreign;
            let least = (self.base + ledger.acknowledged()).saturating_sub(gone);
            // Each of those that failed may be there or not.
            let most = least + ledger.failed();
            let count = match self.count() {
                Ok(count) => count,
                Err(error) => break Some(format!("what the queues hold cannot be asked: {error}")),
            };
            if count >= least && count <= most {
                break None;
            }
            if begin.elapsed() > patience {
                break Some(format!(
                    "the queues say they hold {count} messages; by what was acknowledged and came it must be {least}"
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        report.failures.extend(wrong);
        let only_sends = matches!(self.task, Task::Send | Task::SendBatch);
        if only_sends && !self.arguments.keep && self.arguments.queue_urls.is_empty() {
            let goal = ledger.acknowledged().min(SAMPLE_MESSAGES);
            let plan = Plan {
                label: "sample",
                roles: vec![Role::Consumer; self.queue_urls.len().max(self.arguments.threads)],
                goal: Some(goal),
                compare_every: 1,
                messages: None,
                ..self.prefill()
            };
            tally.add(self.phase(plan)?.tally);
            if ledger.arrived() < goal {
                report.failures.push(format!("of a sample of {goal} messages {} came", ledger.arrived()));
            }
        }
        Ok(())
    }

    fn count(&self) -> Result<u64, Error> {
        self.queue_urls.iter().map(|url| self.endpoint.count_messages(url)).sum()
    }

    /// Connects, loads, and adds up.
    fn phase(&self, plan: Plan<'_>) -> Result<Measured, Error> {
        let arguments = self.arguments;
        let host = &self.endpoint.host;
        let templates = |url: &String| QueueTemplates {
            send: SendTemplate::new(host, url, &self.filler, arguments.fifo, plan.batch),
            receive: ReceiveTemplate::new(host, url, plan.receive, plan.wait_seconds),
            delete: DeleteTemplate::new(host, url, plan.receive > 1),
        };
        let queues: Vec<QueueTemplates> = self.queue_urls.iter().map(templates).collect();
        let producers = plan.roles.iter().filter(|role| **role == Role::Producer).count();
        let batch = plan.batch as u64;
        let progress = Progress::default();
        let senders = if producers > 0 { producers } else { plan.roles.len() };
        let phase = Phase {
            ledger: &self.ledger,
            progress: &progress,
            queues: &queues,
            run: self.number,
            filler: self.filler.as_bytes(),
            checks: !arguments.no_checks,
            compare_every: plan.compare_every,
            groups: if arguments.fifo { arguments.groups } else { 0 },
            share: plan.messages.map(|messages| messages.div_ceil(producers as u64 * batch) * batch),
            interval: plan.rate.map(|rate| (1e9 * (producers as u64 * batch) as f64 / rate) as u64),
            outstanding: plan.outstanding,
            goal: plan.goal,
            both_sides: producers > 0 && producers < plan.roles.len(),
            window: Window::default(),
            clock: Instant::now(),
            producers_at_work: AtomicUsize::new(producers),
            last_arrival: AtomicU64::new(0),
            stall_nanos: (arguments.timeout.min(15.0) * 1e9) as u64,
        };
        let sides = if phase.both_sides { 2 } else { 1 };
        let mut workers: Vec<Worker> = Vec::new();
        for (slot, role) in plan.roles.iter().enumerate() {
            let pair = slot / sides;
            workers.push(Worker::new(&phase, *role, pair % queues.len(), pair, senders));
        }
        let mut clients = Vec::new();
        let per_thread = workers.len().div_ceil(arguments.threads);
        let unreachable = |cause| Error::Unreachable { endpoint: host.clone(), cause };
        while !workers.is_empty() {
            let rest = workers.split_off(per_thread.min(workers.len()));
            let timeout = Duration::from_secs_f64(arguments.timeout).max(if plan.wait_seconds > 0 {
                Duration::from_secs(u64::from(plan.wait_seconds) + 10)
            } else {
                Duration::ZERO
            });
            clients.push(Client::connect(self.endpoint.address, timeout, workers).map_err(unreachable)?);
            workers = rest;
        }
        self.drive(&phase, &plan, clients)
    }

    /// Runs the clients, each on its thread, and shows how they get on.
    fn drive(&self, phase: &Phase<'_>, plan: &Plan<'_>, clients: Vec<Client>) -> Result<Measured, Error> {
        let from = phase.now() + plan.warmup.as_nanos() as u64;
        let until = plan.duration.map_or(u64::MAX, |duration| from + duration.as_nanos() as u64);
        phase.window.from.store(from, Relaxed);
        phase.window.until.store(until, Relaxed);
        phase.last_arrival.store(phase.now(), Relaxed);
        let server_cpu = || self.arguments.server_pid.and_then(usage::cpu_nanos);
        let bar = self.bar(plan);
        let main = std::thread::current();
        std::thread::scope(|scope| {
            let threads: Vec<_> = clients
                .into_iter()
                .map(|client| {
                    let main = main.clone();
                    scope.spawn(move || {
                        let tally = client.work(phase);
                        main.unpark();
                        tally
                    })
                })
                .collect();
            let sample = || (usage::own_cpu_nanos(), server_cpu());
            let mut first = None;
            let mut last = None;
            loop {
                let now = phase.now();
                if now >= from && first.is_none() {
                    first = Some(sample());
                }
                let finished = threads.iter().all(|thread| thread.is_finished());
                if (now >= until || finished) && last.is_none() {
                    last = Some(sample());
                }
                if finished {
                    break;
                }
                self.show(&bar, phase, plan, now.saturating_sub(from));
                let boundary = [from, until].into_iter().find(|&boundary| boundary > now).unwrap_or(u64::MAX);
                std::thread::park_timeout(Duration::from_nanos((boundary - now).min(100_000_000)));
            }
            bar.finish_and_clear();
            let mut tally = Tally::new();
            for thread in threads {
                // A panic of the client is a defect, to be shown as one.
                tally.add(
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                        .map_err(Error::System)?,
                );
            }
            let ended = if until < u64::MAX && plan.goal.is_none_or(|goal| self.ledger.arrived() < goal) {
                until
            } else {
                tally.last_answer
            };
            let (first, last) = (first.unwrap_or_else(sample), last.unwrap_or_else(sample));
            Ok(Measured {
                tally,
                window: Duration::from_nanos(ended.saturating_sub(from)),
                client_cpu_nanos: last.0.saturating_sub(first.0),
                server_cpu_nanos: last.1.zip(first.1).map(|(last, first)| last.saturating_sub(first)),
            })
        })
    }

    fn bar(&self, plan: &Plan<'_>) -> ProgressBar {
        if self.arguments.quiet {
            return ProgressBar::hidden();
        }
        let counted = plan.messages.or(plan.goal);
        let length = counted.unwrap_or_else(|| plan.duration.unwrap_or_default().as_millis() as u64);
        let bar = ProgressBar::new(length.max(1));
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {bar:30} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(plan.label.to_owned());
        bar
    }

    fn show(&self, bar: &ProgressBar, phase: &Phase<'_>, plan: &Plan<'_>, elapsed: u64) {
        let messages = phase.progress.messages.load(Relaxed);
        let counted = plan.messages.or(plan.goal).is_some();
        bar.set_position(if counted { messages } else { elapsed / 1_000_000 });
        let seconds = phase.clock.elapsed().as_secs_f64();
        bar.set_message(format!("{:.0} messages/s", messages as f64 / seconds.max(0.001)));
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
            Task::Drain | Task::EndToEnd | Task::Cycle => sum(&[Operation::Delete, Operation::DeleteBatch]),
            Task::Poll => sum(&[Operation::Receive]),
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

/// A body of so many bytes that looks like text to a compressor or a JSON parser: letters and digits without a short period.
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
