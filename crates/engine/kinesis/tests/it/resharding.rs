//! Shards are split, merged and counted anew (facts/kinesis.md § 3).

use api::Timestamp;
use api::kinesis::{
    ListShardsInput, MergeShardsInput, Request, Response, ShardFilter, SplitShardInput, UpdateShardCountInput,
};
use kernel::{Refusal, Time};

use crate::world::{HOUR, NOW, World, code, text};

fn id(number: u32) -> String {
    format!("shardId-{number:012}")
}

pub fn split(world: &mut World, shard: u32, at: u128) -> Result<Response, Refusal> {
    world.ask(Request::SplitShard(SplitShardInput {
        stream_name: text("s"),
        shard_to_split: text(&id(shard)),
        new_starting_hash_key: text(&at.to_string()),
        ..Default::default()
    }))
}

pub fn merge(world: &mut World, one: u32, other: u32) -> Result<Response, Refusal> {
    world.ask(Request::MergeShards(MergeShardsInput {
        stream_name: text("s"),
        shard_to_merge: text(&id(one)),
        adjacent_shard_to_merge: text(&id(other)),
        ..Default::default()
    }))
}

fn update(world: &mut World, count: i32) -> Result<(i32, i32), Refusal> {
    let input = UpdateShardCountInput {
        stream_name: text("s"),
        target_shard_count: Some(count),
        scaling_type: text("UNIFORM_SCALING"),
        ..Default::default()
    };
    match world.ask(Request::UpdateShardCount(input))? {
        Response::UpdateShardCount(output) => {
            Ok((output.current_shard_count.unwrap(), output.target_shard_count.unwrap()))
        }
        other => panic!("{other:?}"),
    }
}

/// The open shards cover all hash keys without overlap, and each comes behind its parents.
fn check(world: &mut World) -> Vec<(u128, u128)> {
    let shards = world.shards("s");
    let mut open = Vec::new();
    for shard in &shards {
        let range = shard.hash_key_range.clone().unwrap();
        let hash = |text: Option<api::Text>| text.unwrap().parse::<u128>().unwrap();
        let numbers = shard.sequence_number_range.clone().unwrap();
        if numbers.ending_sequence_number.is_none() {
            open.push((hash(range.starting_hash_key), hash(range.ending_hash_key)));
        }
        for parent in [&shard.parent_shard_id, &shard.adjacent_parent_shard_id].into_iter().flatten() {
            // It may be forgotten.
            let parent = shards.iter().find(|it| it.shard_id.as_ref() == Some(parent));
            let Some(parent) = parent else { continue };
            let end = parent.sequence_number_range.clone().unwrap().ending_sequence_number;
            assert!(
                end.unwrap() < numbers.starting_sequence_number.clone().unwrap(),
                "facts/kinesis.md § 17"
            );
        }
    }
    open.sort_unstable();
    assert_eq!((open[0].0, open.last().unwrap().1), (0, u128::MAX));
    assert!(open.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    open
}

#[test]
fn a_split_shard_is_closed_and_its_children_follow_it() {
    let mut world = World::new();
    world.create("s", 1);
    world.put("s", &[("p", b"1")]).unwrap();
    let half = 1 << 127;
    split(&mut world, 0, half).unwrap();
    world.put("s", &[("p", b"2")]).unwrap();
    assert_eq!(check(&mut world), [(0, half - 1), (half, u128::MAX)]);
    for _ in 0..2 {
        let begin = world.iterator("s", &id(0), "TRIM_HORIZON");
        let (data, last) = world.read_from(&begin, 10);
        assert_eq!((data.concat(), last.next_shard_iterator), (b"1".to_vec(), None));
        let children = last.child_shards.unwrap();
        assert_eq!(children.len(), 2);
        assert_eq!(children[1].shard_id, text(&id(2)));
        assert_eq!(children[1].parent_shards.clone().unwrap(), [&*id(0)]);
        assert_eq!(children[1].hash_key_range.clone().unwrap().starting_hash_key, text(&half.to_string()));
        // A LATEST iterator of a closed shard tells of its children at once, as KCL expects (facts/kinesis.md § 15).
        let latest = world.iterator("s", &id(0), "LATEST");
        let got = world.get(&latest, None).unwrap();
        assert_eq!((got.records.unwrap().len(), got.next_shard_iterator), (0, None));
        assert_eq!(got.child_shards.unwrap(), children);
        assert_eq!(world.read("s", &id(2)), [b"2"]);
        world.settle();
        world.restart(true);
    }
    assert_eq!(code(split(&mut world, 0, 5)), "InvalidArgumentException");
    assert_eq!(code(split(&mut world, 9, 5)), "ResourceNotFoundException");
}

#[test]
fn a_split_is_within_its_shard() {
    let mut world = World::new();
    world.create("s", 2);
    let half = 1_u128 << 127;
    for wrong in [half, 0, half - 1 - (half - 1)] {
        let refused = split(&mut world, 1, wrong).unwrap_err();
        let text = format!(
            "NewStartingHashKey {wrong} used in SplitShard() on shard shardId-000000000001 in stream s under account 000000000000 is not \
             both greater than one plus the shard's StartingHashKey {half} and less than the shard's EndingHashKey {}.",
            u128::MAX - 1
        );
        assert_eq!((refused.shape, &*refused.message), ("InvalidArgumentException", &*text));
    }
    split(&mut world, 1, half + 1).unwrap();
    assert_eq!(check(&mut world), [(0, half - 1), (half, half), (half + 1, u128::MAX)]);
}

#[test]
fn neighbours_are_merged() {
    let mut world = World::new();
    world.create("s", 3);
    let refused = merge(&mut world, 0, 2).unwrap_err();
    let text = "Shards shardId-000000000000 and shardId-000000000002 in stream s under account 000000000000 are not an adjacent pair of \
                shards eligible for merging";
    assert_eq!((refused.shape, &*refused.message), ("InvalidArgumentException", text));
    merge(&mut world, 1, 0).unwrap();
    let shards = world.shards("s");
    assert_eq!(shards[3].parent_shard_id.as_deref(), Some("shardId-000000000001"));
    assert_eq!(shards[3].adjacent_parent_shard_id.as_deref(), Some("shardId-000000000000"));
    assert_eq!(check(&mut world).len(), 2);
    let refused = merge(&mut world, 0, 2).unwrap_err();
    assert!(refused.message.starts_with(
        "Shard shardId-000000000000 in stream s under account 000000000000 has already been merged"
    ));
    let latest = world.iterator("s", &id(0), "LATEST");
    let children = world.get(&latest, None).unwrap().child_shards.unwrap();
    assert_eq!(children[0].parent_shards.clone().unwrap(), [id(1), id(0)].map(api::Text::from));
}

#[test]
fn the_count_is_doubled_and_halved_at_the_most() {
    let mut world = World::new();
    world.create("s", 2);
    assert_eq!(update(&mut world, 4), Ok((2, 4)));
    let quarters = check(&mut world);
    assert_eq!(quarters[0].1, 85070591730234615865843651857942052863);
    assert_eq!(update(&mut world, 6), Ok((4, 6)));
    assert_eq!(update(&mut world, 7), Ok((6, 7)));
    assert_eq!(check(&mut world).len(), 7);
    assert_eq!(update(&mut world, 4), Ok((7, 4)));
    assert_eq!(check(&mut world), quarters);
    assert_eq!(update(&mut world, 4), Ok((4, 4)));
    assert_eq!(code(update(&mut world, 9)), "LimitExceededException");
    assert_eq!(code(update(&mut world, 1)), "LimitExceededException");
    world.restart(true);
    assert_eq!(check(&mut world), quarters);
}

#[test]
fn an_on_demand_stream_has_the_shards_that_it_has() {
    let mut world = World::new();
    let input = api::kinesis::CreateStreamInput { stream_name: text("s"), ..Default::default() };
    world.ask(Request::CreateStream(input)).unwrap();
    let refused = split(&mut world, 0, 5).unwrap_err();
    let text = "Request is invalid. Stream s under account 000000000000 is in On-Demand mode.";
    assert_eq!((refused.shape, &*refused.message), ("ValidationException", text));
}

#[test]
fn closed_shards_are_listed_until_their_records_have_passed() {
    let mut world = World::new();
    world.create("s", 1);
    world.put("s", &[("p", b"1")]).unwrap();
    world.settle();
    world.now = NOW + HOUR;
    split(&mut world, 0, 1 << 127).unwrap();
    world.now = NOW + (25 * HOUR - 1);
    world.settle();
    assert_eq!(world.shards("s").len(), 3);
    world.restart(true);
    world.now = NOW + 25 * HOUR;
    world.settle();
    assert_eq!(world.shards("s").len(), 2);
    assert_eq!(world.series_count(), 0);
    assert_eq!(check(&mut world).len(), 2);
}

#[test]
fn a_closed_shard_stays_as_long_as_its_stream_keeps_records_now() {
    let mut world = World::new();
    world.create("s", 1);
    world.put("s", &[("p", b"1")]).unwrap();
    split(&mut world, 0, 1 << 127).unwrap();
    let input = api::kinesis::IncreaseStreamRetentionPeriodInput {
        stream_name: text("s"),
        retention_period_hours: Some(48),
        ..Default::default()
    };
    world.ask(Request::IncreaseStreamRetentionPeriod(input)).unwrap();
    for restarts in [false, true] {
        if restarts {
            world.restart(true);
        }
        world.now = NOW + (48 * HOUR - 1);
        world.settle();
        assert_eq!((world.shards("s").len(), world.read("s", &id(0)).len()), (3, 1));
    }
    world.now = NOW + 48 * HOUR;
    world.settle();
    assert_eq!(world.shards("s").len(), 2);
}

#[test]
fn filters_let_the_shards_through_that_were_open_then() {
    let mut world = World::new();
    world.create("s", 2);
    world.now = NOW + HOUR;
    split(&mut world, 0, 5).unwrap();
    world.now = NOW + 2 * HOUR;
    let filtered = |world: &mut World, kind: &str, time: Option<Time>, shard: Option<&str>| {
        let timestamp = time.map(|time| Timestamp(time.signed_millis()));
        let filter = ShardFilter { r#type: text(kind), shard_id: shard.map(Into::into), timestamp };
        let input =
            ListShardsInput { stream_name: text("s"), shard_filter: Some(filter), ..Default::default() };
        let Ok(Response::ListShards(output)) = world.ask(Request::ListShards(input)) else {
            panic!("no list")
        };
        let ids = output.shards.unwrap().into_iter().map(|shard| shard.shard_id.unwrap());
        ids.map(|id| id.chars().last().unwrap()).collect::<String>()
    };
    assert_eq!(filtered(&mut world, "AT_LATEST", None, None), "123");
    assert_eq!(filtered(&mut world, "AT_TRIM_HORIZON", None, None), "01");
    assert_eq!(filtered(&mut world, "FROM_TRIM_HORIZON", None, None), "0123");
    assert_eq!(filtered(&mut world, "AFTER_SHARD_ID", None, Some(&id(1))), "23");
    assert_eq!(filtered(&mut world, "AT_TIMESTAMP", Some(NOW + (HOUR - 1)), None), "01");
    assert_eq!(filtered(&mut world, "AT_TIMESTAMP", Some(NOW + HOUR), None), "123");
    assert_eq!(filtered(&mut world, "FROM_TIMESTAMP", Some(NOW + HOUR), None), "123");
    assert_eq!(filtered(&mut world, "FROM_TIMESTAMP", Some(NOW), None), "0123");
    // The token stands for the whole request, and for five minutes (facts/kinesis.md § 2).
    let page = |world: &mut World, token: Option<String>| {
        let input = ListShardsInput {
            stream_name: if token.is_some() { None } else { text("s") },
            next_token: token.map(Into::into),
            max_results: Some(3),
            ..Default::default()
        };
        match world.ask(Request::ListShards(input)) {
            Ok(Response::ListShards(output)) => {
                Ok((output.shards.unwrap().len(), output.next_token.map(|token| token.to_string())))
            }
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.shape),
        }
    };
    let (first, token) = page(&mut world, None).unwrap();
    assert_eq!(first, 3);
    assert_eq!(page(&mut world, token.clone()), Ok((1, None)));
    world.now = world.now + 300_001;
    assert_eq!(page(&mut world, token), Err("ExpiredNextTokenException"));
}
