//! Records are read as they were written, and damaged ones are refused.

use std::sync::Arc;

use kernel::Time;
use kernel::service::Record as _;

use super::*;
use crate::rules::definition::{
    BusParameters, Definition, EnrichmentParameters, Log, MachineParameters, QueueParameters,
    TargetParameters,
};
use crate::rules::http::HttpParameters;

fn http() -> HttpParameters {
    HttpParameters {
        path: Some(vec!["$.a".into()]),
        headers: Some(vec![("x".into(), "y".into())]),
        query: None,
    }
}

fn samples() -> Vec<Record> {
    let key = PipeKey { account: "000000000000".into(), region: "us-east-1".into(), name: "p".into() };
    let full = Definition {
        description: Some("d".into()),
        source: "arn:aws:sqs:us-east-1:000000000000:s".into(),
        batch: 10_000,
        window_seconds: 300,
        filters: Some(vec!["{\"body\":[\"ü\"]}".into()]),
        enrichment: Some("arn:aws:states:us-east-1:000000000000:stateMachine:m".into()),
        enrichment_parameters: Some(EnrichmentParameters {
            input_template: Some("<$.body>".into()),
            http: Some(http()),
        }),
        target: "arn:aws:sqs:us-east-1:000000000000:t".into(),
        target_parameters: Some(TargetParameters {
            stream: None,
            http: Some(http()),
            input_template: Some("<$.body>".into()),
            queue: Some(QueueParameters { group: Some("g".into()), deduplication_id: None }),
            bus: Some(BusParameters { resources: Some(vec!["$.a".into()]), ..BusParameters::default() }),
            state_machine: Some(MachineParameters { invocation_type: Some("FIRE_AND_FORGET".into()) }),
        }),
        role: "arn:aws:iam::000000000000:role/r".into(),
        log: Some(Log { level: "ERROR".into(), bucket: Some([None, None, None, None]), ..Log::default() }),
        kms_key: Some("k".into()),
    };
    let pipe = |definition: Definition, state| {
        Record::PipeDeclared(Box::new(PipeDeclared {
            id: 300,
            key: key.clone(),
            definition: Arc::new(definition),
            tags: [("a".to_owned(), "1".to_owned())].into(),
            created: Time(1_767_225_600_000),
            modified: Time(1_767_225_600_001),
            is_wanted: true,
            state,
        }))
    };
    // Parameters of which nothing is said are others than none.
    let empty = Definition {
        filters: Some(Vec::new()),
        enrichment_parameters: Some(EnrichmentParameters::default()),
        target_parameters: Some(TargetParameters {
            http: Some(http()),
            queue: Some(QueueParameters::default()),
            bus: Some(BusParameters::default()),
            state_machine: Some(MachineParameters::default()),
            ..TargetParameters::default()
        }),
        log: Some(Log::default()),
        ..Definition::default()
    };
    vec![
        pipe(empty, PipeState::Deleting),
        pipe(full, PipeState::Stopping),
        pipe(Definition::default(), PipeState::Running),
        Record::PipeDeleted(Deleted { id: 300, key: key.clone(), declared_in: vec![1, 300] }),
    ]
}

#[test]
fn records_are_read_as_they_were_written() {
    for record in samples() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert!(KINDS.contains(&bytes[0]));
        assert_eq!(Record::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err());
        }
    }
}
