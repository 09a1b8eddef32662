//! Streams are made, described, set to something, and deleted.

use api::kinesis::{
    CreateStreamInput, DeleteStreamInput, DescribeStreamInput, DescribeStreamSummaryInput,
    IncreaseStreamRetentionPeriodInput, ListStreamsInput, Request, Response,
};
use kernel::Refusal;

use crate::world::{NOW, World, code, text};

fn delete(world: &mut World, name: &str) -> Result<Response, Refusal> {
    let input = DeleteStreamInput { stream_name: text(name), ..Default::default() };
    world.ask(Request::DeleteStream(input))
}

#[test]
fn a_stream_without_count_and_mode_is_on_demand_with_four_shards() {
    // facts/kinesis.md § 16 (recorded)
    let mut world = World::new();
    let input = CreateStreamInput { stream_name: text("s"), ..Default::default() };
    world.ask(Request::CreateStream(input.clone())).unwrap();
    let shards = world.shards("s");
    assert_eq!(shards.len(), 4);
    let numbers = shards[3].sequence_number_range.clone().unwrap();
    assert_eq!((shards[3].parent_shard_id.clone(), numbers.ending_sequence_number), (None, None));
    let again = world.ask(Request::CreateStream(input)).unwrap_err();
    assert_eq!(again.shape, "ResourceInUseException");
    assert_eq!(again.message, "Stream s under account 000000000000 already exists.");
    let input = DescribeStreamSummaryInput { stream_name: text("s"), ..Default::default() };
    let Ok(Response::DescribeStreamSummary(output)) = world.ask(Request::DescribeStreamSummary(input)) else {
        panic!("it is not described");
    };
    let summary = output.stream_description_summary.unwrap();
    assert_eq!((summary.open_shard_count, summary.consumer_count), (Some(4), Some(0)));
    assert_eq!(summary.stream_mode_details.unwrap().stream_mode, text("ON_DEMAND"));
    assert_eq!(summary.encryption_type, text("NONE"));
}

#[test]
fn a_description_is_a_page_of_shards() {
    let mut world = World::new();
    world.create("s", 5);
    let page = |world: &mut World, after: Option<&str>| {
        let input = DescribeStreamInput {
            stream_name: text("s"),
            limit: Some(2),
            exclusive_start_shard_id: after.map(Into::into),
            ..Default::default()
        };
        let Ok(Response::DescribeStream(output)) = world.ask(Request::DescribeStream(input)) else {
            panic!("it is not described");
        };
        let description = output.stream_description.unwrap();
        (description.shards.unwrap().len(), description.has_more_shards.unwrap())
    };
    assert_eq!(page(&mut world, None), (2, true));
    assert_eq!(page(&mut world, Some("shardId-000000000001")), (2, true));
    assert_eq!(page(&mut world, Some("shardId-000000000003")), (1, false));
}

#[test]
fn what_a_deleted_stream_had_goes_and_its_name_is_free() {
    let mut world = World::new();
    world.create("s", 2);
    world.put("s", &[("a", b"1"), ("b", b"2")]).unwrap();
    world.settle();
    world.put("s", &[("a", b"3"), ("b", b"4")]).unwrap();
    assert_eq!(world.series_count(), 2);
    let old = world.iterator("s", "shardId-000000000000", "TRIM_HORIZON");
    delete(&mut world, "s").unwrap();
    let missing = world.get(&old, None).unwrap_err();
    assert_eq!(missing.message, "Stream s under account 000000000000 not found.");
    world.create("s", 1);
    // An iterator is of one incarnation (facts/kinesis.md § 13).
    assert_eq!(code(world.get(&old, None)), "ResourceNotFoundException");
    world.settle();
    assert_eq!(world.series_count(), 0);
    assert_eq!(world.read("s", "shardId-000000000000"), Vec::<Vec<u8>>::new());
    for moved in [false, true] {
        world.restart(moved);
        world.settle();
        assert_eq!(world.shards("s").len(), 1);
    }
    assert_eq!(code(delete(&mut world, "t")), "ResourceNotFoundException");
}

#[test]
fn a_crash_between_a_stream_and_its_shards_leaves_nothing_behind() {
    let mut world = World::new();
    world.create("s", 3);
    world.put("s", &[("a", b"1")]).unwrap();
    delete(&mut world, "s").unwrap();
    world.restart(false);
    world.settle();
    let mut left = 0;
    kernel::Service::each_series(&world.state, &mut |_| left += 1);
    assert_eq!(left, 0);
}

#[test]
fn streams_are_listed_by_name_page_by_page() {
    let mut world = World::new();
    for name in ["c", "a", "b"] {
        world.create(name, 1);
    }
    world.account = "111111111111".to_owned();
    world.create("z", 1);
    world.account = crate::world::ACCOUNT.to_owned();
    let list = |world: &mut World, token: Option<String>| {
        let input =
            ListStreamsInput { limit: Some(2), next_token: token.map(Into::into), ..Default::default() };
        let Ok(Response::ListStreams(output)) = world.ask(Request::ListStreams(input)) else {
            panic!("no list")
        };
        let names: Vec<String> = output.stream_names.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(output.has_more_streams, Some(output.next_token.is_some()));
        (names, output.next_token.map(|token| token.to_string()))
    };
    let (first, token) = list(&mut world, None);
    assert_eq!(first, ["a", "b"]);
    assert_eq!(list(&mut world, token), (vec!["c".to_owned()], None));
}

#[test]
fn retention_changes_within_bounds() {
    // facts/kinesis.md § 6
    let mut world = World::new();
    world.create("s", 1);
    let mut increase = |hours| {
        let input = IncreaseStreamRetentionPeriodInput {
            stream_name: text("s"),
            retention_period_hours: Some(hours),
            ..Default::default()
        };
        let increased = world.ask(Request::IncreaseStreamRetentionPeriod(input));
        increased.err().map(|refusal| refusal.message.into_owned())
    };
    assert_eq!(increase(48), None);
    let short =
        "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.";
    assert_eq!(increase(23).as_deref(), Some(short));
    let shorter = "Requested retention period (24 hours) for stream s can not be shorter than existing retention period (48 hours). \
                   Use DecreaseRetentionPeriod API.";
    assert_eq!(increase(24).as_deref(), Some(shorter));
    assert!(increase(8761).unwrap().starts_with("Maximum allowed retention period is 8760 hours"));
    assert_eq!(increase(8760), None);
}

#[test]
fn another_account_may_do_what_the_policy_says() {
    // Developer guide, "Sharing your data stream with another account"
    let mut world = World::new();
    world.limits = <kinesis::limits::Limits as kernel::Limits>::strict();
    world.create("s", 1);
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let describe = |world: &mut World| {
        let input = DescribeStreamInput { stream_arn: text(arn), ..Default::default() };
        world.ask(Request::DescribeStream(input))
    };
    world.account = "111111111111".to_owned();
    assert_eq!(code(describe(&mut world)), "AccessDeniedException");
    world.account = crate::world::ACCOUNT.to_owned();
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111111111111"},
        "Action": "kinesis:DescribeStream", "Resource": "*"}]}"#;
    let put = api::kinesis::PutResourcePolicyInput {
        resource_arn: text(arn),
        policy: text(policy),
        ..Default::default()
    };
    world.ask(Request::PutResourcePolicy(put)).unwrap();
    world.account = "111111111111".to_owned();
    assert!(describe(&mut world).is_ok());
    let input = DeleteStreamInput { stream_arn: text(arn), ..Default::default() };
    assert_eq!(code(world.ask(Request::DeleteStream(input))), "AccessDeniedException");
    world.restart(false);
    assert!(describe(&mut world).is_ok());
    // As with other services, a server that is not strict shows policies and does not ask them.
    world.limits = kinesis::limits::Limits::default();
    world.account = "222222222222".to_owned();
    assert!(describe(&mut world).is_ok());
    assert_eq!(world.now, NOW);
}
