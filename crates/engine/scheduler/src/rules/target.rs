//! Whom a schedule invokes: ARN, role, retry policy, dead-letter queue, and what some targets need besides.

use api::scheduler as shapes;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_str, put_u64};
use kernel::{Arn, Refusal};

use super::faults::Faults;
use crate::{limits, refusals};

/// How often and how long an invocation is tried again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RetryPolicy {
    /// `MaximumRetryAttempts`.
    pub attempts: u32,
    /// `MaximumEventAgeInSeconds`.
    pub age_seconds: u32,
}

/// A pair of texts, such as a name and a value.
pub type Pair = (String, String);

/// What some targets need besides. Each is as it was given, since GetSchedule shows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Parameters {
    /// `SqsParameters`, and in it `MessageGroupId`.
    pub sqs: Option<Option<String>>,
    /// `EventBridgeParameters`: detail type and source.
    pub event: Option<Pair>,
    /// `EventBridgePutEventsV2Parameters`: detail type and source.
    pub event_v2: Option<Pair>,
    /// `EventBridgePutRawEventsParameters`, and in it `Metadata`.
    pub raw_event: Option<Option<Vec<Pair>>>,
    /// `KinesisParameters`: the partition key.
    pub kinesis: Option<String>,
    /// `SageMakerPipelineParameters`, and in it the parameters.
    pub sage_maker: Option<Option<Vec<Pair>>>,
}

/// Whom a schedule invokes. Its `Input` is not part of it, since most schedules that have the same target differ in that.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Target {
    /// The ARN.
    pub arn: String,
    /// The role with whose permissions the target is invoked.
    pub role_arn: String,
    /// The ARN of the dead-letter queue.
    pub dead_letters: Option<String>,
    /// `RetryPolicy`.
    pub retry: RetryPolicy,
    /// What this kind of target needs.
    pub parameters: Parameters,
}

/// Beginnings of the names of operations that are no targets, since they only read (AWS's documentation of Scheduler, "Using universal
/// targets").
const READ_ONLY: &[&str] = &[
    "get",
    "describe",
    "list",
    "poll",
    "receive",
    "search",
    "scan",
    "query",
    "select",
    "read",
    "lookup",
    "discover",
    "validate",
    "batchGet",
    "batchDescribe",
    "batchRead",
    "transactGet",
    "adminGet",
    "adminList",
    "testMigration",
    "retrieve",
    "testConnection",
    "translateDocument",
    "isAuthorized",
    "invokeModel",
];

/// Whether an operation only reads.
fn is_read_only(operation: &str) -> bool {
    READ_ONLY.iter().any(|begin| operation.starts_with(begin))
}

const SQS: u8 = 1;
const SQS_GROUP: u8 = 2;
const EVENT: u8 = 3;
const EVENT_V2: u8 = 4;
const RAW_EVENT: u8 = 5;
const RAW_EVENT_METADATA: u8 = 6;
const KINESIS: u8 = 7;
const SAGE_MAKER: u8 = 8;
const SAGE_MAKER_LIST: u8 = 9;

impl Target {
    /// The target of a request, checked against AWS's model, and its `Input`.
    pub fn check(given: shapes::Target, faults: &mut Faults) -> (Target, Option<String>) {
        let text = |text: api::Text| text.to_string();
        let arn = faults.required(given.arn.as_deref(), "target.arn").to_owned();
        let role_arn = faults.required(given.role_arn.as_deref(), "target.roleArn").to_owned();
        if given.arn.is_some() {
            faults.length(&arn, "target.arn", 1, 1600);
        }
        if given.role_arn.is_some() {
            faults.length(&role_arn, "target.roleArn", 1, 1600);
            faults.pattern(
                &role_arn,
                "target.roleArn",
                "arn:aws[a-z-]*:iam::\\d{12}:role\\/[\\w+=,.@\\/-]+",
                is_role(&role_arn),
            );
        }
        let input = given.input.map(text);
        if let Some(input) = &input {
            faults.length(input, "target.input", 1, usize::MAX);
        }
        let dead_letters = given.dead_letter_config.and_then(|config| config.arn).map(text);
        if let Some(arn) = &dead_letters {
            let path = "target.deadLetterConfig.arn";
            faults.length(arn, path, 1, 1600);
            let pattern = "arn:aws[a-z-]*:sqs:[a-z0-9\\-]+:\\d{12}:[a-zA-Z0-9\\-_]+";
            faults.pattern(arn, path, pattern, is_standard_queue(arn));
        }
        let given_retry = given.retry_policy.unwrap_or_default();
        let mut number = |value: Option<i32>, name: &str, least: i32, default: u32| -> u32 {
            let Some(value) = value else { return default };
            faults.range(value, &format!("target.retryPolicy.{name}"), least, default as i32);
            value.try_into().unwrap_or(0)
        };
        let age_seconds = number(
            given_retry.maximum_event_age_in_seconds,
            "maximumEventAgeInSeconds",
            60,
            limits::EVENT_AGE_SECONDS,
        );
        let attempts =
            number(given_retry.maximum_retry_attempts, "maximumRetryAttempts", 0, limits::RETRY_ATTEMPTS);
        let sqs = given.sqs_parameters.map(|sqs| sqs.message_group_id.map(text));
        if let Some(Some(group)) = &sqs {
            faults.length(group, "target.sqsParameters.messageGroupId", 1, 128);
        }
        let event = given.event_bridge_parameters;
        let event = event
            .map(|given| event_of(given.detail_type, given.source, "target.eventBridgeParameters", faults));
        let event_v2 = given.event_bridge_put_events_v2_parameters;
        let event_v2 = event_v2.map(|given| {
            event_of(given.detail_type, given.source, "target.eventBridgePutEventsV2Parameters", faults)
        });
        let raw_event = given.event_bridge_put_raw_events_parameters.map(|raw| {
            raw.metadata.map(|metadata| {
                metadata.0.into_iter().map(|(name, value)| (text(name), text(value))).collect()
            })
        });
        let kinesis = given.kinesis_parameters.map(|kinesis| {
            let path = "target.kinesisParameters.partitionKey";
            let key = faults.required(kinesis.partition_key.as_deref(), path);
            if kinesis.partition_key.is_some() {
                faults.length(key, path, 1, 256);
            }
            key.to_owned()
        });
        let sage_maker = given.sage_maker_pipeline_parameters.map(|given| {
            let pair = |pair: shapes::SageMakerPipelineParameter| {
                (pair.name.map(text).unwrap_or_default(), pair.value.map(text).unwrap_or_default())
            };
            given.pipeline_parameter_list.map(|list| list.into_iter().map(pair).collect())
        });
        let parameters = Parameters { sqs, event, event_v2, raw_event, kinesis, sage_maker };
        let retry = RetryPolicy { attempts, age_seconds };
        (Target { arn, role_arn, dead_letters, retry, parameters }, input)
    }

    /// What AWS checks once every member by itself is right. The texts that are not known of AWS say what is wrong.
    pub fn check_whole(&self, input: Option<&str>) -> Result<(), Refusal> {
        let Ok(arn) = self.arn.parse::<Arn>() else {
            return Err(refusals::invalid("Provided Arn is not in correct format."));
        };
        if arn.service == "scheduler" {
            match self.operation() {
                None => return Err(refusals::invalid("Provided Arn is not in correct format.")),
                Some((_, operation)) if is_read_only(operation) => {
                    let text = format!("{} is not supported as a target: it only reads.", self.arn);
                    return Err(refusals::invalid(text));
                }
                Some(_) => {}
            }
        }
        if input.is_some_and(|input| input.len() > limits::INPUT_BYTES) {
            let most = limits::INPUT_BYTES;
            return Err(refusals::invalid(format!("The Input of the target is longer than {most} bytes.")));
        }
        let missing = |what: &str, target: &str| {
            Err(refusals::invalid(format!("{what} must be specified for a target that is {target}.")))
        };
        let Parameters { sqs, event, kinesis, .. } = &self.parameters;
        match (&*arn.service, &*arn.resource) {
            ("sqs", name) if name.ends_with(".fifo") && !matches!(sqs, Some(Some(_))) => {
                missing("SqsParameters.MessageGroupId", "a FIFO queue")
            }
            ("events", resource) if resource.starts_with("event-bus/") && event.is_none() => {
                missing("EventBridgeParameters", "an event bus")
            }
            ("kinesis", _) if kinesis.is_none() => missing("KinesisParameters", "a stream"),
            _ => Ok(()),
        }
    }

    /// Service and operation of a universal target, such as `arn:aws:scheduler:::aws-sdk:sqs:sendMessage`.
    pub fn operation(&self) -> Option<(&str, &str)> {
        let named = self.arn.strip_prefix("arn:")?.split_once(":scheduler:::aws-sdk:")?.1;
        named.split_once(':').filter(|(service, name)| {
            !service.is_empty() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    }

    /// As GetSchedule shows it.
    pub fn shown(self, input: Option<String>) -> shapes::Target {
        let Parameters { sqs, event, event_v2, raw_event, kinesis, sage_maker } = self.parameters;
        let map = |pairs: Vec<Pair>| {
            api::Map(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
        };
        shapes::Target {
            arn: Some(self.arn.into()),
            role_arn: Some(self.role_arn.into()),
            dead_letter_config: self
                .dead_letters
                .map(|arn| shapes::DeadLetterConfig { arn: Some(arn.into()) }),
            retry_policy: Some(shapes::RetryPolicy {
                maximum_event_age_in_seconds: Some(self.retry.age_seconds as i32),
                maximum_retry_attempts: Some(self.retry.attempts as i32),
            }),
            input: input.map(Into::into),
            event_bridge_parameters: event.map(|(detail_type, source)| shapes::EventBridgeParameters {
                detail_type: Some(detail_type.into()),
                source: Some(source.into()),
            }),
            event_bridge_put_events_v2_parameters: event_v2.map(|(detail_type, source)| {
                shapes::EventBridgePutEventsV2Parameters {
                    detail_type: Some(detail_type.into()),
                    source: Some(source.into()),
                }
            }),
            event_bridge_put_raw_events_parameters: raw_event
                .map(|metadata| shapes::EventBridgePutRawEventsParameters { metadata: metadata.map(map) }),
            kinesis_parameters: kinesis
                .map(|key| shapes::KinesisParameters { partition_key: Some(key.into()) }),
            sage_maker_pipeline_parameters: sage_maker.map(|list| shapes::SageMakerPipelineParameters {
                pipeline_parameter_list: list.map(|list| {
                    let shown = |(name, value): Pair| shapes::SageMakerPipelineParameter {
                        name: Some(name.into()),
                        value: Some(value.into()),
                    };
                    list.into_iter().map(shown).collect()
                }),
            }),
            sqs_parameters: sqs
                .map(|group| shapes::SqsParameters { message_group_id: group.map(Into::into) }),
            ecs_parameters: None,
        }
    }

    /// The message group of a queue that is invoked, or the partition key of a stream.
    pub fn message_group(&self) -> Option<&str> {
        match &self.parameters.kinesis {
            Some(key) if self.arn.contains(":kinesis:") => Some(key),
            _ => self.parameters.sqs.as_ref()?.as_deref(),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.arn);
        put_str(out, &self.role_arn);
        put_opt_str(out, self.dead_letters.as_deref());
        put_u64(out, self.retry.attempts.into());
        put_u64(out, self.retry.age_seconds.into());
        put_list(out, &self.parameters.told(), |out, (what, texts)| {
            out.push(*what);
            put_list(out, texts, |out, text| put_str(out, text));
        });
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Target {
            arn: reader.str()?.to_owned(),
            role_arn: reader.str()?.to_owned(),
            dead_letters: reader.opt_str()?.map(str::to_owned),
            retry: RetryPolicy { attempts: reader.u32()?, age_seconds: reader.u32()? },
            parameters: Parameters::heard(reader.list(|reader| {
                let what = reader.u8()?;
                let texts = reader.list(|reader| Ok(reader.str()?.to_owned()))?;
                Ok((what, texts))
            })?)?,
        })
    }
}

/// Parameters as lists of texts, each with what it is: most targets have one or none.
type Told = Vec<(u8, Vec<String>)>;

impl Parameters {
    fn told(&self) -> Told {
        let flat = |pairs: &[Pair]| -> Vec<String> {
            pairs.iter().flat_map(|(one, other)| [one.clone(), other.clone()]).collect()
        };
        let mut told = Told::new();
        match &self.sqs {
            None => {}
            Some(None) => told.push((SQS, Vec::new())),
            Some(Some(group)) => told.push((SQS_GROUP, vec![group.clone()])),
        }
        for (what, event) in [(EVENT, &self.event), (EVENT_V2, &self.event_v2)] {
            told.extend(event.as_ref().map(|event| (what, flat(std::slice::from_ref(event)))));
        }
        told.extend(self.kinesis.as_ref().map(|key| (KINESIS, vec![key.clone()])));
        for (bare, listed, pairs) in [
            (RAW_EVENT, RAW_EVENT_METADATA, &self.raw_event),
            (SAGE_MAKER, SAGE_MAKER_LIST, &self.sage_maker),
        ] {
            told.extend(pairs.as_ref().map(|pairs| match pairs {
                None => (bare, Vec::new()),
                Some(pairs) => (listed, flat(pairs)),
            }));
        }
        told
    }

    fn heard(told: Told) -> Result<Self, Malformed> {
        let mut parameters = Parameters::default();
        for (what, texts) in told {
            let pairs = || -> Result<Vec<Pair>, Malformed> {
                let (pairs, rest) = texts.as_chunks();
                if !rest.is_empty() {
                    return Err(Malformed);
                }
                Ok(pairs.iter().map(|[one, other]| (one.clone(), other.clone())).collect())
            };
            let pair = || pairs()?.pop().ok_or(Malformed);
            let text = || texts.first().cloned().ok_or(Malformed);
            match what {
                SQS => parameters.sqs = Some(None),
                SQS_GROUP => parameters.sqs = Some(Some(text()?)),
                EVENT => parameters.event = Some(pair()?),
                EVENT_V2 => parameters.event_v2 = Some(pair()?),
                RAW_EVENT => parameters.raw_event = Some(None),
                RAW_EVENT_METADATA => parameters.raw_event = Some(Some(pairs()?)),
                KINESIS => parameters.kinesis = Some(text()?),
                SAGE_MAKER => parameters.sage_maker = Some(None),
                SAGE_MAKER_LIST => parameters.sage_maker = Some(Some(pairs()?)),
                _ => return Err(Malformed),
            }
        }
        Ok(parameters)
    }
}

/// The detail type and the source of an event.
fn event_of(
    detail_type: Option<api::Text>,
    source: Option<api::Text>,
    path: &str,
    faults: &mut Faults,
) -> Pair {
    let mut text = |text: Option<api::Text>, name: &str, most: usize| {
        let path = format!("{path}.{name}");
        let value = faults.required(text.as_deref(), &path).to_owned();
        if text.is_some() {
            faults.length(&value, &path, 1, most);
        }
        value
    };
    (text(detail_type, "detailType", 128), text(source, "source", 256))
}

/// Whether a text is the ARN of a role, as AWS's model has it.
fn is_role(text: &str) -> bool {
    let Ok(arn) = text.parse::<Arn>() else { return false };
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@/-".contains(&byte);
    let name = arn.resource.strip_prefix("role/").filter(|name| !name.is_empty());
    is_partition(&arn.partition)
        && arn.service == "iam"
        && arn.region.is_empty()
        && is_account(&arn.account)
        && name.is_some_and(|name| name.bytes().all(of_name))
}

/// Whether a text is the ARN of a standard queue, as AWS's model has it.
fn is_standard_queue(text: &str) -> bool {
    let Ok(arn) = text.parse::<Arn>() else { return false };
    let of_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    is_partition(&arn.partition)
        && arn.service == "sqs"
        && !arn.region.is_empty()
        && arn.region.bytes().all(of_region)
        && is_account(&arn.account)
        && arn.resource.bytes().all(of_name)
}

fn is_partition(text: &str) -> bool {
    text.starts_with("aws") && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
