//! A stream against a model: whatever is split, merged, moved to the store and restarted, a reader that follows the shards from parents to
//! children gets each record once, and those of a key in their order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::resharding::{merge, split};
use crate::world::{NOW, World, text};

#[derive(Clone, Debug)]
enum Step {
    /// So many records, with keys from a number on.
    Put(u8, u8),
    Split(u8, u8),
    Merge(u8),
    /// What is owed moves to the store.
    Move,
    Restart(bool),
    /// Time passes, in seconds.
    Pass(u16),
    /// The reader reads so many records of each shard that it may read.
    Read(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..12_u8, any::<u8>()).prop_map(|(count, key)| Step::Put(count, key)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(shard, at)| Step::Split(shard, at)),
        1 => any::<u8>().prop_map(Step::Merge),
        2 => Just(Step::Move),
        1 => any::<bool>().prop_map(Step::Restart),
        1 => (0..400_u16).prop_map(Step::Pass),
        2 => (1..20_u8).prop_map(Step::Read),
    ];
    prop::collection::vec(step, 1..60)
}

/// Reads shards behind their parents, as KCL does.
#[derive(Default)]
struct Reader {
    /// The last number that was read of each shard.
    at: BTreeMap<String, String>,
    ended: BTreeSet<String>,
    got: Vec<String>,
}

impl Reader {
    fn read(&mut self, world: &mut World, most: i32) -> bool {
        let mut has_read = false;
        for shard in world.shards("s") {
            let id = shard.shard_id.unwrap().to_string();
            let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id];
            let is_ready = parents.into_iter().flatten().all(|parent| self.ended.contains(&**parent));
            if !is_ready || self.ended.contains(&id) {
                continue;
            }
            let iterator = match self.at.get(&id) {
                Some(number) => {
                    world.iterator_at("s", &id, "AFTER_SEQUENCE_NUMBER", Some(number), None).unwrap()
                }
                None => world.iterator("s", &id, "TRIM_HORIZON"),
            };
            let got = world.get(&iterator, Some(most)).unwrap();
            for record in got.records.unwrap() {
                has_read = true;
                self.at.insert(id.clone(), record.sequence_number.unwrap().to_string());
                self.got.push(String::from_utf8(record.data.unwrap().to_vec()).unwrap());
            }
            if got.next_shard_iterator.is_none() {
                has_read = true;
                assert!(!got.child_shards.unwrap().is_empty());
                self.ended.insert(id);
            }
        }
        has_read
    }
}

/// The open shards, by their hash keys: their numbers, and where they begin and end.
fn open(world: &mut World) -> Vec<(u32, u128, u128)> {
    let open = world
        .shards("s")
        .into_iter()
        .filter(|shard| shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_none());
    let mut open: Vec<(u32, u128, u128)> = open
        .map(|shard| {
            let range = shard.hash_key_range.unwrap();
            let number = shard.shard_id.unwrap()["shardId-".len()..].parse().unwrap();
            let hash = |text: Option<api::Text>| text.unwrap().parse().unwrap();
            (number, hash(range.starting_hash_key), hash(range.ending_hash_key))
        })
        .collect();
    open.sort_unstable_by_key(|&(_, start, _)| start);
    open
}

fn run(steps: Vec<Step>) {
    let mut world = World::new();
    world.create("s", 2);
    let (mut reader, mut put) = (Reader::default(), 0_u32);
    for step in steps {
        match step {
            Step::Put(count, key) => {
                let records: Vec<(String, String)> = (0..count)
                    .map(|at| {
                        let key = key.wrapping_add(at) % 16;
                        (format!("k{key}"), format!("k{key}:{}", put + u32::from(at)))
                    })
                    .collect();
                put += u32::from(count);
                let records: Vec<(&str, &[u8])> =
                    records.iter().map(|(key, data)| (key.as_str(), data.as_bytes())).collect();
                assert_eq!(world.put("s", &records).unwrap().failed_record_count, Some(0));
            }
            Step::Split(shard, at) => {
                let open = open(&mut world);
                let (number, start, end) = open[usize::from(shard) % open.len()];
                let at = start + (end - start) / 256 * u128::from(at) + 1;
                if open.len() < 8 && at <= end {
                    split(&mut world, number, at).unwrap();
                }
            }
            Step::Merge(shard) => {
                let open = open(&mut world);
                let at = usize::from(shard) % open.len();
                if let Some(next) = open.get(at + 1) {
                    merge(&mut world, open[at].0, next.0).unwrap();
                }
            }
            Step::Move => world.settle(),
            Step::Restart(moved) => world.restart(moved),
            Step::Pass(seconds) => world.now = world.now.plus_seconds(seconds.into()),
            Step::Read(most) => drop(reader.read(&mut world, most.into())),
        }
    }
    while reader.read(&mut world, 7) {}
    assert!(world.now >= NOW);
    let mut by_key: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for data in &reader.got {
        let (key, number) = data.split_once(':').unwrap();
        by_key.entry(key).or_default().push(number.parse().unwrap());
    }
    assert!(by_key.values().all(|numbers| numbers.is_sorted_by(|a, b| a < b)), "{by_key:?}");
    let mut all: Vec<u32> = by_key.into_values().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, (0..put).collect::<Vec<_>>());
    assert!(text("s").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_record_is_read_once_and_those_of_a_key_in_their_order(steps in steps()) {
        run(steps);
    }
}
