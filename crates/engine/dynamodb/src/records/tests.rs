//! Records are read as they were written, and damaged ones are refused.

use std::borrow::Cow;
use std::sync::Arc;

use kernel::Time;
use kernel::service::Record as _;

use super::*;
use crate::rules::definition::{Definition, Index, Schema, Shows};

fn samples() -> Vec<Record<'static>> {
    let key = TableKey { account: "000000000000".into(), region: "us-east-1".into(), name: "t".into() };
    let index = Index {
        id: 7,
        name: "gsi".into(),
        is_global: true,
        key: Schema { hash: vec!["a".into(), "b".into()], range: vec!["c".into()] },
        shows: Shows::Some(vec!["ü".into()]),
        units: (1, 2),
    };
    let full = Definition {
        attributes: [("a".to_owned(), "S".to_owned()), ("b".to_owned(), "N".to_owned())].into(),
        key: Schema { hash: vec!["a".into()], range: vec!["b".into()] },
        indexes: vec![index.clone(), Index { shows: Shows::Keys, is_global: false, ..index }],
        on_demand_since: Some(1),
        units: (3, 4),
        is_protected: true,
        class: Some("STANDARD".into()),
        encryption: Some("k".into()),
        expires_by: Some("ttl".into()),
        recovery: Some((5, 35)),
        warm: Some((6, 7)),
    };
    let table = |definition: Definition| {
        Record::TableDeclared(Box::new(TableDeclared {
            id: 300,
            key: key.clone(),
            definition: Arc::new(definition),
            tags: [("a".to_owned(), "1".to_owned())].into(),
            created: Time(1_767_225_600_000),
        }))
    };
    vec![
        table(full),
        table(Definition::default()),
        Record::TableDeleted(Deleted { id: 300, key: key.clone(), declared_in: vec![1, 300] }),
        Record::ItemPut(ItemPut { table: 300, id: 301, content: Cow::Borrowed(b"\x02pk\x01\x01a") }),
        Record::ItemRemoved(ItemRemoved { table: 300, id: 301, key: (*b"key").into(), put_in: vec![1, 300] }),
        Record::TokenUsed(TokenUsed { token: [1; 16], request: [2; 16], until: Time(1_767_225_600_000) }),
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
