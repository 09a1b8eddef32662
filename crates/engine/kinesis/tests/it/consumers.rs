//! Consumers, and what they are sent (facts/kinesis.md §§ 5, 14).

use api::kinesis::{
    DeregisterStreamConsumerInput, RegisterStreamConsumerInput, Request, Response, StartingPosition,
    SubscribeToShardEvent, SubscribeToShardInput,
};
use kernel::{Refusal, Service};
use kinesis::operations::subscribe_to_shard::{ReadOn, event};
use kinesis::operations::{Command, Reply};
use kinesis::subscriptions::Cursor;

use crate::resharding::split;
use crate::world::{HOUR, NOW, World, code, text};

const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

fn register(world: &mut World, name: &str) -> Result<String, Refusal> {
    let input = RegisterStreamConsumerInput {
        stream_arn: text(STREAM),
        consumer_name: text(name),
        ..Default::default()
    };
    match world.ask(Request::RegisterStreamConsumer(input))? {
        Response::RegisterStreamConsumer(output) => {
            let consumer = output.consumer.unwrap();
            assert_eq!(consumer.consumer_status, text("CREATING"));
            Ok(consumer.consumer_arn.unwrap().to_string())
        }
        other => panic!("{other:?}"),
    }
}

/// Subscribes with a request of this number.
fn subscribe(world: &mut World, ticket: u64, consumer: &str, kind: &str) -> Result<Box<Cursor>, Refusal> {
    let input = SubscribeToShardInput {
        consumer_arn: text(consumer),
        shard_id: text("shardId-000000000000"),
        starting_position: Some(StartingPosition { r#type: text(kind), ..Default::default() }),
        ..Default::default()
    };
    let (command, _) = world.prepare(Request::SubscribeToShard(input))?;
    assert_eq!(world.decide(ticket, &command)?, None);
    match world.answers.remove(&ticket) {
        Some(Reply::Subscribed(cursor)) => Ok(cursor),
        other => panic!("{other:?}"),
    }
}

/// What comes next in a subscription: an event, or its end; nothing if it waits.
fn next(
    world: &mut World,
    ticket: u64,
    cursor: &mut Cursor,
) -> Option<Result<SubscribeToShardEvent, Option<Refusal>>> {
    let command = Command::ReadOn(ReadOn(Box::new(cursor.clone())));
    let reply = world.decide(ticket, &command).unwrap();
    shown(world, reply, cursor)
}

fn shown(
    world: &World,
    reply: Option<Reply>,
    cursor: &mut Cursor,
) -> Option<Result<SubscribeToShardEvent, Option<Refusal>>> {
    match reply? {
        Reply::Reading(reading) => {
            let (event, _, position) = event(&reading, &world.gather(&reading));
            cursor.position = position;
            Some(Ok(event))
        }
        Reply::Ended(refusal) => Some(Err(refusal)),
        other => panic!("{other:?}"),
    }
}

fn data(event: SubscribeToShardEvent) -> Vec<u8> {
    let all = event.records.unwrap().into_iter().map(|record| record.data.unwrap().to_vec());
    all.collect::<Vec<_>>().concat()
}

#[test]
fn a_subscriber_gets_what_is_there_and_then_what_comes() {
    let mut world = World::new();
    world.create("s", 1);
    world.put("s", &[("k", b"1"), ("k", b"2")]).unwrap();
    let consumer = register(&mut world, "c").unwrap();
    let mut cursor = subscribe(&mut world, 1, &consumer, "TRIM_HORIZON").unwrap();
    let event = next(&mut world, 2, &mut cursor).unwrap().unwrap();
    assert_eq!((data(event.clone()), event.millis_behind_latest), (b"12".to_vec(), Some(0)));
    assert!(event.continuation_sequence_number.unwrap().starts_with("49"));
    assert_eq!(next(&mut world, 3, &mut cursor), None);
    world.put("s", &[("k", b"3")]).unwrap();
    world.settle();
    let reply = world.answers.remove(&3);
    let event = shown(&world, reply, &mut cursor).unwrap().unwrap();
    assert_eq!(data(event), b"3");
    // Nothing comes for five seconds: an empty event, from which a client can go on.
    assert_eq!(next(&mut world, 4, &mut cursor), None);
    world.now = NOW + 5000;
    world.settle();
    let reply = world.answers.remove(&4);
    let event = shown(&world, reply, &mut cursor).unwrap().unwrap();
    assert!(event.continuation_sequence_number.is_some() && data(event).is_empty());
    world.now = NOW + 300_000;
    assert_eq!(next(&mut world, 5, &mut cursor), Some(Err(None)), "its five minutes are over");
}

#[test]
fn a_later_subscription_takes_over() {
    let mut world = World::new();
    world.create("s", 1);
    let consumer = register(&mut world, "c").unwrap();
    let mut first = subscribe(&mut world, 1, &consumer, "LATEST").unwrap();
    assert_eq!(code(subscribe(&mut world, 2, &consumer, "LATEST")), "ResourceInUseException");
    assert_eq!(next(&mut world, 3, &mut first), None);
    world.now = NOW + 5000;
    world.settle();
    world.answers.clear();
    assert_eq!(next(&mut world, 3, &mut first), None);
    let mut second = subscribe(&mut world, 4, &consumer, "LATEST").unwrap();
    let reply = world.answers.remove(&3);
    let Some(Err(Some(refusal))) = shown(&world, reply, &mut first) else { panic!("it goes on") };
    assert_eq!(refusal.shape, "ResourceInUseException");
    assert_eq!(next(&mut world, 5, &mut second), None);
}

#[test]
fn a_subscription_ends_with_its_shard_its_consumer_and_its_client() {
    let mut world = World::new();
    world.create("s", 1);
    let consumer = register(&mut world, "c").unwrap();
    assert_eq!(code(register(&mut world, "c")), "ResourceInUseException");
    let mut cursor = subscribe(&mut world, 1, &consumer, "LATEST").unwrap();
    assert_eq!(next(&mut world, 2, &mut cursor), None);
    split(&mut world, 0, 5).unwrap();
    world.settle();
    let reply = world.answers.remove(&2);
    let event = shown(&world, reply, &mut cursor).unwrap().unwrap();
    assert_eq!((event.child_shards.unwrap().len(), event.continuation_sequence_number), (2, None));
    // The client of a request that waits has gone.
    let other = register(&mut world, "d").unwrap();
    let input = SubscribeToShardInput {
        consumer_arn: text(&other),
        shard_id: text("shardId-000000000001"),
        starting_position: Some(StartingPosition { r#type: text("LATEST"), ..Default::default() }),
        ..Default::default()
    };
    let (command, _) = world.prepare(Request::SubscribeToShard(input)).unwrap();
    world.decide(3, &command).unwrap();
    let Some(Reply::Subscribed(mut cursor)) = world.answers.remove(&3) else { panic!("no subscription") };
    assert_eq!(next(&mut world, 4, &mut cursor), None);
    assert_eq!(world.state.gone(4), Some(Reply::Done));
    assert_eq!(world.state.gone(4), None);
    assert_eq!(next(&mut world, 5, &mut cursor), None);
    let gone = DeregisterStreamConsumerInput { consumer_arn: text(&other), ..Default::default() };
    world.ask(Request::DeregisterStreamConsumer(gone.clone())).unwrap();
    world.settle();
    let reply = world.answers.remove(&5);
    let Some(Err(Some(refusal))) = shown(&world, reply, &mut cursor) else { panic!("it goes on") };
    assert_eq!(refusal.shape, "ResourceNotFoundException");
    let refused = world.ask(Request::DeregisterStreamConsumer(gone)).unwrap_err();
    assert_eq!(refused.message, "Consumer d, account 000000000000 not found.");
    world.now = NOW + HOUR;
    world.restart(true);
    assert_eq!(code(register(&mut world, "c")), "ResourceInUseException");
    assert!(register(&mut world, "d").is_ok());
}

#[test]
fn a_server_that_stops_ends_subscriptions() {
    let mut world = World::new();
    world.create("s", 1);
    let consumer = register(&mut world, "c").unwrap();
    let mut cursor = subscribe(&mut world, 1, &consumer, "LATEST").unwrap();
    assert_eq!(next(&mut world, 2, &mut cursor), None);
    world.state.stop();
    assert!(world.state.owes_answers());
    world.settle();
    let reply = world.answers.remove(&2);
    assert_eq!(shown(&world, reply, &mut cursor), Some(Err(None)));
}
