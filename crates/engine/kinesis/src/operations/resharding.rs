//! SplitShard, MergeShards and UpdateShardCount (facts/kinesis.md § 3).

use api::kinesis::{
    MergeShardsInput, MergeShardsOutput, Response, SplitShardInput, SplitShardOutput, UpdateShardCountInput,
    UpdateShardCountOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal};
use resources::Faults;

use super::create_stream::check_shards;
use super::{Context, Decision, Fact, Materials, Reply, Setting, answered, count, decided, permitted, text};
use crate::ids::{shard_id, shard_number};
use crate::records::{Closed, Record, ShardDeclared, StreamDeclared};
use crate::rules::checking;
use crate::rules::hash_keys::{self, HashRange};
use crate::state::State;
use crate::{ShardKey, StreamKey, refusals};

/// What a change of shards records: shards that are closed, those that come of them, and the stream.
struct Change<'s> {
    stream: StreamDeclared,
    setting: &'s Setting<'s>,
    facts: Vec<Fact<'static>>,
}

impl<'s> Change<'s> {
    fn new(stream: &StreamDeclared, setting: &'s Setting<'s>) -> Self {
        Change { stream: stream.clone(), setting, facts: Vec::new() }
    }

    /// A shard takes nothing from now on. All of its records have lower numbers than what is drawn now.
    fn close(&mut self, shard: &ShardDeclared) {
        let closed = Closed { end: self.setting.numbers.draw(), at: self.setting.now };
        let shard = ShardDeclared { closed: Some(closed), ..shard.clone() };
        self.facts.push(Record::ShardDeclared(shard).into());
    }

    /// A shard comes of others, which have been closed before.
    fn open(&mut self, parents: &[u32], range: HashRange) -> ShardDeclared {
        let key = ShardKey { stream: self.stream.id, number: self.stream.next_shard };
        self.stream.next_shard += 1;
        let (id, created) = (self.setting.numbers.draw(), self.setting.now);
        ShardDeclared { id, key, parents: parents.to_vec(), range, created, closed: None }
    }

    fn declare(&mut self, shard: ShardDeclared) {
        self.facts.push(Record::ShardDeclared(shard).into());
    }

    fn done<'a>(mut self, reply: Reply) -> Decision<'a> {
        self.facts.push(Record::StreamDeclared(Box::new(self.stream)).into());
        Decision::done(self.facts, reply)
    }
}

/// The stream whose shards are to be changed.
fn changeable<'s>(
    state: &'s State,
    key: &StreamKey,
    caller: &Caller,
    action: &str,
    setting: &Setting<'_>,
) -> Result<&'s StreamDeclared, Refusal> {
    let stream = permitted(state, key, caller, action, setting)?;
    if stream.is_on_demand { Err(refusals::on_demand(key)) } else { Ok(stream) }
}

/// A shard that can be split or merged.
fn open_shard<'s>(state: &'s State, stream: &StreamDeclared, id: &str) -> Result<&'s ShardDeclared, Refusal> {
    let shard = shard_number(id).and_then(|number| state.shard(stream.id, number));
    let shard = shard.ok_or_else(|| refusals::shard_not_found(id, &stream.key))?;
    match shard.closed {
        None => Ok(shard),
        Some(_) => Err(refusals::shard_closed(shard.key.number, &stream.key)),
    }
}

/// SplitShard.
#[derive(Clone, Debug)]
pub struct SplitShard {
    key: StreamKey,
    caller: Caller,
    shard: String,
    at: u128,
}

impl Operation<State> for SplitShard {
    type Input = SplitShardInput;
    type Output = SplitShardOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SplitShardInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let shard = checking::required_name(input.shard_to_split.as_ref(), "shardToSplit", &mut faults);
        let given = faults.required(input.new_starting_hash_key.as_deref(), "newStartingHashKey");
        let at = hash_keys::parse(given);
        if input.new_starting_hash_key.is_some() {
            faults.pattern(given, "newStartingHashKey", "0|([1-9]\\d{0,38})", at.is_some());
        }
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        Ok(SplitShard { key, caller: asker.caller.clone(), shard, at: at.unwrap_or_default() })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.split(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<SplitShardOutput, Malformed> {
        reply.done()
    }
}

impl SplitShard {
    fn split<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let stream = changeable(state, &self.key, &self.caller, "SplitShard", setting)?;
        let shard = open_shard(state, stream, &self.shard)?;
        let HashRange { start, end } = shard.range;
        if self.at <= start || self.at > end {
            return Err(refusals::invalid(format_args!(
                "NewStartingHashKey {} used in SplitShard() on shard {} in stream {} under account {} is not both greater than one \
                 plus the shard's StartingHashKey {start} and less than the shard's EndingHashKey {}.",
                self.at,
                shard_id(shard.key.number),
                self.key.name,
                self.key.account,
                end.saturating_sub(1)
            )));
        }
        check_shards(state, &self.key, 1, setting)?;
        let mut change = Change::new(stream, setting);
        let parents = [shard.key.number];
        change.close(shard);
        for range in [HashRange { start, end: self.at - 1 }, HashRange { start: self.at, end }] {
            let child = change.open(&parents, range);
            change.declare(child);
        }
        Ok(change.done(Reply::Done))
    }
}

/// MergeShards.
#[derive(Clone, Debug)]
pub struct MergeShards {
    key: StreamKey,
    caller: Caller,
    shards: [String; 2],
}

impl Operation<State> for MergeShards {
    type Input = MergeShardsInput;
    type Output = MergeShardsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: MergeShardsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let first = checking::required_name(input.shard_to_merge.as_ref(), "shardToMerge", &mut faults);
        let other = checking::required_name(
            input.adjacent_shard_to_merge.as_ref(),
            "adjacentShardToMerge",
            &mut faults,
        );
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        Ok(MergeShards { key, caller: asker.caller.clone(), shards: [first, other] })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.merge(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<MergeShardsOutput, Malformed> {
        reply.done()
    }
}

impl MergeShards {
    fn merge<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let stream = changeable(state, &self.key, &self.caller, "MergeShards", setting)?;
        let first = open_shard(state, stream, &self.shards[0])?;
        let other = open_shard(state, stream, &self.shards[1])?;
        let (low, high) = if first.range < other.range { (first, other) } else { (other, first) };
        if low.range.end.checked_add(1) != Some(high.range.start) {
            return Err(refusals::invalid(format_args!(
                "Shards {} and {} in stream {} under account {} are not an adjacent pair of shards eligible for merging",
                shard_id(first.key.number),
                shard_id(other.key.number),
                self.key.name,
                self.key.account
            )));
        }
        let mut change = Change::new(stream, setting);
        change.close(first);
        change.close(other);
        let range = HashRange { start: low.range.start, end: high.range.end };
        let child = change.open(&[first.key.number, other.key.number], range);
        change.declare(child);
        Ok(change.done(Reply::Done))
    }
}

/// UpdateShardCount.
#[derive(Clone, Debug)]
pub struct UpdateShardCount {
    key: StreamKey,
    caller: Caller,
    target: u32,
}

impl Operation<State> for UpdateShardCount {
    type Input = UpdateShardCountInput;
    type Output = UpdateShardCountOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateShardCountInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        match input.target_shard_count {
            None => faults.missing("targetShardCount"),
            target => checking::range(target, "targetShardCount", (1, i32::MAX), &mut faults),
        }
        checking::one_of(input.scaling_type.as_ref(), "scalingType", &["UNIFORM_SCALING"], &mut faults);
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        let target = input.target_shard_count.unwrap_or(1).unsigned_abs();
        Ok(UpdateShardCount { key, caller: asker.caller.clone(), target })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UpdateShardCountOutput, Malformed> {
        answered!(reply, UpdateShardCount)
    }
}

impl UpdateShardCount {
    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let stream = changeable(state, &self.key, &self.caller, "UpdateShardCount", setting)?;
        let open: Vec<&ShardDeclared> = self.open(state, stream);
        let current = open.len();
        let target = self.target as usize;
        // The texts are not recorded of AWS.
        if target > current * 2 {
            return Err(refusals::limit_exceeded(format_args!(
                "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: {current}. Target \
                 shard count: {target}"
            )));
        }
        if target < current.div_ceil(2) {
            return Err(refusals::limit_exceeded(format_args!(
                "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: {current}. \
                 Target shard count: {target}"
            )));
        }
        check_shards(state, &self.key, target.saturating_sub(current), setting)?;
        let reply = Reply::Answer(Box::new(Response::UpdateShardCount(UpdateShardCountOutput {
            stream_name: text(self.key.name.as_str()),
            current_shard_count: count(current),
            target_shard_count: count(target),
            stream_arn: text(self.key.arn()),
        })));
        let mut change = Change::new(stream, setting);
        reshape(&mut change, &open, &HashRange::divided(self.target));
        Ok(change.done(reply))
    }

    /// The open shards, by their hash keys.
    fn open<'s>(&self, state: &'s State, stream: &StreamDeclared) -> Vec<&'s ShardDeclared> {
        let open = state.live(stream.id).into_iter().flat_map(|live| live.open.values());
        open.filter_map(|open| state.shard(stream.id, open.number)).collect()
    }
}

/// Goes from the shards that are open to others, as AWS does: first by splitting, then by merging neighbours. Each target shard is made
/// of whole pieces of the old ones, and pieces that do not last are closed again at once. Both lists are in the order of hash keys.
fn reshape(change: &mut Change<'_>, open: &[&ShardDeclared], targets: &[HashRange]) {
    let mut pieces: Vec<ShardDeclared> = Vec::new();
    for &shard in open {
        let from = targets.partition_point(|target| target.start <= shard.range.start);
        let to = targets.partition_point(|target| target.start <= shard.range.end);
        let cuts: Vec<u128> = targets[from..to].iter().map(|target| target.start).collect();
        split_at(change, shard.clone(), &cuts, &mut pieces);
    }
    let mut pieces = pieces.into_iter().peekable();
    for target in targets {
        let Some(mut whole) = pieces.next() else { return };
        while let Some(part) = pieces.next_if(|piece| piece.range.end <= target.end) {
            change.close(&whole);
            change.close(&part);
            let range = HashRange { start: whole.range.start, end: part.range.end };
            whole = change.open(&[whole.key.number, part.key.number], range);
            change.declare(whole.clone());
        }
    }
}

/// Splits a shard at some hash keys, one after the other. What comes of it is added to `pieces`.
fn split_at(change: &mut Change<'_>, shard: ShardDeclared, cuts: &[u128], pieces: &mut Vec<ShardDeclared>) {
    let mut rest = shard;
    for &cut in cuts {
        change.close(&rest);
        let parents = [rest.key.number];
        let left = change.open(&parents, HashRange { start: rest.range.start, end: cut - 1 });
        let right = change.open(&parents, HashRange { start: cut, end: rest.range.end });
        change.declare(left.clone());
        change.declare(right.clone());
        pieces.push(left);
        rest = right;
    }
    pieces.push(rest);
}
