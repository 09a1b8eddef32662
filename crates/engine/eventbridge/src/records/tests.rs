//! Records read back as they were written, and damaged ones are refused.

use std::collections::BTreeMap;

use api::Map;
use api::eventbridge::{
    AppSyncParameters, AwsVpcConfiguration, BatchArrayProperties, BatchParameters, BatchRetryStrategy,
    CapacityProviderStrategyItem, DeadLetterConfig, EcsParameters, HttpParameters, InputTransformer,
    KinesisParameters, LogConfig, NetworkConfiguration, PlacementConstraint, PlacementStrategy,
    RedshiftDataParameters, RetryPolicy, RunCommandParameters, RunCommandTarget, SageMakerPipelineParameter,
    SageMakerPipelineParameters, SqsParameters, Tag, Target,
};
use kernel::Time;
use kernel::parcel::Ended;
use kernel::service::Record as _;

use super::*;
use crate::rules::credentials::{Credentials, Hidden, OAuth, Parameter, Parameters, Scheme};
use crate::rules::timing::Timing;
use crate::{ArchiveId, BusId, BusKey, ConnectionId, DestinationId, ReplayId, ResourceKey, RuleId, RuleKey};

fn text(text: &str) -> Option<api::Text> {
    Some(text.into())
}

/// A target of which everything is said that can be.
fn full_target() -> Target {
    Target {
        id: text("id"),
        arn: text("arn:aws:sqs:r:1:q"),
        role_arn: text("role"),
        input: text("{}"),
        input_path: text("$"),
        input_transformer: Some(InputTransformer {
            input_paths_map: Some(Map(vec![("a".into(), "$.b".into())])),
            input_template: text("<a>"),
        }),
        kinesis_parameters: Some(KinesisParameters { partition_key_path: text("$.k") }),
        run_command_parameters: Some(RunCommandParameters {
            run_command_targets: Some(vec![RunCommandTarget {
                key: text("k"),
                values: Some(vec!["v".into()]),
            }]),
        }),
        ecs_parameters: Some(Box::new(EcsParameters {
            task_definition_arn: text("task"),
            task_count: Some(i32::MAX),
            launch_type: text("FARGATE"),
            network_configuration: Some(NetworkConfiguration {
                awsvpc_configuration: Some(AwsVpcConfiguration {
                    subnets: Some(vec!["s".into()]),
                    security_groups: Some(Vec::new()),
                    assign_public_ip: text("ENABLED"),
                }),
            }),
            platform_version: text("1"),
            group: text("g"),
            capacity_provider_strategy: Some(vec![CapacityProviderStrategyItem {
                capacity_provider: text("c"),
                weight: Some(-1),
                base: Some(0),
            }]),
            enable_ecs_managed_tags: Some(true),
            enable_execute_command: Some(false),
            placement_constraints: Some(vec![PlacementConstraint {
                r#type: text("memberOf"),
                expression: text("e"),
            }]),
            placement_strategy: Some(vec![PlacementStrategy { r#type: text("spread"), field: text("f") }]),
            propagate_tags: text("TASK_DEFINITION"),
            reference_id: text("r"),
            tags: Some(vec![Tag { key: text("k"), value: text("v") }]),
        })),
        batch_parameters: Some(BatchParameters {
            job_definition: text("d"),
            job_name: text("n"),
            array_properties: Some(BatchArrayProperties { size: Some(2) }),
            retry_strategy: Some(BatchRetryStrategy { attempts: Some(3) }),
        }),
        sqs_parameters: Some(SqsParameters { message_group_id: text("g") }),
        http_parameters: Some(HttpParameters {
            path_parameter_values: Some(vec!["p".into()]),
            header_parameters: Some(Map(vec![("h".into(), "v".into())])),
            query_string_parameters: Some(Map::default()),
        }),
        redshift_data_parameters: Some(RedshiftDataParameters {
            secret_manager_arn: text("s"),
            database: text("d"),
            db_user: text("u"),
            sql: text("select"),
            statement_name: text("n"),
            with_event: Some(true),
            sqls: Some(vec!["a".into(), "b".into()]),
        }),
        sage_maker_pipeline_parameters: Some(SageMakerPipelineParameters {
            pipeline_parameter_list: Some(vec![SageMakerPipelineParameter {
                name: text("n"),
                value: text("v"),
            }]),
        }),
        dead_letter_config: Some(DeadLetterConfig { arn: text("letters") }),
        retry_policy: Some(RetryPolicy {
            maximum_retry_attempts: Some(185),
            maximum_event_age_in_seconds: Some(60),
        }),
        app_sync_parameters: Some(AppSyncParameters { graph_ql_operation: text("query") }),
    }
}

fn resource() -> ResourceKey {
    ResourceKey { account: "1".into(), region: "r".into(), name: "n".into() }
}

fn connection(credentials: Option<Credentials>) -> Record {
    let parameter = Parameter { name: "n".into(), value: Hidden("v".into()), is_secret: true };
    Record::ConnectionDeclared(Box::new(ConnectionDeclared {
        id: ConnectionId(1),
        version: 2,
        key: resource(),
        unique: "u".into(),
        secret: "s".into(),
        description: Some("d".into()),
        kms_key: Some("k".into()),
        scheme: credentials.as_ref().map_or(Scheme::OAuth, Credentials::scheme),
        credentials,
        parameters: Some(Parameters { headers: Some(vec![parameter]), query: Some(vec![]), body: None }),
        state: ConnectionState::Deauthorized,
        reason: Some("r".into()),
        created: Time(3),
        modified: Time(4),
        authorized: Some(Time(5)),
    }))
}

fn replay(stage: Stage, ended: Option<Time>) -> Record {
    Record::ReplayDeclared(Box::new(ReplayDeclared {
        id: ReplayId(1),
        key: resource(),
        description: Some("d".into()),
        archive: ArchiveId(2),
        archive_key: resource(),
        bus: BusKey { account: "1".into(), region: "r".into(), name: "b".into() },
        filters: vec!["f".into(), "g".into()],
        window: (i64::MIN, i64::MAX),
        came: (Time(3), Time(u64::MAX)),
        below: 4,
        stage,
        reason: ended.map(|_| "r".into()),
        last: ended.map(|_| -5),
        started: Time(6),
        ended,
    }))
}

#[test]
fn records_read_back_as_they_were_written() {
    let bus = BusKey { account: "1".into(), region: "r".into(), name: "b".into() };
    let declared = BusDeclared {
        description: Some("d".into()),
        kms_key: Some("k".into()),
        dead_letters: Some(DeadLetterConfig { arn: text("q") }),
        log: Some(LogConfig { include_detail: text("FULL"), level: text("INFO") }),
        policy: Some("{}".into()),
        tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        modified: Time(u64::MAX),
        ..BusDeclared::new(BusId(7), bus.clone(), Time(5))
    };
    let rule = RuleDeclared {
        id: RuleId(8),
        key: RuleKey { bus: bus.clone(), name: "n".into() },
        pattern: Some("{}".into()),
        schedule: Some("rate(1 day)".into()),
        timing: None,
        state: "DISABLED".into(),
        description: Some("d".into()),
        role_arn: Some("role".into()),
        managed_by: Some("m".into()),
        created_by: "1".into(),
        tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        targets: vec![
            DeclaredTarget { number: 9, shape: full_target() },
            DeclaredTarget { number: u64::MAX, shape: Target::default() },
        ],
    };
    for record in [
        Record::BusDeclared(Box::new(BusDeclared::new(BusId(1), bus.clone(), Time(0)))),
        Record::BusDeclared(Box::new(declared)),
        Record::BusDeleted(BusDeleted { id: BusId(7), key: bus, declared_in: vec![1, u32::MAX] }),
        Record::RuleDeclared(Box::new(RuleDeclared {
            timing: Some(Timing { since: Time(1), next: Some(Time(2)) }),
            ..rule.clone()
        })),
        Record::RuleDeclared(Box::new(rule)),
        Record::RuleRan(RuleRan { id: RuleId(8), next: None }),
        connection(None),
        connection(Some(Credentials::Basic { user: "u".into(), password: Hidden("p".into()) })),
        connection(Some(Credentials::ApiKey { name: "n".into(), value: Hidden("v".into()) })),
        connection(Some(Credentials::OAuth(Box::new(OAuth {
            client: "c".into(),
            secret: Hidden("s".into()),
            endpoint: "e".into(),
            method: "POST".into(),
            parameters: Some(Parameters::default()),
        })))),
        Record::ConnectionDeleted(ResourceDeleted { id: 1, key: resource(), declared_in: vec![2] }),
        Record::DestinationDeclared(Box::new(DestinationDeclared {
            id: DestinationId(3),
            key: resource(),
            unique: "u".into(),
            description: Some("d".into()),
            connection: "c".into(),
            endpoint: "e".into(),
            method: "PUT".into(),
            rate: 300,
            created: Time(1),
            modified: Time(2),
        })),
        Record::DestinationDeleted(ResourceDeleted { id: 1, key: resource(), declared_in: vec![] }),
        Record::RuleRan(RuleRan { id: RuleId(8), next: Some(Time(u64::MAX)) }),
        Record::RuleDeleted(RuleDeleted { id: RuleId(8), declared_in: vec![3] }),
        Record::ArchiveDeclared(Box::new(ArchiveDeclared {
            id: ArchiveId(1),
            key: resource(),
            bus: BusKey { account: "1".into(), region: "r".into(), name: "b".into() },
            rule: RuleId(2),
            unique: "u".into(),
            description: Some("d".into()),
            pattern: Some("{}".into()),
            kms_key: Some("k".into()),
            retention_days: u32::MAX,
            disabled: Some("r".into()),
            created: Time(3),
        })),
        Record::ArchiveDeleted(ResourceDeleted { id: 1, key: resource(), declared_in: vec![2] }),
        Record::ArchiveCounted(ArchiveCounted {
            id: ArchiveId(1),
            through: 2,
            day: 3,
            events: 4,
            bytes: 5,
            ahead: 6,
            behind: u32::MAX,
        }),
        replay(Stage::Running, None),
        replay(Stage::Cancelling, None),
        replay(Stage::Cancelled, Some(Time(9))),
        replay(Stage::Completed, Some(Time(9))),
        replay(Stage::Failed, Some(Time(9))),
        Record::ReplayDeleted(ResourceDeleted { id: 1, key: resource(), declared_in: vec![2] }),
        Record::ReplayAdvanced(ReplayAdvanced { id: ReplayId(1), through: u64::MAX, last: -1 }),
        Record::DeliveryFailed(DeliveryFailed { number: 1, attempts: 2, at: Time(3), due: Time(4) }),
        Record::DeliveriesEnded(DeliveriesEnded { ended: vec![Ended { number: 5, segment: 6 }] }),
    ] {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert!(KINDS.contains(&bytes[0]));
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record));
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err(), "{record:?} cut at {cut}");
        }
        bytes.push(0);
        assert!(Record::decode(&bytes).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        kind in 96_u8..=111,
        mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        bytes.insert(0, kind);
        let _ = Record::decode(&bytes);
    }
}
