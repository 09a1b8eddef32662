//! Tools for dead letters: detect them, sort them by reason, archive them, raise alerts, and requeue them.
//!
//! ```text
//!   [queue] ──▶ [dead letters] ◀── look, every five minutes ── monitor ──▶ log · alert · archive
//!      ▲              │
//!      └── requeue ───┘  (at a rate, those that you choose)
//! ```

mod requeue;

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{Message as SqsMessage, MessageSystemAttributeName as Name, QueueAttributeName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::body::{Attribute, Attributes};
use crate::clients::Clients;
use crate::consumer::{
    CATEGORY, Category, REASON, RECEIVE_COUNT, Raw, RawBatch, SOURCE, unwrap_notification,
};
use crate::envelope::Envelope;
use crate::fault::Fault;
use crate::publisher::Prepared;
use crate::queue::Queue;

pub use requeue::{Requeued, requeue};

/// A dead letter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The id that the dead-letter queue gave it.
    pub message_id: String,
    /// The category of the reason.
    #[serde(skip, default = "unanswered")]
    pub category: Category,
    /// The reason.
    pub reason: String,
    /// The queue where it failed, if it is known.
    pub source: Option<String>,
    /// How often it was received.
    pub receive_count: u32,
    /// When it was first sent, or moved here with its reason.
    pub sent_timestamp: Timestamp,
    /// The id and type of the envelope, if the body is an envelope, or an SNS notification that contains one.
    pub envelope: Option<(String, String)>,
    /// The message.
    pub message: String,
    /// Its message attributes, including those about its failure.
    pub attributes: Attributes,
    /// Its message group.
    pub group: Option<String>,
}

fn unanswered() -> Category {
    Category::Unanswered
}

impl DeadLetter {
    fn read(message: &SqsMessage) -> DeadLetter {
        let raw = Raw::of(&Arc::new(RawBatch::from(vec![message.clone()])), 0);
        let attributes = raw.attributes().clone();
        let text = |name: &str| attributes.get(name).and_then(Attribute::as_text);
        let category = Category::read(text(CATEGORY));
        let reason = text(REASON).unwrap_or("its handler never answered").to_owned();
        let counted = match attributes.get(RECEIVE_COUNT) {
            Some(Attribute::Number(number)) => number.parse().ok(),
            _ => None,
        };
        let from = message.attributes.as_ref().and_then(|all| all.get(&Name::DeadLetterQueueSourceArn));
        let source = text(SOURCE).or_else(|| from?.rsplit(':').next()).map(str::to_owned);
        let inner = unwrap_notification(raw.body()).map(|(inner, _)| inner);
        let frame = serde_json::from_str(inner.as_deref().unwrap_or(raw.body())).ok();
        let frame: Option<Envelope<serde::de::IgnoredAny>> = frame;
        DeadLetter {
            message_id: raw.message_id().to_owned(),
            category,
            reason,
            source,
            receive_count: counted.unwrap_or(raw.receive_count()),
            sent_timestamp: raw.sent_at(),
            envelope: frame.map(|frame| (frame.id, frame.message_type)),
            message: raw.body().to_owned(),
            group: raw.group().map(str::to_owned),
            attributes,
        }
    }

    /// Returns the message as it was before it became a dead letter.
    fn revived(&self, fifo: bool) -> Prepared {
        let mut attributes = self.attributes.clone();
        attributes.retain(|name, _| ![REASON, CATEGORY, SOURCE, RECEIVE_COUNT].contains(&name.as_str()));
        let (id, message_type) =
            self.envelope.clone().unwrap_or_else(|| (self.message_id.clone(), String::new()));
        Prepared {
            id,
            message_type,
            body: counted_up(&self.message),
            attributes,
            group: self.group.clone(),
            // The envelope's id cannot be used: within five minutes the queue would treat it as a duplicate.
            deduplication_id: fifo.then(|| self.message_id.clone()),
            delay_seconds: None,
        }
    }
}

/// Increments the retry count of an envelope; returns any other body unchanged.
fn counted_up(body: &str) -> String {
    let Ok(mut envelope) = serde_json::from_str::<Envelope<Box<serde_json::value::RawValue>>>(body) else {
        return body.to_owned();
    };
    envelope.metadata.retry_count = envelope.metadata.retry_count.saturating_add(1);
    serde_json::to_string(&envelope).unwrap_or_else(|_| body.to_owned())
}

/// A hook for alerts about dead letters. Start a task for async work.
pub trait AlertHook: Send + Sync + 'static {
    /// Called when a look finds dead letters that are new.
    fn alert(&self, report: &DeadLetterReport);
}

impl<F: Fn(&DeadLetterReport) + Send + Sync + 'static> AlertHook for F {
    fn alert(&self, report: &DeadLetterReport) {
        self(report);
    }
}

/// An archive of dead letters.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Stores a letter. The same letter may be passed again.
    ///
    /// # Errors
    /// After an error the letter is passed again.
    async fn keep(&self, queue: &str, letter: &DeadLetter) -> std::io::Result<()>;
}

/// An archive in a file, with a JSON object per line.
#[derive(Debug)]
pub struct FileArchive {
    path: PathBuf,
    writing: Mutex<()>,
}

impl FileArchive {
    /// Creates an archive that appends to this file.
    pub fn new(path: impl AsRef<Path>) -> FileArchive {
        FileArchive { path: path.as_ref().to_owned(), writing: Mutex::new(()) }
    }
}

#[async_trait]
impl Archive for FileArchive {
    async fn keep(&self, queue: &str, letter: &DeadLetter) -> std::io::Result<()> {
        let mut line = serde_json::json!({ "queue": queue, "category": letter.category.as_str() });
        line["letter"] = serde_json::to_value(letter)?;
        let line = format!("{line}\n");
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = std::fs::File::options().create(true).append(true).open(&self.path)?;
        file.write_all(line.as_bytes())
    }
}

/// The result of a look into a dead-letter queue.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DeadLetterReport {
    /// The queue's name.
    pub queue: String,
    /// The number of messages that the queue reports.
    pub depth: u64,
    /// The letters that are new since the last look.
    pub new: Vec<DeadLetter>,
    /// Number of letters of this look, by category and source.
    pub by_category: BTreeMap<(Category, Option<String>), u64>,
}

/// Monitors dead-letter queues.
///
/// **Guarantee**: the monitor changes nothing. A look hides the letters only while it lasts; letters leave
/// the queue only by [`requeue()`] and by retention. Each letter is logged, archived and reported *at least
/// once*, and again after a restart. If one of these three fails, the others are still done, and so are the
/// other queues: a full disk does not prevent an alert.
///
/// (SQS returns at most ten letters of a FIFO group at a time. Those behind them count in
/// [`depth`](DeadLetterReport::depth), and are seen after the first ten are gone.)
///
/// ```
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use toolkit::QueueSpec;
/// use toolkit::dead_letters::{DeadLetterMonitor, DeadLetterReport};
///
/// let dlq = QueueSpec::new("payment-events-dlq").ensure(&clients).await?;
/// let monitor = DeadLetterMonitor::new(&clients)
///     .watch(&dlq)
///     .alert(|report: &DeadLetterReport| eprintln!("{}: {} new dead letters", report.queue, report.new.len()));
/// # clients.sqs.send_message().queue_url(&dlq.url).message_body("x").send().await?;
/// let reports = monitor.look().await?;   // now; `start` looks every five minutes
/// assert_eq!(reports[0].new.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct DeadLetterMonitor {
    clients: Clients,
    queues: Vec<Queue>,
    every: Duration,
    hooks: Vec<Arc<dyn AlertHook>>,
    archive: Option<Arc<dyn Archive>>,
    known: Mutex<BTreeMap<String, Known>>,
}

/// A letter that was reported.
#[derive(Clone, Copy)]
struct Known {
    since: Timestamp,
    archived: bool,
}

/// Maximum number of letters per look. (SQS has at most 120,000 messages of a queue in flight.)
const MOST: usize = 100_000;
/// Approximate maximum size of the new letters in a report; the next look finds the others.
const MOST_BYTES: usize = 64 << 20;
/// How long letters stay hidden if a killed process does not return them.
const HIDDEN_SECONDS: i32 = 120;

impl DeadLetterMonitor {
    /// Creates a monitor without queues that looks every five minutes.
    pub fn new(clients: &Clients) -> DeadLetterMonitor {
        DeadLetterMonitor {
            clients: clients.clone(),
            queues: Vec::new(),
            every: Duration::from_secs(300),
            hooks: Vec::new(),
            archive: None,
            known: Mutex::default(),
        }
    }

    /// Adds a queue.
    #[must_use]
    pub fn watch(mut self, queue: &Queue) -> DeadLetterMonitor {
        self.queues.push(queue.clone());
        self
    }

    /// Sets the interval between looks.
    #[must_use]
    pub fn every(mut self, time: Duration) -> DeadLetterMonitor {
        self.every = time;
        self
    }

    /// Adds a hook for new letters.
    #[must_use]
    pub fn alert(mut self, hook: impl AlertHook) -> DeadLetterMonitor {
        self.hooks.push(Arc::new(hook));
        self
    }

    /// Adds an archive for every letter.
    #[must_use]
    pub fn archive(mut self, archive: impl Archive) -> DeadLetterMonitor {
        self.archive = Some(Arc::new(archive));
        self
    }

    /// Looks into each queue once.
    ///
    /// # Errors
    /// A look into a queue failed. The other queues were checked and their letters reported.
    pub async fn look(&self) -> Result<Vec<DeadLetterReport>, Fault> {
        let (mut reports, mut failure) = (Vec::new(), None);
        for queue in &self.queues {
            let (report, fault) = self.look_into(queue).await;
            if !report.new.is_empty() {
                self.hooks.iter().for_each(|hook| hook.alert(&report));
            }
            reports.push(report);
            if let Some(fault) = fault {
                tracing::warn!(queue = queue.name(), %fault, "cannot look into the dead-letter queue");
                failure = failure.or(Some(fault));
            }
        }
        failure.map_or(Ok(reports), Err)
    }

    /// Looks at each interval until it is stopped. Must be called within a tokio runtime.
    pub fn start(self) -> RunningMonitor {
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            loop {
                // The error has been logged, and the next look retries.
                let _ = self.look().await;
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(self.every) => {}
                }
            }
        });
        RunningMonitor { stop, task }
    }

    /// Returns the letters found, and the error that ended the look early.
    async fn look_into(&self, queue: &Queue) -> (DeadLetterReport, Option<Fault>) {
        let mut report = DeadLetterReport { queue: queue.name().to_owned(), ..DeadLetterReport::default() };
        let depth = queue.attribute(&self.clients, QueueAttributeName::ApproximateNumberOfMessages).await;
        match depth {
            Ok(depth) => report.depth = depth.and_then(|text| text.parse().ok()).unwrap_or(0),
            Err(fault) => return (report, Some(fault)),
        }
        metrics::gauge!("dead_letters.depth", "queue" => queue.name().to_owned()).set(report.depth as f64);
        // Of a known letter only the receipt is kept: letters can be many and large.
        let (mut seen, mut receipts, mut failure) = (HashSet::new(), Vec::new(), None);
        let (mut again, mut bytes) = (0, 0);
        while receipts.len() < MOST && bytes < MOST_BYTES {
            let messages = match receive(&self.clients, queue, 10).await {
                Ok(messages) => messages,
                Err(fault) => {
                    failure = Some(fault);
                    break;
                }
            };
            for message in &messages {
                receipts.push(message.receipt_handle.clone().unwrap_or_default());
                let letter = DeadLetter::read(message);
                again += 1;
                if seen.insert(letter.message_id.clone()) {
                    *report.by_category.entry((letter.category, letter.source.clone())).or_default() += 1;
                    if let Some(letter) = self.note(queue, letter).await {
                        bytes += letter.message.len();
                        report.new.push(letter);
                    }
                    again = 0;
                }
            }
            // The look may have taken so long that all letters are visible again.
            if messages.is_empty() || again > seen.len() {
                break;
            }
        }
        give_back(&self.clients, queue, &receipts).await;
        // Letters live at most 14 days, so older entries are no longer needed.
        let then = Timestamp::now().as_second() - 15 * 86_400;
        self.known().retain(|_, known| known.since.as_second() > then);
        (report, failure)
    }

    /// Logs, counts and archives a letter unless that was done. Returns it if it is new.
    async fn note(&self, queue: &Queue, letter: DeadLetter) -> Option<DeadLetter> {
        let known = self.known().get(&letter.message_id).copied();
        if known.is_some_and(|known| known.archived) {
            return None;
        }
        if known.is_none() {
            let (id, message_type) = letter.envelope.clone().unwrap_or_default();
            tracing::warn!(
                queue = queue.name(), message_id = %letter.message_id, category = letter.category.as_str(),
                reason = %letter.reason, source = letter.source.as_deref(), receive_count = letter.receive_count,
                sent = %letter.sent_timestamp, %id, %message_type, body = %letter.message, "dead letter"
            );
            let labels =
                [("queue", queue.name().to_owned()), ("category", letter.category.as_str().to_owned())];
            metrics::counter!("dead_letters.new", &labels).increment(1);
        }
        let archived = match &self.archive {
            None => Ok(()),
            Some(archive) => archive.keep(queue.name(), &letter).await,
        };
        if let Err(error) = &archived {
            tracing::error!(message_id = %letter.message_id, %error, "a dead letter was not archived; the next look retries");
        }
        let since = known.map_or_else(Timestamp::now, |known| known.since);
        self.known().insert(letter.message_id.clone(), Known { since, archived: archived.is_ok() });
        known.is_none().then_some(letter)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        // Each change is one call of the map, so the map is valid after a panic on another thread.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running monitor. Dropping it stops it.
pub struct RunningMonitor {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningMonitor {
    /// Stops it after the current look.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // tokio has reported a panic in the task.
        let _ = (&mut self.task).await;
    }
}

impl Drop for RunningMonitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Receives up to `most` messages, at most ten, which stay hidden until they are returned.
async fn receive(clients: &Clients, queue: &Queue, most: i32) -> Result<Vec<SqsMessage>, Fault> {
    let call = clients.sqs.receive_message().queue_url(&queue.url).max_number_of_messages(most);
    let call = call.visibility_timeout(HIDDEN_SECONDS).message_attribute_names("All");
    let call = call.message_system_attribute_names(Name::All).wait_time_seconds(0);
    Ok(call.send().await?.messages.unwrap_or_default())
}

/// Makes messages visible again at once. If this fails, they become visible later, when their timeout ends.
async fn give_back(clients: &Clients, queue: &Queue, receipts: &[String]) {
    for batch in receipts.chunks(10) {
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        let result =
            crate::consumer::change_visibility(&clients.sqs, &queue.url, &batch, Duration::ZERO).await;
        if let Err(fault) = result {
            tracing::debug!(queue = queue.name(), %fault, "dead letters come back later");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_count_that_cannot_grow_does_not() {
        let body = format!(r#"{{"id":"a","type":"t","data":1,"metadata":{{"retryCount":{}}}}}"#, u32::MAX);
        assert!(counted_up(&body).contains(&u32::MAX.to_string()));
    }
}
