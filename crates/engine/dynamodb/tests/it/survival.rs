//! Items are put and removed, segments are cleaned and dropped, and the state is read again from what is left of the log. A plain map says
//! what must be there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use dynamodb::TableKey;
use dynamodb::records::{ItemPut, ItemRemoved, Record, TableDeclared};
use dynamodb::rules::definition::{Definition, Index, Schema, Shows};
use dynamodb::state::State;
use items::json::{read_item, text_of_item};
use items::value::Item;
use kernel::service::Record as _;
use kernel::{Extent, Ledger, Place, Time};
use proptest::prelude::*;

const TABLE: u64 = 1;

/// A log in memory, and the state that follows from it.
#[derive(Default)]
struct World {
    log: BTreeMap<Place, Vec<u8>>,
    segment: u32,
    offset: u32,
    state: State,
    ledger: Ledger,
    next: u64,
    model: BTreeMap<u8, u8>,
}

fn content(key: u8, value: u8) -> Vec<u8> {
    let (key, value) = (format!("{{\"S\":\"{key}\"}}"), format!("{{\"N\":\"{value}\"}}"));
    read_item([("pk", &*key), ("v", &*value)]).unwrap()
}

impl World {
    fn new() -> World {
        let mut world = World { segment: 1, next: 10, ..World::default() };
        world.ledger.open(1);
        let schema = |name: &str| Schema { hash: vec![name.to_owned()], range: Vec::new() };
        let definition = Definition {
            attributes: [("pk".to_owned(), "S".to_owned()), ("v".to_owned(), "N".to_owned())].into(),
            key: schema("pk"),
            indexes: vec![Index {
                id: 2,
                name: "by-value".into(),
                is_global: true,
                key: schema("v"),
                shows: Shows::Keys,
                units: (0, 0),
            }],
            ..Definition::default()
        };
        world.record(&Record::TableDeclared(Box::new(TableDeclared {
            id: TABLE,
            key: TableKey { account: "0".into(), region: "r".into(), name: "t".into() },
            definition: Arc::new(definition),
            tags: BTreeMap::new(),
            created: Time(0),
        })));
        world
    }

    fn record(&mut self, record: &Record<'_>) -> Extent {
        let mut head = Vec::new();
        record.encode(&mut head);
        let at = Extent { place: Place::new(self.segment, self.offset), len: head.len() as u32 };
        self.offset += 1;
        self.state.apply(record, at, &mut self.ledger);
        self.log.insert(at.place, head);
        at
    }

    fn key(&self, key: u8) -> Vec<u8> {
        self.state.key_of(TABLE, &content(key, 0)).unwrap()
    }

    fn put(&mut self, key: u8, value: u8) {
        let bytes = self.key(key);
        let known = self.state.contents(TABLE).unwrap().get(&bytes).map(|held| held.id());
        let id = known.unwrap_or(self.next);
        self.next += 1;
        let content = Cow::Owned(content(key, value));
        self.record(&Record::ItemPut(ItemPut { table: TABLE, id, content }));
        self.model.insert(key, value);
    }

    fn remove(&mut self, key: u8) {
        let bytes = self.key(key);
        let found = self.state.contents(TABLE).unwrap().get_with_places(&bytes);
        if let Some((held, put_in)) = found {
            let id = held.id();
            self.record(&Record::ItemRemoved(ItemRemoved { table: TABLE, id, key: bytes.into(), put_in }));
        }
        self.model.remove(&key);
    }

    fn roll(&mut self) {
        self.segment += 1;
        self.offset = 0;
        self.ledger.open(self.segment);
    }

    /// Writes forward what still holds of a segment, and drops the segments that nothing needs.
    fn clean(&mut self, segment: u32) {
        let movable = |used: &kernel::SegmentUse| used.replaces.is_empty();
        if segment >= self.segment || !self.ledger.get(segment).is_some_and(movable) {
            return;
        }
        let range = Place::new(segment, 0)..Place::new(segment + 1, 0);
        let records: Vec<(Place, Vec<u8>)> =
            self.log.range(range).map(|(place, head)| (*place, head.clone())).collect();
        for (place, head) in records {
            let at = Extent { place, len: head.len() as u32 };
            let record = Record::decode(&head).unwrap();
            if let Some(again) = self.state.write_again(record, at, &self.ledger) {
                self.record(&again);
            }
        }
        self.ledger.facts_copied(segment);
        self.drop_dead();
    }

    fn drop_dead(&mut self) {
        let dead: Vec<u32> = self
            .ledger
            .segments()
            .filter(|(number, used)| *number < self.segment && used.is_dead(Time(0)))
            .map(|(number, _)| number)
            .collect();
        for segment in dead {
            // One that was held by another may no longer be dead.
            self.ledger.dropped(segment);
            self.log.retain(|place, _| place.segment() != segment);
        }
    }

    fn restart(&mut self) {
        (self.state, self.ledger) = (State::default(), Ledger::default());
        for place in self.log.keys() {
            self.ledger.open(place.segment());
        }
        self.ledger.open(self.segment);
        for pass in [true, false] {
            for (place, head) in &self.log {
                let record = Record::decode(head).unwrap();
                if record.is_configuration() == pass {
                    let at = Extent { place: *place, len: head.len() as u32 };
                    self.state.apply(&record, at, &mut self.ledger);
                }
            }
        }
    }

    fn check(&self) {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let contents = self.state.contents(TABLE).unwrap();
        let mut found: Vec<String> =
            contents.range(None, all, true).map(|held| text_of_item(held.item())).collect();
        let mut indexed: Vec<String> =
            contents.range(Some(0), all, true).map(|held| text_of_item(held.item())).collect();
        let mut expected: Vec<String> =
            self.model.iter().map(|(key, value)| text_of_item(Item(&content(*key, *value)))).collect();
        found.sort();
        indexed.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(indexed, expected);
        // What is not there takes no memory.
        if self.model.is_empty() {
            assert_eq!(self.state.memory(), 0);
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Put(u8, u8),
    Remove(u8),
    Roll,
    Clean(u32),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_u8..6, 0_u8..4).prop_map(|(key, value)| Act::Put(key, value)),
        5 => (0_u8..6).prop_map(Act::Remove),
        3 => Just(Act::Roll),
        4 => (1_u32..12).prop_map(Act::Clean),
        2 => Just(Act::Restart),
    ]
}

proptest! {
    #[test]
    fn a_restart_finds_what_was_there(acts in proptest::collection::vec(act(), 0..80)) {
        let mut world = World::new();
        for act in acts {
            match act {
                Act::Put(key, value) => world.put(key, value),
                Act::Remove(key) => world.remove(key),
                Act::Roll => world.roll(),
                Act::Clean(segment) => world.clean(segment),
                Act::Restart => world.restart(),
            }
            world.check();
        }
        world.restart();
        world.check();
    }
}
