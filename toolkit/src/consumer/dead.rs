//! Moves a message to the dead-letter queue, with the reason in its attributes.

use crate::body::Attribute;
use crate::clients::Clients;
use crate::consumer::raw::Raw;
use crate::fault::Fault;
use crate::publisher::{Prepared, PublishError, Publisher};
use crate::queue::Queue;

/// The message attribute with the reason.
pub const REASON: &str = "DeadLetterReason";
/// The message attribute with the category of the reason: see [`Category`].
pub const CATEGORY: &str = "DeadLetterCategory";
/// The message attribute with the queue where the message failed.
pub const SOURCE: &str = "DeadLetterSource";
/// The message attribute with the number of receives.
pub const RECEIVE_COUNT: &str = "DeadLetterReceiveCount";

/// Maximum number of message attributes in AWS.
const MOST_ATTRIBUTES: usize = 10;
/// Maximum length of a reason for people; the full error belongs in the log.
const MOST_REASON: usize = 1_000;

/// Why a message is dead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Category {
    /// The handler gave up.
    GaveUp,
    /// Every attempt failed.
    AttemptsExhausted,
    /// It cannot be read: not the expected JSON, a newer version, a wrong signature.
    Unreadable,
    /// The queue moved it: its handlers never returned. (No attribute says so; the absence identifies this
    /// category.)
    Unanswered,
}

impl Category {
    /// Returns the value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::GaveUp => "gave-up",
            Category::AttemptsExhausted => "attempts-exhausted",
            Category::Unreadable => "unreadable",
            Category::Unanswered => "unanswered",
        }
    }

    /// Parses the value of the attribute.
    pub fn read(text: Option<&str>) -> Category {
        match text {
            Some("gave-up") => Category::GaveUp,
            Some("attempts-exhausted") => Category::AttemptsExhausted,
            Some("unreadable") => Category::Unreadable,
            _ => Category::Unanswered,
        }
    }
}

/// Moves messages to the dead-letter queue.
pub(super) struct Graveyard {
    publisher: Publisher,
    fifo: bool,
    source: String,
}

impl Graveyard {
    pub fn new(clients: &Clients, graveyard: &Queue, source: &Queue) -> Graveyard {
        Graveyard {
            publisher: Publisher::queue(clients, graveyard),
            fifo: graveyard.is_fifo(),
            source: source.name().to_owned(),
        }
    }

    /// Puts a copy there. The caller deletes the original afterwards: a crash in between leaves both.
    pub async fn bury(&self, raw: &Raw, category: Category, reason: &str) -> Result<(), Fault> {
        let mut attributes = raw.attributes().clone();
        let facts = [
            (REASON, Attribute::Text(printable(reason))),
            (CATEGORY, category.as_str().into()),
            (SOURCE, self.source.as_str().into()),
            (RECEIVE_COUNT, i64::from(raw.receive_count()).into()),
        ];
        for (name, value) in facts {
            // It may have been a dead letter before; then the newer reason counts.
            if attributes.len() < MOST_ATTRIBUTES || attributes.contains_key(name) {
                attributes.insert(name.to_owned(), value);
            }
        }
        let id = raw.message_id().to_owned();
        let group = raw.group().map(str::to_owned);
        let group = if self.fifo { group.or_else(|| Some(self.source.clone())) } else { group };
        let mut message = Prepared {
            deduplication_id: self.fifo.then(|| id.clone()),
            id,
            message_type: String::new(),
            body: raw.body().to_owned(),
            attributes,
            group,
            delay_seconds: None,
        };
        let mut result = self.publisher.publish_prepared(vec![message.clone()]).await;
        if matches!(result, Err(PublishError::TooLarge { .. })) {
            // The message has the maximum size, so there is no room for a reason.
            message.attributes = raw.attributes().clone();
            result = self.publisher.publish_prepared(vec![message]).await;
        }
        match result.map(|mut results| results.pop()) {
            Ok(Some(Ok(_))) => Ok(()),
            Ok(Some(Err(PublishError::Refused { fault, .. }))) => Err(fault),
            Ok(Some(Err(error))) | Err(error) => Err(Fault::permanent("DeadLetter", error.to_string())),
            Ok(None) => Err(Fault::permanent("DeadLetter", "no answer")),
        }
    }
}

/// SQS refuses most control characters, and empty values.
fn printable(reason: &str) -> String {
    let plain = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let plain: String = plain.filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).take(MOST_REASON).collect();
    if plain.trim().is_empty() { "no reason given".to_owned() } else { plain }
}
