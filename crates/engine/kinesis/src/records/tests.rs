//! Records read back as they were written; cut short they are malformed.

use kernel::service::Record as _;
use kernel::{Series, Time};

use super::*;
use crate::rules::hash_keys::HashRange;

fn stream() -> StreamDeclared {
    StreamDeclared {
        id: 7,
        key: StreamKey {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            name: "s".to_owned(),
        },
        created: Time(1),
        next_shard: 5,
        is_on_demand: true,
        retention_hours: 24,
        floor: Time(9),
        record_kib: 1024,
        distributes: false,
        warm_mibps: Some(0),
        encryption_key: Some("alias/aws/kinesis".to_owned()),
        metrics: vec!["IncomingBytes".to_owned()],
        policy: Some("{}".to_owned()),
        tags: [("k".to_owned(), "v".to_owned())].into(),
    }
}

fn samples() -> Vec<Record> {
    let key = ShardKey { stream: 7, number: 3 };
    let shard = ShardDeclared {
        id: 8,
        key,
        parents: vec![1, 2],
        range: HashRange { start: 1, end: u128::MAX },
        created: Time(4),
        closed: None,
    };
    let closed = ShardDeclared { closed: Some(Closed { end: 99, at: Time(5) }), ..shard.clone() };
    let consumer = ConsumerDeclared {
        id: 9,
        key: ConsumerKey { stream: 7, name: "c".to_owned() },
        created: Time(6),
        policy: None,
        tags: Default::default(),
    };
    let account = AccountDeclared {
        id: 10,
        key: AccountKey { account: "1".to_owned(), region: "r".to_owned() },
        is_committed: true,
        since: Time(2),
    };
    let put =
        RecordsPut { series: Series(8), first: 11, count: 4, at: Time(12), is_encrypted: true, part: None };
    let part = RecordsPut { part: Some(Part { index: 1, of: 3 }), count: 1, is_encrypted: false, ..put };
    vec![
        Record::StreamDeclared(Box::new(stream())),
        Record::StreamDeleted(Deleted { id: 7, key: stream().key, declared_in: vec![1, 2] }),
        Record::ShardDeclared(shard),
        Record::ShardDeclared(closed),
        Record::ShardDeleted(Deleted { id: 8, key, declared_in: vec![3] }),
        Record::ConsumerDeleted(Deleted { id: 9, key: consumer.key.clone(), declared_in: vec![] }),
        Record::ConsumerDeclared(Box::new(consumer)),
        Record::AccountDeleted(Deleted { id: 10, key: account.key.clone(), declared_in: vec![4] }),
        Record::AccountDeclared(account),
        Record::RecordsPut(put),
        Record::RecordsPut(part),
    ]
}

#[test]
fn records_read_back_as_they_were_written() {
    for record in samples() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert!(KINDS.contains(&bytes[0]));
        assert_eq!(Record::decode(&bytes), Ok(record.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..cut]), Err(Malformed), "{record:?} cut at {cut}");
        }
        bytes.push(0);
        assert_eq!(Record::decode(&bytes), Err(Malformed));
    }
}

#[test]
fn records_have_these_bytes() {
    // What older versions have written must stay readable.
    let put =
        RecordsPut { series: Series(8), first: 300, count: 4, at: Time(12), is_encrypted: true, part: None };
    let mut bytes = Vec::new();
    Record::RecordsPut(put).encode(&mut bytes);
    assert_eq!(bytes, [160, 1, 8, 0xac, 2, 4, 12]);
    assert_eq!((put.last(), RecordsPut::of_head(&bytes)), (303, Ok(put)));
}
