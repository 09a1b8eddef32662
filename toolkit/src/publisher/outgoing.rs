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

    /// What SQS and SNS would refuse whenever it is sent (AWS's documentation of SendMessage and of message attributes).
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

/// The longest group and deduplication id.
const MOST_ID: usize = 128;
/// The most attributes of a message. (SNS takes more, and does not deliver them raw.)
const MOST_ATTRIBUTES: usize = 10;

/// Whether all of its characters are among those that SQS takes: tab, line feed, carriage return, and all from the space on but U+FFFE
/// and U+FFFF.
fn is_sendable(text: &str) -> bool {
    let forbidden = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    // The two have three bytes of which the first is rare.
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
