//! Dead letters: noticed once, sorted, archived, and put back by choice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use toolkit::consumer::{Category, ConsumerSettings, Delivery, Outcome};
use toolkit::dead_letters::{DeadLetterMonitor, DeadLetterReport, FileArchive, requeue};
use toolkit::{Consumer, Publisher, QueueSpec};

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
