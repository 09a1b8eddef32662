//! Requests to API destinations: one for each message, to enrich it or as the target.
//!
//! The message stays in its source until the answer is there. So after a crash, or if the answer is lost, it is sent once more.

use kernel::request::{Answer, Asking, Request};
use kernel::{Arn, Drawn, Rests};

use crate::asking::{all_failed, asking};
use crate::batch::{Asked, Hand, Handed, Purpose, Who};
use crate::handing::{Failure, NO_JSON, passes, refused, shown, told, transformed};
use crate::operations::{Context, Decision};
use crate::rules::http::Http;
use crate::rules::pipe::{Kind, Pipe};
use crate::rules::record::Record;
use crate::rules::template::Template;
use crate::service::Effect;
use crate::{BatchId, limits};

/// Asks the pipe's enrichment, or its target, for a message. Such a batch has one message.
pub(crate) fn hand<'a>(hand: &mut Hand, context: &mut Context<'a, '_>) -> Decision<'a> {
    let (batch, pipe) = (hand.batch, hand.pipe.clone());
    let mut handed = Handed::default();
    let Some((drawn, stored)) = hand.messages.pop() else { return told(batch, handed, context) };
    handed.rest = std::mem::take(&mut hand.messages);
    let Some(record) = shown(&pipe, drawn, &stored, context) else { return told(batch, handed, context) };
    if !passes(&pipe, &record) {
        context.finish(&pipe.source, &[drawn]);
        handed.done = 1;
        return told(batch, handed, context);
    }
    let (purpose, to) = match &pipe.enrichment {
        Some(enrichment) => {
            let to = (&enrichment.resource, enrichment.template.as_ref(), &enrichment.http);
            (Purpose::Enrich, Some(to))
        }
        None => (Purpose::Invoke, target(&pipe)),
    };
    let id = record.find(&["messageId"]);
    match to.map_or(Err(NO_JSON.into()), |to| request(&pipe, to, &record, context)) {
        Ok(request) => ask(batch, purpose, vec![(drawn, id.unwrap_or_default())], request, handed, context),
        Err(reason) => {
            handed.failed = 1;
            refused(&pipe, drawn, id, reason, context);
            told(batch, handed, context)
        }
    }
}

/// Asks the target for what an enrichment has made of a batch.
pub(crate) fn invoke<'a>(
    batch: BatchId,
    pipe: &Pipe,
    asked: &Asked,
    records: &[Record],
    context: &mut Context<'a, '_>,
) -> Decision<'a> {
    let request = match (records, target(pipe)) {
        ([record], Some(to)) => request(pipe, to, record, context),
        _ => Err("the enrichment has made more messages than the target takes at once".into()),
    };
    match request {
        Ok(request) => {
            let messages = asked.messages.clone();
            ask(batch, Purpose::Invoke, messages, request, Handed::default(), context)
        }
        Err(reason) => told(batch, all_failed(pipe, asked, reason, context), context),
    }
}

/// An API destination, how an event is put into other words for it, and what requests to it say besides.
type To<'p> = (&'p Arn, Option<&'p Template>, &'p Http);

fn target(pipe: &Pipe) -> Option<To<'_>> {
    match &pipe.kind {
        Kind::Destination(http) => Some((&pipe.target, pipe.template.as_ref(), http)),
        _ => None,
    }
}

fn request(
    pipe: &Pipe,
    (to, template, http): To<'_>,
    record: &Record,
    context: &Context<'_, '_>,
) -> Result<Request, Failure> {
    let body = transformed(pipe, template, record, context).ok_or(NO_JSON)?;
    let values = http.values(record);
    let asking = Asking {
        through: to,
        to: None,
        path: &values.path,
        query: &values.query,
        headers: &values.headers,
        fixed: &[],
        body: &body,
    };
    context.request(&asking).map_err(Into::into)
}

fn ask<'a>(
    batch: BatchId,
    purpose: Purpose,
    messages: Vec<(Drawn, String)>,
    request: Request,
    handed: Handed,
    context: &Context<'a, '_>,
) -> Decision<'a> {
    let asked = Asked {
        purpose,
        who: Who::Destination,
        messages,
        answer: None,
        until: context.setting.now + limits::ASK_MILLIS,
    };
    let effect = (Rests::OnNothing, Effect::Request(batch, Box::new(request)));
    Decision { effects: vec![effect], ..asking(batch, asked, handed, context) }
}

/// What the body of an answer says: JSON, or a text that becomes a string of JSON. Any status but 2xx is a failure: the message is tried
/// again when its source gives it again.
pub(crate) fn body_of(answer: &Answer) -> Result<String, Failure> {
    match answer {
        Answer::Answered { status: 200..=299, body, .. } => {
            let text = String::from_utf8_lossy(body);
            match text.trim().is_empty() || json_text::is_json(&text) {
                true => Ok(text.into_owned()),
                false => Ok(json_text::quoted(&text)),
            }
        }
        Answer::Answered { status, reason, .. } => {
            Err(format!("the API destination answered {status} {reason}").trim_end().to_owned().into())
        }
        Answer::TooLong(most) => {
            Err(format!("the answer of the API destination is longer than {most} bytes").into())
        }
        Answer::None(reason) => Err(reason.clone().into()),
    }
}
