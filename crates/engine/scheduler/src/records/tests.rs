//! Records read back as they were written, and what was written before is still read.

use kernel::service::Record as _;
use kernel::{Time, hex};
use proptest::prelude::*;

use super::*;
use crate::rules::target::{Parameters, RetryPolicy, Target};
use crate::rules::timing::Run;
use crate::{GroupId, GroupKey, InvocationId, ScheduleId};

fn group() -> GroupDeclared {
    GroupDeclared {
        id: GroupId(3),
        key: GroupKey { account: "000000000000".into(), region: "us-east-1".into(), name: "g".into() },
        tags: [("k".to_owned(), "v".to_owned())].into(),
        created: Time(1000),
        modified: Time(1007),
        token: 1 << 40,
        is_deleting: true,
    }
}

pub fn target() -> Target {
    Target {
        arn: "arn:aws:sqs:us-east-1:000000000000:q".into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        dead_letters: None,
        retry: RetryPolicy { attempts: 185, age_seconds: 86_400 },
        parameters: Parameters::default(),
    }
}

fn schedule() -> ScheduleDeclared {
    ScheduleDeclared {
        id: ScheduleId(4),
        shared: Shared {
            group_id: GroupId(3),
            group: group().key,
            is_enabled: true,
            is_deleted_after: false,
            zone: "UTC".into(),
            window_minutes: None,
            kms_key: None,
            target: target(),
        },
        own: Own {
            name: "s".into(),
            expression: "rate(5 minutes)".into(),
            input: None,
            description: None,
            start: None,
            end: None,
            created: Time(1000),
            modified: Time(1001),
            token: 7,
        },
        run: Some(Run { scheduled: Time(1001), due: Time(1001) }),
    }
}

fn full() -> ScheduleDeclared {
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    let parameters = Parameters {
        sqs: Some(Some("group".into())),
        event: Some(pair("type", "source")),
        event_v2: Some(pair("type 2", "source 2")),
        raw_event: Some(Some(vec![pair("a", "b"), pair("c", "d")])),
        kinesis: Some("key".into()),
        sage_maker: Some(Some(vec![])),
    };
    let dead_letters = Some("arn:aws:sqs:us-east-1:000000000000:dead".into());
    let plain = schedule();
    ScheduleDeclared {
        shared: Shared {
            is_enabled: false,
            is_deleted_after: true,
            window_minutes: Some(15),
            kms_key: Some("arn:aws:kms:us-east-1:000000000000:key/k".into()),
            target: Target { parameters, dead_letters, ..target() },
            ..plain.shared
        },
        own: Own {
            input: Some("{}".into()),
            description: Some(String::new()),
            start: Some(Time(0)),
            end: Some(Time(5)),
            ..plain.own
        },
        run: None,
        ..plain
    }
}

const TRIED: Tried = Tried { attempts: 3, first: Time(1002), due: Time(1500) };

fn all() -> Vec<Record> {
    let bare = Parameters {
        sqs: Some(None),
        raw_event: Some(None),
        sage_maker: Some(None),
        ..Parameters::default()
    };
    let mut with_bare = schedule();
    with_bare.shared.target.parameters = bare;
    vec![
        Record::GroupDeclared(group()),
        Record::GroupDeleted(GroupDeleted { id: GroupId(3), declared_in: vec![1, 7] }),
        Record::ScheduleDeclared(Box::new(schedule())),
        Record::ScheduleDeclared(Box::new(full())),
        Record::ScheduleDeclared(Box::new(with_bare)),
        Record::SchedulesDeleted(SchedulesDeleted {
            ids: vec![ScheduleId(9), ScheduleId(4), ScheduleId(1 << 40)],
            declared_in: vec![1],
        }),
        Record::ScheduleRan(ScheduleRan { id: ScheduleId(4), run: schedule().run }),
        Record::ScheduleRan(ScheduleRan { id: ScheduleId(4), run: None }),
        Record::InvocationDeclared(Box::new(InvocationDeclared {
            id: InvocationId(5),
            schedule_arn: "arn:aws:scheduler:us-east-1:000000000000:schedule/g/s".into(),
            schedule: ScheduleId(4),
            target: target(),
            scheduled: Time(1001),
            input: Some("x".into()),
            tried: TRIED,
        })),
        Record::InvocationTried(InvocationTried { id: InvocationId(5), tried: TRIED }),
        Record::InvocationEnded(InvocationEnded { id: InvocationId(5), declared_in: vec![1, 2] }),
    ]
}

#[test]
fn records_read_back_as_they_were_written_and_cut_short_they_are_malformed() {
    for record in all() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err(), "{} cut at {cut}", hex(&bytes));
        }
        bytes.push(0);
        assert!(Record::decode(&bytes).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_malformed(kind in 48..64u8, rest in prop::collection::vec(any::<u8>(), 0..60)) {
        let bytes = [&[kind][..], &rest].concat();
        if let Ok(record) = Record::decode(&bytes) {
            let mut again = Vec::new();
            record.encode(&mut again);
            prop_assert_eq!(Record::decode(&again), Ok(record));
        }
    }
}
