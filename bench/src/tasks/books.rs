//! The books at the end: what was acknowledged is there or has come.

use std::time::{Duration, Instant};

use super::{Plan, Run};
use crate::arguments::Task;
use crate::error::Error;
use crate::report::Report;
use crate::tally::Tally;
use crate::worker::Role;

/// After a task that only sends, so many messages are received and compared.
const SAMPLE_MESSAGES: u64 = 1000;

/// What queues must hold by the books, and how to begin the complaint if they do not.
struct Holding<'a> {
    who: String,
    urls: &'a [String],
    least: u64,
    most: u64,
}

impl Run<'_> {
    /// The books must balance: what was acknowledged is there or has come, and a sample of it has its own bytes.
    pub(super) fn check(&self, report: &mut Report, tally: &mut Tally) -> Result<(), Error> {
        let ledger = &self.ledger;
        if report.requests == 0 {
            report.failures.push("nothing was answered within the window".into());
        }
        // The counts are called approximate, so a server may take a moment to bring them up to date.
        let patience = Duration::from_secs_f64(self.arguments.timeout.min(5.0));
        let begin = Instant::now();
        for holding in self.holdings(tally.foreign) {
            let wrong = loop {
                let count = match self.count(holding.urls) {
                    Ok(count) => count,
                    Err(error) => break Some(format!("what the queues hold cannot be asked: {error}")),
                };
                if count >= holding.least && count <= holding.most {
                    break None;
                }
                if begin.elapsed() > patience {
                    break Some(format!(
                        "{} they hold {count} messages; by what was acknowledged and came it must be {}",
                        holding.who, holding.least
                    ));
                }
                std::thread::sleep(Duration::from_millis(50));
            };
            report.failures.extend(wrong);
        }
        let only_sends = matches!(
            self.task,
            Task::Send | Task::SendBatch | Task::Publish | Task::PublishBatch | Task::PutEvents
        );
        if only_sends && !self.arguments.keep && self.arguments.queue_urls.is_empty() {
            let goal = ledger.acknowledged().min(SAMPLE_MESSAGES) * ledger.copies();
            let plan = Plan {
                label: "sample",
                roles: vec![Role::Consumer; self.reached.len().max(self.arguments.threads)],
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

    /// What each queue of a topic, or all queues without one together, must hold by the books.
    fn holdings(&self, foreign: u64) -> Vec<Holding<'_>> {
        let ledger = &self.ledger;
        let holding = |who: String, urls, messages: u64, gone: u64| {
            let least = messages.saturating_sub(gone);
            // Each of those that failed may be there or not.
            Holding { who, urls, least, most: least + ledger.failed() }
        };
        if self.task == Task::Schedule {
            let who = "before any schedule's time the queue says".into();
            return vec![Holding { who, urls: &self.queue_urls, least: 0, most: 0 }];
        }
        if self.hub.is_none() {
            let messages = self.base + ledger.acknowledged();
            let gone = ledger.arrived() + foreign;
            return vec![holding("the queues say".into(), &self.queue_urls, messages, gone)];
        }
        let of = if self.task.publishes() { "topic's queues" } else { "queues" };
        let mut holdings = Vec::new();
        for (place, url) in self.reached.iter().enumerate() {
            let who = format!("of the {of}, number {place}:");
            let gone = ledger.arrived_at(place);
            holdings.push(holding(who, std::slice::from_ref(url), ledger.acknowledged(), gone));
        }
        for url in self.queue_urls.iter().filter(|url| !self.reached.contains(url)) {
            let who = "the queues whose filters match nothing say".into();
            holdings.push(Holding { who, urls: std::slice::from_ref(url), least: 0, most: 0 });
        }
        holdings
    }

    pub(super) fn count(&self, urls: &[String]) -> Result<u64, Error> {
        urls.iter().map(|url| self.endpoint.count_messages(url)).sum()
    }
}
