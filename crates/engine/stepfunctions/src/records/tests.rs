//! What was written reads back; what is cut short does not.

use kernel::Time;
use kernel::service::Record as _;

use super::*;
use crate::MachineKey;

fn tail() -> Tail {
    Tail { first: 7, events: 3, split: 4000, warm: None }
}

fn stepped(after: After) -> Record {
    Record::Stepped(Box::new(Stepped {
        execution: ExecutionId(9),
        number: 3,
        time: Time(1_767_225_600_000),
        flow: 2,
        last: 9,
        before: 6,
        after,
        state: InState::Map,
        tail: tail(),
    }))
}

fn wait(activity: Option<(ActivityId, bool)>) -> TaskWait {
    let now = Time(1_767_225_600_000);
    TaskWait {
        since: 7,
        started: now,
        timeout_seconds: 9,
        beat_seconds: 5,
        heard: now + 3,
        activity,
        asks: activity.is_none(),
        nested: activity.map(|_| ExecutionId(8)),
    }
}

fn of_executions() -> Vec<Record> {
    let now = Time(1_767_225_600_000);
    let afters = [
        After::Goes,
        After::Waits(Time(0)),
        After::Waits(Time(u64::MAX)),
        After::Tasks(wait(Some((ActivityId(4), true)))),
        After::Tasks(wait(None)),
        After::Branches(Branching { first: 4, total: 1000, limit: 40, event: 8, is_map: true }),
        After::Ended(None),
        After::Ended(Some(0)),
        After::Failed(Again::Here),
        After::Over(Status::TimedOut, Again::Kept),
        After::Failed(Again::Lost),
        After::Over(Status::Aborted, Again::Lost),
        After::Redriven(Redriven { deadline: Some(Time(u64::MAX - 1)), token: u64::MAX }),
        After::Redriven(Redriven { deadline: None, token: 0 }),
    ];
    let steps = afters.into_iter().map(stepped);
    let others = [
        Record::ExecutionStarted(Box::new(ExecutionStarted {
            id: ExecutionId(9),
            machine: MachineId(1),
            definition: DefinitionId(2),
            is_express: true,
            name: "e".into(),
            started: now,
            deadline: Some(now + 1),
            input_mark: u64::MAX,
            version: 3,
            alias: Some("live".into()),
            trace: None,
            tail: tail(),
        })),
        Record::TaskReported(TaskReported {
            execution: ExecutionId(9),
            number: 4,
            flow: 0,
            has_failed: true,
            tail: tail(),
        }),
        Record::TaskHeard(TaskHeard { execution: ExecutionId(9), flow: 0, since: 5, time: now }),
        Record::ExecutionsRemoved(ExecutionsRemoved { ids: vec![ExecutionId(9)], declared_in: vec![1] }),
        Record::TaskTaken(TaskTaken {
            execution: ExecutionId(9),
            number: 6,
            flow: 0,
            time: now,
            tail: tail(),
        }),
    ];
    steps.chain(others).collect()
}

fn of_machines() -> Vec<Record> {
    let key = MachineKey { account: "000000000000".into(), region: "us-east-1".into(), name: "m".into() };
    let now = Time(1_767_225_600_000);
    vec![
        Record::VersionPublished(VersionPublished {
            machine: MachineId(1),
            number: 3,
            definition: DefinitionId(2),
            role: "r".into(),
            revision: 8,
            description: Some("d".into()),
            created: now,
        }),
        Record::VersionDeleted(VersionDeleted { machine: MachineId(1), number: 3, declared_in: vec![4] }),
        Record::AliasDeclared(AliasDeclared {
            machine: MachineId(1),
            name: "live".into(),
            description: None,
            routing: vec![(1, 30), (2, 70)],
            created: now,
            updated: now,
        }),
        Record::AliasDeleted(AliasDeleted {
            machine: MachineId(1),
            name: "live".into(),
            declared_in: vec![],
        }),
        Record::ActivityDeclared(ActivityDeclared {
            id: ActivityId(4),
            key: key.clone(),
            created: now,
            tags: [("a".to_owned(), "b".to_owned())].into(),
        }),
        Record::ActivityDeleted(ActivityDeleted { id: ActivityId(4), declared_in: vec![7] }),
        Record::MachineDeclared(Box::new(MachineDeclared {
            id: MachineId(1),
            key,
            is_express: false,
            role: "r".into(),
            definition: DefinitionId(2),
            revision: 8,
            last_version: 2,
            created: now,
            updated: now + 9,
            logging: Some("{}".into()),
            is_traced: true,
            tags: [("a".to_owned(), "b".to_owned())].into(),
            is_deleting: true,
        })),
        Record::MachineDeleted(MachineDeleted { id: MachineId(1), declared_in: vec![1, 300] }),
        Record::DefinitionDeclared(DefinitionDeclared {
            id: DefinitionId(2),
            is_express: true,
            text: "{}".into(),
        }),
        Record::DefinitionDropped(DefinitionDropped { id: DefinitionId(2), declared_in: Vec::new() }),
    ]
}

#[test]
fn records_read_back_as_they_were_written() {
    for record in of_machines().into_iter().chain(of_executions()) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert!(KINDS.contains(&bytes[0]));
        assert_eq!(Record::decode(&bytes), Ok(record.clone()), "{record:?}");
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err(), "{record:?} cut at {cut}");
        }
        bytes.push(0);
        assert!(Record::decode(&bytes).is_err(), "{record:?}");
    }
}
