//! What a handler is given, and what it answers.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;

use crate::body::{Attribute, Attributes};
use crate::consumer::raw::Raw;
use crate::envelope::{Envelope, EnvelopeError};
use crate::message::{Message, Untyped};

/// A message as it was handed out this time.
#[derive(Clone, Debug)]
pub struct Delivery<T> {
    /// The message in its envelope.
    pub envelope: Envelope<T>,
    /// The queue's id of it.
    pub message_id: String,
    /// How often it has been handed out, this time included.
    pub receive_count: u32,
    /// When it came into the queue.
    pub sent_at: Timestamp,
    /// Its message group.
    pub group: Option<String>,
    pub(crate) raw: Raw,
    /// Those of an SNS notification stand in its body.
    pub(crate) wrapped_attributes: Option<Attributes>,
}

impl<T> Delivery<T> {
    /// The message itself.
    pub fn data(&self) -> &T {
        &self.envelope.data
    }

    /// One message attribute.
    pub fn attribute(&self, name: &str) -> Option<Attribute> {
        self.wrapped_attributes.as_ref().unwrap_or(self.raw.attributes()).get(name).cloned()
    }

    /// All message attributes.
    pub fn attributes(&self) -> Attributes {
        self.wrapped_attributes.as_ref().unwrap_or(self.raw.attributes()).clone()
    }
}

impl Delivery<Untyped> {
    /// The same with data of this type.
    ///
    /// # Errors
    /// As [`Envelope::decode`].
    pub fn typed<T: Message>(self) -> Result<Delivery<T>, EnvelopeError> {
        let envelope = self.envelope.typed()?;
        let Delivery { message_id, receive_count, sent_at, group, raw, wrapped_attributes, .. } = self;
        Ok(Delivery { envelope, message_id, receive_count, sent_at, group, raw, wrapped_attributes })
    }
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is dealt with, and deleted.
    Done,
    /// It comes again; as a dead letter when it has come too often.
    Retry {
        /// Why.
        reason: String,
        /// When; `None`: as the consumer's backoff says.
        after: Option<Duration>,
    },
    /// It comes again, as with [`Retry`](Self::Retry); but nothing has failed that the circuit breaker should know of: somebody
    /// else is at it, or it must wait for something.
    NotYet {
        /// Why.
        reason: String,
        /// When.
        after: Duration,
    },
    /// No attempt will help: it becomes a dead letter.
    GiveUp {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Again, when the consumer's backoff says.
    pub fn retry(reason: impl fmt::Display) -> Outcome {
        Outcome::Retry { reason: reason.to_string(), after: None }
    }

    /// Again after so long (in whole seconds, rounded up). AWS hides a message for at most 12 hours from its receive; what goes
    /// beyond is cut off.
    pub fn retry_after(after: Duration, reason: impl fmt::Display) -> Outcome {
        Outcome::Retry { reason: reason.to_string(), after: Some(after) }
    }

    /// As [`retry_after`](Self::retry_after), without this being a failure.
    pub fn not_yet(after: Duration, reason: impl fmt::Display) -> Outcome {
        Outcome::NotYet { reason: reason.to_string(), after }
    }

    /// Whether the message is to come again.
    pub(crate) fn comes_again(&self) -> bool {
        matches!(self, Outcome::Retry { .. } | Outcome::NotYet { .. })
    }

    /// To the dead letters.
    pub fn give_up(reason: impl fmt::Display) -> Outcome {
        Outcome::GiveUp { reason: reason.to_string() }
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Outcome {
        Outcome::Done
    }
}

/// An error is worth another attempt.
impl<E: fmt::Display> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Outcome {
        match result {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::retry(error),
        }
    }
}

/// Deals with one message at a time. Async closures that take a [`Delivery`] and return an [`Outcome`], a `Result<(), _>` or
/// `()` are handlers.
///
/// A handler may be run more than once for one message, at the same time even, when a visibility timeout was missed. Make that
/// harmless, or put an [inbox](crate::inbox) before it. A panic counts as a failure worth another attempt.
pub trait Handler<T>: Send + Sync + 'static {
    /// Deals with it.
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
        // An async function would need memory for the delivery besides that for the future.
        self(delivery).map(Into::into)
    }
}

/// Deals with up to ten messages at once. Async closures are batch handlers, too.
pub trait BatchHandler<T>: Send + Sync + 'static {
    /// Deals with them, and names those that failed.
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

/// Which messages of a batch failed. The others are done. (On a FIFO queue, so are messages behind a failed one of their group if
/// they are not named: a handler that stops early must name the rest.)
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BatchOutcome {
    /// The queue's message ids and what becomes of those messages.
    pub failures: Vec<(String, Outcome)>,
}

impl BatchOutcome {
    /// None failed.
    pub fn done() -> BatchOutcome {
        BatchOutcome::default()
    }

    /// This one failed, too.
    #[must_use]
    pub fn failed(mut self, message_id: impl Into<String>, outcome: Outcome) -> BatchOutcome {
        self.failures.push((message_id.into(), outcome));
        self
    }
}
