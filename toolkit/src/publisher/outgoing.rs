//! A message before it is sent: first as the application says it, then as nothing but text that cannot fail any more.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::body::{Attribute, Attributes};
use crate::envelope::{Envelope, Metadata};
use crate::message::Message;

/// A message, and how it is to travel.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderCreated { id: String }
/// # impl toolkit::Message for OrderCreated { fn message_type(&self) -> &str { "order.created" } }
/// use toolkit::publisher::Outgoing;
///
/// let order = OrderCreated { id: "o-1".into() };
/// let message = Outgoing::new(order).group("customer-7").attribute("priority", "high").attribute("amount", 1250);
/// # let _ = message;
/// ```
#[derive(Clone, Debug)]
pub struct Outgoing<T> {
    /// The message itself.
    pub data: T,
    pub(crate) id: Option<String>,
    /// What follows from its cause.
    pub(crate) cause: Option<Metadata>,
    pub(crate) metadata: Metadata,
    pub(crate) attributes: Attributes,
    pub(crate) group: Option<String>,
    pub(crate) deduplication_id: Option<String>,
    pub(crate) delay: Option<Duration>,
}

impl<T: Message> From<T> for Outgoing<T> {
    fn from(data: T) -> Outgoing<T> {
        Outgoing::new(data)
    }
}

impl<T> Outgoing<T> {
    /// This message, travelling as the destination's settings say.
    pub fn new(data: T) -> Outgoing<T> {
        Outgoing {
            data,
            id: None,
            cause: None,
            metadata: Metadata::default(),
            attributes: Attributes::new(),
            group: None,
            deduplication_id: None,
            delay: None,
        }
    }

    /// The envelope's id, where the application has a better one than a fresh one: then repeating the publish after a
    /// crash is recognised as the same message, by a FIFO queue for five minutes and by an inbox for as long as it keeps.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Outgoing<T> {
        self.id = Some(id.into());
        self
    }

    /// The message that this one follows from: it continues that one's correlation and trace.
    #[must_use]
    pub fn caused_by<U>(mut self, cause: &Envelope<U>) -> Outgoing<T> {
        let mut follows = Metadata::default();
        follows.follow(&cause.id, &cause.metadata);
        self.cause = Some(follows);
        self
    }

    /// The correlation id, where no message is the cause.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Outgoing<T> {
        self.metadata.correlation_id = Some(id.into());
        self
    }

    /// The envelope's priority.
    #[must_use]
    pub fn priority(mut self, priority: impl Into<String>) -> Outgoing<T> {
        self.metadata.priority = Some(priority.into());
        self
    }

    /// The URL of the queue where the answer is awaited.
    #[must_use]
    pub fn reply_to(mut self, queue_url: impl Into<String>) -> Outgoing<T> {
        self.metadata.reply_to = Some(queue_url.into());
        self
    }

    /// A message attribute: what filter policies match on. A message has at most ten; the publisher adds `type` and `source`.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Attribute>) -> Outgoing<T> {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// The message group: on FIFO destinations messages of one group keep their order. Required there.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Outgoing<T> {
        self.group = Some(group.into());
        self
    }

    /// FIFO only: messages with one deduplication id within five minutes are one. Otherwise the envelope's id is taken.
    #[must_use]
    pub fn deduplication_id(mut self, id: impl Into<String>) -> Outgoing<T> {
        self.deduplication_id = Some(id.into());
        self
    }

    /// Standard queues only: hidden at first, for up to 15 minutes.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Outgoing<T> {
        self.delay = Some(delay);
        self
    }
}

/// A message in which nothing is left that could fail but sending: it is text. What an `outbox` keeps.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// The envelope's id.
    pub id: String,
    /// The envelope's type.
    pub message_type: String,
    /// What is sent.
    pub body: String,
    /// What is sent beside it.
    #[serde(default)]
    pub attributes: Attributes,
    /// The message group.
    #[serde(default)]
    pub group: Option<String>,
    /// FIFO: what makes two sends one.
    #[serde(default)]
    pub deduplication_id: Option<String>,
    /// Hidden at first for so many seconds.
    #[serde(default)]
    pub delay_seconds: Option<u32>,
}

impl Prepared {
    /// What AWS counts against the limits, in bytes: body, and names, types and values of attributes.
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.size());
        self.body.len() + attributes.sum::<usize>()
    }
}
