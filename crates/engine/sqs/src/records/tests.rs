//! Every kind of record reads back as it was written, and bytes that are none are refused.

use proptest::prelude::*;

use super::*;
use crate::rules::settings::{FifoSettings, RedriveAllowPolicy, RedrivePermission, RedrivePolicy, Settings};
use crate::{QueueId, QueueKey, Seq, TaskId};
use kernel::{Arn, Extent, Place, Time};

fn samples() -> Vec<Record<'static>> {
    let settings = Settings {
        policy: Some("{}".into()),
        redrive: Some(RedrivePolicy {
            target: Arn::new("sqs", "eu-west-1", "000000000000", "dlq"),
            max_receives: 3,
            text: "{…}".into(),
        }),
        redrive_allow: Some(RedriveAllowPolicy {
            permission: RedrivePermission::ByQueue(vec!["a".into(), "b".into()]),
            text: "{…}".into(),
        }),
        kms_key: Some("alias/k".into()),
        kms_reuse_seconds: Some(60),
        sqs_managed_sse: false,
        fifo: Some(FifoSettings {
            content_based: true,
            scope_is_group: true,
            limit_is_per_group: false,
            scope_changed: Some(Time(9)),
        }),
        ..Settings::default()
    };
    let message = MessageSent {
        queue: QueueId(1),
        seq: Seq(1000),
        origin: Seq(900),
        sent: Time(1_700_000_000_000),
        group: Some("g".into()),
        deduplication: Some(Deduplication { id: "d".into(), in_group: true }),
        delay_seconds: 5,
        forwarded: true,
    };
    let placed = MessagePlaced {
        queue: QueueId(1),
        seq: Seq(2),
        origin: Seq(3),
        copy: Seq(2),
        extent: Extent { place: Place::new(4, 5), len: 6 },
        sent: Time(7),
        group: Some("g".into()),
        dead_letter_source: Some("arn".into()),
        deduplicates_by_id: true,
        receives: 8,
        receives_elsewhere: 5,
        first_received: Time(9),
        received: Time(10),
        visible: Time(11),
        in_flight: true,
    };
    vec![
        Record::QueueDeclared(Box::new(QueueDeclared {
            id: QueueId(300),
            key: QueueKey { account: "0".into(), region: "r".into(), name: "n".into() },
            settings,
            tags: vec![("k".into(), "v".into())],
            created: Time(1),
            modified: Time(2),
            purged_through: Seq(3),
            purged: Some(Time(4)),
        })),
        Record::QueueDeleted(QueueDeleted { id: QueueId(300), at: Time(5), declared_in: vec![1, 2] }),
        Record::MoveTaskDeclared(Box::new(MoveTaskDeclared {
            id: TaskId(4),
            source: QueueId(1),
            source_arn: Arn::new("sqs", "r", "0", "s"),
            destination: Some(Arn::new("sqs", "r", "0", "d")),
            rate: Some(5),
            status: MoveStatus::Cancelled,
            started: Time(1),
            moved: 2,
            to_move: 3,
            failure: Some("x".into()),
        })),
        Record::MessageSent(MessageSent {
            group: None,
            deduplication: None,
            delay_seconds: 0,
            origin: Seq(1000),
            forwarded: false,
            ..message.clone()
        }),
        Record::MessageSent(message),
        Record::MessagesReceived(MessagesReceived {
            queue: QueueId(1),
            at: Time(50),
            until: Time(80),
            attempt: Some("a".into()),
            messages: vec![ReceivedMessage {
                seq: Seq(2),
                receives: 2,
                first_received: Time(40),
                group: Some("g".into()),
            }],
        }),
        Record::VisibilityChanged(VisibilityChanged {
            queue: QueueId(1),
            at: Time(5),
            attempt: Some("a".into()),
            messages: vec![ChangedMessage {
                message: ReceivedMessage {
                    seq: Seq(1),
                    receives: 2,
                    first_received: Time(3),
                    group: Some("g".into()),
                },
                received: Time(4),
                until: Time(5),
            }],
        }),
        Record::MessagesDropped(MessagesDropped {
            queue: QueueId(1),
            reason: DropReason::Moved(TaskId(9)),
            messages: vec![DroppedMessage { seq: Seq(2), place: Place::new(1, 2), group: Some("g".into()) }],
        }),
        Record::MessagesDropped(MessagesDropped {
            queue: QueueId(1),
            reason: DropReason::Damaged,
            messages: vec![DroppedMessage { seq: Seq(2), place: Place::new(1, 2), group: None }],
        }),
        Record::MessagePlaced(Box::new(placed.clone())),
        Record::MessagesMoved(MessagesMoved {
            dropped: MessagesDropped {
                queue: QueueId(1),
                reason: DropReason::DeadLettered,
                messages: vec![DroppedMessage { seq: Seq(2), place: Place::new(1, 2), group: None }],
            },
            placed: vec![placed.clone()],
        }),
        Record::AttemptRemembered(AttemptRemembered {
            queue: QueueId(1),
            attempt: "a".into(),
            at: Time(5),
            until: Time(6),
            messages: vec![(Seq(2), 3)],
        }),
    ]
}

#[test]
fn every_kind_reads_back_as_it_was_written() {
    for record in samples() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn a_record_that_is_cut_short_is_malformed() {
    for record in samples() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err(), "{record:?} cut at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Record::decode(&bytes);
    }
}
