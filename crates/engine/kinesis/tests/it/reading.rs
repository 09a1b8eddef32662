//! Where readers stand, and what they get: from the log, from the store, and from both.

use api::kinesis::{DecreaseStreamRetentionPeriodInput, IncreaseStreamRetentionPeriodInput, Request};
use kernel::Time;

use crate::world::{HOUR, NOW, World, code, text};

const SHARD: &str = "shardId-000000000000";

fn world() -> World {
    let mut world = World::new();
    world.create("s", 1);
    world
}

fn put(world: &mut World, data: &[&str]) -> Vec<String> {
    let records: Vec<(&str, &[u8])> = data.iter().map(|data| ("k", data.as_bytes())).collect();
    let output = world.put("s", &records).unwrap();
    assert_eq!(output.failed_record_count, Some(0));
    output.records.unwrap().into_iter().map(|it| it.sequence_number.unwrap().to_string()).collect()
}

fn texts(data: Vec<Vec<u8>>) -> Vec<String> {
    data.into_iter().map(|data| String::from_utf8(data).unwrap()).collect()
}

#[test]
fn records_come_in_their_order_wherever_they_lie() {
    let mut world = world();
    put(&mut world, &["1", "2", "3", "4", "5"]);
    assert_eq!(texts(world.read("s", SHARD)), ["1", "2", "3", "4", "5"]);
    world.settle();
    assert_eq!(texts(world.read("s", SHARD)), ["1", "2", "3", "4", "5"]);
    put(&mut world, &["6"]);
    put(&mut world, &["7", "8"]);
    assert_eq!(texts(world.read("s", SHARD)).len(), 8);
    for moved in [false, true] {
        world.restart(moved);
        assert_eq!(texts(world.read("s", SHARD)), ["1", "2", "3", "4", "5", "6", "7", "8"]);
    }
}

#[test]
fn each_type_of_iterator_stands_where_it_says() {
    // facts/kinesis.md §§ 4, 13
    let mut world = world();
    let latest = world.iterator("s", SHARD, "LATEST");
    let numbers = put(&mut world, &["1", "2", "3"]);
    assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 56));
    world.now = NOW + 1000;
    put(&mut world, &["4"]);
    for _ in 0..2 {
        let at = |world: &mut World, kind: &str, number: Option<&str>, time: Option<Time>| {
            let iterator = world.iterator_at("s", SHARD, kind, number, time).unwrap();
            texts(world.read_from(&iterator, 2).0).concat()
        };
        assert_eq!(texts(world.read_from(&latest, 10).0).concat(), "1234");
        assert_eq!(at(&mut world, "AT_SEQUENCE_NUMBER", Some(&numbers[1]), None), "234");
        assert_eq!(at(&mut world, "AFTER_SEQUENCE_NUMBER", Some(&numbers[1]), None), "34");
        assert_eq!(at(&mut world, "TRIM_HORIZON", None, None), "1234");
        assert_eq!(at(&mut world, "LATEST", None, None), "");
        assert_eq!(at(&mut world, "AT_TIMESTAMP", None, Some(Time(0))), "1234");
        assert_eq!(at(&mut world, "AT_TIMESTAMP", None, Some(NOW)), "1234");
        assert_eq!(at(&mut world, "AT_TIMESTAMP", None, Some(NOW + 1)), "4");
        assert_eq!(at(&mut world, "AT_TIMESTAMP", None, Some(NOW + 1001)), "");
        let start =
            world.shards("s")[0].sequence_number_range.clone().unwrap().starting_sequence_number.unwrap();
        assert_eq!(at(&mut world, "AT_SEQUENCE_NUMBER", Some(&start), None), "1234");
        assert_eq!(at(&mut world, "AFTER_SEQUENCE_NUMBER", Some(&start), None), "1234");
        world.settle();
    }
}

#[test]
fn a_reader_of_an_empty_shard_is_not_behind() {
    // facts/kinesis.md § 13
    let mut world = world();
    let mut iterator = world.iterator("s", SHARD, "TRIM_HORIZON");
    for _ in 0..3 {
        let got = world.get(&iterator, None).unwrap();
        assert_eq!((got.records.unwrap().len(), got.millis_behind_latest), (0, Some(0)));
        iterator = got.next_shard_iterator.unwrap().to_string();
    }
    put(&mut world, &["1"]);
    assert_eq!(texts(world.read_from(&iterator, 5).0), ["1"]);
}

#[test]
fn a_reader_of_the_future_gets_what_comes_next() {
    let mut world = world();
    put(&mut world, &["1"]);
    let future = world.iterator_at("s", SHARD, "AT_TIMESTAMP", None, Some(NOW + HOUR)).unwrap();
    let got = world.get(&future, None).unwrap();
    assert_eq!((got.records.unwrap().len(), got.millis_behind_latest), (0, Some(0)));
    put(&mut world, &["2"]);
    assert_eq!(texts(world.read_from(&got.next_shard_iterator.unwrap(), 5).0), ["2"]);
}

#[test]
fn numbers_that_are_not_of_the_shard_are_refused() {
    let mut world = world();
    world.create("t", 1);
    let numbers = put(&mut world, &["1"]);
    for (stream, number) in [
        ("t", numbers[0].as_str()),
        ("s", "0"),
        ("s", "49039857307708443467467104868809893875799651909875269634"),
    ] {
        let refused = world.iterator_at(stream, SHARD, "AT_SEQUENCE_NUMBER", Some(number), None).unwrap_err();
        let text = format!(
            "StartingSequenceNumber {number} used in GetShardIterator on shard {SHARD} in stream {stream} under account 000000000000 is \
             invalid because it did not come from this stream."
        );
        assert_eq!((refused.shape, &*refused.message), ("InvalidArgumentException", &*text));
    }
    let refused = world.iterator_at("s", "shardId-000000000009", "LATEST", None, None).unwrap_err();
    let text = "Shard shardId-000000000009 in stream s under account 000000000000 does not exist";
    assert_eq!((refused.shape, &*refused.message), ("ResourceNotFoundException", text));
}

#[test]
fn iterators_expire_by_the_servers_clock() {
    let mut world = world();
    let iterator = world.iterator("s", SHARD, "TRIM_HORIZON");
    world.now = NOW + 300_000;
    assert!(world.get(&iterator, None).is_ok());
    world.now = NOW + 300_001;
    assert_eq!(code(world.get(&iterator, None)), "ExpiredIteratorException");
    let refused = world.get("AAAA", None).unwrap_err();
    assert_eq!((refused.shape, &*refused.message), ("InvalidArgumentException", "Invalid ShardIterator."));
}

#[test]
fn what_has_passed_its_retention_is_gone_and_stays_gone() {
    // facts/kinesis.md § 12
    let mut world = world();
    let numbers = put(&mut world, &["old"]);
    let early = world.iterator_at("s", SHARD, "AT_SEQUENCE_NUMBER", Some(&numbers[0]), None);
    world.settle();
    world.now = NOW + 23 * HOUR;
    put(&mut world, &["young"]);
    world.now = NOW + 24 * HOUR + 1;
    assert_eq!(texts(world.read("s", SHARD)), ["young"]);
    // A number of what is gone stands at the horizon (facts/kinesis.md § 10).
    assert!(early.is_ok());
    let at = world.iterator_at("s", SHARD, "AT_SEQUENCE_NUMBER", Some(&numbers[0]), None).unwrap();
    assert_eq!(texts(world.read_from(&at, 5).0), ["young"]);
    let hours = |world: &mut World, hours: i32| {
        let (stream_name, retention_period_hours) = (text("s"), Some(hours));
        let input =
            IncreaseStreamRetentionPeriodInput { stream_name, retention_period_hours, ..Default::default() };
        world.ask(Request::IncreaseStreamRetentionPeriod(input)).unwrap();
    };
    hours(&mut world, 48);
    assert_eq!(texts(world.read("s", SHARD)), ["young"], "it is not there again");
    world.settle();
    world.now = NOW + 60 * HOUR;
    assert_eq!(texts(world.read("s", SHARD)), ["young"]);
    let input = DecreaseStreamRetentionPeriodInput {
        stream_name: text("s"),
        retention_period_hours: Some(24),
        ..Default::default()
    };
    world.ask(Request::DecreaseStreamRetentionPeriod(input)).unwrap();
    assert_eq!(world.read("s", SHARD), Vec::<Vec<u8>>::new());
    // Nothing that the store has forgotten makes numbers come twice.
    world.drop_before(NOW + 100 * HOUR);
    world.restart(true);
    let later = put(&mut world, &["later"]);
    assert!(later[0] > numbers[0]);
    assert_eq!(texts(world.read("s", SHARD)), ["later"]);
}

#[test]
fn a_long_record_lies_in_parts_and_is_read_whole() {
    let mut world = world();
    let input = api::kinesis::UpdateMaxRecordSizeInput {
        stream_arn: text("arn:aws:kinesis:us-east-1:000000000000:stream/s"),
        max_record_size_in_ki_b: Some(10_240),
        ..Default::default()
    };
    world.ask(Request::UpdateMaxRecordSize(input)).unwrap();
    let long: Vec<u8> = (0..10 * (1 << 20) - 100).map(|at| (at % 251) as u8).collect();
    let numbers = put(&mut world, &["before"]);
    world.put("s", &[("k", &long)]).unwrap();
    world.put("s", &[("k", b"after"), ("k", &long[..3 << 20]), ("k", b"last")]).unwrap();
    for round in 0..3 {
        let all = world.read("s", SHARD);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [6, long.len(), 5, 3 << 20, 4], "{round}");
        assert!(all[1] == long && all[3] == long[..3 << 20]);
        let after = world.iterator_at("s", SHARD, "AFTER_SEQUENCE_NUMBER", Some(&numbers[0]), None).unwrap();
        let got = world.get(&after, Some(1)).unwrap();
        let record = &got.records.unwrap()[0];
        assert_eq!(record.data.as_ref().unwrap().len(), long.len());
        // Behind its number, in its midst, nothing of it is left.
        let number = record.sequence_number.clone().unwrap();
        let behind = world.iterator_at("s", SHARD, "AFTER_SEQUENCE_NUMBER", Some(&number), None).unwrap();
        assert_eq!(world.read_from(&behind, 1).0[0], b"after");
        if round == 0 { world.settle() } else { world.restart(true) }
    }
}

#[test]
fn an_answer_has_no_more_than_was_asked_for() {
    let mut world = world();
    let kib = "x".repeat(1024);
    for _ in 0..10 {
        put(&mut world, &[kib.as_str(); 400]);
    }
    for _ in 0..2 {
        let iterator = world.iterator("s", SHARD, "TRIM_HORIZON");
        for limit in [1, 7, 399, 401] {
            let got = world.get(&iterator, Some(limit)).unwrap();
            assert_eq!(got.records.unwrap().len(), limit as usize);
        }
        let got = world.get(&iterator, None).unwrap();
        let bytes: usize = got.records.iter().flatten().map(|it| it.data.as_ref().unwrap().len()).sum();
        assert!((1 << 20..=2 << 20).contains(&bytes), "{bytes}");
        assert!(got.millis_behind_latest.is_some());
        assert_eq!(world.read_from(&iterator, 10_000).0.len(), 4000);
        world.settle();
    }
}

#[test]
fn what_the_store_cannot_keep_up_with_is_refused_record_by_record() {
    let mut world = world();
    world.store_lags = true;
    let output = world.put("s", &[("a", b"1"), ("b", b"2")]).unwrap();
    assert_eq!(output.failed_record_count, Some(2));
    let first = &output.records.unwrap()[0];
    assert_eq!(first.error_code, text("ProvisionedThroughputExceededException"));
    assert_eq!(
        first.error_message,
        text("Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.")
    );
}

#[test]
fn a_strict_shard_takes_a_thousand_records_a_second() {
    // facts/kinesis.md § 6
    let mut world = world();
    world.limits = <kinesis::limits::Limits as kernel::Limits>::strict();
    let failed = |world: &mut World, count: usize, bytes: usize| {
        let data = vec![7; bytes];
        let output = world.put("s", &vec![("k", &data[..]); count]).unwrap();
        output.failed_record_count.unwrap()
    };
    assert_eq!([failed(&mut world, 500, 1), failed(&mut world, 499, 1), failed(&mut world, 3, 1)], [0, 0, 2]);
    world.now = NOW + 1000;
    assert_eq!(failed(&mut world, 3, 500 << 10), 1, "a megabyte a second");
    world.now = NOW + 2000;
    assert_eq!(failed(&mut world, 1, (1 << 20) - 1), 0);
}

#[test]
fn requests_are_checked() {
    let mut world = world();
    let refused = world.put("s", &vec![("k", &b""[..]); 501]).unwrap_err();
    let text = "failed to satisfy constraint: Member must have length less than or equal to 500";
    assert!(refused.shape == "ValidationException" && refused.message.ends_with(text), "{}", refused.message);
    let long = vec![0; (1 << 20) + 1];
    assert_eq!(code(world.put("s", &[("k", &long)])), "InvalidArgumentException");
    let many = vec![0; 1 << 20];
    let refused = world.put("s", &vec![("k", &many[..]); 11]).unwrap_err();
    assert_eq!(
        (refused.shape, &*refused.message),
        ("InvalidArgumentException", "Records size exceeds 10 MB limit")
    );
    assert_eq!(code(world.put("s", &[("", b"")])), "ValidationException");
    assert_eq!(code(world.put("none", &[("k", b"")])), "ResourceNotFoundException");
    assert!(world.put("s", &[("k", b"")]).is_ok());
    assert_eq!(world.read("s", SHARD), [b""]);
}
