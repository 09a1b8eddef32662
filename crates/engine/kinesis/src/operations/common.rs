//! What the operations of streams share: the types that they decide on, replies, and what answers show.

use api::kinesis as shapes;
use api::{Text, Timestamp};
use kernel::codec::Malformed;
use kernel::{Api, Caller, Refusal, Secret, Time};

use crate::ids::shard_id;
use crate::limits::Limits;
use crate::reading::{Gathered, Reading};
use crate::records::{ConsumerDeclared, Record, ShardDeclared, StreamDeclared};
use crate::rules::hash_keys::HashRange;
use crate::rules::permissions;
use crate::rules::sequence::SequenceNumber;
use crate::state::State;
use crate::subscriptions::Cursor;
use crate::{StreamKey, refusals};

/// What answers are made of besides replies: what was read.
pub type Materials<'m> = Option<&'m Gathered>;

impl Api for State {
    type Materials<'m> = Materials<'m>;

    fn materials<'m>(_: &'m str, _: &'m Secret) -> Materials<'m> {
        None
    }

    /// Records are read by the server's threads, and not in a decision.
    fn is_callable(command: &super::Command) -> bool {
        !reads(command) && !matches!(command, super::Command::SubscribeToShard(_))
    }
}

/// Whether the answer to a command needs records that are to be read.
pub fn reads(command: &super::Command) -> bool {
    matches!(command, super::Command::GetRecords(_))
}

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// A fact.
pub type Fact<'a> = kernel::Fact<'a, Record>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, Limits>;

/// What becomes of one record of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Put {
    /// It is in a shard.
    Taken(SequenceNumber),
    /// It is not: code and text.
    Refused(&'static str, String),
}

/// What a client gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// What became of each record, and whether the stream is encrypted.
    Put(Vec<Put>, bool),
    /// A stream, and some of its shards.
    Stream(Box<StreamShown>),
    /// Some shards, and the number after which there are more.
    Shards(Vec<ShardDeclared>, Option<String>),
    /// A text: an iterator, a policy.
    Text(String),
    /// What is to be read.
    Reading(Box<Reading>),
    /// A subscription has begun.
    Subscribed(Box<Cursor>),
    /// A subscription has ended: with an error, or because its time is over.
    Ended(Option<Refusal>),
    /// An answer whose making takes no time.
    Answer(Box<shapes::Response>),
}

/// What is shown of a stream.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamShown {
    /// The stream.
    pub stream: StreamDeclared,
    /// Some of its shards.
    pub shards: Vec<ShardDeclared>,
    /// Whether there are more behind them.
    pub has_more: bool,
    /// How many are open.
    pub open: usize,
    /// How many consumers it has.
    pub consumers: usize,
}

impl Reply {
    /// The answer of an operation that has nothing to say.
    pub(super) fn done<O: Default>(self) -> Result<O, Malformed> {
        match self {
            Reply::Done => Ok(O::default()),
            _ => Err(Malformed),
        }
    }

    /// A text.
    pub(super) fn text(self) -> Result<String, Malformed> {
        match self {
            Reply::Text(text) => Ok(text),
            _ => Err(Malformed),
        }
    }
}

/// The answer of an operation whose decision has made it.
macro_rules! answered {
    ($reply:ident, $Variant:ident) => {
        match $reply {
            $crate::operations::Reply::Answer(answer) => match *answer {
                api::kinesis::Response::$Variant(output) => Ok(output),
                _ => Err(kernel::codec::Malformed),
            },
            _ => Err(kernel::codec::Malformed),
        }
    };
}
pub(super) use answered;

/// A decision that is an answer.
pub(super) fn answer<'a>(response: shapes::Response) -> Decision<'a> {
    Decision::answer(Reply::Answer(Box::new(response)))
}

/// What is decided, or why not.
pub(super) fn decided<'a>(tried: Result<Decision<'a>, Refusal>) -> Decision<'a> {
    tried.unwrap_or_else(Decision::refuse)
}

/// A stream that the caller may do something with.
pub(super) fn permitted<'s>(
    state: &'s State,
    key: &StreamKey,
    caller: &Caller,
    action: &str,
    setting: &Setting<'_>,
) -> Result<&'s StreamDeclared, Refusal> {
    let known = state.stream(key);
    if setting.limits.policies {
        let policy = known.and_then(|known| state.policy(known.id));
        permissions::check(caller, &key.account, || key.arn(), policy, action)?;
    }
    known.ok_or_else(|| refusals::stream_missing(key))
}

/// A stream as it is from now on.
pub(super) fn declared<'a>(stream: StreamDeclared, reply: Reply) -> Decision<'a> {
    Decision::done(vec![Record::StreamDeclared(Box::new(stream)).into()], reply)
}

/// A moment in an answer.
pub(super) fn shown(time: Time) -> Option<Timestamp> {
    time.0.try_into().ok().map(Timestamp)
}

/// A text in an answer.
pub(super) fn text(text: impl Into<String>) -> Option<Text> {
    Some(text.into().into())
}

/// A count in an answer.
pub(super) fn count(count: usize) -> Option<i32> {
    Some(i32::try_from(count).unwrap_or(i32::MAX))
}

/// Hash keys in an answer.
pub(super) fn range_shown(range: HashRange) -> Option<shapes::HashKeyRange> {
    Some(shapes::HashKeyRange {
        starting_hash_key: text(range.start.to_string()),
        ending_hash_key: text(range.end.to_string()),
    })
}

/// A shard in an answer.
pub(super) fn shard_shown(shard: &ShardDeclared) -> shapes::Shard {
    let number = |record| SequenceNumber { series: shard.id, record, shard: shard.key.number }.to_string();
    let parent = |at: usize| shard.parents.get(at).and_then(|&parent| text(shard_id(parent)));
    shapes::Shard {
        shard_id: text(shard_id(shard.key.number)),
        parent_shard_id: parent(0),
        adjacent_parent_shard_id: parent(1),
        hash_key_range: range_shown(shard.range),
        sequence_number_range: Some(shapes::SequenceNumberRange {
            starting_sequence_number: text(number(shard.id)),
            ending_sequence_number: shard.closed.and_then(|closed| text(number(closed.end))),
        }),
    }
}

/// What monitoring of shards is on, in an answer.
pub(super) fn monitoring_shown(stream: &StreamDeclared) -> Option<Vec<shapes::EnhancedMetrics>> {
    let metrics = stream.metrics.iter().map(|name| name.as_str().into()).collect();
    Some(vec![shapes::EnhancedMetrics { shard_level_metrics: Some(metrics) }])
}

/// A stream's mode in an answer.
pub(super) fn mode_shown(stream: &StreamDeclared) -> Option<shapes::StreamModeDetails> {
    let mode = if stream.is_on_demand { "ON_DEMAND" } else { "PROVISIONED" };
    Some(shapes::StreamModeDetails { stream_mode: text(mode) })
}

/// `EncryptionType` of a stream.
pub(super) fn encryption_shown(stream: &StreamDeclared) -> Option<Text> {
    text(if stream.encryption_key.is_some() { "KMS" } else { "NONE" })
}

/// A consumer in an answer, except for its stream.
pub(super) fn consumer_shown(
    consumer: &ConsumerDeclared,
    stream: &StreamKey,
    status: &'static str,
) -> shapes::Consumer {
    shapes::Consumer {
        consumer_name: text(consumer.key.name.as_str()),
        consumer_arn: text(crate::ids::consumer_arn(stream, &consumer.key.name, consumer.created)),
        consumer_status: text(status),
        consumer_creation_timestamp: shown(consumer.created),
    }
}
