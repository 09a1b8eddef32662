//! What a pipe is declared to do, as it was given, since DescribePipe shows it.

use api::pipes as shapes;
use serde::{Deserialize, Serialize};

use super::http::HttpParameters;

/// Everything that CreatePipe and UpdatePipe say of a pipe, with AWS's defaults.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// `Description`.
    pub description: Option<String>,
    /// The ARN of the source.
    pub source: String,
    /// `BatchSize`: messages that go through the pipe together, at the most.
    pub batch: u32,
    /// `MaximumBatchingWindowInSeconds`: how long a batch waits for more.
    pub window_seconds: u32,
    /// `FilterCriteria`: patterns of which one must match. None if there are no criteria.
    pub filters: Option<Vec<String>>,
    /// The ARN of the enrichment.
    pub enrichment: Option<String>,
    /// `EnrichmentParameters`.
    pub enrichment_parameters: Option<EnrichmentParameters>,
    /// The ARN of the target.
    pub target: String,
    /// `TargetParameters`.
    pub target_parameters: Option<TargetParameters>,
    /// `RoleArn`.
    pub role: String,
    /// `LogConfiguration`.
    pub log: Option<Log>,
    /// `KmsKeyIdentifier`.
    pub kms_key: Option<String>,
}

/// `TargetParameters`, as far as there are targets for them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetParameters {
    /// `InputTemplate`.
    pub input_template: Option<String>,
    /// `SqsQueueParameters`.
    pub queue: Option<QueueParameters>,
    /// `EventBridgeEventBusParameters`.
    pub bus: Option<BusParameters>,
    /// `StepFunctionStateMachineParameters`.
    pub state_machine: Option<MachineParameters>,
    /// `HttpParameters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpParameters>,
    /// `KinesisStreamParameters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamParameters>,
}

/// `KinesisStreamParameters`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamParameters {
    /// `PartitionKey`.
    pub partition_key: Option<String>,
}

/// `EnrichmentParameters`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnrichmentParameters {
    /// `InputTemplate`.
    pub input_template: Option<String>,
    /// `HttpParameters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpParameters>,
}

/// `StepFunctionStateMachineParameters`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineParameters {
    /// `InvocationType`.
    pub invocation_type: Option<String>,
}

/// `SqsQueueParameters`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueParameters {
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `MessageDeduplicationId`.
    pub deduplication_id: Option<String>,
}

/// `EventBridgeEventBusParameters`. There are no global endpoints here.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BusParameters {
    /// `DetailType`.
    pub detail_type: Option<String>,
    /// `Source`.
    pub source: Option<String>,
    /// `Resources`.
    pub resources: Option<Vec<String>>,
    /// `Time`.
    pub time: Option<String>,
}

/// `LogConfiguration`: it is kept, and nothing is logged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// `Level`.
    pub level: String,
    /// `IncludeExecutionData`.
    pub include: Option<Vec<String>>,
    /// The ARN of a log group.
    pub log_group: Option<String>,
    /// The ARN of a delivery stream.
    pub firehose: Option<String>,
    /// A bucket's name, its owner, a prefix and a format.
    pub bucket: Option<[Option<String>; 4]>,
}

fn texts(list: &[String]) -> Vec<api::Text> {
    list.iter().map(|text| text.clone().into()).collect()
}

impl Definition {
    /// As it is recorded.
    pub fn to_json(&self) -> String {
        // Texts, numbers and lists of them can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Definition::to_json`] wrote.
    pub fn from_json(text: &str) -> Option<Definition> {
        serde_json::from_str(text).ok()
    }

    /// `SourceParameters` in an answer.
    pub fn shown_source(&self) -> shapes::PipeSourceParameters {
        let filter = |pattern: &String| shapes::Filter { pattern: Some(pattern.clone().into()) };
        shapes::PipeSourceParameters {
            filter_criteria: self.filters.as_ref().map(|filters| shapes::FilterCriteria {
                filters: Some(filters.iter().map(filter).collect()),
            }),
            sqs_queue_parameters: Some(shapes::PipeSourceSqsQueueParameters {
                batch_size: self.batch.try_into().ok(),
                maximum_batching_window_in_seconds: self.window_seconds.try_into().ok(),
            }),
            ..Default::default()
        }
    }

    /// `EnrichmentParameters` in an answer.
    pub fn shown_enrichment(&self) -> Option<shapes::PipeEnrichmentParameters> {
        let given = self.enrichment_parameters.clone()?;
        let http_parameters = given.http.map(|http| {
            let (header_parameters, query_string_parameters) = http.shown_maps();
            let path_parameter_values = http.shown_path();
            shapes::PipeEnrichmentHttpParameters {
                path_parameter_values,
                header_parameters,
                query_string_parameters,
            }
        });
        let input_template = given.input_template.map(Into::into);
        Some(shapes::PipeEnrichmentParameters { input_template, http_parameters })
    }

    /// `TargetParameters` in an answer.
    pub fn shown_target(&self) -> Option<Box<shapes::PipeTargetParameters>> {
        let given = self.target_parameters.as_ref()?;
        let text = |text: &Option<String>| text.clone().map(Into::into);
        Some(Box::new(shapes::PipeTargetParameters {
            input_template: text(&given.input_template),
            sqs_queue_parameters: given.queue.as_ref().map(|queue| shapes::PipeTargetSqsQueueParameters {
                message_group_id: text(&queue.group),
                message_deduplication_id: text(&queue.deduplication_id),
            }),
            event_bridge_event_bus_parameters: given.bus.as_ref().map(|bus| {
                shapes::PipeTargetEventBridgeEventBusParameters {
                    endpoint_id: None,
                    detail_type: text(&bus.detail_type),
                    source: text(&bus.source),
                    resources: bus.resources.as_deref().map(texts),
                    time: text(&bus.time),
                }
            }),
            step_function_state_machine_parameters: given.state_machine.as_ref().map(|machine| {
                shapes::PipeTargetStateMachineParameters { invocation_type: text(&machine.invocation_type) }
            }),
            http_parameters: given.http.as_ref().map(|http| {
                let (header_parameters, query_string_parameters) = http.shown_maps();
                let path_parameter_values = http.shown_path();
                shapes::PipeTargetHttpParameters {
                    path_parameter_values,
                    header_parameters,
                    query_string_parameters,
                }
            }),
            kinesis_stream_parameters: given.stream.as_ref().map(|stream| {
                shapes::PipeTargetKinesisStreamParameters { partition_key: text(&stream.partition_key) }
            }),
            ..Default::default()
        }))
    }

    /// `LogConfiguration` in an answer.
    pub fn shown_log(&self) -> Option<shapes::PipeLogConfiguration> {
        let log = self.log.as_ref()?;
        let text = |text: &Option<String>| text.clone().map(Into::into);
        Some(shapes::PipeLogConfiguration {
            level: Some(log.level.clone().into()),
            include_execution_data: log.include.as_deref().map(texts),
            cloudwatch_logs_log_destination: log
                .log_group
                .as_ref()
                .map(|_| shapes::CloudwatchLogsLogDestination { log_group_arn: text(&log.log_group) }),
            firehose_log_destination: log
                .firehose
                .as_ref()
                .map(|_| shapes::FirehoseLogDestination { delivery_stream_arn: text(&log.firehose) }),
            s3_log_destination: log.bucket.as_ref().map(|[name, owner, prefix, format]| {
                shapes::S3LogDestination {
                    bucket_name: text(name),
                    bucket_owner: text(owner),
                    prefix: text(prefix),
                    output_format: text(format),
                }
            }),
        })
    }
}
