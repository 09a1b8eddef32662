//! State machines in the init file, declared by the same requests that a client would send.

use std::ops::Range;
use std::path::Path;

use api::stepfunctions::{CreateStateMachineInput, Request, Tag, TagResourceInput, UpdateStateMachineInput};
use kernel::{Asker, Caller, Refusal};
use machine::{Command, Reply};
use serde::Deserialize;
use stepfunctions::operations;
use toml::Spanned;

use super::{Mistake, STATE_MACHINE, any_role, arn_of, attribute_text, caller_of};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StateMachineEntry {
    name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    /// A table, or JSON in a text.
    definition: Option<toml::Value>,
    /// A file of JSON, relative to the init file.
    definition_file: Option<Spanned<String>>,
    /// `STANDARD` or `EXPRESS`.
    r#type: Option<String>,
    role_arn: Option<String>,
    #[serde(default)]
    tags: std::collections::BTreeMap<String, String>,
}

/// The declaration of one state machine.
#[derive(Debug)]
pub(super) struct DeclaredStateMachine {
    /// The state machine's ARN.
    pub(super) arn: String,
    caller: Caller,
    pub(super) line: usize,
    input: CreateStateMachineInput,
    tags: Vec<Tag>,
}

/// Validates an entry. `folder` is that of the init file, `region` the default region; `line_of` returns the line of the file on which
/// something begins.
pub(super) fn read(
    entry: StateMachineEntry,
    folder: &Path,
    region: &str,
    line_of: impl Fn(Range<usize>) -> usize,
) -> Result<DeclaredStateMachine, Mistake> {
    let span = entry.name.span();
    let name = entry.name.into_inner();
    let mistake = |text: &str| (span.clone(), format!("state machine \"{name}\": {text}"));
    let caller = caller_of(entry.account, entry.region, region)?;
    let definition = match (entry.definition, entry.definition_file) {
        (Some(definition), None) => attribute_text(&definition),
        (None, Some(file)) => std::fs::read_to_string(folder.join(file.as_ref())).map_err(|error| {
            let text = format!("state machine \"{name}\": definition-file = \"{}\": {error}", file.as_ref());
            (file.span(), text)
        })?,
        _ => return Err(mistake("it needs one of definition and definition-file")),
    };
    let role = entry.role_arn.unwrap_or_else(|| any_role(&caller));
    let input = CreateStateMachineInput {
        name: Some(name.as_str().into()),
        definition: Some(definition.into()),
        role_arn: Some(role.into()),
        r#type: entry.r#type.map(Into::into),
        ..CreateStateMachineInput::default()
    };
    let asker = Asker { caller: &caller, base: "", trace: None };
    operations::prepare(Request::CreateStateMachine(input.clone()), &asker)
        .map_err(|refusal| mistake(&refusal.message))?;
    let arn = arn_of(&name, STATE_MACHINE, &caller);
    let tag = |(key, value): (String, String)| Tag { key: Some(key.into()), value: Some(value.into()) };
    let tags = entry.tags.into_iter().map(tag).collect();
    Ok(DeclaredStateMachine { arn, line: line_of(span), caller, input, tags })
}

/// Applies the declaration. One that is there gets the definition and the role of the file; its executions go on with what they began
/// with.
pub(super) async fn declare(
    machine: &DeclaredStateMachine,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), (usize, String)> {
    let request = async |request: Request| -> Result<(), Refusal> {
        let asker = Asker { caller: &machine.caller, base: "", trace: None };
        let (command, _) = operations::prepare(request, &asker)?;
        match ask(engine, tickets, Command::Stepfunctions(command)).await? {
            Reply::Stepfunctions(_) => Ok(()),
            _ => Err(Refusal::new("InternalError", "another service answered")),
        }
    };
    let fault = |refusal: Refusal| (machine.line, format!("{}: {}", machine.arn, refusal.message));
    match request(Request::CreateStateMachine(machine.input.clone())).await {
        Err(refusal) if refusal.shape == "StateMachineAlreadyExists" => {
            let update = UpdateStateMachineInput {
                state_machine_arn: Some(machine.arn.as_str().into()),
                definition: machine.input.definition.clone(),
                role_arn: machine.input.role_arn.clone(),
                ..UpdateStateMachineInput::default()
            };
            request(Request::UpdateStateMachine(update)).await.map_err(fault)?;
        }
        answer => answer.map_err(fault)?,
    }
    if machine.tags.is_empty() {
        return Ok(());
    }
    let arn = Some(machine.arn.as_str().into());
    request(Request::TagResource(TagResourceInput { resource_arn: arn, tags: Some(machine.tags.clone()) }))
        .await
        .map_err(fault)
}
