//! DescribeStream, DescribeStreamSummary and ListStreams.

use api::kinesis::{
    DescribeStreamInput, DescribeStreamOutput, DescribeStreamSummaryInput, DescribeStreamSummaryOutput,
    ListStreamsInput, ListStreamsOutput, Response, StreamDescription, StreamDescriptionSummary,
    StreamSummary, WarmThroughputObject,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal};
use resources::Faults;
use resources::pages::key_of;

use super::{
    Context, Decision, Materials, Reply, Setting, StreamShown, answer, answered, count, decided,
    encryption_shown, mode_shown, monitoring_shown, permitted, shard_shown, shown, text,
};
use crate::ids::shard_number;
use crate::rules::checking;
use crate::state::State;
use crate::{StreamKey, refusals};

/// Shards of a description unless something else is said.
const SHARDS: i32 = 100;

/// DescribeStream.
#[derive(Clone, Debug)]
pub struct DescribeStream {
    key: StreamKey,
    caller: Caller,
    after: Option<u32>,
    most: usize,
}

impl Operation<State> for DescribeStream {
    type Input = DescribeStreamInput;
    type Output = DescribeStreamOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeStreamInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        checking::range(input.limit, "limit", (1, 10_000), &mut faults);
        if let Some(id) = &input.exclusive_start_shard_id {
            checking::check_name(id, "exclusiveStartShardId", &mut faults);
        }
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        Ok(DescribeStream {
            key,
            caller: asker.caller.clone(),
            after: input.exclusive_start_shard_id.as_deref().map(|id| shard_number(id).unwrap_or(u32::MAX)),
            most: input.limit.unwrap_or(SHARDS).unsigned_abs() as usize,
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.describe(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DescribeStreamOutput, Malformed> {
        let Reply::Stream(shown_stream) = reply else { return Err(Malformed) };
        let StreamShown { stream, shards, has_more, .. } = *shown_stream;
        Ok(DescribeStreamOutput {
            stream_description: Some(Box::new(StreamDescription {
                stream_name: text(stream.key.name.as_str()),
                stream_arn: text(stream.key.arn()),
                stream_status: text("ACTIVE"),
                stream_mode_details: mode_shown(&stream),
                shards: Some(shards.iter().map(shard_shown).collect()),
                has_more_shards: Some(has_more),
                retention_period_hours: i32::try_from(stream.retention_hours).ok(),
                stream_creation_timestamp: shown(stream.created),
                enhanced_monitoring: monitoring_shown(&stream),
                encryption_type: encryption_shown(&stream),
                key_id: stream.encryption_key.map(Into::into),
            })),
        })
    }
}

impl DescribeStream {
    fn describe<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let stream = permitted(state, &self.key, &self.caller, "DescribeStream", setting)?;
        let from = self.after.map_or(0, |after| after.saturating_add(1));
        let mut shards = state.shards_of(stream.id, from);
        let listed = shards.by_ref().take(self.most).cloned().collect();
        Ok(Decision::answer(Reply::Stream(Box::new(StreamShown {
            stream: stream.clone(),
            shards: listed,
            has_more: shards.next().is_some(),
            open: state.open_shards(stream.id),
            consumers: 0,
        }))))
    }
}

/// DescribeStreamSummary.
#[derive(Clone, Debug)]
pub struct DescribeStreamSummary {
    key: StreamKey,
    caller: Caller,
}

impl Operation<State> for DescribeStreamSummary {
    type Input = DescribeStreamSummaryInput;
    type Output = DescribeStreamSummaryOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeStreamSummaryInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let named = (input.stream_name.as_ref(), input.stream_arn.as_ref());
        let key = checking::stream(named.0, named.1, asker, Faults::default())?;
        Ok(DescribeStreamSummary { key, caller: asker.caller.clone() })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let stream =
            match permitted(state, &self.key, &self.caller, "DescribeStreamSummary", &context.setting) {
                Ok(stream) => stream,
                Err(refusal) => return refusal.into(),
            };
        Decision::answer(Reply::Stream(Box::new(StreamShown {
            stream: stream.clone(),
            shards: Vec::new(),
            has_more: false,
            open: state.open_shards(stream.id),
            consumers: state.consumers_of(stream.id).count(),
        })))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DescribeStreamSummaryOutput, Malformed> {
        let Reply::Stream(shown_stream) = reply else { return Err(Malformed) };
        let StreamShown { stream, open, consumers, .. } = *shown_stream;
        let warm = stream.warm_mibps.and_then(|mibps| i32::try_from(mibps).ok());
        let strategy = if stream.distributes { "AUTO" } else { "USER_PARTITION_KEY" };
        Ok(DescribeStreamSummaryOutput {
            stream_description_summary: Some(Box::new(StreamDescriptionSummary {
                stream_name: text(stream.key.name.as_str()),
                stream_arn: text(stream.key.arn()),
                // AWS's Java SDK sends a request that has it to AWS itself, whatever endpoint is configured.
                stream_id: None,
                stream_status: text("ACTIVE"),
                stream_mode_details: mode_shown(&stream),
                retention_period_hours: i32::try_from(stream.retention_hours).ok(),
                stream_creation_timestamp: shown(stream.created),
                enhanced_monitoring: monitoring_shown(&stream),
                encryption_type: encryption_shown(&stream),
                open_shard_count: count(open),
                consumer_count: count(consumers),
                warm_throughput: warm.map(|mibps| WarmThroughputObject {
                    target_mi_bps: Some(mibps),
                    current_mi_bps: Some(mibps),
                }),
                max_record_size_in_ki_b: i32::try_from(stream.record_kib).ok(),
                channel_count: Some(0),
                record_distribution_strategy: text(strategy).filter(|_| stream.is_on_demand),
                queue_count: Some(0),
                key_id: stream.encryption_key.map(Into::into),
            })),
        })
    }
}

/// ListStreams.
#[derive(Clone, Debug)]
pub struct ListStreams {
    account: StreamKey,
    after: Option<String>,
    most: usize,
}

impl Operation<State> for ListStreams {
    type Input = ListStreamsInput;
    type Output = ListStreamsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListStreamsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        checking::range(input.limit, "limit", (1, 10_000), &mut faults);
        if let Some(name) = &input.exclusive_start_stream_name {
            checking::check_name(name, "exclusiveStartStreamName", &mut faults);
        }
        faults.refusal()?;
        let token =
            key_of(input.next_token.as_deref()).map_err(|_| refusals::invalid("NextToken is invalid."))?;
        let after = token.or_else(|| input.exclusive_start_stream_name.map(|name| name.to_string()));
        let caller = asker.caller;
        let account =
            StreamKey { account: caller.account.clone(), region: caller.region.clone(), name: String::new() };
        Ok(ListStreams { account, after, most: input.limit.unwrap_or(100).unsigned_abs() as usize })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let after = self.after.as_deref().unwrap_or_default();
        let first = StreamKey { name: after.to_owned(), ..self.account.clone() };
        let theirs = state.streams_of(first).filter(|stream| *stream.key.name > *after);
        let page = resources::pages::Page { after: None, most: self.most };
        let listed = page.fill(theirs.map(|stream| (stream.key.name.as_str(), stream)));
        answer(Response::ListStreams(ListStreamsOutput {
            stream_names: Some(listed.items.iter().map(|stream| stream.key.name.as_str().into()).collect()),
            has_more_streams: Some(listed.next_token.is_some()),
            next_token: listed.next_token.map(Into::into),
            stream_summaries: Some(
                listed
                    .items
                    .iter()
                    .map(|stream| StreamSummary {
                        stream_name: text(stream.key.name.as_str()),
                        stream_arn: text(stream.key.arn()),
                        stream_status: text("ACTIVE"),
                        stream_mode_details: mode_shown(stream),
                        stream_creation_timestamp: shown(stream.created),
                    })
                    .collect(),
            ),
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListStreamsOutput, Malformed> {
        answered!(reply, ListStreams)
    }
}
