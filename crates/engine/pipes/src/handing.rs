//! What becomes of messages that were drawn: they are filtered, put into other words, and handed to the target. In the same group of the
//! log they are deleted from their source. What the target does not take stays in the source.

use std::borrow::Cow;

use bytestring::ByteString;
use json_text::{quote, quoted};
use kernel::parcel::Form;
use kernel::{
    Body, Drawn, Extent, Offer, Outcome, ParcelSent, Rests, Sender, Stored, Taken, Undelivered, hex, iso8601,
};
use md5::{Digest, Md5};
use notification::{Kind as Of, Notification};
use patterns::Event;
use sha2::Sha256;

use crate::batch::{Gathered, Hand, Handed};
use crate::operations::{Context, Decision};
use crate::rules::pipe::{Kind, Pipe};
use crate::rules::record::Record;
use crate::rules::template::{About, Dynamic, Template};
use crate::service::{Effect, Waiter};
use crate::{BatchId, asking, limits, requests};

/// Whoever gets a message of a pipe gets it as it is.
const RAW: Form = Form { recipient: 0, raw: true, protocol: 0, replayed: false };

/// A pipe draws from its source. What was drawn is told to it with [`Waiter::Drawn`].
pub(crate) fn draw<'a>(pipe: &Pipe, most: usize, context: &mut Context<'a, '_>) -> Decision<'a> {
    let drawn = context.draw(&pipe.source, most).ok();
    Decision::with(Vec::new(), Outcome::Wait(Waiter::Drawn(pipe.id, drawn, context.setting.now)))
}

/// Records of messages of a batch are read from where they lie now, a bounded part of them.
pub(crate) fn read<'a>(
    batch: BatchId,
    pipe: &Pipe,
    messages: &[Drawn],
    context: &mut Context<'a, '_>,
) -> Decision<'a> {
    let (mut reading, mut later, mut bytes) = (Vec::new(), Vec::new(), 0);
    for &drawn in messages {
        // What is no longer drawn goes its own way.
        let Some(extent) = context.place_of(&pipe.source, drawn) else { continue };
        bytes += u64::from(extent.len);
        match bytes > limits::READ_BYTES && !reading.is_empty() {
            true => later.push(drawn),
            false => reading.push((drawn, extent)),
        }
    }
    let mut extents: Vec<Extent> = reading.iter().map(|&(_, extent)| extent).collect();
    extents.dedup();
    let latest = extents.iter().max_by_key(|extent| extent.place).copied();
    let effect = latest.map(|latest| (Rests::OnRecord(latest), Effect::Read(batch, extents)));
    let outcome = Outcome::Wait(Waiter::Reading(batch, reading, later));
    Decision { effects: effect.into_iter().collect(), ..Decision::with(Vec::new(), outcome) }
}

/// Messages are handed on. What became of them is told to their batch with [`Waiter::Handed`].
pub(crate) fn hand<'a>(hand: &mut Hand, context: &mut Context<'a, '_>) -> Decision<'a> {
    let (batch, pipe) = (hand.batch, hand.pipe.clone());
    if pipe.asks_elsewhere() {
        return requests::hand(hand, context);
    }
    if !pipe.takes_all() {
        let handed = hand_one(hand, context);
        return told(batch, handed, context);
    }
    let mut handed = gather(hand, context);
    let gathered = std::mem::take(&mut hand.gathered);
    if handed.rest.is_empty() && !hand.is_last {
        return Decision::with(Vec::new(), Outcome::Wait(Waiter::Gathered(batch, gathered, handed)));
    }
    let waits = pipe.enrichment.is_some() || pipe.kind == Kind::StateMachine { waits: true };
    if waits && !gathered.messages.is_empty() {
        return asking::ask(batch, &pipe, gathered, handed, context);
    }
    hand_all(&pipe, gathered, &mut handed, context);
    told(batch, handed, context)
}

/// The batch is told what became of its messages.
pub(crate) fn told<'a>(batch: BatchId, handed: Handed, context: &Context<'a, '_>) -> Decision<'a> {
    Decision::with(Vec::new(), Outcome::Wait(Waiter::Handed(batch, handed, context.setting.now)))
}

/// Why a target did not get something.
pub(crate) type Failure = Cow<'static, str>;

fn hand_one(hand: &Hand, context: &mut Context<'_, '_>) -> Handed {
    let mut handed = Handed::default();
    let pipe = &*hand.pipe;
    for (drawn, stored) in &hand.messages {
        let Some(record) = shown(pipe, *drawn, stored, context) else { continue };
        let group = record.find(&["attributes", "MessageGroupId"]);
        let is_ordered = pipe.source.resource.ends_with(".fifo");
        if is_ordered && group.as_ref().is_some_and(|group| hand.blocked.contains(group)) {
            handed.failed += 1;
            continue;
        }
        let taken = match passes(pipe, &record) {
            true => deliver(pipe, &record, context),
            false => Ok(()),
        };
        match taken {
            Ok(()) => {
                context.finish(&pipe.source, &[*drawn]);
                handed.done += 1;
            }
            Err(reason) => {
                handed.failed += 1;
                handed.blocked = group.filter(|_| is_ordered);
                refused(pipe, *drawn, record.find(&["messageId"]), reason, context);
            }
        }
    }
    handed
}

/// Hands messages to a state machine, as the items of one array.
fn hand_all(pipe: &Pipe, gathered: Gathered, handed: &mut Handed, context: &mut Context<'_, '_>) {
    let Some((first, id)) = gathered.messages.first().cloned() else { return };
    match offer(pipe, Message { text: format!("[{}]", gathered.items), ..Message::default() }, context) {
        Ok(()) => {
            let drawn: Vec<Drawn> = gathered.messages.iter().map(|message| message.0).collect();
            context.finish(&pipe.source, &drawn);
            handed.done += drawn.len();
        }
        Err(reason) => {
            handed.failed += gathered.messages.len();
            refused(pipe, first, Some(id), reason, context);
        }
    }
}

/// Adds messages to those that go on together, as many as fit into the input of a state machine. Those that pass no filter are deleted.
fn gather(hand: &mut Hand, context: &mut Context<'_, '_>) -> Handed {
    let mut handed = Handed::default();
    let pipe = hand.pipe.clone();
    let template = match &pipe.enrichment {
        Some(enrichment) => enrichment.template.as_ref(),
        None => pipe.template.as_ref(),
    };
    let gathered = &mut hand.gathered;
    let mut filtered = Vec::new();
    let mut messages = std::mem::take(&mut hand.messages).into_iter();
    for (drawn, stored) in messages.by_ref() {
        let Some(record) = shown(&pipe, drawn, &stored, context) else { continue };
        if !passes(&pipe, &record) {
            filtered.push(drawn);
            continue;
        }
        let id = record.find(&["messageId"]);
        let Some(text) = transformed(&pipe, template, &record, context) else {
            handed.failed += 1;
            refused(&pipe, drawn, id, NO_JSON.into(), context);
            continue;
        };
        let item = item(text);
        if !gathered.messages.is_empty() {
            // The brackets and a comma stand around them.
            if gathered.items.len() + item.len() + 3 > limits::ARRAY_BYTES {
                handed.rest.push((drawn, stored));
                break;
            }
            gathered.items.push(',');
        }
        gathered.items.push_str(&item);
        gathered.messages.push((drawn, id.unwrap_or_default()));
    }
    handed.rest.extend(messages);
    handed.done = filtered.len();
    if !filtered.is_empty() {
        context.finish(&pipe.source, &filtered);
    }
    handed
}

pub(crate) const NO_JSON: &str = "the input template does not make JSON of the message, or too much";

/// A text as an item of an array.
pub(crate) fn item(text: Cow<'_, str>) -> Cow<'_, str> {
    if json_text::is_json(&text) {
        return text;
    }
    Cow::Owned(quoted(&text))
}

/// A message of the pipe's source; none if it is no longer the pipe's.
pub(crate) fn shown(pipe: &Pipe, drawn: Drawn, stored: &Stored, context: &Context<'_, '_>) -> Option<Record> {
    context.show(&pipe.source, drawn, stored).map(Record::new)
}

/// Whether a message passes the filters (facts/eventbridge.md § 10).
pub(crate) fn passes(pipe: &Pipe, record: &Record) -> bool {
    if pipe.filters.is_empty() {
        return true;
    }
    let event = Event::from_json(record.parsed());
    pipe.filters.iter().any(|filter| filter.matches(&event))
}

/// What the target gets of a message; none if the template does not make JSON of it, or too much.
pub(crate) fn transformed<'r>(
    pipe: &Pipe,
    template: Option<&Template>,
    record: &'r Record,
    context: &Context<'_, '_>,
) -> Option<Cow<'r, str>> {
    let Some(template) = template else { return Some(Cow::Borrowed(record.text())) };
    let about = About {
        pipe_arn: &pipe.arn,
        pipe_name: &pipe.key.name,
        source_arn: &pipe.definition.source,
        enrichment_arn: pipe.definition.enrichment.as_deref(),
        target_arn: &pipe.definition.target,
        ingested: context.setting.now,
    };
    template.render(record, &about).map(Cow::Owned)
}

/// What is offered to a target.
#[derive(Default)]
pub(crate) struct Message {
    pub text: String,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
}

/// Hands one message to the target.
fn deliver(pipe: &Pipe, record: &Record, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let message = message(pipe, record, context)?;
    offer(pipe, message, context)
}

/// What the target is offered of a message.
pub(crate) fn message(pipe: &Pipe, record: &Record, context: &Context<'_, '_>) -> Result<Message, Failure> {
    let text = transformed(pipe, pipe.template.as_ref(), record, context).ok_or(NO_JSON)?;
    let value = |parameter: &Option<Dynamic>, name: &str| match parameter {
        None => Ok(None),
        Some(parameter) => match parameter.value(record) {
            Some(value) => Ok(Some(value.into_owned())),
            None => Err(Failure::from(format!("the message has nothing at the path of {name}"))),
        },
    };
    let message = match &pipe.kind {
        Kind::Queue { group, deduplication_id } => Message {
            text: text.into_owned(),
            group: value(group, "MessageGroupId")?.filter(|group| !group.is_empty()),
            deduplication_id: value(deduplication_id, "MessageDeduplicationId")?.filter(|id| !id.is_empty()),
        },
        // A record may be empty, but no message of a source is.
        Kind::Stream { partition_key } => Message {
            text: text.into_owned(),
            group: value(&Some(partition_key.clone()), "PartitionKey")?,
            deduplication_id: None,
        },
        Kind::Topic | Kind::StateMachine { .. } | Kind::Destination(_) => {
            Message { text: text.into_owned(), ..Message::default() }
        }
        Kind::Bus { detail_type, source, resources, time } => {
            if !text.trim_start().starts_with('{') || !json_text::is_json(&text) {
                return Err("the detail of an event must be a JSON object".into());
            }
            let resources = resources.iter().map(|parameter| value(&Some(parameter.clone()), "Resources"));
            let resources = resources.collect::<Result<Vec<_>, _>>()?;
            let said = Said {
                detail_type: value(detail_type, "DetailType")?,
                source: value(source, "Source")?,
                resources: resources.into_iter().flatten().collect(),
                time: value(time, "Time")?.as_deref().map(moment).transpose()?,
            };
            Message { text: said.event(pipe, &text), ..Message::default() }
        }
    };
    if message.text.is_empty() {
        return Err("there is no message: it is empty".into());
    }
    Ok(message)
}

/// What the parameters say of an event.
struct Said {
    detail_type: Option<String>,
    source: Option<String>,
    resources: Vec<String>,
    time: Option<String>,
}

impl Said {
    /// The event for a bus. Its default source and type are those that users of AWS report.
    fn event(&self, pipe: &Pipe, detail: &str) -> String {
        let mut out = String::from("{\"detail-type\":");
        quote(&mut out, self.detail_type.as_deref().unwrap_or("Event from aws:sqs"));
        out.push_str(",\"source\":");
        quote(&mut out, &self.source.clone().unwrap_or_else(|| format!("Pipe {}", pipe.key.name)));
        for (name, text) in [("account", &pipe.key.account), ("region", &pipe.key.region)] {
            out.push_str(&format!(",\"{name}\":"));
            quote(&mut out, text);
        }
        if let Some(time) = &self.time {
            out.push_str(",\"time\":");
            quote(&mut out, time);
        }
        out.push_str(",\"resources\":");
        out.push_str(&serde_json::Value::from(self.resources.clone()).to_string());
        out.push_str(",\"detail\":");
        out.push_str(detail);
        out.push('}');
        out
    }
}

/// The time of an event: a text in ISO 8601, or seconds or milliseconds since 1970.
fn moment(text: &str) -> Result<String, Failure> {
    if iso8601::read(text).is_some() {
        return Ok(text.to_owned());
    }
    /// Numbers from here on are milliseconds: as seconds they would be after the year 5000.
    const MILLIS: i64 = 100_000_000_000;
    let number = text.parse::<i64>().ok().filter(|number| (0..=4_000_000_000_000).contains(number));
    let number = number.ok_or("the time of the event is no time")?;
    Ok(iso8601::write(if number < MILLIS { number * 1000 } else { number }))
}

/// Offers a message to the target. In its own account the role decides what a pipe may do, and in others the target's policy.
pub(crate) fn offer(pipe: &Pipe, message: Message, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let size = message.text.len();
    let is_fifo = pipe.target.resource.ends_with(".fifo");
    let has_id = message.deduplication_id.is_some();
    let body = body(pipe, message, is_fifo, context);
    let offer = Offer {
        to: &pipe.target,
        body,
        must_be_allowed: (pipe.target.account != pipe.key.account)
            .then_some(Sender { arn: &pipe.arn, service: "pipes.amazonaws.com" }),
        size,
        attributes: 0,
        form: RAW,
        deduplicates_by_content: is_fifo && !has_id,
        is_dead_letter: false,
    };
    match context.offer(&offer) {
        Taken::Taken | Taken::Duplicate => Ok(()),
        Taken::Refused(_, reason) => Err(reason.into()),
    }
}

fn body(pipe: &Pipe, message: Message, is_fifo: bool, context: &mut Context<'_, '_>) -> Body {
    let id = message.deduplication_id.unwrap_or_else(|| hex(&Sha256::digest(&message.text)));
    let notification = Notification {
        kind: Of::Notification,
        message_md5: Md5::digest(&message.text).into(),
        message: message.text.into(),
        texts: Vec::new(),
        subject: None,
        attributes: Vec::new(),
        trace_header: None,
        topic_arn: pipe.arn.as_str().into(),
        base: ByteString::new(),
        endpoint: None,
        fifo: false,
    };
    let number = context.setting.numbers.draw();
    let parcel = ParcelSent {
        group: message.group.map(Cow::Owned),
        deduplication_id: is_fifo.then_some(id.into()),
        ..ParcelSent::new(number, pipe.id, context.setting.now)
    };
    context.body(parcel, notification.encode())
}

/// The operator is told of a message that the target did not take.
pub(crate) fn refused(
    pipe: &Pipe,
    drawn: Drawn,
    message_id: Option<String>,
    reason: Failure,
    context: &mut Context<'_, '_>,
) {
    let at = context.setting.now;
    context.undelivered(Undelivered {
        message_id,
        published_to: Some(pipe.definition.source.clone()),
        sender_arn: pipe.arn.clone(),
        protocol: "target".to_owned(),
        destination: pipe.definition.target.clone(),
        at,
        attempts: drawn.draw.max(1),
        reason: reason.into_owned(),
        is_dead_letter: false,
    });
}
