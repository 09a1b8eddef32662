//! What requests say of pipes, checked against AWS's model.

use api::pipes as shapes;
use api::{Map, Text};
use kernel::{Arn, Asker, Refusal};
use resources::Faults;
use resources::tags::{Rules, Tags};

use super::definition::{
    BusParameters, Definition, EnrichmentParameters, Log, MachineParameters, QueueParameters,
    StreamParameters, TargetParameters,
};
use super::http::HttpParameters;
use super::pipe::{asks_one_by_one, is_path};
use crate::{PipeKey, limits, refusals};

const ARN: &str = "arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-]+):([a-z]{2,4}((-gov)|(-de)|(-iso([a-z]?)))?-[a-z]+(-\\d{1})?)?:(\\d{12})?:(.+)";
const ROLE: &str = "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z0-9+=,.@\\-_/]+";
const NAME: &str = "[\\.\\-_A-Za-z0-9]+";
const JSON_PATH: &str = "\\$(\\.[\\w/_-]+(\\[(\\d+|\\*)\\])*)*";

/// The pipe of the caller that a request names.
pub fn named(name: Option<&Text>, asker: &Asker<'_>, faults: &mut Faults) -> PipeKey {
    let name = faults.required(name.map(|name| &**name), "name").to_owned();
    if !name.is_empty() {
        check_name(&name, "name", faults);
    }
    PipeKey { account: asker.caller.account.clone(), region: asker.caller.region.clone(), name }
}

/// A name of a pipe, or the beginning of one.
pub fn check_name(name: &str, path: &str, faults: &mut Faults) {
    faults.length(name, path, 1, 64);
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    faults.pattern(name, path, NAME, name.bytes().all(of_name));
}

/// Whether a request wants a pipe to run.
pub fn desired(given: Option<&Text>, faults: &mut Faults) -> Option<bool> {
    let given = given?;
    faults.one_of(given, "desiredState", &["RUNNING", "STOPPED"]);
    Some(given == "RUNNING")
}

/// Sets what both requests say of a pipe. Their shapes have different names and the same members.
macro_rules! set_said {
    ($definition:ident, $input:ident, $Source:ident, $faults:ident) => {
        if let Some(given) = &$input.source_parameters {
            let served = shapes::$Source {
                filter_criteria: given.filter_criteria.clone(),
                sqs_queue_parameters: given.sqs_queue_parameters.clone(),
                ..Default::default()
            };
            check_served(*given == served, "SourceParameters")?;
            let queue = given.sqs_queue_parameters.as_ref();
            let queue = queue.map(|queue| (queue.batch_size, queue.maximum_batching_window_in_seconds));
            set_source(&mut $definition, queue, given.filter_criteria.as_ref(), $faults);
        }
        let rest = Rest {
            description: $input.description.as_ref(),
            enrichment: ($input.enrichment.as_ref(), $input.enrichment_parameters.as_ref()),
            target_parameters: $input.target_parameters.as_deref(),
            role: $input.role_arn.as_ref(),
            log: $input.log_configuration.as_ref(),
            kms_key: $input.kms_key_identifier.as_ref(),
        };
        rest.set(&mut $definition, $faults)?;
    };
}

/// What CreatePipe says of a pipe. What its members say together is checked by [`Pipe::of`](super::pipe::Pipe::of).
///
/// Errors: parameters of sources, enrichments or targets that this server does not serve.
pub fn created(input: &shapes::CreatePipeInput, faults: &mut Faults) -> Result<Definition, Refusal> {
    let mut definition = Definition { batch: 10, ..Definition::default() };
    definition.source = required_arn(input.source.as_ref(), "source", faults);
    definition.target = required_arn(input.target.as_ref(), "target", faults);
    set_said!(definition, input, PipeSourceParameters, faults);
    let queue = input.source_parameters.as_ref().and_then(|it| it.sqs_queue_parameters.as_ref());
    let is_given = queue.is_some_and(|queue| queue.batch_size.is_some());
    if !is_given && asks_one_by_one(&definition) {
        definition.batch = 1;
    }
    Ok(definition)
}

/// What UpdatePipe makes of a pipe: what is not given stays, and parameters of a service are replaced as a whole (AWS's API reference,
/// "UpdatePipe").
///
/// Errors: as [`created`].
pub fn updated(
    input: &shapes::UpdatePipeInput,
    mut definition: Definition,
    faults: &mut Faults,
) -> Result<Definition, Refusal> {
    if input.target.is_some() {
        definition.target = required_arn(input.target.as_ref(), "target", faults);
    }
    set_said!(definition, input, UpdatePipeSourceParameters, faults);
    Ok(definition)
}

fn check_served(is_served: bool, what: &str) -> Result<(), Refusal> {
    match is_served {
        true => Ok(()),
        false => {
            let text = "have parameters of a service that is not served here.";
            Err(refusals::invalid(format_args!("{what} {text}")))
        }
    }
}

fn set_source(
    definition: &mut Definition,
    queue: Option<(Option<i32>, Option<i32>)>,
    criteria: Option<&shapes::FilterCriteria>,
    faults: &mut Faults,
) {
    if let Some((batch, window)) = queue {
        let path = |name: &str| format!("sourceParameters.sqsQueueParameters.{name}");
        let (batch, window) = (batch.unwrap_or(10), window.unwrap_or(0));
        faults.range(batch, &path("batchSize"), 1, 10_000);
        faults.range(window, &path("maximumBatchingWindowInSeconds"), 0, 300);
        definition.batch = batch.try_into().unwrap_or(1);
        definition.window_seconds = window.try_into().unwrap_or(0);
    }
    let Some(criteria) = criteria else { return };
    let filters = criteria.filters.as_deref().unwrap_or_default();
    if filters.len() > limits::FILTERS {
        let text = format!("Member must have length less than or equal to {}", limits::FILTERS);
        faults.add("[Filter]", "sourceParameters.filterCriteria.filters", &text);
    }
    let patterns = filters.iter().enumerate().map(|(at, filter)| {
        let pattern = filter.pattern.as_deref().unwrap_or_default();
        let path = format!("sourceParameters.filterCriteria.filters.{}.member.pattern", at + 1);
        faults.length(pattern, &path, 0, 4096);
        pattern.to_owned()
    });
    let patterns: Vec<String> = patterns.collect();
    definition.filters = (!patterns.is_empty()).then_some(patterns);
}

/// The members that both requests have, besides those of the source.
struct Rest<'i> {
    description: Option<&'i Text>,
    enrichment: (Option<&'i Text>, Option<&'i shapes::PipeEnrichmentParameters>),
    target_parameters: Option<&'i shapes::PipeTargetParameters>,
    role: Option<&'i Text>,
    log: Option<&'i shapes::PipeLogConfigurationParameters>,
    kms_key: Option<&'i Text>,
}

impl Rest<'_> {
    fn set(self, definition: &mut Definition, faults: &mut Faults) -> Result<(), Refusal> {
        if let Some(description) = self.description {
            faults.length(description, "description", 0, 512);
            definition.description = Some(description.to_string());
        }
        if let Some(enrichment) = self.enrichment.0 {
            let arn = if enrichment.is_empty() { None } else { Some(enrichment) };
            definition.enrichment = arn.map(|_| required_arn(arn, "enrichment", faults));
        }
        if let Some(given) = self.enrichment.1 {
            let template = given.input_template.as_ref().map(ToString::to_string);
            if let Some(template) = &template {
                faults.length(template, "enrichmentParameters.inputTemplate", 0, 8192);
            }
            let http = given.http_parameters.as_ref().map(|given| {
                let maps = (given.header_parameters.as_ref(), given.query_string_parameters.as_ref());
                let values = given.path_parameter_values.as_deref();
                HttpParameters::of(values, maps, "enrichmentParameters.httpParameters", faults)
            });
            definition.enrichment_parameters = Some(EnrichmentParameters { input_template: template, http });
        }
        definition.role = faults.required(self.role.map(|role| &**role), "roleArn").to_owned();
        if self.role.is_some() {
            faults.length(&definition.role, "roleArn", 1, 1600);
            faults.pattern(&definition.role, "roleArn", ROLE, is_role(&definition.role));
        }
        if let Some(given) = self.target_parameters {
            definition.target_parameters = Some(target_parameters(given, faults)?);
        }
        if let Some(log) = self.log {
            definition.log = Some(log_of(log, faults));
        }
        if let Some(key) = self.kms_key {
            faults.length(key, "kmsKeyIdentifier", 0, 2048);
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/:".contains(&byte);
            faults.pattern(key, "kmsKeyIdentifier", "[a-zA-Z0-9_\\-/:]*", key.bytes().all(fits));
            definition.kms_key = Some(key.to_string()).filter(|key| !key.is_empty());
        }
        Ok(())
    }
}

fn target_parameters(
    given: &shapes::PipeTargetParameters,
    faults: &mut Faults,
) -> Result<TargetParameters, Refusal> {
    let is_served = *given
        == shapes::PipeTargetParameters {
            input_template: given.input_template.clone(),
            sqs_queue_parameters: given.sqs_queue_parameters.clone(),
            event_bridge_event_bus_parameters: given.event_bridge_event_bus_parameters.clone(),
            step_function_state_machine_parameters: given.step_function_state_machine_parameters.clone(),
            http_parameters: given.http_parameters.clone(),
            kinesis_stream_parameters: given.kinesis_stream_parameters.clone(),
            ..Default::default()
        };
    check_served(is_served, "TargetParameters")?;
    let mut text = |given: &Option<Text>, path: &str, (least, most): (usize, usize)| {
        let text = given.as_deref()?;
        faults.length(text, &format!("targetParameters.{path}"), least, most);
        Some(text.to_owned())
    };
    let input_template = text(&given.input_template, "inputTemplate", (0, 8192));
    let queue = given.sqs_queue_parameters.as_ref().map(|queue| QueueParameters {
        group: text(&queue.message_group_id, "sqsQueueParameters.messageGroupId", (0, 100)),
        deduplication_id: text(
            &queue.message_deduplication_id,
            "sqsQueueParameters.messageDeduplicationId",
            (0, 100),
        ),
    });
    let stream = given.kinesis_stream_parameters.as_ref().map(|stream| StreamParameters {
        partition_key: text(&stream.partition_key, "kinesisStreamParameters.partitionKey", (0, 256)),
    });
    let mut bus = None;
    if let Some(given) = &given.event_bridge_event_bus_parameters {
        check_served(given.endpoint_id.is_none(), "EventBridgeEventBusParameters")?;
        let path = |name: &str| format!("eventBridgeEventBusParameters.{name}");
        bus = Some(BusParameters {
            detail_type: text(&given.detail_type, &path("detailType"), (1, 128)),
            source: text(&given.source, &path("source"), (1, 256)),
            resources: given.resources.as_ref().map(|list| list.iter().map(ToString::to_string).collect()),
            time: text(&given.time, &path("time"), (1, 256)),
        });
    }
    if let Some(bus) = &bus {
        check_bus(bus, faults);
    }
    let state_machine = given.step_function_state_machine_parameters.as_ref().map(|given| {
        if let Some(invocation_type) = &given.invocation_type {
            let path = "targetParameters.stepFunctionStateMachineParameters.invocationType";
            faults.one_of(invocation_type, path, &["REQUEST_RESPONSE", "FIRE_AND_FORGET"]);
        }
        MachineParameters { invocation_type: given.invocation_type.as_ref().map(ToString::to_string) }
    });
    let http = given.http_parameters.as_ref().map(|given| {
        let maps = (given.header_parameters.as_ref(), given.query_string_parameters.as_ref());
        let values = given.path_parameter_values.as_deref();
        HttpParameters::of(values, maps, "targetParameters.httpParameters", faults)
    });
    Ok(TargetParameters { input_template, queue, bus, state_machine, stream, http })
}

fn check_bus(bus: &BusParameters, faults: &mut Faults) {
    let path = |name: &str| format!("targetParameters.eventBridgeEventBusParameters.{name}");
    let resources = bus.resources.as_deref().unwrap_or_default();
    if resources.len() > 10 {
        faults.add("[…]", &path("resources"), "Member must have length less than or equal to 10");
    }
    for (at, resource) in resources.iter().enumerate() {
        let path = path(&format!("resources.{}.member", at + 1));
        faults.length(resource, &path, 1, 1600);
        let fits = is_path(resource) || resource.parse::<Arn>().is_ok();
        faults.pattern(resource, &path, &format!("{ARN}|({JSON_PATH})"), fits);
    }
    if let Some(time) = &bus.time {
        faults.pattern(time, &path("time"), JSON_PATH, is_path(time));
    }
}

fn log_of(given: &shapes::PipeLogConfigurationParameters, faults: &mut Faults) -> Log {
    let level = faults.required(given.level.as_deref(), "logConfiguration.level").to_owned();
    if given.level.is_some() {
        faults.one_of(&level, "logConfiguration.level", &["OFF", "ERROR", "INFO", "TRACE"]);
    }
    let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
    let mut bounded = |text: Option<String>, path: &str| {
        if let Some(text) = &text {
            faults.length(text, &format!("logConfiguration.{path}"), 1, 1600);
        }
        text
    };
    let log_group = given.cloudwatch_logs_log_destination.as_ref().and_then(|it| text(&it.log_group_arn));
    let firehose = given.firehose_log_destination.as_ref().and_then(|it| text(&it.delivery_stream_arn));
    Log {
        level,
        include: given
            .include_execution_data
            .as_ref()
            .map(|list| list.iter().take(1).map(ToString::to_string).collect()),
        log_group: bounded(log_group, "cloudwatchLogsLogDestination.logGroupArn"),
        firehose: bounded(firehose, "firehoseLogDestination.deliveryStreamArn"),
        bucket: given.s3_log_destination.as_ref().map(|bucket| {
            [
                bounded(text(&bucket.bucket_name), "s3LogDestination.bucketName"),
                bounded(text(&bucket.bucket_owner), "s3LogDestination.bucketOwner"),
                bounded(text(&bucket.prefix), "s3LogDestination.prefix"),
                bounded(text(&bucket.output_format), "s3LogDestination.outputFormat"),
            ]
        }),
    }
}

fn required_arn(given: Option<&Text>, path: &str, faults: &mut Faults) -> String {
    let arn = faults.required(given.map(|arn| &**arn), path).to_owned();
    if given.is_some() {
        faults.length(&arn, path, 1, 1600);
        // A source can also be the address of a Kafka cluster, which is refused later.
        let fits = arn.starts_with("smk://") && path == "source" || arn.parse::<Arn>().is_ok();
        faults.pattern(&arn, path, ARN, fits);
    }
    arn
}

fn is_role(text: &str) -> bool {
    let Ok(arn) = text.parse::<Arn>() else { return false };
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&byte);
    let name = arn.resource.strip_prefix("role").filter(|name| !name.is_empty());
    arn.service == "iam"
        && arn.region.is_empty()
        && arn.account.len() == 12
        && arn.account.bytes().all(|byte| byte.is_ascii_digit())
        && name.is_some_and(|name| name.bytes().all(of_name))
}

const TAGS: Rules = Rules { most: limits::TAGS, unique: true, values_reserved: false };

/// The tags of a request.
pub fn tags(given: Option<&Map<Text>>) -> Result<Tags, Refusal> {
    let given = given.map(|tags| &tags.0[..]).unwrap_or_default();
    let tags = TAGS.check(given.iter().map(|(key, value)| (&**key, &**value)));
    let tags = tags.map_err(|fault| refusals::invalid(fault.to_string()))?;
    check_count(&tags).map(|()| tags)
}

/// Checks that a pipe can have so many tags.
pub fn check_count(tags: &Tags) -> Result<(), Refusal> {
    match TAGS.have_room(tags) {
        true => Ok(()),
        false => Err(refusals::invalid(format_args!("A pipe can have at most {} tags.", limits::TAGS))),
    }
}
