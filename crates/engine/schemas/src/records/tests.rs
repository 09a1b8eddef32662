//! Records read back as they were written.

use kernel::Time;
use kernel::service::Record as _;

use super::*;
use crate::inference::Dialect;

fn registry() -> RegistryKey {
    RegistryKey { account: "000000000000".into(), region: "us-east-1".into(), name: "r".into() }
}

fn all() -> Vec<Record> {
    let tags = resources::tags::Tags::from([("k".to_owned(), "v".to_owned())]);
    let schema = SchemaKey { registry: registry(), name: "s@T".into() };
    let version = VersionKey { schema: 7, version: 300 };
    let discoverer = DiscovererKey {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        id: "events-event-bus-b".into(),
    };
    vec![
        Record::RegistryDeclared(RegistryDeclared {
            id: 3,
            key: registry(),
            description: Some("d".into()),
            tags: tags.clone(),
            policy: Some(Policy { document: "{}".into(), revision: "r".into() }),
        }),
        Record::RegistryDeclared(RegistryDeclared {
            id: 3,
            key: registry(),
            description: None,
            tags: resources::tags::Tags::new(),
            policy: None,
        }),
        Record::RegistryDeleted(Deleted { id: 3, key: registry(), declared_in: vec![1, 2] }),
        Record::SchemaDeclared(SchemaDeclared {
            id: 7,
            key: schema.clone(),
            description: None,
            tags: tags.clone(),
            modified: Time(1 << 40),
            latest: 300,
            token: u64::MAX,
        }),
        Record::SchemaDeleted(Deleted { id: 7, key: schema, declared_in: vec![] }),
        Record::VersionDeclared(VersionDeclared {
            key: version,
            dialect: Dialect::Draft4,
            created: Time(1000),
            content: "{}".into(),
        }),
        Record::VersionDeleted(Deleted { id: 300, key: version, declared_in: vec![9] }),
        Record::DiscovererDeclared(DiscovererDeclared {
            id: 9,
            key: discoverer.clone(),
            source: "arn:aws:events:us-east-1:000000000000:event-bus/b".into(),
            description: Some(String::new()),
            cross_account: true,
            is_started: false,
            tags,
        }),
        Record::DiscovererDeleted(Deleted { id: 9, key: discoverer, declared_in: vec![4] }),
    ]
}

#[test]
fn records_are_read_as_they_were_written() {
    let mut kinds = Vec::new();
    for record in all() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        kinds.push(bytes[0]);
        assert_eq!(Record::decode(&bytes), Ok(record.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..cut]), Err(Malformed), "{record:?} cut at {cut}");
        }
        bytes.push(0);
        assert_eq!(Record::decode(&bytes), Err(Malformed), "something stands behind {record:?}");
    }
    kinds.dedup();
    assert_eq!(kinds, KINDS.collect::<Vec<u8>>(), "each kind is here");
}
