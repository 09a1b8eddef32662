//! Streams in the init file, declared by the same requests that a client would send.

use std::collections::BTreeMap;
use std::ops::Range;

use api::Map;
use api::kinesis::{
    CreateStreamInput, DecreaseStreamRetentionPeriodInput, DescribeStreamSummaryInput,
    IncreaseStreamRetentionPeriodInput, Request, StreamModeDetails, UpdateShardCountInput,
};
use kernel::{Asker, Caller, Refusal};
use kinesis::StreamKey;
use kinesis::operations;
use machine::{Command, Reply};
use serde::Deserialize;
use toml::Spanned;

use super::{Mistake, caller_of};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StreamEntry {
    name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    /// Without a number the stream is on demand.
    shards: Option<i32>,
    retention_hours: Option<i32>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// The declaration of one stream.
#[derive(Debug)]
pub(super) struct DeclaredStream {
    /// The stream's ARN.
    pub(super) arn: String,
    caller: Caller,
    pub(super) line: usize,
    input: CreateStreamInput,
    retention_hours: i32,
}

/// Validates an entry. `region` is the default region; `line_of` returns the line of the file on which something begins.
pub(super) fn read(
    entry: StreamEntry,
    region: &str,
    line_of: impl Fn(Range<usize>) -> usize,
) -> Result<DeclaredStream, Mistake> {
    let span = entry.name.span();
    let name = entry.name.into_inner();
    let mistake = |text: &str| (span.clone(), format!("stream \"{name}\": {text}"));
    let caller = caller_of(entry.account, entry.region, region)?;
    let tags = entry.tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    let mode = if entry.shards.is_some() { "PROVISIONED" } else { "ON_DEMAND" };
    let input = CreateStreamInput {
        stream_name: Some(name.as_str().into()),
        shard_count: entry.shards,
        stream_mode_details: Some(StreamModeDetails { stream_mode: Some(mode.into()) }),
        tags: Some(Map(tags)),
        ..CreateStreamInput::default()
    };
    let asker = Asker { caller: &caller, base: "", trace: None };
    operations::prepare(Request::CreateStream(input.clone()), &asker)
        .map_err(|refusal| mistake(&refusal.message))?;
    let (account, region) = (caller.account.clone(), caller.region.clone());
    let arn = StreamKey { account, region, name: name.clone() }.arn();
    let retention_hours = entry.retention_hours.unwrap_or(24);
    if !(24..=8760).contains(&retention_hours) {
        return Err(mistake("retention-hours must be from 24 to 8760"));
    }
    Ok(DeclaredStream { arn, line: line_of(span), caller, input, retention_hours })
}

/// Applies the declaration. A stream that is there keeps its records; its shards and its retention become those declared.
pub(super) async fn declare(
    stream: &DeclaredStream,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), (usize, String)> {
    let result = declare_or_refuse(stream, engine, tickets).await;
    result.map_err(|refusal| (stream.line, format!("{}: {}", stream.arn, refusal.message)))
}

async fn declare_or_refuse(
    stream: &DeclaredStream,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), Refusal> {
    let send = async |request: Request| {
        let asker = Asker { caller: &stream.caller, base: "", trace: None };
        let (command, _) = operations::prepare(request, &asker)?;
        ask(engine, tickets, Command::Kinesis(command)).await
    };
    match send(Request::CreateStream(stream.input.clone())).await {
        Err(refusal) if refusal.shape != "ResourceInUseException" => return Err(refusal),
        _ => {}
    }
    let name = stream.input.stream_name.clone();
    let known = DescribeStreamSummaryInput { stream_name: name.clone(), ..Default::default() };
    let Reply::Kinesis(operations::Reply::Stream(known)) =
        send(Request::DescribeStreamSummary(known)).await?
    else {
        return Ok(());
    };
    let (hours, before) = (stream.retention_hours, known.stream.retention_hours);
    if hours.unsigned_abs() > before {
        let (stream_name, retention_period_hours) = (name.clone(), Some(hours));
        let input =
            IncreaseStreamRetentionPeriodInput { stream_name, retention_period_hours, ..Default::default() };
        send(Request::IncreaseStreamRetentionPeriod(input)).await?;
    } else if hours.unsigned_abs() < before {
        let (stream_name, retention_period_hours) = (name.clone(), Some(hours));
        let input =
            DecreaseStreamRetentionPeriodInput { stream_name, retention_period_hours, ..Default::default() };
        send(Request::DecreaseStreamRetentionPeriod(input)).await?;
    }
    match stream.input.shard_count {
        Some(count) if !known.stream.is_on_demand && count.unsigned_abs() as usize != known.open => {
            let input = UpdateShardCountInput {
                stream_name: name,
                target_shard_count: Some(count),
                scaling_type: Some("UNIFORM_SCALING".into()),
                ..Default::default()
            };
            send(Request::UpdateShardCount(input)).await.map(drop)
        }
        _ => Ok(()),
    }
}
