//! Schedules in the init file, declared by the same requests that a client would send.

use std::ops::Range;

use api::scheduler::{
    CreateScheduleGroupInput, CreateScheduleInput, DeadLetterConfig, FlexibleTimeWindow, Request,
    RetryPolicy, SqsParameters, Target, UpdateScheduleInput,
};
use api::{Text, Timestamp};
use kernel::{Asker, Caller, Refusal, iso8601};
use machine::{Command, Reply};
use scheduler::operations;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::{Mistake, QUEUE, any_role, arn_of, attribute_text, caller_of};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ScheduleEntry {
    name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    /// A group that does not exist is created.
    group: Option<String>,
    expression: String,
    timezone: Option<String>,
    /// A queue's name, of the same account and region, or an ARN.
    queue: String,
    /// A text; a table becomes JSON.
    input: Option<toml::Value>,
    message_group: Option<String>,
    role_arn: Option<String>,
    /// A queue's name, of the same account and region, or an ARN.
    dead_letter_queue: Option<String>,
    max_retries: Option<i32>,
    description: Option<String>,
    start: Option<String>,
    end: Option<String>,
    window_minutes: Option<i32>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    delete_after_completion: bool,
}

/// The declaration of one schedule.
#[derive(Debug)]
pub(super) struct DeclaredSchedule {
    /// The schedule's ARN.
    pub(super) arn: String,
    caller: Caller,
    pub(super) line: usize,
    /// What is declared, without its token.
    input: CreateScheduleInput,
}

/// Validates an entry. `region` is the default region; `line_of` returns the line of the file on which something begins.
pub(super) fn read(
    entry: ScheduleEntry,
    region: &str,
    line_of: impl Fn(Range<usize>) -> usize,
) -> Result<DeclaredSchedule, Mistake> {
    let span = entry.name.span();
    let name = entry.name.into_inner();
    let mistake = |text: &str| (span.clone(), format!("schedule \"{name}\": {text}"));
    let caller = caller_of(entry.account, entry.region, region)?;
    let queue = |name: String| Text::from(arn_of(&name, QUEUE, &caller));
    let moment = |text: Option<String>| match text.as_deref().map(iso8601::read) {
        Some(None) => Err(mistake("start and end are moments, such as 2026-12-24T18:00:00Z")),
        read => Ok(read.flatten().map(Timestamp)),
    };
    let text = |text: Option<String>| text.map(Text::from);
    let target = Target {
        arn: Some(queue(entry.queue)),
        role_arn: Some(entry.role_arn.unwrap_or_else(|| any_role(&caller)).into()),
        input: entry.input.as_ref().map(attribute_text).map(Text::from),
        dead_letter_config: entry.dead_letter_queue.map(|name| DeadLetterConfig { arn: Some(queue(name)) }),
        retry_policy: entry.max_retries.map(|attempts| RetryPolicy {
            maximum_retry_attempts: Some(attempts),
            maximum_event_age_in_seconds: None,
        }),
        sqs_parameters: entry
            .message_group
            .map(|group| SqsParameters { message_group_id: Some(group.into()) }),
        ..Target::default()
    };
    let mode = if entry.window_minutes.is_some() { "FLEXIBLE" } else { "OFF" };
    let input = CreateScheduleInput {
        name: Some(name.as_str().into()),
        group_name: text(entry.group),
        schedule_expression: Some(entry.expression.into()),
        schedule_expression_timezone: text(entry.timezone),
        start_date: moment(entry.start)?,
        end_date: moment(entry.end)?,
        description: text(entry.description),
        state: Some(if entry.disabled { "DISABLED" } else { "ENABLED" }.into()),
        action_after_completion: entry.delete_after_completion.then(|| "DELETE".into()),
        target: Some(Box::new(target)),
        flexible_time_window: Some(FlexibleTimeWindow {
            mode: Some(mode.into()),
            maximum_window_in_minutes: entry.window_minutes,
        }),
        ..CreateScheduleInput::default()
    };
    let asker = Asker { caller: &caller, base: "", trace: None };
    operations::prepare(Request::CreateSchedule(input.clone()), &asker)
        .map_err(|refusal| mistake(&refusal.message))?;
    let group = scheduler::GroupKey {
        account: caller.account.clone(),
        region: caller.region.clone(),
        name: input.group_name.as_deref().unwrap_or("default").to_owned(),
    };
    Ok(DeclaredSchedule { arn: group.schedule_arn(&name), line: line_of(span), caller, input })
}

/// Applies the declaration. One that is there as it was declared stays as it is: a rate keeps its beat.
pub(super) async fn declare(
    schedule: &DeclaredSchedule,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), (usize, String)> {
    let request = async |request: Request| -> Result<(), Refusal> {
        let asker = Asker { caller: &schedule.caller, base: "", trace: None };
        let (command, _) = operations::prepare(request, &asker)?;
        match ask(engine, tickets, Command::Scheduler(command)).await? {
            Reply::Scheduler(_) => Ok(()),
            _ => Err(Refusal::new("InternalError", "another service answered")),
        }
    };
    // By its token a declaration is known again.
    let token = kernel::hex(&Sha256::digest(format!("{:?}", schedule.input)));
    let input = CreateScheduleInput { client_token: Some(token.into()), ..schedule.input.clone() };
    let name = input.name.clone().unwrap_or_default();
    let fault = |refusal: Refusal| (schedule.line, format!("schedule \"{name}\": {}", refusal.message));
    if let Some(group) = input.group_name.clone().filter(|group| group != "default") {
        let group = CreateScheduleGroupInput { name: Some(group), ..CreateScheduleGroupInput::default() };
        match request(Request::CreateScheduleGroup(group)).await {
            Err(refusal) if refusal.shape != "ConflictException" => return Err(fault(refusal)),
            _ => {}
        }
    }
    match request(Request::CreateSchedule(input.clone())).await {
        Err(refusal) if refusal.shape == "ConflictException" => {
            let update = UpdateScheduleInput {
                name: input.name,
                group_name: input.group_name,
                schedule_expression: input.schedule_expression,
                schedule_expression_timezone: input.schedule_expression_timezone,
                start_date: input.start_date,
                end_date: input.end_date,
                description: input.description,
                state: input.state,
                action_after_completion: input.action_after_completion,
                kms_key_arn: None,
                target: input.target,
                flexible_time_window: input.flexible_time_window,
                client_token: input.client_token,
            };
            request(Request::UpdateSchedule(update)).await.map_err(fault)
        }
        answer => answer.map_err(fault),
    }
}
