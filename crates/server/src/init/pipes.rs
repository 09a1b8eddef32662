//! Pipes in the init file, declared by the same requests that a client would send.

use std::ops::Range;

use api::Text;
use api::pipes::{
    CreatePipeInput, DescribePipeInput, Filter, FilterCriteria, PipeEnrichmentParameters,
    PipeSourceParameters, PipeSourceSqsQueueParameters, PipeTargetParameters, PipeTargetSqsQueueParameters,
    PipeTargetStateMachineParameters, Request, UpdatePipeInput, UpdatePipeSourceParameters,
    UpdatePipeSourceSqsQueueParameters,
};
use kernel::{Asker, Caller, Refusal};
use machine::{Command, Reply};
use pipes::operations;
use serde::Deserialize;
use toml::Spanned;

use super::{Mistake, QUEUE, any_role, arn_of, attribute_text, caller_of};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PipeEntry {
    name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    description: Option<String>,
    /// A queue's name, of the same account and region, or an ARN.
    source: String,
    /// A queue's name, of the same account and region, or the ARN of any target.
    target: String,
    /// The ARN of an express state machine.
    enrichment: Option<String>,
    enrichment_template: Option<String>,
    /// Event patterns: texts, or tables that become JSON.
    #[serde(default)]
    filters: Vec<toml::Value>,
    input_template: Option<String>,
    message_group: Option<String>,
    message_deduplication_id: Option<String>,
    invocation_type: Option<String>,
    batch_size: Option<i32>,
    batching_window_seconds: Option<i32>,
    role_arn: Option<String>,
    #[serde(default)]
    stopped: bool,
}

/// The declaration of one pipe.
#[derive(Debug)]
pub(super) struct DeclaredPipe {
    /// The pipe's ARN.
    pub(super) arn: String,
    caller: Caller,
    pub(super) line: usize,
    input: CreatePipeInput,
}

/// Validates an entry. `region` is the default region; `line_of` returns the line of the file on which something begins.
pub(super) fn read(
    entry: PipeEntry,
    region: &str,
    line_of: impl Fn(Range<usize>) -> usize,
) -> Result<DeclaredPipe, Mistake> {
    let span = entry.name.span();
    let name = entry.name.into_inner();
    let mistake = |text: &str| (span.clone(), format!("pipe \"{name}\": {text}"));
    let caller = caller_of(entry.account, entry.region, region)?;
    let queue = |name: String| Text::from(arn_of(&name, QUEUE, &caller));
    let text = |text: Option<String>| text.map(Text::from);
    let filter = |pattern: &toml::Value| Filter { pattern: Some(attribute_text(pattern).into()) };
    let has_queue = entry.message_group.is_some() || entry.message_deduplication_id.is_some();
    let input = CreatePipeInput {
        name: Some(name.as_str().into()),
        description: text(entry.description),
        desired_state: Some(if entry.stopped { "STOPPED" } else { "RUNNING" }.into()),
        source: Some(queue(entry.source)),
        source_parameters: Some(PipeSourceParameters {
            filter_criteria: Some(FilterCriteria {
                filters: Some(entry.filters.iter().map(filter).collect()),
            }),
            sqs_queue_parameters: Some(PipeSourceSqsQueueParameters {
                batch_size: entry.batch_size,
                maximum_batching_window_in_seconds: entry.batching_window_seconds,
            }),
            ..PipeSourceParameters::default()
        }),
        // An empty ARN is none, also if there was one before.
        enrichment: Some(entry.enrichment.unwrap_or_default().into()),
        enrichment_parameters: Some(PipeEnrichmentParameters {
            input_template: text(entry.enrichment_template),
            http_parameters: None,
        }),
        target: Some(queue(entry.target)),
        target_parameters: Some(Box::new(PipeTargetParameters {
            input_template: text(entry.input_template),
            sqs_queue_parameters: has_queue.then(|| PipeTargetSqsQueueParameters {
                message_group_id: text(entry.message_group),
                message_deduplication_id: text(entry.message_deduplication_id),
            }),
            step_function_state_machine_parameters: text(entry.invocation_type).map(|invocation_type| {
                PipeTargetStateMachineParameters { invocation_type: Some(invocation_type) }
            }),
            ..PipeTargetParameters::default()
        })),
        role_arn: Some(entry.role_arn.unwrap_or_else(|| any_role(&caller)).into()),
        ..CreatePipeInput::default()
    };
    let asker = Asker { caller: &caller, base: "", trace: None };
    operations::prepare(Request::CreatePipe(input.clone()), &asker)
        .map_err(|refusal| mistake(&refusal.message))?;
    let (account, region) = (caller.account.clone(), caller.region.clone());
    let arn = pipes::PipeKey { account, region, name: name.clone() }.arn();
    Ok(DeclaredPipe { arn, line: line_of(span), caller, input })
}

/// Applies the declaration. A pipe that is there as it was declared stays as it is.
pub(super) async fn declare(
    pipe: &DeclaredPipe,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), (usize, String)> {
    let prepare = |request: Request| {
        let asker = Asker { caller: &pipe.caller, base: "", trace: None };
        operations::prepare(request, &asker).map(|(command, _)| command)
    };
    let request = async |command: operations::Command| -> Result<operations::Reply, Refusal> {
        match ask(engine, tickets, Command::Pipes(command)).await? {
            Reply::Pipes(reply) => Ok(reply),
            _ => Err(Refusal::new("InternalError", "another service answered")),
        }
    };
    let input = &pipe.input;
    let name = input.name.clone();
    let fault = |refusal: Refusal| {
        (pipe.line, format!("pipe \"{}\": {}", name.as_deref().unwrap_or_default(), refusal.message))
    };
    let wanted = prepare(Request::CreatePipe(input.clone())).map_err(fault)?;
    let describe = DescribePipeInput { name: name.clone() };
    let describe = prepare(Request::DescribePipe(describe)).map_err(fault)?;
    let known = match request(describe).await {
        Ok(operations::Reply::Pipe(known)) => known,
        Ok(_) => return Err(fault(Refusal::new("InternalError", "another service answered"))),
        Err(refusal) if refusal.shape == "NotFoundException" => {
            return request(wanted).await.map(drop).map_err(fault);
        }
        Err(refusal) => return Err(fault(refusal)),
    };
    if let operations::Command::CreatePipe(wanted) = &wanted
        && wanted.declares(&known)
    {
        return Ok(());
    }
    if known.definition.source != input.source.as_deref().unwrap_or_default() {
        let text = "its source cannot be changed; delete the pipe, or declare one of another name";
        return Err(fault(Refusal::new("ValidationException", text)));
    }
    let source = input.source_parameters.clone().unwrap_or_default();
    let queue = source.sqs_queue_parameters.unwrap_or_default();
    let update = UpdatePipeInput {
        name: name.clone(),
        description: input.description.clone(),
        desired_state: input.desired_state.clone(),
        source_parameters: Some(UpdatePipeSourceParameters {
            filter_criteria: source.filter_criteria,
            sqs_queue_parameters: Some(UpdatePipeSourceSqsQueueParameters {
                batch_size: queue.batch_size,
                maximum_batching_window_in_seconds: queue.maximum_batching_window_in_seconds,
            }),
            ..UpdatePipeSourceParameters::default()
        }),
        enrichment: input.enrichment.clone(),
        enrichment_parameters: input.enrichment_parameters.clone(),
        target: input.target.clone(),
        target_parameters: input.target_parameters.clone(),
        role_arn: input.role_arn.clone(),
        ..UpdatePipeInput::default()
    };
    let update = prepare(Request::UpdatePipe(update)).map_err(fault)?;
    request(update).await.map(drop).map_err(fault)
}
