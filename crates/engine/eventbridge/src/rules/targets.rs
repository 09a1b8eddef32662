//! The targets of a rule: what a request may say of them, and how the log keeps it.

use api::eventbridge::{
    AppSyncParameters, AwsVpcConfiguration, BatchArrayProperties, BatchParameters, BatchRetryStrategy,
    CapacityProviderStrategyItem, DeadLetterConfig, EcsParameters, HttpParameters, InputTransformer,
    KinesisParameters, LogConfig, NetworkConfiguration, PlacementConstraint, PlacementStrategy,
    RedshiftDataParameters, RetryPolicy, RunCommandParameters, RunCommandTarget, SageMakerPipelineParameter,
    SageMakerPipelineParameters, SqsParameters, Tag, Target,
};
use api::{Map, Text};
use kernel::codec::{Malformed, Reader, put_i64, put_str, put_u64};
use kernel::{Arn, Refusal};

use super::constraints::{
    ARN, Constraints, HEADER_KEY, HEADER_VALUE, Kind, NAME, QUERY_KEY, QUERY_VALUE, text,
};
use super::input::Input;
use crate::refusals;

/// A group of messages (AWS's model: `MessageGroupId`).
const GROUP: Kind = text(100);

/// Checks the targets of PutTargets: what can be checked without knowing the rule.
pub fn check(targets: &[Target], constraints: &mut Constraints) -> Result<(), Refusal> {
    constraints.length("targets", targets.len(), (1, 100), || format!("[{} targets]", targets.len()));
    for (number, target) in targets.iter().enumerate() {
        let path = |member: &str| format!("targets.{}.member.{member}", number + 1);
        let template = target.input_transformer.as_ref().and_then(|it| it.input_template.as_ref());
        let group = target.sqs_parameters.as_ref().and_then(|it| it.message_group_id.as_ref());
        let letters = target.dead_letter_config.as_ref().and_then(|it| it.arn.as_ref());
        let policy = target.retry_policy.as_ref();
        constraints
            .required_text(&path("id"), target.id.as_ref(), NAME)
            .required_text(&path("arn"), target.arn.as_ref(), ARN)
            .text(&path("roleArn"), target.role_arn.as_ref(), ARN)
            .text(&path("input"), target.input.as_ref(), text(8192))
            .text(&path("inputPath"), target.input_path.as_ref(), text(256))
            .text(&path("inputTransformer.inputTemplate"), template, Kind { least: 1, ..text(8192) })
            .text(&path("sqsParameters.messageGroupId"), group, GROUP)
            .text(&path("deadLetterConfig.arn"), letters, ARN)
            .between(
                &path("retryPolicy.maximumRetryAttempts"),
                policy.and_then(|policy| policy.maximum_retry_attempts),
                0,
                185,
            )
            .between(
                &path("retryPolicy.maximumEventAgeInSeconds"),
                policy.and_then(|policy| policy.maximum_event_age_in_seconds),
                60,
                86_400,
            );
        if let Some(http) = &target.http_parameters {
            check_http(&path("httpParameters"), http, constraints);
        }
        if let Some(transformer) = &target.input_transformer {
            let paths = transformer.input_paths_map.as_ref().map_or(0, |map| map.0.len());
            constraints.required(&path("inputTransformer.inputTemplate"), template).length(
                &path("inputTransformer.inputPathsMap"),
                paths,
                (0, 100),
                || format!("{{{paths} paths}}"),
            );
        }
    }
    constraints.check()?;
    targets.iter().try_for_each(check_one)
}

/// Checks what is to be added to requests (AWS's model: `HttpParameters`).
fn check_http(path: &str, http: &HttpParameters, constraints: &mut Constraints) {
    let pairs = |map: &Option<Map<Text>>| map.iter().flat_map(|map| map.0.clone()).collect::<Vec<_>>();
    for (name, value) in pairs(&http.header_parameters) {
        let path = format!("{path}.headerParameters");
        constraints.text(&path, Some(&name), HEADER_KEY).text(&path, Some(&value), HEADER_VALUE);
    }
    for (name, value) in pairs(&http.query_string_parameters) {
        let path = format!("{path}.queryStringParameters");
        constraints.text(&path, Some(&name), QUERY_KEY).text(&path, Some(&value), QUERY_VALUE);
    }
    for value in http.path_parameter_values.iter().flatten() {
        const PATTERN: &str = r"^(?!\s*$).+";
        if value.trim().is_empty() {
            constraints.contradicts(&format!("{path}.pathParameterValues"), value, PATTERN);
        }
    }
}

fn check_one(target: &Target) -> Result<(), Refusal> {
    let letters = target.dead_letter_config.as_ref().and_then(|it| it.arn.as_deref());
    for arn in target.arn.as_deref().into_iter().chain(letters) {
        // The text is AWS's, as users have recorded it.
        arn.parse::<Arn>().map_err(|_| refusals::parameter(arn, "Provided Arn is not in correct format."))?;
    }
    Input::of(target)?;
    if let Some(path) = target.kinesis_parameters.as_ref().and_then(|it| it.partition_key_path.as_deref())
        && json_text::path::Path::parse(path).is_none()
    {
        // The text is not recorded of AWS.
        return Err(refusals::invalid(format_args!("PartitionKeyPath {path} is not a valid JSON path.")));
    }
    let is_fifo = target.arn.as_deref().is_some_and(|arn| arn.contains(":sqs:") && arn.ends_with(".fifo"));
    if is_fifo && group(target).is_none() {
        let id = target.id.as_deref().unwrap_or_default();
        return Err(refusals::invalid(format_args!(
            "Parameter(s) SqsParameters must be specified for target: {id}."
        )));
    }
    Ok(())
}

/// Whether an ARN is that of the target through which archives get events ([`super::archives::target`]).
pub fn is_archive(arn: &Arn) -> bool {
    arn.service == "events" && arn.resource == ":"
}

/// The group that messages for the target get, if it is a queue.
pub fn group(target: &Target) -> Option<&Text> {
    target
        .sqs_parameters
        .as_ref()
        .and_then(|it| it.message_group_id.as_ref())
        .filter(|group| !group.is_empty())
}

/// Where the partition key stands in events, if the target is a stream and it is said.
pub fn partition_key_path(target: &Target) -> Option<&Text> {
    let path = target.kinesis_parameters.as_ref().and_then(|it| it.partition_key_path.as_ref());
    path.filter(|path| !path.is_empty())
}

/// What the log can keep of a request's shapes.
pub trait Kept: Sized {
    /// Appends its bytes.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads what [`Kept::put`] wrote.
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

impl Kept for Text {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, self);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(reader.str()?.into())
    }
}

impl Kept for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, (*self).into());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        i32::try_from(reader.i64()?).map_err(|_| Malformed)
    }
}

impl Kept for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl<T: Kept> Kept for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::take(reader).map(Box::new)
    }
}

impl<T: Kept> Kept for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if bool::take(reader)? { T::take(reader).map(Some) } else { Ok(None) }
    }
}

impl<T: Kept> Kept for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.len() as u64);
        self.iter().for_each(|item| item.put(out));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.list(T::take)
    }
}

impl Kept for Map<Text> {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.0.len() as u64);
        for (name, value) in &self.0 {
            name.put(out);
            value.put(out);
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.list(|reader| Ok((Text::take(reader)?, Text::take(reader)?))).map(Map)
    }
}

/// Structures are kept member by member, in this order. Members that AWS adds come behind the others, in a record of a new kind.
macro_rules! kept {
    ($($Shape:ident { $($member:ident),* })*) => {$(
        impl Kept for $Shape {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$member.put(out);)*
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok($Shape { $($member: Kept::take(reader)?),* })
            }
        }
    )*};
}

kept! {
    Target {
        id, arn, role_arn, input, input_path, input_transformer, kinesis_parameters, run_command_parameters, ecs_parameters,
        batch_parameters, sqs_parameters, http_parameters, redshift_data_parameters, sage_maker_pipeline_parameters,
        dead_letter_config, retry_policy, app_sync_parameters
    }
    InputTransformer { input_paths_map, input_template }
    KinesisParameters { partition_key_path }
    RunCommandParameters { run_command_targets }
    RunCommandTarget { key, values }
    EcsParameters {
        task_definition_arn, task_count, launch_type, network_configuration, platform_version, group, capacity_provider_strategy,
        enable_ecs_managed_tags, enable_execute_command, placement_constraints, placement_strategy, propagate_tags, reference_id,
        tags
    }
    NetworkConfiguration { awsvpc_configuration }
    AwsVpcConfiguration { subnets, security_groups, assign_public_ip }
    CapacityProviderStrategyItem { capacity_provider, weight, base }
    PlacementConstraint { r#type, expression }
    PlacementStrategy { r#type, field }
    Tag { key, value }
    BatchParameters { job_definition, job_name, array_properties, retry_strategy }
    BatchArrayProperties { size }
    BatchRetryStrategy { attempts }
    SqsParameters { message_group_id }
    HttpParameters { path_parameter_values, header_parameters, query_string_parameters }
    RedshiftDataParameters { secret_manager_arn, database, db_user, sql, statement_name, with_event, sqls }
    SageMakerPipelineParameters { pipeline_parameter_list }
    SageMakerPipelineParameter { name, value }
    DeadLetterConfig { arn }
    RetryPolicy { maximum_retry_attempts, maximum_event_age_in_seconds }
    AppSyncParameters { graph_ql_operation }
    LogConfig { include_detail, level }
}
