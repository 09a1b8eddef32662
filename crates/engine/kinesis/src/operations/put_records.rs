//! PutRecord and PutRecords: records go into the shards of a stream.
//!
//! What costs by the byte happens before the turn: a request's records are hashed and written one behind the other, as they will lie in the
//! log. The turn finds their shards; if all go to one, it copies nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use api::Text;
use api::kinesis::{
    PutRecordInput, PutRecordOutput, PutRecordsInput, PutRecordsOutput, PutRecordsResultEntry,
};
use bytes::Bytes;
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Outcome, Refusal, Series};
use resources::Faults;

use super::{Context, Decision, Fact, Materials, Put, Reply, Setting, permitted, text};
use crate::chunk::{CHUNK_BYTES, PART_BYTES, put_entry};
use crate::ids::shard_id;
use crate::records::{Part, Record, RecordsPut, StreamDeclared};
use crate::rules::sequence::SequenceNumber;
use crate::rules::{checking, hash_keys};
use crate::state::{Live, Open, State};
use crate::{StreamKey, limits, refusals};

/// Bytes that one step records: less than a group of the log may have.
const STEP_BYTES: usize = 3 << 20;

/// The action of a request with one record, which is refused as a whole.
const PUT_RECORD: &str = "PutRecord";

/// PutRecords: records that are to be put, as they will lie in the log.
#[derive(Clone, Debug)]
pub struct PutRecords {
    stream: StreamKey,
    caller: Caller,
    action: &'static str,
    payload: Vec<u8>,
    entries: Vec<Placed>,
    is_dry: bool,
}

/// A record that is to be put.
#[derive(Clone, Debug)]
struct Placed {
    /// Its hash key; absent if it has neither a partition key nor an explicit hash key.
    hash: Option<u128>,
    /// Where it lies in the payload.
    at: Range<usize>,
    /// Bytes of its data and its partition key.
    size: usize,
}

/// How far a request has come.
#[derive(Debug)]
pub struct Progress {
    /// The next record.
    next: usize,
    /// The next part of it, and the number of its first part.
    part: Option<(usize, u64)>,
    /// What has become of those before it.
    done: Vec<Put>,
}

/// Reads what the model says of one record.
fn placed(
    (partition_key, explicit, data): (Option<&Text>, Option<&Text>, &Bytes),
    path: impl Fn(&str) -> String,
    payload: &mut Vec<u8>,
    faults: &mut Faults,
) -> Placed {
    if let Some(key) = partition_key {
        faults.length(key, &path("partitionKey"), 1, limits::PARTITION_KEY);
    }
    let explicit = explicit.map(|text| {
        let hash = hash_keys::parse(text);
        faults.pattern(text, &path("explicitHashKey"), "0|([1-9]\\d{0,38})", hash.is_some());
        hash.unwrap_or_default()
    });
    let begin = payload.len();
    put_entry(payload, partition_key.map(|key| &**key), data);
    let hash = explicit.or_else(|| partition_key.map(|key| hash_keys::of_partition_key(key)));
    let size = data.len() + partition_key.map_or(0, |key| key.len());
    Placed { hash, at: begin..payload.len(), size }
}

impl PutRecords {
    fn step<'a>(
        &'a self,
        mut progress: Box<Progress>,
        state: &State,
        setting: &Setting<'_>,
    ) -> Result<Decision<'a>, Refusal> {
        let stream = permitted(state, &self.stream, &self.caller, self.action, setting)?;
        let missing = || refusals::stream_missing(&self.stream);
        let live = state.live(stream.id).ok_or_else(missing)?;
        if progress.next == 0 && progress.part.is_none() {
            self.check(stream)?;
        }
        if self.is_dry {
            return Err(refusals::dry_run());
        }
        let mut putting = Putting::new(self, stream, state, setting);
        let mut bytes = 0;
        while let Some(entry) = self.entries.get(progress.next) {
            let at = progress.next;
            if bytes > 0 && bytes + entry.at.len() > STEP_BYTES {
                break;
            }
            let Some(open) = open_of(entry, stream, live, at, setting) else { return Err(missing()) };
            if entry.at.len() > PART_BYTES {
                if bytes > 0 {
                    break;
                }
                bytes = putting.put_parts(at, open, &mut progress);
                continue;
            }
            if let Some(refused) = putting.refuses(entry, open) {
                progress.done.push(refused);
            } else {
                bytes += entry.at.len();
                // Its number is told when its chunk is complete.
                progress.done.push(Put::Refused("", String::new()));
                putting.gather(at, open, &mut progress.done);
            }
            progress.next += 1;
        }
        let facts = putting.finish(&mut progress.done);
        if progress.next < self.entries.len() {
            let outcome = Outcome::Again { step: progress, room: 0 };
            return Ok(Decision::with(facts, outcome));
        }
        if self.action == PUT_RECORD
            && let Some(Put::Refused(code, text)) = progress.done.first()
        {
            return Err(Refusal::new(code, text.clone()));
        }
        let reply = Reply::Put(progress.done, stream.encryption_key.is_some());
        Ok(Decision::done(facts, reply))
    }

    /// Checks what depends on the stream alone.
    fn check(&self, stream: &StreamDeclared) -> Result<(), Refusal> {
        let most = stream.record_kib as usize * 1024;
        if self.entries.iter().any(|entry| entry.size > most) {
            // The text is not recorded of AWS since records can be longer than a megabyte.
            return Err(refusals::invalid(format_args!(
                "A record of data and partition key is longer than the {} KiB that stream {} takes.",
                stream.record_kib, stream.key.name
            )));
        }
        if !stream.distributes && self.entries.iter().any(|entry| entry.hash.is_none()) {
            // How AWS refuses it is not known (facts/kinesis.md, "Not verified").
            return Err(refusals::violates(
                "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null",
            ));
        }
        Ok(())
    }
}

/// The shard that a record goes to. A stream that distributes records itself takes no notice of their keys.
fn open_of(
    entry: &Placed,
    stream: &StreamDeclared,
    live: &Live,
    at: usize,
    setting: &Setting<'_>,
) -> Option<Open> {
    let spread = || {
        // Neighbours go to shards that are far from each other: the golden ratio's multiples.
        const STRIDE: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        u128::from(setting.numbers.next() + at as u64).wrapping_mul(STRIDE)
    };
    let hash = if stream.distributes { None } else { entry.hash };
    live.shard_of(hash.unwrap_or_else(spread))
}

/// The facts of one step while they are made.
struct Putting<'a, 'c> {
    command: &'a PutRecords,
    stream: &'c StreamDeclared,
    state: &'c State,
    setting: &'c Setting<'c>,
    facts: Vec<Fact<'a>>,
    /// The chunk of each shard that is not complete: the records in it, and their bytes.
    chunks: BTreeMap<Series, (Open, Vec<usize>, usize)>,
    /// What each shard has got in this step: bytes and records.
    got: BTreeMap<Series, (u64, u64)>,
}

impl<'a, 'c> Putting<'a, 'c> {
    fn new(
        command: &'a PutRecords,
        stream: &'c StreamDeclared,
        state: &'c State,
        setting: &'c Setting<'c>,
    ) -> Self {
        let (facts, chunks, got) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Putting { command, stream, state, setting, facts, chunks, got }
    }

    /// Why a shard does not take a record now, if it does not.
    fn refuses(&mut self, entry: &Placed, open: Open) -> Option<Put> {
        let refused = || {
            let text = refusals::too_fast_text(open.number, &self.stream.key);
            Some(Put::Refused("ProvisionedThroughputExceededException", text))
        };
        if self.setting.store_lags {
            return refused();
        }
        if !self.setting.limits.rates {
            return None;
        }
        let tip = self.state.tip(open.series);
        let is_same = tip.second == self.setting.now.seconds();
        let before = if is_same { (tip.bytes, tip.records) } else { (0, 0) };
        let got = self.got.entry(open.series).or_insert(before);
        let after = (got.0 + entry.size as u64, got.1 + 1);
        // A record that is longer than a second's share is taken by a shard that has had nothing (facts/kinesis.md § 6).
        if got.1 > 0 && (after.0 > limits::SHARD_BYTES || after.1 > limits::SHARD_RECORDS) {
            return refused();
        }
        *got = after;
        None
    }

    /// Adds a record to the chunk of its shard.
    fn gather(&mut self, at: usize, open: Open, done: &mut [Put]) {
        let len = self.command.entries[at].at.len();
        let chunk = self.chunks.entry(open.series).or_insert_with(|| (open, Vec::new(), 0));
        if !chunk.1.is_empty() && chunk.2 + len > CHUNK_BYTES {
            let complete = (chunk.0, std::mem::take(&mut chunk.1));
            chunk.2 = 0;
            self.complete(complete.0, &complete.1, done);
        }
        if let Some(chunk) = self.chunks.get_mut(&open.series) {
            chunk.1.push(at);
            chunk.2 += len;
        }
    }

    fn complete(&mut self, open: Open, entries: &[usize], done: &mut [Put]) {
        let (Some(&from), Some(&to)) = (entries.first(), entries.last()) else { return };
        let first = self.setting.numbers.draw_many(entries.len() as u64);
        for (&at, record) in entries.iter().zip(first..) {
            done[at] = Put::Taken(number_of(open, record));
        }
        let placed = &self.command.entries;
        let payload = &self.command.payload;
        let tail = if to - from + 1 == entries.len() {
            Cow::Borrowed(&payload[placed[from].at.start..placed[to].at.end])
        } else {
            let parts = entries.iter().map(|&at| &payload[placed[at].at.clone()]);
            Cow::Owned(parts.collect::<Vec<_>>().concat())
        };
        let count = entries.len() as u32;
        self.record(open, (first, count, None), tail);
    }

    /// Records the next parts of a record that is too long for one, as many as a step takes that has nothing else. Returns their bytes.
    fn put_parts(&mut self, at: usize, open: Open, progress: &mut Progress) -> usize {
        let entry = &self.command.entries[at];
        if progress.part.is_none()
            && let Some(refused) = self.refuses(entry, open)
        {
            progress.done.push(refused);
            progress.next += 1;
            return 0;
        }
        let of = entry.at.len().div_ceil(PART_BYTES);
        let (mut index, first) =
            progress.part.take().unwrap_or_else(|| (0, self.setting.numbers.draw_many(of as u64)));
        let mut bytes = 0;
        while index < of && bytes + PART_BYTES <= STEP_BYTES {
            let begin = entry.at.start + index * PART_BYTES;
            let end = entry.at.end.min(begin + PART_BYTES);
            // No record has more than a few parts: requests are bounded.
            let part = Part { index: index as u8, of: of as u8 };
            let tail = Cow::Borrowed(&self.command.payload[begin..end]);
            self.record(open, (first + index as u64, 1, Some(part)), tail);
            bytes += end - begin;
            index += 1;
        }
        if index < of {
            progress.part = Some((index, first));
            return bytes;
        }
        progress.done.push(Put::Taken(number_of(open, first)));
        progress.next += 1;
        bytes
    }

    fn record(&mut self, open: Open, (first, count, part): (u64, u32, Option<Part>), tail: Cow<'a, [u8]>) {
        let (at, is_encrypted) = (self.setting.now, self.stream.encryption_key.is_some());
        let put = RecordsPut { series: open.series, first, count, at, is_encrypted, part };
        self.facts.push(Fact { record: Record::RecordsPut(put), tail });
    }

    fn finish(mut self, done: &mut [Put]) -> Vec<Fact<'a>> {
        for (open, entries, _) in std::mem::take(&mut self.chunks).into_values() {
            self.complete(open, &entries, done);
        }
        self.facts
    }
}

fn number_of(open: Open, record: u64) -> SequenceNumber {
    SequenceNumber { series: open.series.0, record, shard: open.number }
}

fn begin() -> Box<Progress> {
    Box::new(Progress { next: 0, part: None, done: Vec::new() })
}

impl Operation<State> for PutRecords {
    type Input = PutRecordsInput;
    type Output = PutRecordsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutRecordsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let given = input.records.unwrap_or_default();
        if !(1..=limits::RECORDS).contains(&given.len()) {
            let (word, bound) = if given.is_empty() { ("greater", 1) } else { ("less", limits::RECORDS) };
            let text = format!("Member must have length {word} than or equal to {bound}");
            faults.add(if given.is_empty() { "[]" } else { "[…]" }, "records", &text);
            faults.refusal()?;
            return Err(refusals::violates("records"));
        }
        let bytes = |entry: &api::kinesis::PutRecordsRequestEntry| {
            entry.data.as_ref().map_or(0, Bytes::len)
                + entry.partition_key.as_ref().map_or(0, |key| key.len())
        };
        let total: usize = given.iter().map(bytes).sum();
        if total > limits::REQUEST_BYTES {
            return Err(refusals::invalid("Records size exceeds 10 MB limit"));
        }
        let mut payload = Vec::with_capacity(total + given.len() * 8);
        let mut entries = Vec::with_capacity(given.len());
        for (index, entry) in given.iter().enumerate() {
            let path = |name: &str| format!("records.{}.member.{name}", index + 1);
            let Some(data) = &entry.data else {
                faults.missing(&path("data"));
                continue;
            };
            let keys = (entry.partition_key.as_ref(), entry.explicit_hash_key.as_ref(), data);
            entries.push(placed(keys, path, &mut payload, &mut faults));
        }
        let stream = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        let (caller, is_dry) = (asker.caller.clone(), input.dry_run.unwrap_or(false));
        Ok(PutRecords { stream, caller, action: "PutRecords", payload, entries, is_dry })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        super::decided(self.step(begin(), state, &context.setting))
    }

    fn decide_again<'a>(
        &'a self,
        step: Box<Progress>,
        state: &State,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        super::decided(self.step(step, state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<PutRecordsOutput, Malformed> {
        let Reply::Put(puts, is_encrypted) = reply else { return Err(Malformed) };
        let failed = puts.iter().filter(|put| matches!(put, Put::Refused(..))).count();
        let records = puts.into_iter().map(|put| match put {
            Put::Taken(number) => PutRecordsResultEntry {
                sequence_number: text(number.to_string()),
                shard_id: text(shard_id(number.shard)),
                ..Default::default()
            },
            Put::Refused(code, message) => PutRecordsResultEntry {
                error_code: Some(Text::from_static(code)),
                error_message: text(message),
                ..Default::default()
            },
        });
        Ok(PutRecordsOutput {
            failed_record_count: i32::try_from(failed).ok(),
            records: Some(records.collect()),
            encryption_type: is_encrypted.then(|| Text::from_static("KMS")),
        })
    }
}

/// PutRecord.
#[derive(Clone, Debug)]
pub struct PutRecord(PutRecords);

impl Operation<State> for PutRecord {
    type Input = PutRecordInput;
    type Output = PutRecordOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutRecordInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let Some(data) = &input.data else {
            faults.missing("data");
            faults.refusal()?;
            return Err(refusals::violates("data"));
        };
        if let Some(number) = &input.sequence_number_for_ordering {
            check_ordering(number)?;
        }
        let mut payload = Vec::with_capacity(data.len() + limits::PARTITION_KEY);
        let keys = (input.partition_key.as_ref(), input.explicit_hash_key.as_ref(), data);
        let entries = vec![placed(keys, str::to_owned, &mut payload, &mut faults)];
        let stream = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        let (caller, is_dry) = (asker.caller.clone(), input.dry_run.unwrap_or(false));
        Ok(PutRecord(PutRecords { stream, caller, action: PUT_RECORD, payload, entries, is_dry }))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.decide(state, context)
    }

    fn decide_again<'a>(
        &'a self,
        step: Box<Progress>,
        state: &State,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        self.0.decide_again(step, state, context)
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<PutRecordOutput, Malformed> {
        let Reply::Put(puts, is_encrypted) = reply else { return Err(Malformed) };
        let Some(Put::Taken(number)) = puts.into_iter().next() else { return Err(Malformed) };
        Ok(PutRecordOutput {
            shard_id: text(shard_id(number.shard)),
            sequence_number: text(number.to_string()),
            encryption_type: is_encrypted.then(|| Text::from_static("KMS")),
        })
    }
}

/// A sequence number after which a record is to be ordered: all later ones are higher anyway.
fn check_ordering(number: &str) -> Result<(), Refusal> {
    let mut faults = Faults::default();
    let is_number = number == "0" || !number.starts_with('0');
    let is_number = is_number && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    faults.pattern(number, "sequenceNumberForOrdering", "0|([1-9]\\d{0,128})", is_number);
    faults.refusal()
}
