//! Payloads that are elsewhere: there while they are needed, gone when they are not, whoever dies.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use toolkit::body::{Attributes, BodyStep};
use toolkit::claim_check::{CLAIM_CHECK, ClaimCheck};
use toolkit::consumer::{ConsumerSettings, Delivery, Outcome};
use toolkit::{Consumer, Message, Publisher, QueueSpec, Subscription, TopicSpec};

use crate::common::{receive, server};

#[derive(Serialize, Deserialize)]
struct Report(String);

impl Message for Report {
    const TYPES: &'static [&'static str] = &["report"];
}

async fn objects(store: &LocalFileSystem) -> usize {
    store.list(None).try_collect::<Vec<_>>().await.unwrap().len()
}

#[tokio::test]
async fn a_payload_lives_until_its_message_is_handled_and_a_dead_letter_keeps_it() {
    let (_server, clients) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let step = ClaimCheck::new(store.clone(), "reports").larger_than(1_000).delete_when_handled(true);
    let queue = QueueSpec::new("q").dead_letters("dead", 10).ensure(&clients).await.unwrap();
    let publisher = Publisher::queue(&clients, &queue).step(step.clone());
    publisher.publish(Report("small".into())).await.unwrap();
    assert_eq!(objects(&store).await, 0);
    publisher.publish(Report("good".repeat(1_000))).await.unwrap();
    publisher.publish(Report("bad".repeat(1_000))).await.unwrap();
    assert_eq!(objects(&store).await, 2);

    let (seen, mut handled) = mpsc::unbounded_channel();
    let handler = move |delivery: Delivery<Report>| {
        seen.send(delivery.data().0.len()).unwrap();
        let outcome = match &delivery.data().0 {
            bad if bad.starts_with("bad") => Outcome::give_up("bad"),
            // At its worst moment, each first time: the payload has been read, the message not deleted.
            _ if delivery.receive_count == 1 => Outcome::retry_after(Duration::ZERO, "died"),
            _ => Outcome::Done,
        };
        async { outcome }
    };
    let settings = ConsumerSettings { wait: Duration::from_secs(1), ..ConsumerSettings::default() };
    let consumer = Consumer::new(&clients, &queue).settings(settings).step(step.clone());
    let running = consumer.start(handler).await.unwrap();
    let mut lengths = Vec::new();
    while lengths.len() < 5 {
        lengths.push(handled.recv().await.unwrap());
    }
    let counts = running.shutdown().await;
    lengths.sort_unstable();
    assert_eq!(lengths, [5, 5, 3_000, 4_000, 4_000]);
    assert_eq!((counts.done, counts.dead_lettered), (2, 1));
    // The dead letter's payload is still there, and its ticket still leads to it.
    assert_eq!(objects(&store).await, 1);
    let dead = clients.queue("dead").await.unwrap();
    assert!(receive(&clients, &dead).await[0].body().unwrap().contains("claimCheck"));
    assert_eq!(step.sweep(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(objects(&store).await, 1);
}

#[tokio::test]
async fn a_payload_that_came_in_a_notification_goes_when_it_is_handled() {
    let (_server, clients) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let step = ClaimCheck::new(store.clone(), "reports").larger_than(1_000).delete_when_handled(true);
    let queue = QueueSpec::new("q").ensure(&clients).await.unwrap();
    let topic = TopicSpec::new("t").ensure(&clients).await.unwrap();
    let wrapped = Subscription::queue(&queue).attribute("RawMessageDelivery", "false");
    wrapped.ensure(&clients, &topic).await.unwrap();
    let publisher = Publisher::topic(&clients, &topic.arn).step(step.clone());
    publisher.publish(Report("good".repeat(1_000))).await.unwrap();
    assert_eq!(objects(&store).await, 1);

    let (seen, mut handled) = mpsc::unbounded_channel();
    let handler = move |delivery: Delivery<Report>| {
        seen.send(delivery.data().0.len()).unwrap();
        async {}
    };
    let settings = ConsumerSettings { wait: Duration::from_secs(1), ..ConsumerSettings::default() };
    let consumer = Consumer::new(&clients, &queue).settings(settings).without_dead_letters().step(step);
    let running = consumer.start(handler).await.unwrap();
    assert_eq!(handled.recv().await, Some(4_000));
    running.shutdown().await;
    assert_eq!(objects(&store).await, 0);
}

#[tokio::test]
async fn a_ticket_cannot_lead_out_of_its_folder_and_a_lost_payload_is_said() {
    let (_server, clients) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    store.put_opts(&"secrets/key".into(), "\"s\"".into(), Default::default()).await.unwrap();
    let queue = QueueSpec::new("q").dead_letters("dead", 10).ensure(&clients).await.unwrap();
    let elsewhere = ClaimCheck::new(store.clone(), "secrets").larger_than(0);
    let own = ClaimCheck::new(store.clone(), "reports").larger_than(0);
    Publisher::queue(&clients, &queue).step(elsewhere).publish(Report("x".into())).await.unwrap();
    Publisher::queue(&clients, &queue).step(own.clone()).publish(Report("x".into())).await.unwrap();
    std::fs::remove_dir_all(folder.path().join("reports")).unwrap();
    let settings = ConsumerSettings { wait: Duration::from_secs(1), ..ConsumerSettings::default() };
    let handler = |_: Delivery<Report>| async { Outcome::give_up("neither can be read") };
    let running =
        Consumer::<Report>::new(&clients, &queue).settings(settings).step(own).start(handler).await.unwrap();
    while running.counts().deleted < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    let dead = clients.queue("dead").await.unwrap();
    let mut reasons = Vec::new();
    while reasons.len() < 2 {
        for letter in receive(&clients, &dead).await {
            let attributes = letter.message_attributes().unwrap();
            reasons.push(attributes[toolkit::consumer::REASON].string_value().unwrap().to_owned());
        }
    }
    reasons.sort_unstable();
    assert!(reasons[0].contains("does not lie below reports"), "{reasons:?}");
    assert!(reasons[1].contains("the payload is gone"), "{reasons:?}");
}

#[tokio::test]
async fn what_a_crash_left_without_a_message_is_swept_away_and_nothing_younger() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let step = ClaimCheck::new(store.clone(), "reports").larger_than(10);
    let mut attributes = [Attributes::new(), Attributes::new()];
    for attributes in &mut attributes {
        // The object is written; the publisher dies before it sends the ticket.
        step.outgoing("more than ten bytes".to_owned(), attributes).await.unwrap();
    }
    let old = folder.path().join(attributes[0][CLAIM_CHECK].as_text().unwrap());
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 86_400);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(two_days_ago).unwrap();
    store.put_opts(&"others/old".into(), "not ours".into(), Default::default()).await.unwrap();
    let others = folder.path().join("others/old");
    std::fs::File::options().write(true).open(others).unwrap().set_modified(two_days_ago).unwrap();
    assert_eq!(step.sweep(Duration::from_secs(86_400)).await.unwrap(), 1);
    assert!(!old.exists());
    assert_eq!(objects(&store).await, 2);
}
