//! A pipe ready to be used: what its definition says, read once.

use std::sync::Arc;

use json_text::path::Path;
use kernel::{Arn, Refusal};
use patterns::EventPattern;

use super::definition::{Definition, TargetParameters};
use super::http::Http;
use super::template::{Dynamic, Template};
use crate::{PipeKey, limits, refusals};

/// A pipe.
#[derive(Debug)]
pub struct Pipe {
    /// Its number.
    pub id: u64,
    /// Account, region and name.
    pub key: PipeKey,
    /// Its ARN.
    pub arn: String,
    /// What it was made of.
    pub definition: Arc<Definition>,
    /// Where its messages come from.
    pub source: Arn,
    /// Patterns of which one must match; all messages pass if there are none.
    pub filters: Vec<EventPattern>,
    /// What is asked for each batch, and its answer is what the target gets.
    pub enrichment: Option<Enrichment>,
    /// How an event is put into other words for the target.
    pub template: Option<Template>,
    /// Where its messages go.
    pub target: Arn,
    /// What kind of target that is.
    pub kind: Kind,
}

/// What is asked for each batch: its answer takes the place of the batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrichment {
    /// An express state machine or an API destination.
    pub resource: Arn,
    /// How an event is put into other words for it.
    pub template: Option<Template>,
    /// What requests to an API destination say besides.
    pub http: Http,
}

impl Enrichment {
    /// Whether it is an API destination, which is asked for one event at a time.
    pub fn is_destination(&self) -> bool {
        is_destination(&self.resource)
    }
}

/// Whether a pipe must not have batches, since an API destination is asked for one event at a time.
pub(super) fn asks_one_by_one(definition: &Definition) -> bool {
    let arns = [definition.enrichment.as_ref(), Some(&definition.target)];
    arns.into_iter().flatten().any(|arn| arn.parse().is_ok_and(|arn| is_destination(&arn)))
}

fn is_destination(arn: &Arn) -> bool {
    arn.service == "events" && arn.resource.starts_with("api-destination/")
}

/// A kind of target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A queue gets each event as a message.
    Queue {
        /// `MessageGroupId`.
        group: Option<Dynamic>,
        /// `MessageDeduplicationId`.
        deduplication_id: Option<Dynamic>,
    },
    /// A topic gets each event as a message.
    Topic,
    /// A stream gets each event as a record.
    Stream {
        /// `PartitionKey`.
        partition_key: Dynamic,
    },
    /// An event bus gets each event as the detail of one.
    Bus {
        /// `DetailType`.
        detail_type: Option<Dynamic>,
        /// `Source`.
        source: Option<Dynamic>,
        /// `Resources`.
        resources: Vec<Dynamic>,
        /// `Time`.
        time: Option<Dynamic>,
    },
    /// A state machine gets all events of a batch as one array.
    StateMachine {
        /// Whether the pipe waits for the end of its execution (`REQUEST_RESPONSE`), which may tell that some events have failed.
        waits: bool,
    },
    /// An API destination gets each event as a request, which says this besides.
    Destination(Http),
}

impl Kind {
    /// Whether the target gets all events of a batch together.
    pub fn takes_all(&self) -> bool {
        matches!(self, Kind::StateMachine { .. })
    }

    /// Messages of a batch, at the most (AWS's documentation of EventBridge Pipes, "batching and concurrency").
    fn batch(&self) -> u32 {
        match self {
            Kind::StateMachine { .. } => 10_000,
            Kind::Queue { .. } | Kind::Topic | Kind::Bus { .. } | Kind::Stream { .. } => limits::TARGET_BATCH,
            Kind::Destination(_) => 1,
        }
    }

    fn of(target: &Arn, given: &TargetParameters) -> Result<Kind, Refusal> {
        let dynamic = |text: &Option<String>| text.as_deref().map(Dynamic::parse).transpose();
        let unfit = || {
            let text = "TargetParameters have parameters of another kind of target than the target is.";
            refusals::invalid(text)
        };
        let kind = match (&*target.service, &*target.resource) {
            ("sqs", _) => {
                let queue = given.queue.clone().unwrap_or_default();
                Kind::Queue {
                    group: dynamic(&queue.group)?,
                    deduplication_id: dynamic(&queue.deduplication_id)?,
                }
            }
            ("sns", name) if name.ends_with(".fifo") => {
                return Err(refusals::invalid("FIFO topics are not supported as targets of pipes."));
            }
            ("sns", _) => Kind::Topic,
            ("kinesis", name) if name.starts_with("stream/") => {
                // The text is not recorded of AWS.
                let missing =
                    || refusals::invalid("KinesisStreamParameters.PartitionKey must be given for a stream.");
                let key = given.stream.as_ref().and_then(|it| it.partition_key.clone());
                Kind::Stream { partition_key: dynamic(&key)?.ok_or_else(missing)? }
            }
            ("events", name) if name.starts_with("event-bus/") => {
                let bus = given.bus.clone().unwrap_or_default();
                Kind::Bus {
                    detail_type: dynamic(&bus.detail_type)?,
                    source: dynamic(&bus.source)?,
                    resources: bus
                        .resources
                        .iter()
                        .flatten()
                        .map(|text| Dynamic::parse(text))
                        .collect::<Result<_, _>>()?,
                    time: dynamic(&bus.time)?,
                }
            }
            // Without a type it is REQUEST_RESPONSE (AWS's API reference, "PipeTargetStateMachineParameters").
            ("states", name) if name.starts_with("stateMachine:") => Kind::StateMachine {
                waits: given.state_machine.as_ref().and_then(|it| it.invocation_type.as_deref())
                    != Some("FIRE_AND_FORGET"),
            },
            _ if is_destination(target) => Kind::Destination(Http::parse(given.http.as_ref())?),
            _ => {
                let text = "is not supported by this server: the targets of its pipes are queues, topics, event buses, \
                            streams, state machines and API destinations.";
                return Err(refusals::invalid(format_args!("Target {target} {text}")));
            }
        };
        let has = [
            given.queue.is_some(),
            given.bus.is_some(),
            given.state_machine.is_some(),
            given.stream.is_some(),
            given.http.is_some(),
        ];
        let may = match kind {
            Kind::Queue { .. } => 0,
            Kind::Bus { .. } => 1,
            Kind::StateMachine { .. } => 2,
            Kind::Stream { .. } => 3,
            Kind::Destination(_) => 4,
            Kind::Topic => has.len(),
        };
        let fits = has.iter().enumerate().all(|(at, has)| !has || at == may);
        if fits { Ok(kind) } else { Err(unfit()) }
    }
}

impl Pipe {
    /// Reads a definition whose members obey AWS's model.
    ///
    /// Errors: what contradicts itself, and what this server does not serve.
    pub fn of(id: u64, key: PipeKey, definition: Arc<Definition>) -> Result<Pipe, Refusal> {
        let source = definition.source.parse::<Arn>().ok().filter(|arn| arn.service == "sqs");
        let source = source.ok_or_else(|| {
            let text = "is not supported by this server: the sources of its pipes are Amazon SQS queues.";
            refusals::invalid(format_args!("Source {} {text}", definition.source))
        })?;
        // The caller's role cannot be asked whether it may read what is another account's.
        if (&source.account, &source.region) != (&key.account, &key.region) {
            return Err(refusals::invalid("The source must be in the account and the region of the pipe."));
        }
        let target = definition.target.parse::<Arn>();
        let target =
            target.map_err(|_| refusals::invalid(format_args!("Target {} is no ARN.", definition.target)))?;
        let none = TargetParameters::default();
        let parameters = definition.target_parameters.as_ref().unwrap_or(&none);
        let kind = Kind::of(&target, parameters)?;
        let enrichment = enrichment_of(&definition)?;
        let waited_for = (kind.takes_all() || matches!(kind, Kind::Destination(_))).then_some(&target);
        let asked = [waited_for, enrichment.as_ref().map(|it| &it.resource)];
        if asked.into_iter().flatten().any(|asked| asked.account != key.account) {
            let text = "State machines and API destinations must be in the account of the pipe.";
            return Err(refusals::invalid(text));
        }
        let is_asked_one_by_one = enrichment.as_ref().is_some_and(Enrichment::is_destination);
        let most = if is_asked_one_by_one { 1 } else { kind.batch() };
        check_batch(&definition, source.resource.ends_with(".fifo"), most)?;
        let template = parameters.input_template.as_deref().filter(|template| !template.is_empty());
        let template = template.map(Template::parse).transpose()?;
        let patterns = definition.filters.iter().flatten().map(|pattern| {
            EventPattern::parse(pattern).map_err(|fault| {
                refusals::invalid(format_args!("Event pattern is not valid. Reason: {}", fault.reason()))
            })
        });
        let filters = patterns.collect::<Result<_, _>>()?;
        Ok(Pipe { id, arn: key.arn(), key, filters, source, enrichment, template, target, kind, definition })
    }

    /// Whether all messages of a batch are handed on together.
    pub fn takes_all(&self) -> bool {
        match &self.enrichment {
            Some(enrichment) => !enrichment.is_destination(),
            None => self.kind.takes_all(),
        }
    }

    /// Whether a server elsewhere is asked first.
    pub fn asks_elsewhere(&self) -> bool {
        match &self.enrichment {
            Some(enrichment) => enrichment.is_destination(),
            None => matches!(self.kind, Kind::Destination(_)),
        }
    }

    /// Milliseconds that a batch waits for more.
    pub fn window_millis(&self) -> u64 {
        u64::from(self.definition.window_seconds) * 1_000
    }
}

fn enrichment_of(definition: &Definition) -> Result<Option<Enrichment>, Refusal> {
    let Some(text) = &definition.enrichment else { return Ok(None) };
    let is_machine = |arn: &Arn| arn.service == "states" && arn.resource.starts_with("stateMachine:");
    let resource = text.parse::<Arn>().ok().filter(|arn| is_machine(arn) || is_destination(arn));
    let resource = resource.ok_or_else(|| {
        let why = "is not supported by this server: the enrichments of its pipes are express state machines and API destinations.";
        refusals::invalid(format_args!("Enrichment {text} {why}"))
    })?;
    let parameters = definition.enrichment_parameters.as_ref();
    let template = parameters.and_then(|it| it.input_template.as_deref());
    let template = template.filter(|template| !template.is_empty()).map(Template::parse).transpose()?;
    let http = parameters.and_then(|it| it.http.as_ref());
    if http.is_some() && is_machine(&resource) {
        let text = "EnrichmentParameters have HttpParameters, and the enrichment is a state machine.";
        return Err(refusals::invalid(text));
    }
    Ok(Some(Enrichment { resource, template, http: Http::parse(http)? }))
}

/// What the members that make a batch must say together. AWS's texts are not recorded; the rules are those of its documentation ("Amazon
/// Simple Queue Service as a source" and "batching and concurrency").
fn check_batch(definition: &Definition, is_fifo: bool, most: u32) -> Result<(), Refusal> {
    let (batch, window) = (definition.batch, definition.window_seconds);
    if batch > most {
        let text = format_args!(
            "BatchSize {batch} is larger than the enrichment or the target supports: {most} at the most."
        );
        return Err(refusals::invalid(text));
    }
    if is_fifo && batch > limits::POLL {
        return Err(refusals::invalid("BatchSize must be at most 10 for a FIFO queue."));
    }
    if is_fifo && window > 0 {
        return Err(refusals::invalid("MaximumBatchingWindowInSeconds is not supported for a FIFO queue."));
    }
    if batch > limits::POLL && window == 0 {
        let text = "MaximumBatchingWindowInSeconds must be at least 1 if BatchSize is greater than 10.";
        return Err(refusals::invalid(text));
    }
    Ok(())
}

/// Whether a text is a path and nothing else.
pub(super) fn is_path(text: &str) -> bool {
    Path::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::definition::{BusParameters, MachineParameters, QueueParameters, StreamParameters};
    use super::*;

    const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:m";
    const DESTINATION: &str = "arn:aws:events:us-east-1:000000000000:api-destination/d/1";

    fn definition(source: &str, target: &str, batch: u32, window_seconds: u32) -> Definition {
        let of = |text: &str| match text.starts_with("arn:") {
            true => text.to_owned(),
            false => format!("arn:aws:sqs:us-east-1:000000000000:{text}"),
        };
        Definition { source: of(source), target: of(target), batch, window_seconds, ..Definition::default() }
    }

    fn read(definition: Definition) -> Result<Pipe, Refusal> {
        let (account, region) = ("000000000000".into(), "us-east-1".into());
        Pipe::of(1, PipeKey { account, region, name: "p".into() }, Arc::new(definition))
    }

    #[test]
    fn what_makes_a_batch_depends_on_source_and_target() {
        // AWS's documentation of EventBridge Pipes, "Amazon Simple Queue Service as a source" and "batching and concurrency"
        let bus = "arn:aws:events:us-east-1:000000000000:event-bus/default";
        for (source, target, batch, window, is_good) in [
            ("s", "t", 10, 0, true),
            ("s", "t", 10, 300, true),
            ("s", "t", 11, 300, false),
            ("s", bus, 11, 300, false),
            ("s", DESTINATION, 1, 0, true),
            ("s", DESTINATION, 2, 0, false),
            ("s", MACHINE, 10_000, 1, true),
            ("s", MACHINE, 11, 0, false),
            ("s.fifo", MACHINE, 10, 0, true),
            ("s.fifo", MACHINE, 11, 1, false),
            ("s.fifo", "t.fifo", 10, 1, false),
        ] {
            let read = read(definition(source, target, batch, window));
            assert_eq!(read.is_ok(), is_good, "{source} {target} {batch} {window}");
        }
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for (source, target) in [
            ("arn:aws:sqs:us-east-1:111111111111:s", "t"),
            ("arn:aws:sqs:eu-west-1:000000000000:s", "t"),
            ("s", "arn:aws:states:us-east-1:111111111111:stateMachine:m"),
            ("arn:aws:kinesis:us-east-1:000000000000:stream/s", "t"),
            ("s", "arn:aws:lambda:us-east-1:000000000000:function:f"),
            ("s", "arn:aws:sns:us-east-1:000000000000:t.fifo"),
            ("s", "arn:aws:events:us-east-1:111111111111:api-destination/a/b"),
            ("s", "arn:aws:states:us-east-1:000000000000:activity:a"),
        ] {
            let refusal = read(definition(source, target, 10, 0)).unwrap_err();
            assert_eq!(refusal.shape, "ValidationException", "{source} {target}");
        }
        let with = |enrichment: &str| Definition {
            enrichment: Some(enrichment.to_owned()),
            ..definition("s", "t", 10, 0)
        };
        assert!(read(with(MACHINE)).is_ok_and(|pipe| pipe.takes_all()));
        assert!(read(with("arn:aws:lambda:us-east-1:000000000000:function:f")).is_err());
    }

    #[test]
    fn parameters_are_those_of_the_target() {
        let queue = || TargetParameters { queue: Some(QueueParameters::default()), ..Default::default() };
        let bus = || TargetParameters { bus: Some(BusParameters::default()), ..Default::default() };
        let machine = |text: &str| TargetParameters {
            state_machine: Some(MachineParameters { invocation_type: Some(text.to_owned()) }),
            ..Default::default()
        };
        let topic = "arn:aws:sns:us-east-1:000000000000:t";
        let to_stream = || TargetParameters {
            stream: Some(StreamParameters { partition_key: Some("$.messageId".to_owned()) }),
            ..Default::default()
        };
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
        for (target, parameters, is_good) in [
            ("t", queue(), true),
            ("t", bus(), false),
            (topic, queue(), false),
            (topic, TargetParameters::default(), true),
            (MACHINE, machine("FIRE_AND_FORGET"), true),
            (MACHINE, queue(), false),
            (stream, to_stream(), true),
            (stream, TargetParameters::default(), false),
            ("t", to_stream(), false),
            (topic, to_stream(), false),
        ] {
            let target_parameters = Some(parameters);
            let read = read(Definition { target_parameters, ..definition("s", target, 10, 0) });
            assert_eq!(read.is_ok(), is_good, "{target}");
        }
        // AWS's API reference, "PipeTargetStateMachineParameters"
        for (invocation_type, waits) in [("FIRE_AND_FORGET", false), ("REQUEST_RESPONSE", true)] {
            let target_parameters = Some(machine(invocation_type));
            let pipe = read(Definition { target_parameters, ..definition("s", MACHINE, 10, 0) }).unwrap();
            assert_eq!(pipe.kind, Kind::StateMachine { waits });
        }
        let pipe = read(definition("s", MACHINE, 10, 0)).unwrap();
        assert_eq!(pipe.kind, Kind::StateMachine { waits: true });
    }
}
