//! Event buses in the init file, declared by the same requests that a client would send.

use std::collections::BTreeMap;

use api::eventbridge::{
    CreateArchiveInput, CreateEventBusInput, DeadLetterConfig, InputTransformer, PutRuleInput,
    PutTargetsInput, Request, RetryPolicy, SqsParameters, Tag, TagResourceInput, Target, UpdateArchiveInput,
    UpdateEventBusInput,
};
use api::{Map, Text};
use eventbridge::operations;
use eventbridge::{BusKey, RuleKey};
use kernel::{Asker, Caller, Refusal};
use machine::{Command, Reply};
use serde::Deserialize;
use toml::Spanned;

use super::{Mistake, QUEUE, STATE_MACHINE, any_role, arn_of, attribute_text, caller_of};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BusEntry {
    /// `default` is the bus that every account has.
    name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    description: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    rules: Vec<RuleEntry>,
    #[serde(default)]
    archives: Vec<ArchiveEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ArchiveEntry {
    name: Spanned<String>,
    /// A table, or JSON in a text.
    event_pattern: Option<toml::Value>,
    /// Zero: for ever.
    #[serde(default)]
    retention_days: i32,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleEntry {
    name: Spanned<String>,
    /// A table, or JSON in a text.
    event_pattern: Option<toml::Value>,
    /// When it runs; on the default bus only.
    schedule_expression: Option<String>,
    state: Option<String>,
    description: Option<String>,
    #[serde(default)]
    targets: Vec<Spanned<TargetEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TargetEntry {
    /// Without it, the number of the target in its rule, from 1.
    id: Option<String>,
    arn: Option<String>,
    /// A queue's name, of the same account and region, or an ARN.
    queue: Option<String>,
    /// The same of a topic.
    topic: Option<String>,
    /// The same of a bus.
    event_bus: Option<String>,
    /// The same of a state machine.
    state_machine: Option<String>,
    /// A table, or JSON in a text.
    input: Option<toml::Value>,
    input_path: Option<String>,
    #[serde(default)]
    input_paths: BTreeMap<String, String>,
    input_template: Option<String>,
    message_group_id: Option<String>,
    /// A queue's name, of the same account and region, or an ARN.
    dead_letter_queue: Option<String>,
    maximum_retry_attempts: Option<i32>,
    maximum_event_age_in_seconds: Option<i32>,
}

/// The declaration of one bus.
#[derive(Debug)]
pub(super) struct DeclaredBus {
    pub(super) key: BusKey,
    caller: Caller,
    pub(super) line: usize,
    description: Option<String>,
    tags: Vec<(String, String)>,
    rules: Vec<DeclaredRule>,
    archives: Vec<(usize, CreateArchiveInput)>,
}

#[derive(Debug)]
struct DeclaredRule {
    line: usize,
    name: String,
    put: PutRuleInput,
    targets: Vec<Target>,
}

/// Validates an entry as far as possible without the server's state. `region` is the default region; `line_of` returns the line of the
/// file on which something begins.
pub(super) fn read(
    entry: BusEntry,
    region: &str,
    line_of: impl Fn(std::ops::Range<usize>) -> usize,
) -> Result<DeclaredBus, Mistake> {
    let (span, name) = (entry.name.span(), entry.name.into_inner());
    let caller = caller_of(entry.account, entry.region, region)?;
    let key = BusKey { account: caller.account.clone(), region: caller.region.clone(), name: name.clone() };
    check(&caller, create(&key, entry.description.as_deref()))
        .map_err(|text| (span.clone(), format!("name = \"{name}\": {text}")))?;
    let mut rules = Vec::new();
    for rule in entry.rules {
        let (span, rule_name) = (rule.name.span(), rule.name.into_inner());
        let of = |text: String| (span.clone(), format!("event bus \"{name}\", rule \"{rule_name}\": {text}"));
        let put = PutRuleInput {
            name: text(&rule_name),
            event_bus_name: text(&name),
            event_pattern: rule.event_pattern.as_ref().map(|pattern| attribute_text(pattern).into()),
            schedule_expression: rule.schedule_expression.as_deref().and_then(text),
            state: rule.state.as_deref().and_then(text),
            description: rule.description.as_deref().and_then(text),
            ..PutRuleInput::default()
        };
        check(&caller, Request::PutRule(put.clone())).map_err(of)?;
        let mut targets = Vec::new();
        for (number, target) in rule.targets.into_iter().enumerate() {
            let at = target.span();
            let of = |text: String| {
                (
                    at.clone(),
                    format!("event bus \"{name}\", rule \"{rule_name}\", target {}: {text}", number + 1),
                )
            };
            let target = shape(target.into_inner(), number + 1, &caller).map_err(of)?;
            let put = put_targets(&name, &rule_name, vec![target.clone()]);
            check(&caller, put).map_err(of)?;
            targets.push(target);
        }
        rules.push(DeclaredRule { line: line_of(span), name: rule_name, put, targets });
    }
    let mut archives = Vec::new();
    for archive in entry.archives {
        let (span, archive_name) = (archive.name.span(), archive.name.into_inner());
        let of = |text: String| {
            (span.clone(), format!("event bus \"{name}\", archive \"{archive_name}\": {text}"))
        };
        let input = CreateArchiveInput {
            archive_name: text(&archive_name),
            event_source_arn: text(&key.arn().to_string()),
            event_pattern: archive.event_pattern.as_ref().map(|pattern| attribute_text(pattern).into()),
            retention_days: Some(archive.retention_days),
            description: archive.description.as_deref().and_then(text),
            ..CreateArchiveInput::default()
        };
        check(&caller, Request::CreateArchive(input.clone())).map_err(of)?;
        archives.push((line_of(span), input));
    }
    let tags = entry.tags.into_iter().collect();
    let (line, description) = (line_of(span), entry.description);
    Ok(DeclaredBus { key, caller, line, description, tags, rules, archives })
}

fn text(text: &str) -> Option<Text> {
    Some(text.into())
}

/// The target that an entry describes.
fn shape(entry: TargetEntry, number: usize, caller: &Caller) -> Result<Target, String> {
    let arn = |name: String, of| arn_of(&name, of, caller);
    let arns: Vec<String> = [
        entry.arn,
        entry.queue.map(|name| arn(name, QUEUE)),
        entry.topic.map(|name| arn(name, ("sns", ""))),
        entry.event_bus.map(|name| arn(name, ("events", "event-bus/"))),
        entry.state_machine.map(|name| arn(name, STATE_MACHINE)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let [to] = &arns[..] else {
        return Err("it needs one of queue, topic, event-bus, state-machine and arn".to_owned());
    };
    let path = |(name, path): (String, String)| (Text::from(name), Text::from(path));
    let transformer = entry.input_template.map(|template| InputTransformer {
        input_template: Some(template.into()),
        input_paths_map: Some(Map(entry.input_paths.into_iter().map(path).collect())),
    });
    // Nobody looks at it, but AWS demands one for such a target.
    let role = to.starts_with("arn:aws:states:").then(|| any_role(caller));
    let retries = (entry.maximum_retry_attempts, entry.maximum_event_age_in_seconds);
    Ok(Target {
        id: Some(entry.id.unwrap_or_else(|| number.to_string()).into()),
        arn: text(to),
        role_arn: role.map(Into::into),
        input: entry.input.as_ref().map(|input| attribute_text(input).into()),
        input_path: entry.input_path.map(Into::into),
        input_transformer: transformer,
        sqs_parameters: entry
            .message_group_id
            .map(|group| SqsParameters { message_group_id: Some(group.into()) }),
        dead_letter_config: entry
            .dead_letter_queue
            .map(|name| DeadLetterConfig { arn: Some(arn(name, QUEUE).into()) }),
        retry_policy: (retries != (None, None)).then_some(RetryPolicy {
            maximum_retry_attempts: retries.0,
            maximum_event_age_in_seconds: retries.1,
        }),
        ..Target::default()
    })
}

fn create(bus: &BusKey, description: Option<&str>) -> Request {
    Request::CreateEventBus(CreateEventBusInput {
        name: text(&bus.name),
        description: description.and_then(text),
        ..CreateEventBusInput::default()
    })
}

fn put_targets(bus: &str, rule: &str, targets: Vec<Target>) -> Request {
    Request::PutTargets(PutTargetsInput {
        rule: text(rule),
        event_bus_name: text(bus),
        targets: Some(targets),
    })
}

fn check(caller: &Caller, request: Request) -> Result<(), String> {
    let asker = Asker { caller, base: "", trace: None };
    operations::prepare(request, &asker).map(drop).map_err(|refusal| refusal.message.into_owned())
}

/// Applies the declaration.
pub(super) async fn declare(
    bus: &DeclaredBus,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), (usize, String)> {
    let request = async |request: Request| -> Result<operations::Reply, Refusal> {
        let asker = Asker { caller: &bus.caller, base: "", trace: None };
        let (command, _) = operations::prepare(request, &asker)?;
        match ask(engine, tickets, Command::Eventbridge(command)).await? {
            Reply::Eventbridge(reply) => Ok(reply),
            _ => Err(Refusal::new("InternalError", "another service answered")),
        }
    };
    let fault = |refusal: Refusal| (bus.line, format!("event bus \"{}\": {}", bus.key.name, refusal.message));
    match request(create(&bus.key, bus.description.as_deref())).await {
        Err(refusal) if refusal.shape == "ResourceAlreadyExistsException" => {
            if let Some(description) = &bus.description {
                let update = UpdateEventBusInput {
                    name: text(&bus.key.name),
                    description: text(description),
                    ..UpdateEventBusInput::default()
                };
                request(Request::UpdateEventBus(update)).await.map_err(fault)?;
            }
        }
        answer => drop(answer.map_err(fault)?),
    }
    if !bus.tags.is_empty() {
        let tag = |(key, value): &(String, String)| Tag { key: text(key), value: text(value) };
        let input = TagResourceInput {
            resource_arn: text(&bus.key.arn().to_string()),
            tags: Some(bus.tags.iter().map(tag).collect()),
        };
        request(Request::TagResource(input)).await.map_err(fault)?;
    }
    for rule in &bus.rules {
        let key = RuleKey { bus: bus.key.clone(), name: rule.name.clone() };
        let fault = |refusal: Refusal| (rule.line, format!("rule {}: {}", key.arn(), refusal.message));
        request(Request::PutRule(rule.put.clone())).await.map_err(fault)?;
        if !rule.targets.is_empty() {
            let put = put_targets(&bus.key.name, &rule.name, rule.targets.clone());
            request(put).await.map_err(fault)?;
        }
    }
    for (line, archive) in &bus.archives {
        let name = archive.archive_name.as_deref().unwrap_or_default();
        let fault = |text: &str| (*line, format!("archive \"{name}\": {text}"));
        match request(Request::CreateArchive(archive.clone())).await {
            Err(refusal) if refusal.shape == "ResourceAlreadyExistsException" => {
                let update = UpdateArchiveInput {
                    archive_name: archive.archive_name.clone(),
                    event_pattern: archive.event_pattern.clone(),
                    retention_days: archive.retention_days,
                    description: archive.description.clone(),
                    kms_key_identifier: None,
                };
                let updated = request(Request::UpdateArchive(update)).await;
                match updated.map_err(|refusal| fault(&refusal.message))? {
                    operations::Reply::Archive(archive) if archive.declared.bus != bus.key => {
                        return Err(fault("it is another bus's"));
                    }
                    _ => {}
                }
            }
            answer => drop(answer.map_err(|refusal| fault(&refusal.message))?),
        }
    }
    Ok(())
}
