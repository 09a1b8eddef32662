//! GetShardIterator and GetRecords: where a reader stands, and what it gets (facts/kinesis.md §§ 4, 13).

use api::Text;
use api::kinesis::{
    ChildShard, GetRecordsInput, GetRecordsOutput, GetShardIteratorInput, GetShardIteratorOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal, Time};
use resources::Faults;

use super::{Context, Decision, Materials, Reply, Setting, decided, permitted, range_shown, shown, text};
use crate::ids::{shard_id, shard_number};
use crate::reading::{Child, Gathered, Got, Reading};
use crate::records::ShardDeclared;
use crate::rules::checking;
use crate::rules::iterator::{Iterator, Position};
use crate::rules::sequence::SequenceNumber;
use crate::state::State;
use crate::{StreamKey, limits, refusals};

/// The words for where to begin.
pub(super) const TYPES: [&str; 5] =
    ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"];

/// Where to begin, as a request says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// At this record.
    At(String),
    /// Behind this record.
    After(String),
    /// At the oldest record.
    Oldest,
    /// Behind the newest record.
    Latest,
    /// At a moment.
    Time(Time),
}

impl Start {
    /// Reads the members of a request. They have been checked one by one.
    pub(super) fn of(kind: &str, number: Option<&Text>, time: Option<Time>) -> Result<Start, Refusal> {
        let number = || {
            let missing = format!("StartingSequenceNumber must be given with ShardIteratorType {kind}.");
            number.map(ToString::to_string).ok_or_else(|| refusals::invalid(missing))
        };
        Ok(match kind {
            "AT_SEQUENCE_NUMBER" => Start::At(number()?),
            "AFTER_SEQUENCE_NUMBER" => Start::After(number()?),
            "LATEST" => Start::Latest,
            "AT_TIMESTAMP" => {
                let missing =
                    || refusals::invalid("Timestamp must be given with ShardIteratorType AT_TIMESTAMP.");
                Start::Time(time.ok_or_else(missing)?)
            }
            _ => Start::Oldest,
        })
    }

    /// Where that is in a shard.
    pub(super) fn position(
        &self,
        state: &State,
        stream: &StreamKey,
        shard: &ShardDeclared,
    ) -> Result<Position, Refusal> {
        let number = |text: &str| {
            let known =
                SequenceNumber::parse(text).filter(|it| it.series == shard.id && it.record >= shard.id);
            let end = shard.closed.map_or(u64::MAX, |closed| closed.end);
            let known = known.filter(|it| it.record <= end);
            let foreign = || refusals::sequence_foreign(text, &shard_id(shard.key.number), stream);
            known.map(|it| it.record).ok_or_else(foreign)
        };
        Ok(match self {
            Start::At(text) => Position::Number(number(text)?),
            Start::After(text) => Position::Number(number(text)? + 1),
            Start::Oldest => Position::Number(0),
            Start::Latest => Position::Number(state.last(shard) + 1),
            Start::Time(time) => Position::Time(*time),
        })
    }
}

/// GetShardIterator.
#[derive(Clone, Debug)]
pub struct GetShardIterator {
    key: StreamKey,
    caller: Caller,
    shard: String,
    start: Start,
    is_dry: bool,
}

impl Operation<State> for GetShardIterator {
    type Input = GetShardIteratorInput;
    type Output = GetShardIteratorOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetShardIteratorInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let shard = checking::required_name(input.shard_id.as_ref(), "shardId", &mut faults);
        let kind =
            checking::one_of(input.shard_iterator_type.as_ref(), "shardIteratorType", &TYPES, &mut faults);
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        let start =
            Start::of(kind, input.starting_sequence_number.as_ref(), input.timestamp.map(checking::moment))?;
        let is_dry = input.dry_run.unwrap_or(false);
        Ok(GetShardIterator { key, caller: asker.caller.clone(), shard, start, is_dry })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.begin(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<GetShardIteratorOutput, Malformed> {
        Ok(GetShardIteratorOutput { shard_iterator: text(reply.text()?) })
    }
}

impl GetShardIterator {
    fn begin<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let stream = permitted(state, &self.key, &self.caller, "GetShardIterator", setting)?;
        let shard = shard_number(&self.shard).and_then(|number| state.shard(stream.id, number));
        let shard = shard.ok_or_else(|| refusals::shard_missing(&self.shard, &self.key))?;
        let position = self.start.position(state, &self.key, shard)?;
        if self.is_dry {
            return Err(refusals::dry_run());
        }
        let made = setting.now;
        let (stream, id) = (self.key.clone(), stream.id);
        let iterator = Iterator { stream, id, series: shard.series(), position, made };
        Ok(Decision::answer(Reply::Text(iterator.to_string())))
    }
}

/// GetRecords.
#[derive(Clone, Debug)]
pub struct GetRecords {
    iterator: Iterator,
    caller: Caller,
    most: usize,
    is_dry: bool,
}

impl Operation<State> for GetRecords {
    type Input = GetRecordsInput;
    type Output = GetRecordsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetRecordsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let iterator = faults.required(input.shard_iterator.as_deref(), "shardIterator");
        if input.shard_iterator.is_some() {
            faults.length(iterator, "shardIterator", 1, 512);
        }
        checking::range(input.limit, "limit", (1, 10_000), &mut faults);
        faults.refusal()?;
        let iterator = Iterator::parse(iterator).ok_or_else(refusals::iterator_invalid)?;
        if let Some(arn) = &input.stream_arn {
            let key = checking::stream(None, Some(arn), asker, Faults::default())?;
            if key != iterator.stream {
                return Err(refusals::invalid("StreamARN does not name the stream of the ShardIterator."));
            }
        }
        let most = input.limit.map_or(limits::READ_RECORDS, |limit| limit.unsigned_abs() as usize);
        let is_dry = input.dry_run.unwrap_or(false);
        Ok(GetRecords { iterator, caller: asker.caller.clone(), most, is_dry })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.read(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), gathered: &Materials<'_>) -> Result<GetRecordsOutput, Malformed> {
        let (Reply::Reading(reading), Some(gathered)) = (reply, gathered) else { return Err(Malformed) };
        let has_ended = reading.children.is_some() && gathered.is_at_end(&reading);
        let next = (!has_ended).then(|| {
            let (stream, id) = (reading.stream.clone(), reading.id);
            let position = Position::Number(gathered.next);
            Iterator { stream, id, series: reading.series, position, made: reading.now }.to_string()
        });
        Ok(GetRecordsOutput {
            records: Some(records_shown(&reading, gathered)),
            next_shard_iterator: next.map(Into::into),
            millis_behind_latest: gathered.millis_behind(&reading).try_into().ok(),
            child_shards: if has_ended { children_shown(&reading) } else { None },
        })
    }
}

impl GetRecords {
    fn read<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let Iterator { stream: key, id, series, position, made } = &self.iterator;
        let now = setting.now;
        let stream = permitted(state, key, &self.caller, "GetRecords", setting)?;
        // One that was made before the stream was made anew reads nothing of the new one.
        if stream.id != *id {
            return Err(refusals::stream_missing(key));
        }
        if *made + limits::ITERATOR_MILLIS < now {
            return Err(refusals::iterator_expired(*made, now));
        }
        let shard = state.shard_of_series(*id, *series).ok_or_else(refusals::iterator_invalid)?;
        if self.is_dry {
            return Err(refusals::dry_run());
        }
        let reading = state.reading((stream, shard), *position, self.most, now);
        Ok(Decision::answer(Reply::Reading(Box::new(reading))))
    }
}

/// The records of an answer.
pub fn records_shown(reading: &Reading, gathered: &Gathered) -> Vec<api::kinesis::Record> {
    let shown_record = |got: &Got| api::kinesis::Record {
        sequence_number: text(number_of(reading, got.number).to_string()),
        approximate_arrival_timestamp: shown(got.at),
        data: Some(got.entry.data.clone()),
        partition_key: got.entry.partition_key.clone().and_then(|key| Text::try_from(key).ok()),
        encryption_type: got.is_encrypted.then(|| Text::from_static("KMS")),
    };
    gathered.records.iter().map(shown_record).collect()
}

/// The sequence number of a record of a shard that is read.
pub fn number_of(reading: &Reading, record: u64) -> SequenceNumber {
    SequenceNumber { series: reading.series.0, record, shard: reading.shard }
}

/// The shards that came of a closed one, in an answer.
pub fn children_shown(reading: &Reading) -> Option<Vec<ChildShard>> {
    let child = |child: &Child| ChildShard {
        shard_id: text(shard_id(child.number)),
        parent_shards: Some(child.parents.iter().map(|&parent| shard_id(parent).into()).collect()),
        hash_key_range: range_shown(child.range),
    };
    reading.children.as_ref().map(|children| children.iter().map(child).collect())
}
