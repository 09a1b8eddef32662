//! What streams are set to: retention, encryption, monitoring, mode, throughput, sizes of records, distribution.

use api::kinesis::{
    DecreaseStreamRetentionPeriodInput, DecreaseStreamRetentionPeriodOutput, DisableEnhancedMonitoringInput,
    EnableEnhancedMonitoringInput, EnhancedMonitoringOutput, IncreaseStreamRetentionPeriodInput,
    IncreaseStreamRetentionPeriodOutput, Response, StartStreamEncryptionInput, StartStreamEncryptionOutput,
    StopStreamEncryptionInput, StopStreamEncryptionOutput, UpdateMaxRecordSizeInput,
    UpdateMaxRecordSizeOutput, UpdateStreamModeInput, UpdateStreamModeOutput,
    UpdateStreamRecordDistributionStrategyInput, UpdateStreamRecordDistributionStrategyOutput,
    UpdateStreamWarmThroughputInput, UpdateStreamWarmThroughputOutput, WarmThroughputObject,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal};
use resources::Faults;

use super::{Context, Decision, Materials, Reply, Setting, answered, decided, declared, permitted, text};
use crate::records::StreamDeclared;
use crate::rules::checking;
use crate::state::State;
use crate::{StreamKey, limits, refusals};

/// A stream and what it is to be set to.
#[derive(Clone, Debug)]
pub struct Set<T> {
    key: StreamKey,
    caller: Caller,
    to: T,
}

impl<T> Set<T> {
    fn of(
        (name, arn): (Option<&api::Text>, Option<&api::Text>),
        asker: &Asker<'_>,
        faults: Faults,
        to: T,
    ) -> Result<Set<T>, Refusal> {
        let key = checking::stream(name, arn, asker, faults)?;
        Ok(Set { key, caller: asker.caller.clone(), to })
    }

    /// Declares the stream as `change` makes it of what it was.
    fn apply<'a>(
        &self,
        (state, setting): (&State, &Setting<'_>),
        action: &str,
        change: impl FnOnce(&T, &mut StreamDeclared) -> Result<Reply, Refusal>,
    ) -> Decision<'a> {
        decided(permitted(state, &self.key, &self.caller, action, setting).and_then(|known| {
            let mut stream = known.clone();
            let reply = change(&self.to, &mut stream)?;
            Ok(if stream == *known { Decision::answer(reply) } else { declared(stream, reply) })
        }))
    }
}

fn hours(given: Option<i32>, faults: &mut Faults) -> i32 {
    if given.is_none() {
        faults.missing("retentionPeriodHours");
    }
    given.unwrap_or_default()
}

/// The hours of a request, if a stream can keep records for so long.
fn within(hours: i32) -> Result<u32, Refusal> {
    let given = u32::try_from(hours).unwrap_or(0);
    if given < limits::LEAST_HOURS {
        return Err(refusals::invalid(format_args!(
            "Minimum allowed retention period is {} hours. Requested retention period ({hours} hours) is too short.",
            limits::LEAST_HOURS
        )));
    }
    if given > limits::MOST_HOURS {
        return Err(refusals::invalid(format_args!(
            "Maximum allowed retention period is {} hours. Requested retention period ({hours} hours) is too long.",
            limits::MOST_HOURS
        )));
    }
    Ok(given)
}

/// IncreaseStreamRetentionPeriod.
#[derive(Clone, Debug)]
pub struct IncreaseStreamRetentionPeriod(Set<i32>);

impl Operation<State> for IncreaseStreamRetentionPeriod {
    type Input = IncreaseStreamRetentionPeriodInput;
    type Output = IncreaseStreamRetentionPeriodOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: IncreaseStreamRetentionPeriodInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let hours = hours(input.retention_period_hours, &mut faults);
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        Set::of(named, asker, faults, hours).map(IncreaseStreamRetentionPeriod)
    }

    /// What has passed its retention stays out of sight, though it would not have passed the new one.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let now = context.setting.now;
        self.0.apply((state, &context.setting), "IncreaseStreamRetentionPeriod", |&given, stream| {
            let hours = within(given)?;
            if hours < stream.retention_hours {
                return Err(refusals::invalid(format_args!(
                    "Requested retention period ({hours} hours) for stream {} can not be shorter than existing retention period ({} \
                     hours). Use DecreaseRetentionPeriod API.",
                    stream.key.name, stream.retention_hours
                )));
            }
            if hours > stream.retention_hours {
                stream.floor = stream.horizon(now);
                stream.retention_hours = hours;
            }
            Ok(Reply::Done)
        })
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<IncreaseStreamRetentionPeriodOutput, Malformed> {
        reply.done()
    }
}

/// DecreaseStreamRetentionPeriod.
#[derive(Clone, Debug)]
pub struct DecreaseStreamRetentionPeriod(Set<i32>);

impl Operation<State> for DecreaseStreamRetentionPeriod {
    type Input = DecreaseStreamRetentionPeriodInput;
    type Output = DecreaseStreamRetentionPeriodOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: DecreaseStreamRetentionPeriodInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let hours = hours(input.retention_period_hours, &mut faults);
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        Set::of(named, asker, faults, hours).map(DecreaseStreamRetentionPeriod)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "DecreaseStreamRetentionPeriod", |&given, stream| {
            let hours = within(given)?;
            if hours > stream.retention_hours {
                return Err(refusals::invalid(format_args!(
                    "Requested retention period ({hours} hours) for stream {} can not be longer than existing retention period ({} \
                     hours). Use IncreaseRetentionPeriod API.",
                    stream.key.name, stream.retention_hours
                )));
            }
            stream.retention_hours = hours;
            Ok(Reply::Done)
        })
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<DecreaseStreamRetentionPeriodOutput, Malformed> {
        reply.done()
    }
}

/// StartStreamEncryption. Records are stored as they came: the setting is shown, and records are marked with it.
#[derive(Clone, Debug)]
pub struct StartStreamEncryption(Set<String>);

fn key_id(given: Option<&api::Text>, faults: &mut Faults) -> String {
    let key = faults.required(given.map(|key| &**key), "keyId").to_owned();
    if given.is_some() {
        faults.length(&key, "keyId", 1, 2048);
    }
    key
}

impl Operation<State> for StartStreamEncryption {
    type Input = StartStreamEncryptionInput;
    type Output = StartStreamEncryptionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: StartStreamEncryptionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        checking::one_of(input.encryption_type.as_ref(), "encryptionType", &["NONE", "KMS"], &mut faults);
        let key = key_id(input.key_id.as_ref(), &mut faults);
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        let set = Set::of(named, asker, faults, key)?;
        if input.encryption_type.as_deref() != Some("KMS") {
            return Err(refusals::invalid("Only the encryption type KMS can be started."));
        }
        Ok(StartStreamEncryption(set))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "StartStreamEncryption", |key, stream| {
            stream.encryption_key = Some(key.clone());
            Ok(Reply::Done)
        })
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<StartStreamEncryptionOutput, Malformed> {
        reply.done()
    }
}

/// StopStreamEncryption.
#[derive(Clone, Debug)]
pub struct StopStreamEncryption(Set<()>);

impl Operation<State> for StopStreamEncryption {
    type Input = StopStreamEncryptionInput;
    type Output = StopStreamEncryptionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: StopStreamEncryptionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        checking::one_of(input.encryption_type.as_ref(), "encryptionType", &["NONE", "KMS"], &mut faults);
        key_id(input.key_id.as_ref(), &mut faults);
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        Set::of(named, asker, faults, ()).map(StopStreamEncryption)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "StopStreamEncryption", |(), stream| {
            stream.encryption_key = None;
            Ok(Reply::Done)
        })
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<StopStreamEncryptionOutput, Malformed> {
        reply.done()
    }
}

/// The metrics of shards, without `ALL`.
const METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
];

/// The metrics that a request names, sorted.
fn metrics(given: Option<&Vec<api::Text>>, faults: &mut Faults) -> Vec<String> {
    let all = METRICS.iter().copied().chain(["ALL"]).collect::<Vec<_>>();
    let Some(given) = given else {
        faults.missing("shardLevelMetrics");
        return Vec::new();
    };
    if given.is_empty() {
        faults.add("[]", "shardLevelMetrics", "Member must have length greater than or equal to 1");
    }
    given.iter().for_each(|name| faults.one_of(name, "shardLevelMetrics", &all));
    let has_all = given.iter().any(|name| name == "ALL");
    let named = METRICS.iter().filter(|metric| has_all || given.iter().any(|name| name == **metric));
    named.map(|&metric| metric.to_owned()).collect()
}

/// The answer of both operations about monitoring.
macro_rules! monitored {
    ($Variant:ident, $Output:ident, $before:expr, $stream:expr) => {{
        let names = |metrics: &[String]| Some(metrics.iter().map(|name| name.as_str().into()).collect());
        Ok(Reply::Answer(Box::new(Response::$Variant($Output {
            stream_name: text($stream.key.name.as_str()),
            current_shard_level_metrics: names(&$before),
            desired_shard_level_metrics: names(&$stream.metrics),
            stream_arn: text($stream.key.arn()),
        }))))
    }};
}

/// EnableEnhancedMonitoring.
#[derive(Clone, Debug)]
pub struct EnableEnhancedMonitoring(Set<Vec<String>>);

impl Operation<State> for EnableEnhancedMonitoring {
    type Input = EnableEnhancedMonitoringInput;
    type Output = EnhancedMonitoringOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: EnableEnhancedMonitoringInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let metrics = metrics(input.shard_level_metrics.as_ref(), &mut faults);
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        Set::of(named, asker, faults, metrics).map(EnableEnhancedMonitoring)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "EnableEnhancedMonitoring", |metrics, stream| {
            let before = stream.metrics.clone();
            stream.metrics.extend(metrics.iter().filter(|name| !before.contains(name)).cloned());
            stream.metrics.sort_unstable();
            monitored!(EnableEnhancedMonitoring, EnhancedMonitoringOutput, before, stream)
        })
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<EnhancedMonitoringOutput, Malformed> {
        answered!(reply, EnableEnhancedMonitoring)
    }
}

/// DisableEnhancedMonitoring.
#[derive(Clone, Debug)]
pub struct DisableEnhancedMonitoring(Set<Vec<String>>);

impl Operation<State> for DisableEnhancedMonitoring {
    type Input = DisableEnhancedMonitoringInput;
    type Output = EnhancedMonitoringOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: DisableEnhancedMonitoringInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let metrics = metrics(input.shard_level_metrics.as_ref(), &mut faults);
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        Set::of(named, asker, faults, metrics).map(DisableEnhancedMonitoring)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "DisableEnhancedMonitoring", |metrics, stream| {
            let before = stream.metrics.clone();
            stream.metrics.retain(|name| !metrics.contains(name));
            monitored!(DisableEnhancedMonitoring, EnhancedMonitoringOutput, before, stream)
        })
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<EnhancedMonitoringOutput, Malformed> {
        answered!(reply, DisableEnhancedMonitoring)
    }
}

/// The ARN of a stream, which has to be there.
fn arn_required(arn: Option<&api::Text>, faults: &mut Faults) {
    faults.required(arn.map(|arn| &**arn), "streamARN");
}

/// UpdateStreamMode.
#[derive(Clone, Debug)]
pub struct UpdateStreamMode(Set<(bool, Option<u32>)>);

impl Operation<State> for UpdateStreamMode {
    type Input = UpdateStreamModeInput;
    type Output = UpdateStreamModeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateStreamModeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        arn_required(input.stream_arn.as_ref(), &mut faults);
        let mode = input.stream_mode_details.unwrap_or_default().stream_mode;
        let path = "streamModeDetails.streamMode";
        let mode =
            checking::one_of(mode.as_ref(), path, &["PROVISIONED", "ON_DEMAND"], &mut faults).to_owned();
        checking::range(input.warm_throughput_mi_bps, "warmThroughputMiBps", (0, i32::MAX), &mut faults);
        let warm = input.warm_throughput_mi_bps.map(i32::unsigned_abs);
        let to = (mode == "ON_DEMAND", warm);
        Set::of((None, input.stream_arn.as_ref()), asker, faults, to).map(UpdateStreamMode)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "UpdateStreamMode", |&(is_on_demand, warm), stream| {
            if stream.distributes && !is_on_demand {
                return Err(refusals::invalid(
                    "RecordDistributionStrategy AUTO needs a stream in On-Demand mode.",
                ));
            }
            stream.is_on_demand = is_on_demand;
            stream.warm_mibps = warm.or(stream.warm_mibps).filter(|_| is_on_demand);
            Ok(Reply::Done)
        })
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UpdateStreamModeOutput, Malformed> {
        reply.done()
    }
}

/// UpdateStreamWarmThroughput.
#[derive(Clone, Debug)]
pub struct UpdateStreamWarmThroughput(Set<u32>);

impl Operation<State> for UpdateStreamWarmThroughput {
    type Input = UpdateStreamWarmThroughputInput;
    type Output = UpdateStreamWarmThroughputOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateStreamWarmThroughputInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        match input.warm_throughput_mi_bps {
            None => faults.missing("warmThroughputMiBps"),
            given => checking::range(given, "warmThroughputMiBps", (0, i32::MAX), &mut faults),
        }
        let to = input.warm_throughput_mi_bps.unwrap_or_default().unsigned_abs();
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        Set::of(named, asker, faults, to).map(UpdateStreamWarmThroughput)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "UpdateStreamWarmThroughput", |&mibps, stream| {
            if !stream.is_on_demand {
                // The text is not recorded of AWS.
                return Err(refusals::violates(format_args!(
                    "Request is invalid. Stream {} under account {} is not in On-Demand mode.",
                    stream.key.name, stream.key.account
                )));
            }
            let before = stream.warm_mibps.and_then(|mibps| i32::try_from(mibps).ok());
            stream.warm_mibps = Some(mibps);
            let target_mi_bps = i32::try_from(mibps).ok();
            Ok(Reply::Answer(Box::new(Response::UpdateStreamWarmThroughput(
                UpdateStreamWarmThroughputOutput {
                    stream_arn: text(stream.key.arn()),
                    stream_name: text(stream.key.name.as_str()),
                    warm_throughput: Some(WarmThroughputObject {
                        target_mi_bps,
                        current_mi_bps: before.or(target_mi_bps),
                    }),
                },
            ))))
        })
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<UpdateStreamWarmThroughputOutput, Malformed> {
        answered!(reply, UpdateStreamWarmThroughput)
    }
}

/// UpdateMaxRecordSize.
#[derive(Clone, Debug)]
pub struct UpdateMaxRecordSize(Set<u32>);

impl Operation<State> for UpdateMaxRecordSize {
    type Input = UpdateMaxRecordSizeInput;
    type Output = UpdateMaxRecordSizeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateMaxRecordSizeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        match input.max_record_size_in_ki_b {
            None => faults.missing("maxRecordSizeInKiB"),
            given => checking::range(given, "maxRecordSizeInKiB", (1024, 10_240), &mut faults),
        }
        let to = input.max_record_size_in_ki_b.unwrap_or_default().unsigned_abs();
        Set::of((None, input.stream_arn.as_ref()), asker, faults, to).map(UpdateMaxRecordSize)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply((state, &context.setting), "UpdateMaxRecordSize", |&kib, stream| {
            stream.record_kib = kib;
            Ok(Reply::Done)
        })
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UpdateMaxRecordSizeOutput, Malformed> {
        reply.done()
    }
}

/// UpdateStreamRecordDistributionStrategy.
#[derive(Clone, Debug)]
pub struct UpdateStreamRecordDistributionStrategy(Set<bool>);

impl Operation<State> for UpdateStreamRecordDistributionStrategy {
    type Input = UpdateStreamRecordDistributionStrategyInput;
    type Output = UpdateStreamRecordDistributionStrategyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(
        input: UpdateStreamRecordDistributionStrategyInput,
        asker: &Asker<'_>,
    ) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        arn_required(input.stream_arn.as_ref(), &mut faults);
        let words = ["AUTO", "USER_PARTITION_KEY"];
        let given = input.record_distribution_strategy.as_ref();
        let to = checking::one_of(given, "recordDistributionStrategy", &words, &mut faults) == "AUTO";
        let set = Set::of((None, input.stream_arn.as_ref()), asker, faults, to)?;
        Ok(UpdateStreamRecordDistributionStrategy(set))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.apply(
            (state, &context.setting),
            "UpdateStreamRecordDistributionStrategy",
            |&distributes, stream| {
                if distributes && !stream.is_on_demand {
                    return Err(refusals::invalid(
                        "RecordDistributionStrategy AUTO needs a stream in On-Demand mode.",
                    ));
                }
                stream.distributes = distributes;
                Ok(Reply::Done)
            },
        )
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<UpdateStreamRecordDistributionStrategyOutput, Malformed> {
        reply.done()
    }
}
