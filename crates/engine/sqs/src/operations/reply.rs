//! What operations answer, before it takes the shape of the API.

use api::{Map, Text};
use kernel::codec::Malformed;
use kernel::{Arn, Extent};

use super::batch::BatchOutcome;
use super::receive_message::Received;
use super::send_message::Sent;
use crate::records::MoveTaskDeclared;
use crate::rules::names;
use crate::{QueueId, QueueKey, Seq, TaskId};

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// There is nothing to say.
    Done,
    /// A queue, which is told as its URL.
    QueueUrl(QueueKey),
    /// A page of queues.
    QueueUrls(QueuePage),
    /// Attributes with their values.
    Attributes(Vec<(&'static str, String)>),
    /// Tags, sorted by key.
    Tags(Vec<(String, String)>),
    /// A message was accepted.
    Sent(Sent),
    /// What became of the messages of a batch.
    SentBatch(BatchOutcome<Sent>),
    /// Messages, or none.
    Received(Received),
    /// What became of the entries of any other batch.
    DoneBatch(BatchOutcome<()>),
    /// What became of the messages to be deleted, and others, or none.
    DeletedAndReceived(BatchOutcome<()>, Received),
    /// What a queue holds.
    Peeked(super::peek_messages::Peeked),
    /// A move task has begun.
    MoveStarted {
        /// Its number.
        task: TaskId,
        /// The queue that it empties.
        source: Arn,
    },
    /// A move task was cancelled.
    MoveCancelled {
        /// How many messages it had moved.
        moved: u64,
    },
    /// Move tasks, newest first.
    Moves(Vec<MoveTaskDeclared>),
}

impl Reply {
    /// The answer of an operation that has nothing to say.
    pub(super) fn done<O: Default>(self) -> Result<O, Malformed> {
        match self {
            Reply::Done => Ok(O::default()),
            _ => Err(Malformed),
        }
    }

    /// The message at a position among those that the client is to get: its queue, its number, where it lies.
    pub fn given(&self, at: usize) -> Option<(QueueId, Seq, Extent)> {
        let (Reply::Received(received) | Reply::DeletedAndReceived(_, received)) = self else { return None };
        let message = received.messages.get(at)?;
        Some((received.queue, message.seq, message.extent))
    }

    /// Leaves out messages, by their positions in ascending order, whose records are gone.
    pub fn forget(&mut self, gone: &[usize]) {
        if let Reply::Received(received) | Reply::DeletedAndReceived(_, received) = self {
            for &at in gone.iter().rev() {
                received.messages.remove(at);
            }
        }
        if let Reply::Peeked(peeked) = self {
            for &at in gone.iter().rev() {
                peeked.received.messages.remove(at);
                peeked.conditions.remove(at);
            }
        }
    }
}

/// Where the records lie that an answer needs, in the order in which it needs them.
pub fn needs(reply: &Reply) -> Vec<Extent> {
    match reply {
        Reply::Received(received) | Reply::DeletedAndReceived(_, received) => {
            received.messages.iter().map(|message| message.extent).collect()
        }
        Reply::Peeked(peeked) => peeked.received.messages.iter().map(|message| message.extent).collect(),
        _ => Vec::new(),
    }
}

/// A map of texts; absent if it would be empty (facts/sqs.md § 16).
pub(super) fn to_map(pairs: &[(impl AsRef<str>, String)]) -> Option<Map<Text>> {
    let text = |text: &str| Text::from(text.to_owned());
    (!pairs.is_empty())
        .then(|| Map(pairs.iter().map(|(name, value)| (text(name.as_ref()), text(value))).collect()))
}

/// A page of queues.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueuePage {
    /// In the order of their names.
    pub queues: Vec<QueueKey>,
    /// With what the next page is asked for, if there is one and pages were asked for.
    pub next_token: Option<String>,
}

impl QueuePage {
    /// The queues' URLs, under the base that the client used to reach the server.
    pub(super) fn urls(&self, base: &str) -> Vec<Text> {
        self.queues.iter().map(|queue| names::url(base, queue).into()).collect()
    }

    /// With what the next page is asked for.
    pub(super) fn token(&self) -> Option<Text> {
        self.next_token.clone().map(Text::from)
    }
}
