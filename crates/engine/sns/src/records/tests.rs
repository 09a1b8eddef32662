//! Every kind of record reads back as it was written, and bytes that are none are refused.

use std::collections::BTreeMap;

use kernel::Time;
use kernel::parcel::Ended;
use proptest::prelude::*;

use super::*;
use crate::{ApplicationId, ApplicationKey, EndpointId, SubscriptionId, TopicId, TopicKey};

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn samples() -> Vec<Record> {
    let topic = TopicDeclared {
        id: TopicId(1),
        key: TopicKey { account: "000000000000".into(), region: "eu-west-1".into(), name: "t.fifo".into() },
        attributes: pairs(&[("DisplayName", "d"), ("Policy", "{}")]),
        tags: pairs(&[("a", "")]),
        created: Time(1_700_000_000_000),
        subscriptions_deleted: 300,
    };
    let subscription = |confirmed| SubscriptionDeclared {
        id: SubscriptionId(2),
        uuid: "u".into(),
        topic: TopicId(1),
        protocol: "https".into(),
        endpoint: "https://a.example".into(),
        owner: "000000000000".into(),
        principal: "arn:aws:iam::000000000000:root".into(),
        attributes: pairs(&[("FilterPolicy", "{}")]),
        created: Time(3),
        confirmed,
        ended: None,
    };
    let confirmation = |authenticated, authenticate_on_unsubscribe| {
        Some(Confirmation { at: Time(4), authenticated, authenticate_on_unsubscribe })
    };
    let key = ApplicationKey {
        account: "000000000000".into(),
        region: "eu-west-1".into(),
        platform: "GCM".into(),
        name: "n".into(),
    };
    vec![
        Record::TopicDeclared(Box::new(topic)),
        Record::TopicDeleted(TopicDeleted { id: TopicId(1), declared_in: vec![1, 70_000] }),
        Record::SubscriptionDeclared(Box::new(subscription(None))),
        Record::SubscriptionDeclared(Box::new(subscription(confirmation(true, false)))),
        Record::SubscriptionDeclared(Box::new(subscription(confirmation(false, true)))),
        Record::SubscriptionDeclared(Box::new(SubscriptionDeclared {
            ended: Some(Time(5)),
            ..subscription(confirmation(true, false))
        })),
        Record::SubscriptionDeleted(SubscriptionDeleted { id: SubscriptionId(2), declared_in: vec![] }),
        Record::PlatformApplicationDeclared(Box::new(PlatformApplicationDeclared {
            id: ApplicationId(5),
            key: key.clone(),
            attributes: pairs(&[("PlatformCredential", "secret")]),
        })),
        Record::PlatformApplicationDeleted(PlatformApplicationDeleted {
            id: ApplicationId(5),
            declared_in: vec![2],
        }),
        Record::PlatformEndpointDeclared(Box::new(PlatformEndpointDeclared {
            id: EndpointId(6),
            uuid: "u".into(),
            application: ApplicationId(5),
            application_key: key,
            attributes: pairs(&[("Token", "t")]),
        })),
        Record::PlatformEndpointDeleted(PlatformEndpointDeleted { id: EndpointId(6), declared_in: vec![3] }),
        Record::TextMessagingDeclared(Box::new(TextMessagingDeclared {
            account: "000000000000".into(),
            region: "eu-west-1".into(),
            attributes: pairs(&[("DefaultSMSType", "Promotional")]),
            opted_out: BTreeMap::from([("+1".into(), Time(7))]),
            opted_in: BTreeMap::from([("+2".into(), Time(8)), ("+3".into(), Time(9))]),
            sandbox: BTreeMap::from([("+4".into(), SandboxNumber { passcode: 10, verified: true })]),
        })),
        Record::ReplayAdvanced(ReplayAdvanced { subscription: SubscriptionId(5), began: 6, through: 7 }),
        Record::DeliveryFailed(DeliveryFailed { number: 1, attempts: 2, at: Time(3), due: Time(9) }),
        Record::DeliveriesEnded(DeliveriesEnded { ended: vec![Ended { number: 1, segment: 2 }] }),
    ]
}

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

#[test]
fn every_kind_reads_back_as_it_was_written() {
    for record in samples() {
        let bytes = encoded(&record);
        assert!(KINDS.contains(&bytes[0]));
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn bytes_that_are_cut_short_or_too_many_are_malformed() {
    for record in samples() {
        let mut bytes = encoded(&record);
        for len in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..len]), Err(Malformed), "{record:?} cut to {len}");
        }
        bytes.push(0);
        assert_eq!(Record::decode(&bytes), Err(Malformed), "{record:?} and a byte");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(kind in KINDS, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Record::decode(&[&[kind], &bytes[..]].concat());
    }
}
