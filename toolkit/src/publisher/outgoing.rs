//! A message before it is sent: first as the application describes it, then as text.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::body::{Attribute, Attributes};
use crate::envelope::{Envelope, Metadata};
use crate::message::Message;

/// A message, and how to send it.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderCreated { id: String }
/// # impl toolkit::Message for OrderCreated { const TYPES: &'static [&'static str] = &["order.created"]; }
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
    /// The metadata that come from its cause.
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
    /// Creates an outgoing message with the destination's settings.
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

    /// Sets the envelope's id. With a fixed id, a repeated publish after a crash is recognised as the same
    /// message: by a FIFO queue for five minutes, and by an inbox as long as it keeps ids.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Outgoing<T> {
        self.id = Some(id.into());
        self
    }

    /// Names the message that caused this one, and continues its correlation and trace.
    #[must_use]
    pub fn caused_by<U>(mut self, cause: &Envelope<U>) -> Outgoing<T> {
        let mut follows = Metadata::default();
        follows.follow(&cause.id, &cause.metadata);
        self.cause = Some(follows);
        self
    }

    /// Sets the correlation id, if no message is the cause.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Outgoing<T> {
        self.metadata.correlation_id = Some(id.into());
        self
    }

    /// Sets the envelope's priority.
    #[must_use]
    pub fn priority(mut self, priority: impl Into<String>) -> Outgoing<T> {
        self.metadata.priority = Some(priority.into());
        self
    }

    /// Sets the URL of the queue for the reply.
    #[must_use]
    pub fn reply_to(mut self, queue_url: impl Into<String>) -> Outgoing<T> {
        self.metadata.reply_to = Some(queue_url.into());
        self
    }

    /// Adds a message attribute, which filter policies can match. A message has at most ten; the publisher
    /// adds `type` and `source`.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Attribute>) -> Outgoing<T> {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Sets the message group. On FIFO destinations it is required, and messages of one group keep their
    /// order.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Outgoing<T> {
        self.group = Some(group.into());
        self
    }

    /// FIFO only: messages with the same deduplication id within five minutes count as one. The default is
    /// the envelope's id.
    #[must_use]
    pub fn deduplication_id(mut self, id: impl Into<String>) -> Outgoing<T> {
        self.deduplication_id = Some(id.into());
        self
    }

    /// Standard queues only: delays the message by up to 15 minutes.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Outgoing<T> {
        self.delay = Some(delay);
        self
    }
}

/// A prepared message: text that is valid to send. An `outbox` stores it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// The envelope's id.
    pub id: String,
    /// The envelope's type.
    pub message_type: String,
    /// The body.
    pub body: String,
    /// The attributes.
    #[serde(default)]
    pub attributes: Attributes,
    /// The message group.
    #[serde(default)]
    pub group: Option<String>,
    /// FIFO: the deduplication id.
    #[serde(default)]
    pub deduplication_id: Option<String>,
    /// The delay in seconds.
    #[serde(default)]
    pub delay_seconds: Option<u32>,
}

impl Prepared {
    /// Returns the size in bytes that AWS compares with its limits: body, and names, types and values of
    /// attributes.
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.size());
        self.body.len() + attributes.sum::<usize>()
    }

    /// Checks for errors that SQS and SNS always refuse (AWS's documentation of SendMessage and of message
    /// attributes).
    pub(crate) fn flaw(&self) -> Option<String> {
        if self.body.is_empty() {
            return Some("its body is empty".to_owned());
        }
        if !is_sendable(&self.body) {
            return Some("its body has characters that XML 1.0 forbids".to_owned());
        }
        for (what, id) in [("message group", &self.group), ("deduplication id", &self.deduplication_id)] {
            if let Some(id) = id
                && (!(1..=MOST_ID).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()))
            {
                let some: String = id.chars().take(MOST_ID).collect();
                return Some(format!(
                    "its {what} must have 1 to {MOST_ID} letters, digits or punctuation marks of ASCII: \"{some}\""
                ));
            }
        }
        if self.attributes.len() > MOST_ATTRIBUTES {
            let count = self.attributes.len();
            return Some(format!("it has {count} message attributes, which may be {MOST_ATTRIBUTES}"));
        }
        self.attributes.iter().find_map(|(name, value)| {
            let empty = match value {
                Attribute::Text(text) | Attribute::Number(text) | Attribute::List(text) => {
                    if !is_sendable(text) {
                        return Some(format!("its attribute {name} has characters that XML 1.0 forbids"));
                    }
                    text.is_empty()
                }
                Attribute::Binary(bytes) => bytes.is_empty(),
            };
            (empty || name.is_empty()).then(|| format!("its attribute \"{name}\" is empty"))
        })
    }
}

/// Maximum length of a group or deduplication id.
const MOST_ID: usize = 128;
/// Maximum number of attributes of a message. (SNS accepts more, but does not deliver them raw.)
const MOST_ATTRIBUTES: usize = 10;

/// Returns whether SQS accepts all characters: tab, line feed, carriage return, and all from the space on
/// except U+FFFE and U+FFFF.
fn is_sendable(text: &str) -> bool {
    let forbidden = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    // These two have three bytes, of which the first is rare.
    let rare = || text.as_bytes().contains(&0xef) && text.contains(['\u{fffe}', '\u{ffff}']);
    !(text.bytes().any(forbidden) || rare())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Prepared {
        Prepared {
            id: "m".into(),
            message_type: "t".into(),
            body: "{}\t\r\n\u{fffd}\u{1f600}".into(),
            attributes: Attributes::from([("type".into(), "t".into())]),
            group: Some("customer-7!".into()),
            deduplication_id: Some("x".repeat(128)),
            delay_seconds: None,
        }
    }

    #[test]
    fn what_no_queue_would_take_is_known_before_it_is_sent() {
        assert_eq!(message().flaw(), None);
        let many: Attributes = (0..11).map(|number| (format!("a{number}"), 1.into())).collect();
        let flawed = [
            (Prepared { body: String::new(), ..message() }, "empty"),
            (Prepared { body: "a\u{1}".into(), ..message() }, "XML"),
            (Prepared { body: "a\u{ffff}".into(), ..message() }, "XML"),
            (Prepared { group: Some("brass lamp".into()), ..message() }, "group"),
            (Prepared { group: Some("löwe".into()), ..message() }, "group"),
            (Prepared { deduplication_id: Some("x".repeat(129)), ..message() }, "deduplication"),
            (Prepared { attributes: many, ..message() }, "11 message attributes"),
            (
                Prepared { attributes: Attributes::from([("a".into(), "".into())]), ..message() },
                "\"a\" is empty",
            ),
            (Prepared { attributes: Attributes::from([("a".into(), "\u{2}".into())]), ..message() }, "XML"),
        ];
        for (message, why) in flawed {
            assert!(message.flaw().is_some_and(|flaw| flaw.contains(why)), "{message:?}");
        }
    }
}
