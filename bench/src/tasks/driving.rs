//! A phase: runs its connections and shows their progress.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Measured, Plan, Run};
use crate::error::Error;
use crate::hubs::Hub;
use crate::load::Client;
use crate::phase::{Phase, QueueTemplates, Window};
use crate::requests::{DeleteTemplate, ReceiveTemplate, SendTemplate};
use crate::tally::{Progress, Tally};
use crate::usage;
use crate::worker::{Role, Worker};

impl Run<'_> {
    /// Connects, loads, and adds up the results.
    pub(super) fn phase(&self, plan: Plan<'_>) -> Result<Measured, Error> {
        let arguments = self.arguments;
        let host = &self.endpoint.host;
        let (filler, fifo) = (&*self.filler, arguments.fifo);
        let send = |url: &str| match plan.hub {
            None => SendTemplate::new(host, url, filler, fifo, plan.batch),
            Some(Hub::Topic { arn, kind }) => {
                SendTemplate::publish(host, arn, filler, fifo, plan.batch, kind.as_deref())
            }
            Some(Hub::Bus { name, kind, .. }) => {
                SendTemplate::events(host, name, filler, plan.batch, kind.as_deref())
            }
            Some(Hub::Workflow { arn, is_express }) => {
                SendTemplate::execution(host, arn, filler, *is_express)
            }
            Some(Hub::Table { name }) => SendTemplate::item(host, name, filler),
            Some(Hub::Stream { name }) => SendTemplate::records(host, name, filler, plan.batch),
            Some(Hub::Schedules { group, queue_arn }) => {
                SendTemplate::schedule(host, group, queue_arn, filler)
            }
        };
        let templates = |url: &String| QueueTemplates {
            send: send(url),
            receive: ReceiveTemplate::new(host, url, plan.receive, plan.wait_seconds),
            delete: DeleteTemplate::new(host, url, plan.receive > 1),
        };
        let mut queues: Vec<QueueTemplates> = self.reached.iter().map(templates).collect();
        if queues.is_empty() {
            // A topic without queues: the data for receives and deletes is not used.
            queues.push(templates(&String::new()));
        }
        let producers = plan.roles.iter().filter(|role| **role == Role::Producer).count();
        let batch = plan.batch as u64;
        let progress = Progress::default();
        let senders = if producers > 0 { producers } else { plan.roles.len() };
        let phase = Phase {
            ledger: plan.ledger,
            progress: &progress,
            queues: &queues,
            run: self.number,
            filler: self.filler.as_bytes(),
            // An event comes as it is shown to all targets: the message is in its detail.
            wrapping: matches!(plan.hub, Some(Hub::Bus { .. })).then_some(br#"\"body\":\""#.as_slice()),
            checks: !arguments.no_checks,
            compare_every: plan.compare_every,
            groups: if arguments.fifo { arguments.groups } else { 0 },
            share: plan.messages.map(|messages| messages.div_ceil(producers as u64 * batch) * batch),
            interval: plan.rate.map(|rate| (1e9 * (producers as u64 * batch) as f64 / rate) as u64),
            outstanding: plan.outstanding,
            goal: plan.goal,
            both_sides: producers > 0 && producers < plan.roles.len(),
            window: Window::default(),
            clock: self.clock,
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

    /// Runs the clients, each on its thread, and shows their progress.
    fn drive(&self, phase: &Phase<'_>, plan: &Plan<'_>, clients: Vec<Client>) -> Result<Measured, Error> {
        let began = phase.now();
        let from = began + plan.warmup.as_nanos() as u64;
        let until = plan.duration.map_or(u64::MAX, |duration| from + duration.as_nanos() as u64);
        phase.window.from.store(from, Relaxed);
        phase.window.until.store(until, Relaxed);
        phase.last_arrival.store(began, Relaxed);
        if let Some(receiver) = plan.receiver {
            receiver.measure_between(from, until);
        }
        let server_disk = || self.arguments.server_pid.and_then(usage::disk_bytes);
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
            let sample = || (usage::own_cpu_nanos(), server_cpu(), server_disk());
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
                self.show(&bar, phase, plan, (now - began, now.saturating_sub(from)));
                let boundary = [from, until].into_iter().find(|&boundary| boundary > now).unwrap_or(u64::MAX);
                std::thread::park_timeout(Duration::from_nanos((boundary - now).min(100_000_000)));
            }
            bar.finish_and_clear();
            let mut tally = Tally::new();
            for thread in threads {
                // A panic of the client is a bug and must be visible.
                tally.add(
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                        .map_err(Error::System)?,
                );
            }
            let ended = if until < u64::MAX && plan.goal.is_none_or(|goal| phase.ledger.arrived() < goal) {
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
                server_disk_bytes: last.2.zip(first.2).map(|(last, first)| last.saturating_sub(first)),
            })
        })
    }

    fn bar(&self, plan: &Plan<'_>) -> ProgressBar {
        let counted = plan.messages.or(plan.goal);
        let length = counted.unwrap_or_else(|| plan.duration.unwrap_or_default().as_millis() as u64);
        self.counting_bar(plan.label, length)
    }

    pub(super) fn counting_bar(&self, label: &str, length: u64) -> ProgressBar {
        if self.arguments.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(length.max(1));
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {bar:30} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        bar
    }

    fn show(
        &self,
        bar: &ProgressBar,
        phase: &Phase<'_>,
        plan: &Plan<'_>,
        (since_begin, since_warm): (u64, u64),
    ) {
        let messages = phase.progress.messages.load(Relaxed);
        let counted = plan.messages.or(plan.goal).is_some();
        bar.set_position(if counted { messages } else { since_warm / 1_000_000 });
        let seconds = since_begin as f64 / 1e9;
        bar.set_message(format!("{:.0} messages/s", messages as f64 / seconds.max(0.001)));
    }
}
