//! Publishing over connections that fail: what is said to be sent is there, and in order where order was promised.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use toolkit::publisher::{
    BatchingPublisher, Outgoing, Prepared, PublishError, PublisherSettings, Receipt, Sink,
};
use toolkit::{Backoff, Fault, Publisher};

use crate::common::{Faulty, Step, Trouble, drain, numbers, queue, receive, server};

fn quick() -> PublisherSettings {
    let millisecond = Duration::from_millis(1);
    PublisherSettings { backoff: Backoff::new(millisecond, millisecond), ..PublisherSettings::default() }
}

fn steps(count: u32) -> impl Iterator<Item = Step> {
    (0..count).map(|number| Step { number })
}

fn grouped(count: u32) -> impl Iterator<Item = Outgoing<Step>> {
    steps(count).map(|step| Outgoing::new(step.clone()).group(format!("g{}", step.number % 3)))
}

#[tokio::test]
async fn a_message_arrives_with_its_envelope_and_attributes() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q").await;
    let publisher = Publisher::queue(&clients, &queue).source("tests");
    publisher
        .publish(Outgoing::new(Step { number: 7 }).attribute("priority", "high").id("own"))
        .await
        .unwrap();
    let message = receive(&clients, &queue).await.pop().unwrap();
    let attributes = message.message_attributes().unwrap();
    for (name, value) in [("type", "step"), ("source", "tests"), ("priority", "high")] {
        assert_eq!(attributes[name].string_value(), Some(value));
    }
    let envelope = toolkit::Envelope::<Step>::decode(message.body().unwrap()).unwrap();
    assert_eq!((envelope.id.as_str(), envelope.source.as_str(), envelope.data.number), ("own", "tests", 7));
}

#[tokio::test]
async fn many_messages_go_in_batches_and_each_has_its_own_result() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q").await;
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let faulty = Faulty::new(&clients, &queue, move |_, batch| {
        counted.fetch_add(1, Ordering::Relaxed);
        match batch.iter().position(|message| message.body.contains("\"number\":13}")) {
            Some(unlucky) => Trouble::Entries(vec![unlucky], true),
            None => Trouble::None,
        }
    });
    let results = Publisher::to(faulty).settings(quick()).publish_all(steps(25)).await.unwrap();
    for (number, result) in results.iter().enumerate() {
        match number {
            13 => assert!(matches!(result, Err(PublishError::Refused { attempts: 1, .. }))),
            _ => assert!(result.is_ok(), "{number}: {result:?}"),
        }
    }
    assert_eq!(requests.load(Ordering::Relaxed), 3);
    let mut arrived = numbers(&drain(&clients, &queue).await);
    arrived.sort_unstable();
    assert_eq!(arrived, (0..25).filter(|number| *number != 13).collect::<Vec<_>>());
}

#[tokio::test]
async fn entries_that_fail_are_sent_again_alone() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q").await;
    let faulty = Faulty::new(&clients, &queue, |number, _| match number {
        0 => Trouble::Entries(vec![1, 4], false),
        1 => Trouble::Lost,
        _ => Trouble::None,
    });
    let results = Publisher::to(faulty).settings(quick()).publish_all(steps(6)).await.unwrap();
    assert!(results.iter().all(Result::is_ok));
    let mut arrived = numbers(&drain(&clients, &queue).await);
    arrived.sort_unstable();
    assert_eq!(arrived, [0, 1, 2, 3, 4, 5], "each once");
}

#[tokio::test]
async fn groups_keep_their_order_whatever_fails_in_between() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q.fifo").await;
    let faulty = Faulty::new(&clients, &queue, |number, batch| match number % 4 {
        0 => Trouble::Entries(vec![0], false),
        1 => Trouble::AnswerLost,
        2 => Trouble::Entries((1..batch.len()).collect(), false),
        _ => Trouble::None,
    });
    let results = Publisher::to(faulty).settings(quick()).publish_all(grouped(30)).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let arrived = numbers(&drain(&clients, &queue).await);
    assert_eq!(arrived.len(), 30, "the deduplication id makes repeats one: {arrived:?}");
    for group in 0..3 {
        let of_group: Vec<u32> = arrived.iter().copied().filter(|number| number % 3 == group).collect();
        assert!(of_group.is_sorted(), "group {group}: {of_group:?}");
    }
}

#[tokio::test]
async fn after_a_refusal_the_rest_of_the_group_stays_behind() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q.fifo").await;
    let faulty = Faulty::new(&clients, &queue, |_, batch| {
        match batch.iter().position(|message| message.body.contains("\"number\":3}")) {
            Some(unlucky) => Trouble::Entries(vec![unlucky], true),
            None => Trouble::None,
        }
    });
    let results = Publisher::to(faulty).settings(quick()).publish_all(grouped(12)).await.unwrap();
    for (number, result) in results.iter().enumerate() {
        match number {
            3 => assert!(matches!(result, Err(PublishError::Refused { .. }))),
            6 | 9 => assert!(matches!(result, Err(PublishError::EarlierFailed)), "{number}: {result:?}"),
            _ => assert!(result.is_ok(), "{number}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn one_bad_message_stops_the_call_before_anything_is_sent() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q.fifo").await;
    let publisher = Publisher::queue(&clients, &queue);
    let messages = [Outgoing::new(Step { number: 1 }).group("a"), Outgoing::new(Step { number: 2 })];
    let refused = publisher.publish_all(messages).await;
    assert!(matches!(refused, Err(PublishError::GroupMissing { .. })));
    let large = Outgoing::new(Step { number: 1 }).group("a").attribute("large", "x".repeat(1_048_576));
    assert!(matches!(publisher.publish(large).await, Err(PublishError::TooLarge { .. })));
    assert!(drain(&clients, &queue).await.is_empty());
}

#[tokio::test]
async fn tasks_share_batches_and_a_lonely_message_does_not_wait_for_ever() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q").await;
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let faulty = Faulty::new(&clients, &queue, move |number, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        if number == 0 { Trouble::Entries(vec![2], false) } else { Trouble::None }
    });
    // An hour: only full batches leave by themselves.
    let publisher = Publisher::to(faulty).settings(quick()).batching(Duration::from_secs(3600));
    let tasks: Vec<_> = steps(20)
        .map(|step| {
            let publisher = publisher.clone();
            tokio::spawn(async move { publisher.publish(step).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(requests.load(Ordering::Relaxed), 3, "two batches, and one entry again");

    let last = tokio::spawn({
        let publisher = publisher.clone();
        async move { publisher.publish(Step { number: 20 }).await }
    });
    while Arc::strong_count(&requests) > 0 && !last.is_finished() {
        publisher.clone().close().await;
        tokio::task::yield_now().await;
    }
    // Either it came before the end, and is sent; or after, and is told so.
    let sent = last.await.unwrap().is_ok();
    assert!(matches!(publisher.publish(Step { number: 21 }).await, Err(PublishError::Closed)));
    assert_eq!(drain(&clients, &queue).await.len(), 20 + usize::from(sent));

    let lonely = Publisher::queue(&clients, &queue).batching(Duration::from_millis(1));
    lonely.publish(Step { number: 22 }).await.unwrap();
    assert_eq!(numbers(&drain(&clients, &queue).await), [22]);
}

/// A sink that notes when each batch came, and how large it was.
#[derive(Clone, Default)]
struct Clocked(Arc<Mutex<Vec<(Instant, usize)>>>);

#[async_trait]
impl Sink for Clocked {
    fn name(&self) -> &str {
        "clocked"
    }
    fn is_fifo(&self) -> bool {
        false
    }
    fn max_bytes(&self) -> usize {
        usize::MAX
    }
    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault> {
        self.0.lock().unwrap().push((Instant::now(), batch.len()));
        Ok(vec![Ok(Receipt::default()); batch.len()])
    }
}

/// Has so many tasks publish a message each, and sees to it that all of them have handed it over.
async fn hand_over(publisher: &BatchingPublisher, count: u32) -> Vec<tokio::task::JoinHandle<()>> {
    let tasks = steps(count).map(|step| {
        let publisher = publisher.clone();
        tokio::spawn(async move {
            publisher.publish(step).await.unwrap();
        })
    });
    let tasks = tasks.collect();
    // The clock stands while anybody can go on, and so the shortest time is when nobody can.
    tokio::time::sleep(Duration::from_nanos(1)).await;
    tasks
}

#[tokio::test(start_paused = true)]
async fn the_first_of_a_batch_waits_as_long_as_it_may_linger_and_a_full_batch_not_at_all() {
    let sink = Clocked::default();
    let linger = Duration::from_millis(100);
    let publisher = Publisher::to(sink.clone()).batching(linger);
    let sent = || std::mem::take(&mut *sink.0.lock().unwrap());

    let begun = Instant::now();
    let mut tasks = hand_over(&publisher, 3).await;
    tokio::time::sleep(linger * 6 / 10).await;
    tasks.extend(hand_over(&publisher, 2).await);
    assert_eq!(sent(), []);
    for task in tasks {
        task.await.unwrap();
    }
    // Counted from the first of them, not from the last.
    let [(at, 5)] = sent()[..] else { panic!("one batch of all five") };
    let about = |waited: Duration| (linger..linger + Duration::from_millis(5)).contains(&waited);
    assert!(about(at - begun), "{:?}", at - begun);

    // The next one has a time of its own, and what fills a batch does not wait.
    tokio::time::sleep(linger * 5).await;
    let begun = Instant::now();
    let tasks = hand_over(&publisher, 12).await;
    let [(at, 10)] = sent()[..] else { panic!("ten at once, two stay") };
    assert!(at - begun < Duration::from_millis(5));
    for task in tasks {
        task.await.unwrap();
    }
    let [(at, 2)] = sent()[..] else { panic!("the two") };
    assert!(about(at - begun), "{:?}", at - begun);
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_server_and_what_was_not_is_sent_again() {
    let mut server = toolkit::testing::Server::on_disk().unwrap();
    let clients = server.clients().await;
    let queue = queue(&clients, "q.fifo").await;
    let settings = PublisherSettings {
        attempts: 50,
        backoff: Backoff::new(Duration::from_millis(20), Duration::from_millis(200)),
        ..PublisherSettings::default()
    };
    let publisher = Publisher::queue(&clients, &queue).settings(settings).batching(Duration::from_millis(1));
    let work = tokio::spawn(async move {
        for number in 0..200 {
            publisher.publish(Outgoing::new(Step { number }).group("one")).await.unwrap();
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        server.kill();
        server.restart().unwrap();
    }
    work.await.unwrap();
    assert_eq!(numbers(&drain(&clients, &queue).await), (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_for_which_a_whole_request_is_refused_does_not_take_its_company_with_it() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q").await;
    let faulty = Faulty::new(&clients, &queue, |_, batch| {
        match batch.iter().any(|message| message.body.contains("\"number\":3}")) {
            true => Trouble::Refused,
            false => Trouble::None,
        }
    });
    let results = Publisher::to(faulty).settings(quick()).publish_all(steps(15)).await.unwrap();
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result.is_err(), number == 3, "{number}: {result:?}");
    }
    assert_eq!(drain(&clients, &queue).await.len(), 14);
}

#[tokio::test]
async fn what_no_queue_would_take_is_refused_before_anything_is_sent() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q.fifo").await;
    let messages =
        [Outgoing::new(Step { number: 1 }).group("g"), Outgoing::new(Step { number: 2 }).group("a lamp")];
    let refused = Publisher::queue(&clients, &queue).publish_all(messages).await.unwrap_err();
    assert!(matches!(&refused, PublishError::Unsendable { why, .. } if why.contains("a lamp")), "{refused}");
    let late = Outgoing::new(Step { number: 3 }).group("g").delay(Duration::from_secs(5));
    let refused = Publisher::queue(&clients, &queue).publish(late).await.unwrap_err();
    assert!(matches!(&refused, PublishError::Unsendable { why, .. } if why.contains("delay")), "{refused}");
    let topic = toolkit::TopicSpec::new("t").ensure(&clients).await.unwrap();
    let late = Outgoing::new(Step { number: 4 }).delay(Duration::from_secs(5));
    let refused = Publisher::topic(&clients, &topic.arn).publish(late).await.unwrap_err();
    assert!(matches!(&refused, PublishError::Unsendable { why, .. } if why.contains("delay")), "{refused}");
    assert!(drain(&clients, &queue).await.is_empty());
}
