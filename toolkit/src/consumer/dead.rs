//! Moves a message to the dead letters, with the reason beside it.

use crate::body::Attribute;
use crate::clients::Clients;
use crate::consumer::raw::Raw;
use crate::fault::Fault;
use crate::publisher::{Prepared, PublishError, Publisher};
use crate::queue::Queue;

/// The message attribute that says why.
pub const REASON: &str = "DeadLetterReason";
/// The message attribute that says which kind of why: see [`Category`].
pub const CATEGORY: &str = "DeadLetterCategory";
/// The message attribute that names the queue where it failed.
pub const SOURCE: &str = "DeadLetterSource";
/// The message attribute that says how often it had been handed out.
pub const RECEIVE_COUNT: &str = "DeadLetterReceiveCount";

/// AWS allows a message so many attributes.
const MOST_ATTRIBUTES: usize = 10;
/// So long a reason is read by people; the whole of an error's story belongs in the log.
const MOST_REASON: usize = 1_000;

/// Why a message is dead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Category {
    /// The handler said that no attempt would help.
    GaveUp,
    /// Every attempt failed.
    AttemptsExhausted,
    /// It could not be read: not the JSON expected, a version from the future, a wrong signature.
    Unreadable,
    /// The queue moved it by itself: its handlers never answered. (No attribute says so; that is how it is known.)
    Unanswered,
}

impl Category {
    /// As the attribute says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::GaveUp => "gave-up",
            Category::AttemptsExhausted => "attempts-exhausted",
            Category::Unreadable => "unreadable",
            Category::Unanswered => "unanswered",
        }
    }

    /// As the attribute says it, if it does.
    pub fn read(text: Option<&str>) -> Category {
        match text {
            Some("gave-up") => Category::GaveUp,
            Some("attempts-exhausted") => Category::AttemptsExhausted,
            Some("unreadable") => Category::Unreadable,
            _ => Category::Unanswered,
        }
    }
}

/// The way to the dead letters.
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

    /// Puts a copy there. The caller deletes the original only after that: a crash between the two leaves both.
    pub async fn bury(&self, raw: &Raw, category: Category, reason: &str) -> Result<(), Fault> {
        let mut attributes = raw.attributes().clone();
        let facts = [
            (REASON, Attribute::Text(printable(reason))),
            (CATEGORY, category.as_str().into()),
            (SOURCE, self.source.as_str().into()),
            (RECEIVE_COUNT, i64::from(raw.receive_count()).into()),
        ];
        for (name, value) in facts {
            // It may have been dead before; then the newer reason counts.
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
            // The message has the largest size allowed, so there is no room for a reason.
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

/// SQS refuses most control characters, and an empty value.
fn printable(reason: &str) -> String {
    let plain = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let plain: String = plain.filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).take(MOST_REASON).collect();
    if plain.trim().is_empty() { "no reason given".to_owned() } else { plain }
}
