//! Sends messages to a queue, a topic or an event bus: single messages, lists, or messages of many tasks in batches.

mod batching;
#[cfg(feature = "events")]
mod bus_sink;
mod dispatch;
mod outgoing;
mod sink;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};
use tokio::sync::oneshot;
use tracing::Instrument;
use uuid::Uuid;

pub use batching::BatchingPublisher;
#[cfg(feature = "events")]
pub use bus_sink::{BUS_BYTES, BusSink};
pub use outgoing::{Outgoing, Prepared};
pub use sink::{BATCH_ENTRIES, QUEUE_BYTES, QueueSink, Receipt, Sink, TOPIC_BYTES, TopicSink};

use crate::backoff::Backoff;
use crate::body::{Attribute, BodyError, BodyStep};
use crate::clients::Clients;
use crate::direct::Direct;
use crate::envelope::{Envelope, EnvelopeError, Metadata};
use crate::fault::Fault;
use crate::message::Message;
use crate::queue::Queue;
use dispatch::{Dispatch, Item};
use sink::DirectSink;

/// Sends messages to one queue or topic.
///
/// **Guarantee**: *at least once*. If `publish` returns `Ok`, the message is in the queue or topic. If it
/// returns `Err`, the message may be there, too, if only the answer was lost. A retry after a lost answer
/// makes a standard queue hold the message twice, with the same envelope id. A FIFO queue drops such a
/// duplicate for five minutes.
///
/// All messages are serialised and validated before anything is sent. If one cannot be written, is too large,
/// or is invalid for another reason, the whole call fails before its first byte leaves.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderCreated { id: String }
/// # impl toolkit::Message for OrderCreated { const TYPES: &'static [&'static str] = &["order.created"]; }
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use toolkit::{Publisher, QueueSpec, publisher::Outgoing};
///
/// let queue = QueueSpec::new("orders").ensure(&clients).await?;
/// let orders = Publisher::queue(&clients, &queue).source("order-service");
///
/// let receipt = orders.publish(OrderCreated { id: "o-1".into() }).await?;
/// assert!(!receipt.message_id.is_empty());
///
/// let many = (2..25).map(|n| Outgoing::new(OrderCreated { id: format!("o-{n}") }).attribute("priority", "high"));
/// for result in orders.publish_all(many).await? {
///     result?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Publisher {
    sink: Arc<dyn Sink>,
    source: String,
    form: BodyForm,
    steps: Vec<Arc<dyn BodyStep>>,
    settings: PublisherSettings,
    tallies: Arc<Tallies>,
}

/// How messages become bodies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyForm {
    /// An [`Envelope`] in JSON.
    #[default]
    Envelope,
    /// Only the data in JSON, for readers without envelopes. Type and source travel in message attributes;
    /// ids, versions and traces are lost.
    Bare,
}

/// Retry and batch settings of a publisher.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PublisherSettings {
    /// Maximum number of times to send a message. (The SDK also repeats failed calls itself; this is in
    /// addition.)
    pub attempts: u32,
    /// The wait between attempts.
    pub backoff: Backoff,
    /// Maximum number of concurrent requests.
    pub in_flight: usize,
    /// Maximum number of messages per request; at most [`BATCH_ENTRIES`].
    pub batch_entries: usize,
    /// Number of messages that a [`BatchingPublisher`] holds before `publish` waits.
    pub waiting: usize,
}

impl Default for PublisherSettings {
    fn default() -> PublisherSettings {
        PublisherSettings {
            attempts: 8,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            in_flight: 4,
            batch_entries: BATCH_ENTRIES,
            waiting: 1_000,
        }
    }
}

impl Publisher {
    /// Publishes to a queue.
    pub fn queue(clients: &Clients, queue: &Queue) -> Publisher {
        let inner = QueueSink { sqs: clients.sqs.clone(), url: queue.url.clone() };
        Publisher::to(DirectSink { inner, direct: Direct::new(&clients.sqs) })
    }

    /// Publishes to a topic, by its ARN.
    pub fn topic(clients: &Clients, arn: impl Into<String>) -> Publisher {
        let inner = TopicSink { sns: clients.sns.clone(), arn: arn.into() };
        Publisher::to(DirectSink { inner, direct: Direct::topics(&clients.sns) })
    }

    /// Publishes to an event bus. A [source](Self::source) is required. Bodies must be JSON objects, so steps that encrypt or
    /// sign do not fit.
    #[cfg(feature = "events")]
    pub fn bus(clients: &Clients, bus: &crate::Bus) -> Publisher {
        Publisher::to(BusSink { events: clients.events.clone(), name: bus.name.clone() })
    }

    /// Publishes to any sink.
    pub fn to(sink: impl Sink) -> Publisher {
        let tallies = Arc::new(Tallies::of(sink.name()));
        Publisher {
            sink: Arc::new(sink),
            source: String::new(),
            form: BodyForm::Envelope,
            steps: Vec::new(),
            settings: PublisherSettings::default(),
            tallies,
        }
    }

    /// Sets the source that envelopes name: the service's name.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Publisher {
        self.source = source.into();
        self
    }

    /// Sets how messages become bodies.
    #[must_use]
    pub fn form(mut self, form: BodyForm) -> Publisher {
        self.form = form;
        self
    }

    /// Adds a step between envelope and wire: encryption, signature, claim check. Steps run in the order of
    /// the calls.
    #[must_use]
    pub fn step(mut self, step: impl Into<Arc<dyn BodyStep>>) -> Publisher {
        self.steps.push(step.into());
        self
    }

    /// Sets the settings.
    #[must_use]
    pub fn settings(mut self, settings: PublisherSettings) -> Publisher {
        self.settings = settings;
        self
    }

    /// Returns the name of the queue or topic.
    pub fn destination(&self) -> &str {
        self.sink.name()
    }

    /// Publishes one message.
    ///
    /// # Errors
    /// Before sending: [`PublishError::Unwritable`], [`PublishError::Step`], [`PublishError::TooLarge`],
    /// [`PublishError::GroupMissing`], [`PublishError::Unsendable`]. After all attempts: [`PublishError::Refused`].
    pub async fn publish<T: Message>(
        &self,
        message: impl Into<Outgoing<T>>,
    ) -> Result<Receipt, PublishError> {
        let prepared = self.prepare(message).await?;
        match self.publish_prepared(vec![prepared]).await?.pop() {
            Some(result) => result,
            None => Err(PublishError::Closed),
        }
    }

    /// Publishes several messages. All are serialised and validated first. Then they are sent in batches.
    /// Each has its own result, in the given order.
    ///
    /// On FIFO destinations the messages of a group are accepted in the given order. If one is refused
    /// permanently, the later ones of its group are not sent ([`PublishError::EarlierFailed`]).
    ///
    /// # Errors
    /// A message is invalid; then no message was sent.
    pub async fn publish_all<T: Message, M: Into<Outgoing<T>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<Result<Receipt, PublishError>>, PublishError> {
        let mut prepared = Vec::new();
        for message in messages {
            prepared.push(self.prepare(message).await?);
        }
        self.publish_prepared(prepared).await
    }

    /// Publishes prepared messages, like [`publish_all`](Self::publish_all).
    ///
    /// # Errors
    /// As [`publish_all`](Self::publish_all).
    pub async fn publish_prepared(
        &self,
        messages: Vec<Prepared>,
    ) -> Result<Vec<Result<Receipt, PublishError>>, PublishError> {
        for message in &messages {
            self.check(message)?;
        }
        Ok(self.publish_checked(messages.into_iter().map(Arc::new).collect()).await)
    }

    /// Publishes messages that were [checked](Self::check); returns one result each.
    pub(crate) async fn publish_checked(
        &self,
        messages: Vec<Arc<Prepared>>,
    ) -> Vec<Result<Receipt, PublishError>> {
        let mut dispatch = Dispatch::new(self.sink.clone(), self.settings, self.tallies.clone(), true);
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            let (reply, answer) = oneshot::channel();
            dispatch.add(Item { message, reply });
            answers.push(answer);
        }
        let span = tracing::info_span!("publish", destination = self.sink.name(), messages = answers.len());
        dispatch.drain().instrument(span).await;
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            results.push(answer.await.unwrap_or(Err(PublishError::Closed)));
        }
        results
    }

    /// Prepares a message without sending it: for an `outbox`.
    ///
    /// # Errors
    /// The message cannot be written, or is invalid.
    pub async fn prepare<T: Message>(
        &self,
        message: impl Into<Outgoing<T>>,
    ) -> Result<Prepared, PublishError> {
        let Outgoing { data, id, cause, metadata, mut attributes, group, deduplication_id, delay } =
            message.into();
        let inherited = cause.unwrap_or_default();
        let metadata = Metadata {
            correlation_id: metadata.correlation_id.or(inherited.correlation_id),
            priority: metadata.priority,
            reply_to: metadata.reply_to,
            ..inherited
        };
        let id = id.unwrap_or_else(|| Uuid::now_v7().to_string());
        let envelope = Envelope::of(id, self.source.clone(), data, metadata);

        attributes.entry("type".into()).or_insert_with(|| Attribute::Text(envelope.message_type.clone()));
        if !self.source.is_empty() {
            attributes.entry("source".into()).or_insert_with(|| Attribute::Text(self.source.clone()));
        }
        tracing::debug!(
            destination = self.sink.name(),
            id = %envelope.id,
            message_type = %envelope.message_type,
            correlation_id = envelope.metadata.correlation_id.as_deref(),
            traceparent = envelope.metadata.traceparent.as_deref(),
            "to be published"
        );
        let mut body = match self.form {
            BodyForm::Envelope => envelope.encode()?,
            BodyForm::Bare => serde_json::to_string(&envelope.data).map_err(EnvelopeError::Unwritable)?,
        };
        for step in &self.steps {
            body = step.outgoing(body, &mut attributes).await?;
        }
        let deduplication_id =
            self.sink.is_fifo().then(|| deduplication_id.unwrap_or_else(|| envelope.id.clone()));
        let prepared = Prepared {
            id: envelope.id,
            message_type: envelope.message_type,
            body,
            attributes,
            group,
            deduplication_id,
            delay_seconds: delay.map(|delay| u32::try_from(delay.as_secs()).unwrap_or(u32::MAX)),
        };
        self.check(&prepared)?;
        Ok(prepared)
    }

    /// Returns a publisher that collects messages of many tasks in batches. A message waits at most `linger`
    /// for its batch to fill.
    ///
    /// Must be called within a tokio runtime.
    pub fn batching(&self, linger: Duration) -> BatchingPublisher {
        BatchingPublisher::new(self.clone(), linger)
    }

    /// Checks that the message can be sent.
    pub(crate) fn check(&self, message: &Prepared) -> Result<(), PublishError> {
        let (size, most) = (message.size(), self.sink.max_bytes());
        if size > most {
            return Err(PublishError::TooLarge { id: message.id.clone(), size, most });
        }
        if self.sink.is_fifo() && message.group.is_none() {
            return Err(PublishError::GroupMissing { id: message.id.clone() });
        }
        let flaw = match message.delay_seconds {
            Some(1..) if !self.sink.takes_delays() => Some("only a standard queue takes a delay".to_owned()),
            Some(901..) => Some("a delay is at most 15 minutes".to_owned()),
            _ => message.flaw(),
        };
        match flaw {
            Some(why) => Err(PublishError::Unsendable { id: message.id.clone(), why }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("destination", &self.sink.name())
            .field("source", &self.source)
            .finish()
    }
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It cannot be written as JSON. Nothing of the call was sent.
    #[error(transparent)]
    Unwritable(#[from] EnvelopeError),
    /// A step failed. Nothing of the call was sent.
    #[error("a step before sending failed: {0}")]
    Step(#[from] BodyError),
    /// It is too large for the destination: use a claim check. Nothing of the call was sent.
    #[error("message {id} has {size} bytes with its attributes; the destination accepts at most {most}")]
    TooLarge {
        /// The envelope's id.
        id: String,
        /// Its size in bytes, with attributes.
        size: usize,
        /// The limit, in bytes.
        most: usize,
    },
    /// The destination is FIFO, but the message has no group. Nothing of the call was sent.
    #[error("message {id} has no message group, which a FIFO destination requires")]
    GroupMissing {
        /// The envelope's id.
        id: String,
    },
    /// The message is invalid for every queue or topic. Nothing of the call was sent.
    #[error("message {id} cannot be sent: {why}")]
    Unsendable {
        /// The envelope's id.
        id: String,
        /// Description of the fault.
        why: String,
    },
    /// The service refused it, or could not be reached, in all attempts.
    #[error("not accepted after {attempts} attempts: {fault}")]
    Refused {
        /// The last error.
        #[source]
        fault: Fault,
        /// Number of attempts.
        attempts: u32,
    },
    /// An earlier message of the same group was refused, so this one was not sent.
    #[error("not sent, because an earlier message of its group was refused")]
    EarlierFailed,
    /// The publisher was closed.
    #[error("the publisher is closed")]
    Closed,
}

/// The metrics of one destination.
pub(crate) struct Tallies {
    published: Counter,
    retried: Counter,
    failed: Counter,
    size: Histogram,
}

impl Tallies {
    fn of(destination: &str) -> Tallies {
        let labels = [("destination", destination.to_owned())];
        Tallies {
            published: counter!("messages.published", &labels),
            retried: counter!("messages.publish_retried", &labels),
            failed: counter!("messages.publish_failed", &labels),
            size: histogram!("message.size", &labels),
        }
    }
}
