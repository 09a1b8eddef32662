//! Dead letters: noticed once, sorted, archived, and put back by choice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use toolkit::consumer::{Category, ConsumerSettings, Delivery, Outcome};
use toolkit::dead_letters::{Archive, DeadLetter, DeadLetterMonitor, DeadLetterReport, FileArchive, requeue};
use toolkit::health::{HealthCheck, Thresholds};
use toolkit::publisher::Outgoing;
use toolkit::{Clients, Consumer, Publisher, Queue, QueueSpec};

use crate::common::{Step, drain, numbers, receive, server};

#[tokio::test]
async fn dead_letters_are_noticed_once_sorted_archived_and_put_back_by_choice() {
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q").dead_letters("dead", 1).ensure(&clients).await.unwrap();
    let dead = clients.queue("dead").await.unwrap();
    let messages = (0..6).map(|number| Step { number });
    Publisher::queue(&clients, &queue).publish_all(messages).await.unwrap();
    clients.sqs.send_message().queue_url(&queue.url).message_body("gibberish").send().await.unwrap();
    // One that its consumer never answers for: the queue moves it by itself, at the second receive.
    let silent = QueueSpec::new("silent").dead_letters("dead", 1).ensure(&clients).await.unwrap();
    Publisher::queue(&clients, &silent).publish(Step { number: 99 }).await.unwrap();
    for _ in 0..2 {
        let call = clients.sqs.receive_message().queue_url(&silent.url).visibility_timeout(0);
        call.send().await.unwrap();
    }
    let handler = |delivery: Delivery<Step>| async move {
        match delivery.data().number {
            even if even.is_multiple_of(2) => Outcome::give_up("even"),
            _ => Outcome::retry("odd"),
        }
    };
    let settings = ConsumerSettings {
        wait: Duration::from_secs(1),
        breaker: toolkit::breaker::BreakerSettings { failures: 100, open_for: Duration::ZERO },
        ..ConsumerSettings::default()
    };
    let running = Consumer::new(&clients, &queue).settings(settings).start(handler).await.unwrap();
    while running.counts().deleted < 7 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;

    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("dead.jsonl");
    let alerts: Arc<Mutex<Vec<usize>>> = Arc::default();
    let heard = alerts.clone();
    let monitor = DeadLetterMonitor::new(&clients)
        .watch(&dead)
        .archive(FileArchive::new(&archive))
        .alert(move |report: &DeadLetterReport| heard.lock().unwrap().push(report.new.len()));
    let report = monitor.look().await.unwrap().pop().unwrap();
    let count =
        |category, source: &str| report.by_category.get(&(category, Some(source.to_owned()))).copied();
    assert_eq!(report.depth, 8);
    assert_eq!(count(Category::GaveUp, "q"), Some(3));
    assert_eq!(count(Category::AttemptsExhausted, "q"), Some(3));
    assert_eq!(count(Category::Unreadable, "q"), Some(1));
    assert_eq!(count(Category::Unanswered, "silent"), Some(1));
    // The second look finds the same letters, and nothing new.
    let again = monitor.look().await.unwrap().pop().unwrap();
    assert_eq!((again.new.len(), again.by_category), (0, report.by_category.clone()));
    assert_eq!(*alerts.lock().unwrap(), [8]);
    let kept = std::fs::read_to_string(&archive).unwrap();
    assert_eq!(kept.lines().count(), 8);
    assert!(kept.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));

    // Only the odd ones are worth another attempt.
    let moved = requeue(&clients, &dead, &queue, 1_000.0, |letter| letter.reason == "odd").await.unwrap();
    assert_eq!((moved.moved, moved.left), (3, 5));
    let back = drain(&clients, &queue).await;
    let mut found = numbers(&back);
    found.sort_unstable();
    assert_eq!(found, [1, 3, 5]);
    assert!(back.iter().all(|envelope| envelope.metadata.retry_count == 1));
    assert_eq!(receive(&clients, &dead).await.len().min(5), 5, "the others are where they were, and visible");
}

/// A way to the server that is cut for good, before the server hears of it, at the first request of this operation.
async fn cut_at(endpoint: &str, operation: &'static str) -> (String, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, cut) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Notify::new()));
    let (server, heard) = (endpoint.trim_start_matches("http://").to_owned(), cut.clone());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, heard) = (TcpStream::connect(&server).await.unwrap(), heard.clone());
            tokio::spawn(async move {
                let (mut from, mut to) = client.into_split();
                let (mut answers, mut requests) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut answers, &mut to).await });
                let mut some = vec![0; 1 << 16];
                while let Ok(length @ 1..) = from.read(&mut some).await {
                    if String::from_utf8_lossy(&some[..length]).contains(operation) {
                        heard.notify_one();
                        return std::future::pending().await;
                    }
                    requests.write_all(&some[..length]).await.unwrap();
                }
            });
        }
    });
    (address, cut)
}

#[tokio::test]
async fn a_crash_between_putting_back_and_deleting_leaves_both_with_one_id() {
    let (server, clients) = server().await;
    let queue = QueueSpec::new("q").dead_letters("dead", 1).ensure(&clients).await.unwrap();
    let dead = clients.queue("dead").await.unwrap();
    let letter = Outgoing::new(Step { number: 7 }).id("the letter");
    Publisher::queue(&clients, &dead).publish(letter).await.unwrap();

    let (way, cut) = cut_at(server.endpoint(), "AmazonSQS.DeleteMessage").await;
    let dying = Clients::local(&way).await;
    tokio::select! {
        done = requeue(&dying, &dead, &queue, 1_000.0, |_| true) => panic!("it lived: {done:?}"),
        () = cut.notified() => {}
    }
    let back = drain(&clients, &queue).await;
    assert_eq!(back.iter().map(|envelope| envelope.id.as_str()).collect::<Vec<_>>(), ["the letter"]);
    let check = HealthCheck::new(&clients).queue(&dead, Thresholds::default()).look().await;
    assert_eq!(check.checks[0].messages(), Some(1), "it is among the dead letters still");
}

#[tokio::test]
async fn what_cannot_be_put_back_is_seen_again_at_once() {
    let (_server, clients) = server().await;
    let dead = QueueSpec::new("dead").ensure(&clients).await.unwrap();
    for number in 0..3 {
        Publisher::queue(&clients, &dead).publish(Step { number }).await.unwrap();
    }
    let nowhere = Queue::at(dead.url.replace("dead", "nowhere"));
    let fault = requeue(&clients, &dead, &nowhere, 1_000.0, |_| true).await.unwrap_err();
    assert!(fault.code.contains("NonExistentQueue") || fault.code.contains("QueueDoesNotExist"), "{fault}");
    assert_eq!(receive(&clients, &dead).await.len(), 3);
}

#[tokio::test]
async fn a_letter_that_the_queue_does_not_take_keeps_back_no_other() {
    let (_server, clients) = server().await;
    let dead = QueueSpec::new("dead").ensure(&clients).await.unwrap();
    let queue = QueueSpec::new("q")
        .attribute(aws_sdk_sqs::types::QueueAttributeName::MaximumMessageSize, 1024)
        .ensure(&clients)
        .await
        .unwrap();
    let send = |number: u32, filler: usize| {
        let body = serde_json::json!({ "number": number, "filler": "x".repeat(filler) }).to_string();
        clients.sqs.send_message().queue_url(&dead.url).message_body(body).send()
    };
    for (number, filler) in [(0, 10), (1, 2_000), (2, 10)] {
        send(number, filler).await.unwrap();
    }
    let moved = requeue(&clients, &dead, &queue, 1_000.0, |_| true).await.unwrap();
    assert_eq!((moved.moved, moved.left), (2, 1));
    let left = receive(&clients, &dead).await;
    assert_eq!(left.len(), 1);
    assert!(left[0].body().unwrap().contains("\"number\":1"));
}

/// An archive whose disk is full at first.
struct Full(Arc<Mutex<(bool, usize)>>);

#[async_trait::async_trait]
impl Archive for Full {
    async fn keep(&self, _: &str, _: &DeadLetter) -> std::io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        match disk.0 {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => {
                disk.1 += 1;
                Ok(())
            }
        }
    }
}

#[tokio::test]
async fn every_letter_is_reported_however_many_there_are_and_whatever_else_fails() {
    let (_server, clients) = server().await;
    let dead = QueueSpec::new("dead").ensure(&clients).await.unwrap();
    let letters = (0..1_205).map(|number| Step { number });
    Publisher::queue(&clients, &dead).publish_all(letters).await.unwrap();
    let gone = Queue::at(dead.url.replace("dead", "gone"));
    let (alerts, disk): (Arc<Mutex<Vec<usize>>>, _) = (Arc::default(), Arc::new(Mutex::new((true, 0))));
    let heard = alerts.clone();
    let monitor = DeadLetterMonitor::new(&clients)
        .watch(&gone)
        .watch(&dead)
        .archive(Full(disk.clone()))
        .alert(move |report: &DeadLetterReport| heard.lock().unwrap().push(report.new.len()));
    // The first queue is not there, and the archive is full.
    assert!(monitor.look().await.is_err());
    assert_eq!(*alerts.lock().unwrap(), [1_205]);
    // What could not be archived is, as soon as that can be done; and nobody is told again.
    disk.lock().unwrap().0 = false;
    for _ in 0..2 {
        assert!(monitor.look().await.is_err());
        assert_eq!((disk.lock().unwrap().1, alerts.lock().unwrap().len()), (1_205, 1));
    }
}

#[tokio::test]
async fn no_more_letters_are_put_back_in_a_second_than_was_said() {
    let (_server, clients) = server().await;
    let (dead, queue) = (QueueSpec::new("dead"), QueueSpec::new("q"));
    let (dead, queue) = (dead.ensure(&clients).await.unwrap(), queue.ensure(&clients).await.unwrap());
    Publisher::queue(&clients, &dead).publish_all((0..5).map(|number| Step { number })).await.unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(requeue(&clients, &dead, &queue, 10.0, |_| true).await.unwrap().moved, 5);
    // However slow this machine is, it cannot have been faster.
    assert!(begun.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_letter_in_snss_wrapping_is_known_by_its_envelope() {
    let (_server, clients) = server().await;
    let dead = QueueSpec::new("dead").ensure(&clients).await.unwrap();
    let topic = toolkit::TopicSpec::new("t").ensure(&clients).await.unwrap();
    let wrapped = toolkit::Subscription::queue(&dead).attribute("RawMessageDelivery", "false");
    wrapped.ensure(&clients, &topic).await.unwrap();
    let letter = Outgoing::new(Step { number: 7 }).id("the letter");
    Publisher::topic(&clients, &topic.arn).publish(letter).await.unwrap();
    let report = DeadLetterMonitor::new(&clients).watch(&dead).look().await.unwrap().pop().unwrap();
    assert_eq!(report.new[0].envelope, Some(("the letter".to_owned(), "step".to_owned())));
}
