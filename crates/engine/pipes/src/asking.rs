//! What is asked on the way of a batch: express state machines and API destinations, to enrich it, or to take it and tell which of its
//! messages have failed.
//!
//! For a state machine the pipe waits for the end of an execution before it has begun, starts it with a call, and draws its output like a message. None of this is
//! in the log but the execution itself: after a crash the source has the messages, and another execution is asked. Requests to API destinations
//! are `requests.rs`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use json_text::{Parts, compact};
use kernel::{Arn, Call, Called, Caller, Drawn, Outcome, Rests, uuid_text};
use serde_json::{Value, json};

use crate::batch::{Asked, Execution, Gathered, Handed, Purpose, Said, Who};
use crate::handing::{Failure, Message, item, message, offer, refused, told, transformed};
use crate::operations::{Context, Decision};
use crate::rules::pipe::{Kind, Pipe};
use crate::rules::record::Record;
use crate::service::{Effect, Waiter};
use crate::{BatchId, limits, requests};

/// Who starts executions.
const PRINCIPAL: &str = "pipes.amazonaws.com";

/// The only thing that an execution gives.
const OUTPUT: Drawn = Drawn { number: 0, draw: 0 };

/// Asks an execution for messages of a batch.
pub(crate) fn ask<'a>(
    batch: BatchId,
    pipe: &Pipe,
    gathered: Gathered,
    handed: Handed,
    context: &Context<'a, '_>,
) -> Decision<'a> {
    let (purpose, machine) = match &pipe.enrichment {
        Some(enrichment) => (Purpose::Enrich, &enrichment.resource),
        None => (Purpose::Invoke, &pipe.target),
    };
    asking(batch, asked(batch, purpose, machine, gathered, context), handed, context)
}

fn asked(
    batch: BatchId,
    purpose: Purpose,
    machine: &Arn,
    gathered: Gathered,
    context: &Context<'_, '_>,
) -> Asked {
    let setting = &context.setting;
    // No two batches have the same number while time stands still, and batches of another start have another time.
    let lot = batch.0.rotate_left(44) ^ setting.now.0 ^ u64::from(purpose == Purpose::Invoke).rotate_left(43);
    let execution = Execution {
        machine: machine.clone(),
        name: uuid_text(setting.secret.derive("execution of a pipe", lot)),
        input: format!("[{}]", gathered.items),
        reading: None,
    };
    Asked {
        purpose,
        who: Who::Execution(execution),
        messages: gathered.messages,
        answer: None,
        until: setting.now + limits::ASK_MILLIS,
    }
}

pub(crate) fn asking<'a>(
    batch: BatchId,
    asked: Asked,
    handed: Handed,
    context: &Context<'a, '_>,
) -> Decision<'a> {
    Decision::with(
        Vec::new(),
        Outcome::Wait(Waiter::Asking(batch, Box::new(asked), handed, context.setting.now)),
    )
}

/// Asks whether the state machine is an express one.
pub(crate) fn check<'a>(pipe: &Pipe, asked: &Asked) -> Decision<'a> {
    let Some(asked) = asked.execution() else { return Decision::silent(Vec::new()) };
    // A version or an alias is of the type of its state machine.
    let resource = asked.machine.resource.split(':').take(2).collect::<Vec<_>>().join(":");
    let machine = Arn { resource, ..asked.machine.clone() };
    let input = json!({"stateMachineArn": machine.to_string()});
    call(pipe, "describeStateMachine", &input)
}

fn call<'a>(pipe: &Pipe, operation: &str, input: &Value) -> Decision<'a> {
    Decision::with(
        Vec::new(),
        Outcome::Call(Box::new(Call {
            service: "stepfunctions".to_owned(),
            operation: operation.to_owned(),
            input: input.to_string(),
            caller: Caller::service(PRINCIPAL, &pipe.key.account, &pipe.key.region),
            base: String::new(),
            // A pipe records nothing of its own.
            room: 1,
        })),
    )
}

/// Starts the execution once the state machine is known to be an express one.
pub(crate) fn go_on<'a>(
    batch: BatchId,
    pipe: &Pipe,
    asked: &Asked,
    is_checked: &mut bool,
    called: &Called,
) -> Decision<'a> {
    match called {
        Called::Answered(_) if *is_checked => Decision::silent(Vec::new()),
        Called::Answered(answer) if is_express(answer) => {
            *is_checked = true;
            let Some(asked) = asked.execution() else { return Decision::silent(Vec::new()) };
            let input = json!({
                "stateMachineArn": asked.machine.to_string(),
                "name": asked.name,
                "input": asked.input,
            });
            call(pipe, "startExecution", &input)
        }
        _ => Decision::with(Vec::new(), Outcome::Wait(Waiter::NotStarted(batch))),
    }
}

fn is_express(answer: &str) -> bool {
    let described: Option<Value> = serde_json::from_str(answer).ok();
    described.is_some_and(|described| described["type"] == "EXPRESS")
}

/// The output of an execution is read.
pub(crate) fn fetch<'a>(batch: BatchId, source: &Arn, context: &mut Context<'a, '_>) -> Decision<'a> {
    let extent = context.place_of(source, OUTPUT);
    let effect = extent.map(|extent| (Rests::OnRecord(extent), Effect::Read(batch, vec![extent])));
    let outcome = Outcome::Wait(Waiter::Fetching(batch, extent));
    Decision { effects: effect.into_iter().collect(), ..Decision::with(Vec::new(), outcome) }
}

/// An execution has answered, or never will.
pub(crate) fn answer<'a>(
    batch: BatchId,
    pipe: &Pipe,
    asked: &Asked,
    context: &mut Context<'a, '_>,
) -> Decision<'a> {
    if !asked.messages.iter().any(|&(drawn, _)| context.place_of(&pipe.source, drawn).is_some()) {
        // Their visibility timeout has ended: they go through the pipe again, or went another way.
        return told(batch, Handed { failed: asked.messages.len(), ..Handed::default() }, context);
    }
    let output = match output_of(asked, context) {
        Ok(output) => output,
        Err(reason) => return told(batch, all_failed(pipe, asked, reason, context), context),
    };
    match (asked.purpose, &asked.who) {
        (Purpose::Enrich, _) => {}
        (Purpose::Invoke, Who::Execution(_)) => {
            return told(batch, some_failed(pipe, asked, &output, context), context);
        }
        // Only functions and state machines can tell that some of a batch have failed.
        (Purpose::Invoke, Who::Destination) => return told(batch, all_done(pipe, asked, context), context),
    }
    let items = items(&output);
    if items.is_empty() {
        // An empty answer is not handed on (AWS's documentation of EventBridge Pipes, "enrichment").
        return told(batch, all_done(pipe, asked, context), context);
    }
    if let Kind::Destination(_) = pipe.kind {
        return requests::invoke(batch, pipe, asked, &items, context);
    }
    if !pipe.kind.takes_all() {
        return told(batch, hand_each(pipe, asked, items, context), context);
    }
    let Some(items) = array(pipe, items, context) else {
        let reason = "the input template does not make JSON of the enriched messages".into();
        return told(batch, all_failed(pipe, asked, reason, context), context);
    };
    if pipe.kind == (Kind::StateMachine { waits: true }) {
        let gathered = Gathered { messages: asked.messages.clone(), items };
        let asked = self::asked(batch, Purpose::Invoke, &pipe.target, gathered, context);
        return asking(batch, asked, Handed::default(), context);
    }
    let handed = match offer(pipe, Message { text: format!("[{items}]"), ..Message::default() }, context) {
        Ok(()) => all_done(pipe, asked, context),
        Err(reason) => all_failed(pipe, asked, reason, context),
    };
    told(batch, handed, context)
}

/// What an answer says; or why there is none.
fn output_of(asked: &Asked, context: &Context<'_, '_>) -> Result<String, Failure> {
    match (&asked.who, &asked.answer) {
        (Who::Execution(execution), Some(Said::Output(record))) => {
            let output = context.show(&execution.source(), OUTPUT, record);
            output.ok_or(Cow::Borrowed("the execution has failed"))
        }
        (_, Some(Said::Answer(answer))) => requests::body_of(answer),
        (Who::Execution(_), _) => Err("the execution has failed".into()),
        (Who::Destination, _) => Err("the API destination has not answered".into()),
    }
}

/// What an enrichment has made of a batch: the items of an array, or one of anything else; none if it is empty.
fn items(output: &str) -> Vec<Record> {
    let output = compact(output);
    match &*output {
        "" | "null" | "\"\"" | "{}" | "[]" => Vec::new(),
        list if list.starts_with('[') => {
            Parts::of(list).map(|(_, item)| Record::new(item.to_owned())).collect()
        }
        one => vec![Record::new(one.to_owned())],
    }
}

/// The items of the input of a state machine.
fn array(pipe: &Pipe, records: Vec<Record>, context: &Context<'_, '_>) -> Option<String> {
    let mut input = String::new();
    for record in &records {
        if !input.is_empty() {
            input.push(',');
        }
        let text = transformed(pipe, pipe.template.as_ref(), record, context)?;
        input.push_str(&item(text));
        if input.len() > limits::ARRAY_BYTES {
            return None;
        }
    }
    Some(input)
}

/// Hands each of the enriched messages to the target, all of them in one group with the deletion of the messages that they were made of.
fn hand_each(pipe: &Pipe, asked: &Asked, records: Vec<Record>, context: &mut Context<'_, '_>) -> Handed {
    if records.len() > limits::TARGET_BATCH as usize {
        let reason = "the enrichment has made more messages than the target takes at once";
        return all_failed(pipe, asked, reason.into(), context);
    }
    let messages = records.iter().map(|record| message(pipe, record, context)).collect::<Result<Vec<_>, _>>();
    let messages = match messages {
        Ok(messages) => messages,
        Err(reason) => return all_failed(pipe, asked, reason, context),
    };
    // Targets see what they have taken before, but not what they take in the same decision.
    let mut ids = BTreeSet::new();
    for message in messages {
        let is_repeated = message.deduplication_id.clone().is_some_and(|id| !ids.insert(id));
        if is_repeated {
            continue;
        }
        if let Err(reason) = offer(pipe, message, context) {
            return all_failed(pipe, asked, reason, context);
        }
    }
    all_done(pipe, asked, context)
}

fn all_done(pipe: &Pipe, asked: &Asked, context: &mut Context<'_, '_>) -> Handed {
    let drawn: Vec<Drawn> = asked.messages.iter().map(|message| message.0).collect();
    context.finish(&pipe.source, &drawn);
    Handed { done: drawn.len(), ..Handed::default() }
}

pub(crate) fn all_failed(
    pipe: &Pipe,
    asked: &Asked,
    reason: Failure,
    context: &mut Context<'_, '_>,
) -> Handed {
    if let Some((drawn, id)) = asked.messages.first() {
        refused(pipe, *drawn, Some(id.clone()), reason, context);
    }
    Handed { failed: asked.messages.len(), ..Handed::default() }
}

/// Deletes the messages of which the target does not say that they failed (AWS's documentation of EventBridge Pipes, "Partial batch
/// failures"). A list that names something else fails as a whole, as AWS's functions have it.
fn some_failed(pipe: &Pipe, asked: &Asked, output: &str, context: &mut Context<'_, '_>) -> Handed {
    let output: Value = serde_json::from_str(output).unwrap_or_default();
    let failures = output.get("batchItemFailures").and_then(Value::as_array);
    let mut failed = BTreeSet::new();
    for failure in failures.into_iter().flatten() {
        let id = failure.get("itemIdentifier").and_then(Value::as_str).unwrap_or_default();
        if !asked.messages.iter().any(|message| message.1 == id) {
            let reason = Cow::Borrowed("the target names a message that it was not given");
            return all_failed(pipe, asked, reason, context);
        }
        failed.insert(id);
    }
    let (failed, done): (Vec<_>, Vec<_>) =
        asked.messages.iter().partition(|message| failed.contains(&*message.1));
    for (drawn, id) in &failed {
        refused(pipe, *drawn, Some(id.clone()), "the target says that it has failed".into(), context);
    }
    let drawn: Vec<Drawn> = done.iter().map(|message| message.0).collect();
    context.finish(&pipe.source, &drawn);
    Handed { done: drawn.len(), failed: failed.len(), ..Handed::default() }
}
