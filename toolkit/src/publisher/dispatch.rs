//! Selects the waiting messages that may be sent now: full batches, several concurrently, and never two
//! requests of one group.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::publisher::sink::{BATCH_ENTRIES, Receipt, Sink};
use crate::publisher::{Prepared, PublishError, PublisherSettings, Tallies};

/// A message, and the caller that waits for its result.
pub(super) struct Item {
    pub message: Arc<Prepared>,
    pub reply: oneshot::Sender<Result<Receipt, PublishError>>,
}

/// The messages of one sink that wait or are being sent.
///
/// On a FIFO sink a request carries at most one message of a group, and a group has at most one request in
/// progress. Otherwise later messages could overtake a failed entry of a batch.
pub(super) struct Dispatch {
    sink: Arc<dyn Sink>,
    settings: PublisherSettings,
    tallies: Arc<Tallies>,
    /// Whether a permanently failed message also fails the later ones of its group.
    stop_group_on_failure: bool,
    waiting: VecDeque<Item>,
    busy_groups: HashSet<String>,
    broken_groups: HashSet<String>,
    under_way: FuturesUnordered<BoxFuture<'static, Finished>>,
}

struct Finished {
    groups: Vec<String>,
    broken: Vec<String>,
}

impl Dispatch {
    pub fn new(
        sink: Arc<dyn Sink>,
        settings: PublisherSettings,
        tallies: Arc<Tallies>,
        stop_group_on_failure: bool,
    ) -> Dispatch {
        Dispatch {
            sink,
            settings,
            tallies,
            stop_group_on_failure,
            waiting: VecDeque::new(),
            busy_groups: HashSet::new(),
            broken_groups: HashSet::new(),
            under_way: FuturesUnordered::new(),
        }
    }

    pub fn add(&mut self, item: Item) {
        self.waiting.push_back(item);
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Starts the requests that may start. Batches that are not full start only if `partial` is set.
    pub fn start(&mut self, partial: bool) {
        while self.under_way.len() < self.settings.in_flight.max(1) {
            let batch = self.take_batch(partial);
            if batch.is_empty() {
                return;
            }
            let groups = batch.iter().filter_map(|item| item.message.group.clone()).collect();
            let (sink, settings, tallies) = (self.sink.clone(), self.settings, self.tallies.clone());
            self.under_way.push(Box::pin(send_batch(sink, settings, tallies, batch, groups)));
        }
    }

    /// Waits until one request ends. Must not be called without a request in progress.
    pub async fn next_finished(&mut self) {
        if let Some(finished) = self.under_way.next().await {
            for group in finished.groups {
                self.busy_groups.remove(&group);
            }
            if self.stop_group_on_failure {
                self.broken_groups.extend(finished.broken);
            }
        }
    }

    pub fn has_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Sends all messages, and returns when the last request has ended.
    pub async fn drain(&mut self) {
        loop {
            self.start(true);
            if self.is_idle() {
                return;
            }
            self.next_finished().await;
        }
    }

    fn take_batch(&mut self, partial: bool) -> Vec<Item> {
        let fifo = self.sink.is_fifo();
        let (mut picked, mut bytes, mut full) = (Vec::new(), 0, false);
        let mut seen = HashSet::new();
        for (index, item) in self.waiting.iter().enumerate() {
            if fifo && let Some(group) = &item.message.group {
                // If one message of a group waits, all later ones wait, too.
                if self.busy_groups.contains(group) || !seen.insert(group.clone()) {
                    continue;
                }
            }
            let size = item.message.size();
            if bytes + size > self.sink.max_bytes() {
                full = true;
                break;
            }
            bytes += size;
            picked.push(index);
            if picked.len() == BATCH_ENTRIES.min(self.settings.batch_entries.max(1)) {
                full = true;
                break;
            }
        }
        if !full && !partial {
            return Vec::new();
        }
        let mut batch = Vec::with_capacity(picked.len());
        // From the back, so that earlier indexes stay valid.
        for index in picked.into_iter().rev() {
            if let Some(item) = self.waiting.remove(index) {
                batch.push(item);
            }
        }
        batch.reverse();
        if fifo {
            batch.retain_mut(|item| {
                let broken =
                    item.message.group.as_ref().is_some_and(|group| self.broken_groups.contains(group));
                if broken {
                    let (unused, _) = oneshot::channel();
                    let reply = std::mem::replace(&mut item.reply, unused);
                    let _ = reply.send(Err(PublishError::EarlierFailed));
                }
                !broken
            });
            self.busy_groups.extend(batch.iter().filter_map(|item| item.message.group.clone()));
            // All callers were answered: select others.
            if batch.is_empty() && !self.waiting.is_empty() && self.under_way.is_empty() {
                return self.take_batch(partial);
            }
        }
        batch
    }
}

/// Sends one batch until each entry is accepted, refused permanently, or out of attempts.
async fn send_batch(
    sink: Arc<dyn Sink>,
    settings: PublisherSettings,
    tallies: Arc<Tallies>,
    mut left: Vec<Item>,
    groups: Vec<String>,
) -> Finished {
    let mut broken = Vec::new();
    let mut attempt = 1;
    while !left.is_empty() {
        let batch: Vec<&Prepared> = left.iter().map(|item| &*item.message).collect();
        let results = match sink.send(&batch).await {
            Ok(results) => results,
            Err(fault) if batch.len() > 1 && fault.may_be_of_one_message() => {
                one_by_one(&*sink, &batch).await
            }
            Err(fault) => vec![Err(fault); batch.len()],
        };
        let mut again = Vec::new();
        for (item, result) in left.into_iter().zip(results) {
            match result {
                Ok(receipt) => {
                    tallies.published.increment(1);
                    tallies.size.record(item.message.size() as f64);
                    tracing::debug!(id = %item.message.id, message_type = %item.message.message_type, "published");
                    let _ = item.reply.send(Ok(receipt));
                }
                Err(fault) if fault.retryable && attempt < settings.attempts => {
                    tracing::debug!(id = %item.message.id, %fault, attempt, "to be published again");
                    tallies.retried.increment(1);
                    again.push(item);
                }
                Err(fault) => {
                    tracing::warn!(id = %item.message.id, message_type = %item.message.message_type, %fault, attempt,
                        "not published");
                    tallies.failed.increment(1);
                    broken.extend(item.message.group.clone());
                    let _ = item.reply.send(Err(refused(fault, attempt)));
                }
            }
        }
        left = again;
        if !left.is_empty() {
            tokio::time::sleep(settings.backoff.delay(attempt)).await;
            attempt += 1;
        }
    }
    Finished { groups, broken }
}

/// A refused message must not fail the others of its batch.
async fn one_by_one(sink: &dyn Sink, batch: &[&Prepared]) -> Vec<Result<Receipt, Fault>> {
    let mut results = Vec::with_capacity(batch.len());
    for message in batch {
        let result = sink.send(&[*message]).await.map(|mut results| results.pop());
        results.push(result.and_then(|result| result.unwrap_or_else(|| Err(Fault::unanswered()))));
    }
    results
}

fn refused(fault: Fault, attempts: u32) -> PublishError {
    PublishError::Refused { fault, attempts }
}
