//! The message that a handler gets, and the outcome that it returns.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;

use crate::body::{Attribute, Attributes};
use crate::consumer::raw::Raw;
use crate::envelope::{Envelope, EnvelopeError};
use crate::message::{Message, Untyped};

/// A message as it was received this time.
#[derive(Clone, Debug)]
pub struct Delivery<T> {
    /// The message in its envelope.
    pub envelope: Envelope<T>,
    /// The message id in the queue.
    pub message_id: String,
    /// How often it was received, including this time.
    pub receive_count: u32,
    /// When it was sent to the queue.
    pub sent_at: Timestamp,
    /// Its message group.
    pub group: Option<String>,
    pub(crate) raw: Raw,
    /// For an SNS notification, the attributes inside its body.
    pub(crate) wrapped_attributes: Option<Attributes>,
}

impl<T> Delivery<T> {
    /// Returns the message itself.
    pub fn data(&self) -> &T {
        &self.envelope.data
    }

    /// Returns a message attribute.
    pub fn attribute(&self, name: &str) -> Option<Attribute> {
        self.wrapped_attributes.as_ref().unwrap_or(self.raw.attributes()).get(name).cloned()
    }

    /// Returns all message attributes.
    pub fn attributes(&self) -> Attributes {
        self.wrapped_attributes.as_ref().unwrap_or(self.raw.attributes()).clone()
    }
}

impl Delivery<Untyped> {
    /// Returns the same delivery with data of type `T`.
    ///
    /// # Errors
    /// As [`Envelope::decode`].
    pub fn typed<T: Message>(self) -> Result<Delivery<T>, EnvelopeError> {
        let envelope = self.envelope.typed()?;
        let Delivery { message_id, receive_count, sent_at, group, raw, wrapped_attributes, .. } = self;
        Ok(Delivery { envelope, message_id, receive_count, sent_at, group, raw, wrapped_attributes })
    }
}

/// What the consumer does with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The message was handled: the consumer deletes it.
    Done,
    /// The message comes again, or becomes a dead letter after too many attempts.
    Retry {
        /// Why.
        reason: String,
        /// The wait; `None`: the consumer's backoff.
        after: Option<Duration>,
    },
    /// The message comes again, as with [`Retry`](Self::Retry), but the circuit breaker does not count a
    /// failure: another process handles the message, or it has to wait for something.
    NotYet {
        /// Why.
        reason: String,
        /// The wait.
        after: Duration,
    },
    /// No attempt can succeed: the message becomes a dead letter.
    GiveUp {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Retries after the consumer's backoff.
    pub fn retry(reason: impl fmt::Display) -> Outcome {
        Outcome::Retry { reason: reason.to_string(), after: None }
    }

    /// Retries after this time, rounded up to whole seconds. AWS hides a message for at most 12 hours from
    /// its receive; a longer time is shortened.
    pub fn retry_after(after: Duration, reason: impl fmt::Display) -> Outcome {
        Outcome::Retry { reason: reason.to_string(), after: Some(after) }
    }

    /// As [`retry_after`](Self::retry_after), but does not count as a failure.
    pub fn not_yet(after: Duration, reason: impl fmt::Display) -> Outcome {
        Outcome::NotYet { reason: reason.to_string(), after }
    }

    /// Returns whether the message comes again.
    pub(crate) fn comes_again(&self) -> bool {
        matches!(self, Outcome::Retry { .. } | Outcome::NotYet { .. })
    }

    /// Makes the message a dead letter.
    pub fn give_up(reason: impl fmt::Display) -> Outcome {
        Outcome::GiveUp { reason: reason.to_string() }
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Outcome {
        Outcome::Done
    }
}

/// Errors are retried.
impl<E: fmt::Display> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Outcome {
        match result {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::retry(error),
        }
    }
}

/// Handles one message at a time. An async closure that takes a [`Delivery`] and returns an [`Outcome`], a
/// `Result<(), _>` or `()` is a handler.
///
/// A handler may run more than once for one message, also at the same time if a visibility timeout was
/// missed. Make the handler idempotent, or put an [inbox](crate::inbox) before it. A panic counts as a
/// failure and is retried.
pub trait Handler<T>: Send + Sync + 'static {
    /// Handles the message.
    fn handle(&self, delivery: Delivery<T>) -> impl Future<Output = Outcome> + Send;
}

impl<T, F, R> Handler<T> for F
where
    T: Send + 'static,
    F: Fn(Delivery<T>) -> R + Send + Sync + 'static,
    R: Future + Send,
    R::Output: Into<Outcome>,
{
    fn handle(&self, delivery: Delivery<T>) -> impl Future<Output = Outcome> + Send {
        // An async function would store the delivery twice, in its arguments and in its future.
        self(delivery).map(Into::into)
    }
}

/// Handles up to ten messages at once. Async closures are batch handlers, too.
pub trait BatchHandler<T>: Send + Sync + 'static {
    /// Handles the messages, and returns the failed ones.
    fn handle_batch(&self, batch: Vec<Delivery<T>>) -> impl Future<Output = BatchOutcome> + Send;
}

impl<T, F, R> BatchHandler<T> for F
where
    T: Send + 'static,
    F: Fn(Vec<Delivery<T>>) -> R + Send + Sync + 'static,
    R: Future<Output = BatchOutcome> + Send,
{
    fn handle_batch(&self, batch: Vec<Delivery<T>>) -> impl Future<Output = BatchOutcome> + Send {
        self(batch)
    }
}

/// The failed messages of a batch. All others count as done. (On a FIFO queue this includes the messages
/// behind a failed one of their group: a handler that stops early must name the rest.)
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BatchOutcome {
    /// The outcomes of the failed messages, by message id.
    pub failures: Vec<(String, Outcome)>,
}

impl BatchOutcome {
    /// Creates an outcome without failures.
    pub fn done() -> BatchOutcome {
        BatchOutcome::default()
    }

    /// Adds a failed message.
    #[must_use]
    pub fn failed(mut self, message_id: impl Into<String>, outcome: Outcome) -> BatchOutcome {
        self.failures.push((message_id.into(), outcome));
        self
    }
}
