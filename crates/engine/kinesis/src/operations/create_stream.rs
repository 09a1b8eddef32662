//! CreateStream and DeleteStream.

use api::kinesis::{CreateStreamInput, CreateStreamOutput, DeleteStreamInput, DeleteStreamOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal, Time};
use resources::Faults;
use resources::tags::Tags;

use super::{Context, Decision, Fact, Materials, Reply, Setting, decided, permitted};
use crate::records::{Record, ShardDeclared, StreamDeclared};
use crate::rules::checking;
use crate::rules::hash_keys::HashRange;
use crate::state::State;
use crate::{ShardKey, StreamKey, limits, refusals};

/// CreateStream.
#[derive(Clone, Debug)]
pub struct CreateStream {
    key: StreamKey,
    shards: u32,
    is_on_demand: bool,
    warm_mibps: Option<u32>,
    record_kib: u32,
    distributes: bool,
    tags: Tags,
}

impl Operation<State> for CreateStream {
    type Input = CreateStreamInput;
    type Output = CreateStreamOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateStreamInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = checking::required_name(input.stream_name.as_ref(), "streamName", &mut faults);
        checking::range(input.shard_count, "shardCount", (1, i32::MAX), &mut faults);
        checking::range(input.max_record_size_in_ki_b, "maxRecordSizeInKiB", (1024, 10_240), &mut faults);
        checking::range(input.warm_throughput_mi_bps, "warmThroughputMiBps", (0, i32::MAX), &mut faults);
        let mode = input.stream_mode_details.as_ref().map(|details| {
            let path = "streamModeDetails.streamMode";
            checking::one_of(details.stream_mode.as_ref(), path, &["PROVISIONED", "ON_DEMAND"], &mut faults)
        });
        // With neither mode nor count a stream is on demand (facts/kinesis.md § 16).
        let is_on_demand = mode.map_or(input.shard_count.is_none(), |mode| mode == "ON_DEMAND");
        let strategy = input.record_distribution_strategy.as_deref().inspect(|strategy| {
            faults.one_of(strategy, "recordDistributionStrategy", &["AUTO", "USER_PARTITION_KEY"]);
        });
        let distributes = strategy == Some("AUTO");
        faults.refusal()?;
        if distributes && !is_on_demand {
            return Err(refusals::invalid(
                "RecordDistributionStrategy AUTO needs a stream in On-Demand mode.",
            ));
        }
        let shards = match (input.shard_count, is_on_demand) {
            // What an on-demand stream begins with does not follow from a count that is given besides.
            (_, true) => limits::ON_DEMAND_SHARDS,
            (Some(count), false) => count.unsigned_abs(),
            (None, false) => {
                return Err(refusals::violates("ShardCount is required for a stream in Provisioned mode."));
            }
        };
        let key =
            StreamKey { account: asker.caller.account.clone(), region: asker.caller.region.clone(), name };
        Ok(CreateStream {
            key,
            shards,
            is_on_demand,
            warm_mibps: input.warm_throughput_mi_bps.map(i32::unsigned_abs).filter(|_| is_on_demand),
            record_kib: input.max_record_size_in_ki_b.map_or(limits::RECORD_KIB, i32::unsigned_abs),
            distributes,
            tags: checking::tags(input.tags.as_ref())?,
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<CreateStreamOutput, Malformed> {
        reply.done()
    }
}

impl CreateStream {
    /// The stream's name.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Whether a stream is as this request would make it.
    pub fn declares(&self, known: &StreamDeclared, open_shards: usize) -> bool {
        self.is_on_demand == known.is_on_demand
            && self.record_kib == known.record_kib
            && (self.is_on_demand || self.shards as usize == open_shards)
    }

    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        if state.stream(&self.key).is_some() {
            return Err(refusals::stream_exists(&self.key));
        }
        check_shards(state, &self.key, self.shards as usize, setting)?;
        let stream = StreamDeclared {
            id: setting.numbers.draw(),
            key: self.key.clone(),
            created: setting.now,
            next_shard: self.shards,
            is_on_demand: self.is_on_demand,
            retention_hours: limits::LEAST_HOURS,
            floor: Time(0),
            record_kib: self.record_kib,
            distributes: self.distributes,
            warm_mibps: self.warm_mibps,
            encryption_key: None,
            metrics: Vec::new(),
            policy: None,
            tags: self.tags.clone(),
        };
        let shards = HashRange::divided(self.shards).into_iter().zip(0..);
        let shards = shards.map(|(range, number)| {
            let key = ShardKey { stream: stream.id, number };
            let id = setting.numbers.draw();
            ShardDeclared { id, key, parents: Vec::new(), range, created: setting.now, closed: None }
        });
        let shards: Vec<Fact<'_>> = shards.map(|shard| Record::ShardDeclared(shard).into()).collect();
        let mut facts: Vec<Fact<'_>> = vec![Record::StreamDeclared(Box::new(stream)).into()];
        facts.extend(shards);
        Ok(Decision::done(facts, Reply::Done))
    }
}

/// Whether an account can have so many open shards more, and the server.
pub(super) fn check_shards(
    state: &State,
    key: &StreamKey,
    more: usize,
    setting: &Setting<'_>,
) -> Result<(), Refusal> {
    let exceeded = || {
        let (account, most) = (&key.account, limits::SHARDS);
        refusals::limit_exceeded(format_args!(
            "This request would exceed the shard limit for the account {account} in {}. Limit: {most}. Number of additional shards that \
             would have resulted from this request: {more}.",
            key.region
        ))
    };
    if more > limits::SHARDS || !state.has_room_for_shards(more) {
        return Err(exceeded());
    }
    if setting.limits.quotas {
        let first = StreamKey { name: String::new(), ..key.clone() };
        let open: usize = state.streams_of(first).map(|stream| state.open_shards(stream.id)).sum();
        if open + more > limits::SHARDS {
            return Err(exceeded());
        }
    }
    Ok(())
}

/// DeleteStream.
#[derive(Clone, Debug)]
pub struct DeleteStream {
    key: StreamKey,
    caller: Caller,
    with_consumers: bool,
}

impl Operation<State> for DeleteStream {
    type Input = DeleteStreamInput;
    type Output = DeleteStreamOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteStreamInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        let key = checking::stream(named.0, named.1, asker, Faults::default())?;
        let with_consumers = input.enforce_consumer_deletion.unwrap_or(false);
        Ok(DeleteStream { key, caller: asker.caller.clone(), with_consumers })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.delete(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteStreamOutput, Malformed> {
        reply.done()
    }
}

impl DeleteStream {
    fn delete<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let stream = permitted(state, &self.key, &self.caller, "DeleteStream", setting)?;
        if !self.with_consumers && state.consumers_of(stream.id).next().is_some() {
            // The text is not recorded of AWS.
            return Err(refusals::in_use(format_args!(
                "Stream {} under account {} has registered consumers. Deregister them, or set EnforceConsumerDeletion.",
                self.key.name, self.key.account
            )));
        }
        let deleted = state.streams.deletion(&self.key).map(Record::StreamDeleted);
        Ok(Decision::done(deleted.into_iter().map(Fact::from).collect(), Reply::Done))
    }
}
