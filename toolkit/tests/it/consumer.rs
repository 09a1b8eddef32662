//! Consuming: what becomes of messages that are handled, fail, cannot be read; and when somebody dies in between.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use toolkit::body::{Attributes, BodyError, BodyStep};
use toolkit::breaker::{BreakerSettings, Phase};
use toolkit::consumer::{
    BatchOutcome, CATEGORY, ConsumerSettings, Delivery, Outcome, REASON, Running, SOURCE,
};
use toolkit::publisher::Outgoing;
use toolkit::testing::Server;
use toolkit::{Clients, Consumer, Publisher, Queue, QueueSpec};

use crate::common::{Step, drain, numbers, queue, receive, server};

/// Receives that wait a second, so that a shutdown takes no longer.
fn settings() -> ConsumerSettings {
    ConsumerSettings { wait: Duration::from_secs(1), ..ConsumerSettings::default() }
}

async fn with_graveyard(clients: &Clients, name: &str, max_receives: u32) -> (Queue, Queue) {
    let dead = format!("dead-{name}");
    let queue = QueueSpec::new(name).dead_letters(&dead, max_receives).ensure(clients).await.unwrap();
    (queue, clients.queue(&dead).await.unwrap())
}

async fn send(clients: &Clients, queue: &Queue, numbers: std::ops::Range<u32>) {
    let fifo = queue.is_fifo();
    let messages = numbers.map(|number| {
        let message = Outgoing::new(Step { number });
        if fifo { message.group(format!("g{}", number % 3)) } else { message }
    });
    for result in Publisher::queue(clients, queue).publish_all(messages).await.unwrap() {
        result.unwrap();
    }
}

/// Until the consumer has deleted so many.
async fn deleted(running: &Running, count: u64) {
    while running.counts().deleted < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_message_is_handled_and_deleted() {
    let (_server, clients) = server().await;
    let (queue, _) = with_graveyard(&clients, "q", 3).await;
    send(&clients, &queue, 0..100).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery<Step>| {
            seen.lock().unwrap().push(delivery.data().number);
            async {}
        }
    };
    let running = Consumer::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    deleted(&running, 100).await;
    let counts = running.shutdown().await;
    assert_eq!((counts.received, counts.done, counts.deleted), (100, 100, 100));
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    assert!(drain(&clients, &queue).await.is_empty());
}

#[tokio::test]
async fn failures_come_again_and_at_last_are_dead_letters_with_their_reason() {
    let (_server, clients) = server().await;
    let (queue, dead) = with_graveyard(&clients, "q", 3).await;
    Publisher::queue(&clients, &queue)
        .publish(Outgoing::new(Step { number: 1 }).attribute("priority", "high"))
        .await
        .unwrap();
    let counts = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let counts = counts.clone();
        move |delivery: Delivery<Step>| {
            counts.lock().unwrap().push(delivery.receive_count);
            async { Outcome::retry_after(Duration::ZERO, "the gateway\nis away") }
        }
    };
    let running = Consumer::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    deleted(&running, 1).await;
    let tally = running.shutdown().await;
    assert_eq!((tally.retried, tally.dead_lettered, tally.done), (2, 1, 0));
    assert_eq!(*counts.lock().unwrap(), [1, 2, 3]);
    let letter = receive(&clients, &dead).await.pop().unwrap();
    let attributes = letter.message_attributes().unwrap();
    for (name, value) in [
        (REASON, "the gateway is away"),
        (CATEGORY, "attempts-exhausted"),
        (SOURCE, "q"),
        ("DeadLetterReceiveCount", "3"),
        ("priority", "high"),
    ] {
        assert_eq!(attributes[name].string_value(), Some(value));
    }
}

#[tokio::test]
async fn what_cannot_be_handled_or_read_is_a_dead_letter_at_once() {
    let (_server, clients) = server().await;
    let (queue, dead) = with_graveyard(&clients, "q", 3).await;
    send(&clients, &queue, 1..2).await;
    clients.sqs.send_message().queue_url(&queue.url).message_body("not an envelope").send().await.unwrap();
    let handler = |_: Delivery<Step>| async { Outcome::give_up("no such order") };
    let running = Consumer::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    deleted(&running, 2).await;
    running.shutdown().await;
    let mut found = BTreeSet::new();
    while found.len() < 2 {
        for letter in receive(&clients, &dead).await {
            let attributes = letter.message_attributes().unwrap();
            let text = |name| attributes[name].string_value().unwrap().to_owned();
            found.insert((text(CATEGORY), text(REASON)));
        }
    }
    let found: Vec<_> = found.into_iter().collect();
    assert_eq!(found[0], ("gave-up".into(), "no such order".into()));
    assert_eq!(found[1].0, "unreadable");
    assert!(found[1].1.contains("the envelope cannot be read"), "{}", found[1].1);
}

#[tokio::test]
async fn a_queue_without_dead_letters_must_be_meant() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q").await;
    let handler = |_: Delivery<Step>| async { Outcome::give_up("no") };
    let refused = Consumer::new(&clients, &queue).start(handler).await;
    assert!(refused.is_err());
    send(&clients, &queue, 0..1).await;
    let consumer = Consumer::new(&clients, &queue).settings(settings()).without_dead_letters();
    let running = consumer.start(handler).await.unwrap();
    deleted(&running, 1).await;
    assert_eq!(running.shutdown().await.dead_lettered, 1);
}

#[tokio::test]
async fn groups_are_handled_in_order_even_when_one_of_them_fails_at_first() {
    let (_server, clients) = server().await;
    let (queue, _) = with_graveyard(&clients, "q.fifo", 100).await;
    send(&clients, &queue, 0..60).await;
    let seen: Arc<Mutex<HashMap<u32, Vec<u32>>>> = Arc::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery<Step>| {
            let seen = seen.clone();
            async move {
                let number = delivery.data().number;
                if number.is_multiple_of(7) && delivery.receive_count < 3 {
                    return Outcome::retry_after(Duration::ZERO, "not yet");
                }
                seen.lock().unwrap().entry(number % 3).or_default().push(number);
                Outcome::Done
            }
        }
    };
    let breaker = BreakerSettings { failures: u32::MAX, open_for: Duration::ZERO };
    let settings = ConsumerSettings { breaker, ..settings() };
    let running = Consumer::new(&clients, &queue).settings(settings).start(handler).await.unwrap();
    deleted(&running, 60).await;
    running.shutdown().await;
    for (group, of_group) in seen.lock().unwrap().iter() {
        assert_eq!(*of_group, (0..60).filter(|number| number % 3 == *group).collect::<Vec<_>>());
    }
}

/// What the reason of the only dead letter says when a handler has run once.
async fn reason_after(handler: impl toolkit::consumer::Handler<Step>) -> String {
    let (_server, clients) = server().await;
    let (queue, dead) = with_graveyard(&clients, "q", 1).await;
    send(&clients, &queue, 0..1).await;
    let running = Consumer::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    deleted(&running, 1).await;
    running.shutdown().await;
    let letter = receive(&clients, &dead).await.pop().unwrap();
    letter.message_attributes().unwrap()[REASON].string_value().unwrap().to_owned()
}

#[tokio::test]
async fn a_panic_is_a_failure_like_others() {
    let later = |delivery: Delivery<Step>| async move {
        tokio::task::yield_now().await;
        assert!(delivery.data().number > 0, "zero");
    };
    assert_eq!(reason_after(later).await, "the handler panicked: zero");
    let at_once = |delivery: Delivery<Step>| {
        assert!(delivery.data().number > 0, "zero");
        async {}
    };
    assert_eq!(reason_after(at_once).await, "the handler panicked: zero");
}

#[tokio::test]
async fn a_batch_handler_names_what_failed() {
    let (_server, clients) = server().await;
    let (queue, dead) = with_graveyard(&clients, "q", 2).await;
    send(&clients, &queue, 0..20).await;
    let handler = |batch: Vec<Delivery<Step>>| async move {
        let bad = batch.iter().filter(|delivery| delivery.data().number.is_multiple_of(5));
        bad.fold(BatchOutcome::done(), |outcome, delivery| {
            outcome.failed(&delivery.message_id, Outcome::retry_after(Duration::ZERO, "a multiple of five"))
        })
    };
    let running = Consumer::new(&clients, &queue).settings(settings()).start_batches(handler).await.unwrap();
    deleted(&running, 20).await;
    let counts = running.shutdown().await;
    assert_eq!((counts.done, counts.retried, counts.dead_lettered), (16, 4, 4));
    let mut letters = numbers(&drain(&clients, &dead).await);
    letters.sort_unstable();
    assert_eq!(letters, [0, 5, 10, 15]);
}

#[tokio::test]
async fn a_message_stays_hidden_for_as_long_as_its_handler_works() {
    let (_server, clients) = server().await;
    let (queue, _) = with_graveyard(&clients, "q", 10).await;
    send(&clients, &queue, 0..3).await;
    let runs = Arc::new(AtomicU32::new(0));
    let handler = {
        let runs = runs.clone();
        move |_: Delivery<Step>| {
            runs.fetch_add(1, Ordering::Relaxed);
            // Longer than the visibility timeout; for the two that wait behind it twice and three times as long.
            async { tokio::time::sleep(Duration::from_millis(1500)).await }
        }
    };
    let settings = ConsumerSettings { visibility: Some(Duration::from_secs(1)), workers: 1, ..settings() };
    let running = Consumer::new(&clients, &queue).settings(settings).start(handler).await.unwrap();
    deleted(&running, 3).await;
    running.shutdown().await;
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn shutdown_finishes_what_runs_and_gives_back_what_waits() {
    let (_server, clients) = server().await;
    let (queue, _) = with_graveyard(&clients, "q", 10).await;
    send(&clients, &queue, 0..30).await;
    let (begun, mut seen) = mpsc::unbounded_channel();
    let may_end = Arc::new(Semaphore::new(0));
    let handler = {
        let may_end = may_end.clone();
        move |delivery: Delivery<Step>| {
            begun.send(delivery.data().number).unwrap();
            let may_end = may_end.clone();
            async move { may_end.acquire().await.unwrap().forget() }
        }
    };
    let running =
        Consumer::new(&clients, &queue).settings(settings()).workers(4).start(handler).await.unwrap();
    let mut handled = BTreeSet::new();
    while handled.len() < 4 {
        handled.insert(seen.recv().await.unwrap());
    }
    let stopped = tokio::spawn(running.shutdown());
    tokio::task::yield_now().await;
    may_end.add_permits(4);
    let counts = stopped.await.unwrap();
    assert_eq!((counts.done, counts.deleted), (4, 4));
    // Visible at once, not after their visibility timeout.
    let rest = numbers(&drain(&clients, &queue).await);
    assert_eq!(rest.len(), 26);
    assert!(rest.iter().all(|number| !handled.contains(number)));
}

#[tokio::test]
async fn a_handler_that_outstays_its_grace_is_broken_off_and_its_message_given_back() {
    let (_server, clients) = server().await;
    let (queue, _) = with_graveyard(&clients, "q", 10).await;
    send(&clients, &queue, 0..1).await;
    let begun = Arc::new(Notify::new());
    let handler = {
        let begun = begun.clone();
        move |_: Delivery<Step>| {
            begun.notify_one();
            std::future::pending::<()>()
        }
    };
    let settings = ConsumerSettings { grace: Duration::from_millis(10), ..settings() };
    let running = Consumer::new(&clients, &queue).settings(settings).start(handler).await.unwrap();
    begun.notified().await;
    assert_eq!(running.shutdown().await.done, 0);
    assert_eq!(numbers(&drain(&clients, &queue).await), [0]);
}

#[tokio::test]
async fn the_circuit_opens_when_everything_fails_and_closes_when_a_trial_succeeds() {
    let (_server, clients) = server().await;
    let (queue, _) = with_graveyard(&clients, "q", 100).await;
    send(&clients, &queue, 0..50).await;
    let (broken, runs) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let handler = {
        let (broken, runs) = (broken.clone(), runs.clone());
        move |_: Delivery<Step>| {
            runs.fetch_add(1, Ordering::SeqCst);
            let broken = broken.load(Ordering::SeqCst);
            async move { if broken { Outcome::retry_after(Duration::ZERO, "away") } else { Outcome::Done } }
        }
    };
    let breaker = BreakerSettings { failures: 5, open_for: Duration::from_millis(300) };
    let settings = ConsumerSettings { breaker, workers: 1, ..settings() };
    let running = Consumer::new(&clients, &queue).settings(settings).start(handler).await.unwrap();
    while running.circuit() == Phase::Closed {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(
        runs.load(Ordering::SeqCst),
        5,
        "one worker: after five failures in a row nothing more is tried"
    );
    broken.store(false, Ordering::SeqCst);
    deleted(&running, 50).await;
    assert_eq!(running.circuit(), Phase::Closed);
    running.shutdown().await;
}

/// Runs a consumer on a runtime of its own that can die without a word, as a process does.
struct Mortal {
    runtime: Option<tokio::runtime::Runtime>,
}

impl Mortal {
    fn consume(
        endpoint: String,
        queue: Queue,
        settings: ConsumerSettings,
        handler: impl toolkit::consumer::Handler<Step>,
    ) -> Mortal {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let clients = Clients::local(&endpoint).await;
            let running = Consumer::new(&clients, &queue).settings(settings).start(handler).await.unwrap();
            std::future::pending::<()>().await;
            drop(running);
        });
        Mortal { runtime: Some(runtime) }
    }

    fn die(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

#[tokio::test]
async fn when_a_consumer_dies_between_the_work_and_the_delete_the_message_comes_again() {
    let server = Server::in_memory().unwrap();
    let clients = server.clients().await;
    let (queue, _) = with_graveyard(&clients, "q", 10).await;
    send(&clients, &queue, 0..1).await;
    let (worked, mut seen) = mpsc::unbounded_channel();
    // The work is done; the handler has not yet said so.
    let first = {
        let worked = worked.clone();
        move |delivery: Delivery<Step>| {
            worked.send(delivery.receive_count).unwrap();
            std::future::pending::<()>()
        }
    };
    let short = ConsumerSettings { visibility: Some(Duration::from_secs(1)), ..settings() };
    let mortal = Mortal::consume(server.endpoint().into(), queue.clone(), short, first);
    assert_eq!(seen.recv().await, Some(1));
    mortal.die();
    let second = move |delivery: Delivery<Step>| {
        worked.send(delivery.receive_count).unwrap();
        async {}
    };
    let running = Consumer::new(&clients, &queue).settings(short).start(second).await.unwrap();
    assert_eq!(seen.recv().await, Some(2));
    deleted(&running, 1).await;
    running.shutdown().await;
}

#[tokio::test]
async fn when_the_server_dies_again_and_again_every_message_is_still_handled() {
    let mut server = Server::on_disk().unwrap();
    let clients = server.clients().await;
    let (queue, dead) = with_graveyard(&clients, "q", 100).await;
    send(&clients, &queue, 0..400).await;
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery<Step>| {
            seen.lock().unwrap().insert(delivery.data().number);
            tokio::time::sleep(Duration::from_millis(5))
        }
    };
    let settings =
        ConsumerSettings { visibility: Some(Duration::from_secs(2)), workers: 4, prefetch: 6, ..settings() };
    let running = Consumer::new(&clients, &queue).settings(settings).start(handler).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        server.kill();
        server.restart().unwrap();
    }
    // What was handed out by a dying server comes back when its visibility ends.
    while seen.lock().unwrap().len() < 400 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    assert!(drain(&clients, &dead).await.is_empty());
}

/// An object store, perhaps, that is away when the first message is read for the first time.
struct Away(AtomicBool);

#[async_trait::async_trait]
impl BodyStep for Away {
    async fn outgoing(&self, body: String, _: &mut Attributes) -> Result<String, BodyError> {
        Ok(body)
    }
    async fn incoming(&self, body: String, _: &Attributes) -> Result<String, BodyError> {
        match body.contains("\"number\":0}") && !self.0.swap(true, Ordering::SeqCst) {
            true => Err(BodyError::passing("away")),
            false => Ok(body),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_at_present_holds_back_its_group_also_in_batches() {
    let (_server, clients) = server().await;
    let (queue, _) = with_graveyard(&clients, "q.fifo", 100).await;
    send(&clients, &queue, 0..9).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = seen.clone();
        move |batch: Vec<Delivery<Step>>| {
            seen.lock().unwrap().extend(batch.iter().map(|delivery| delivery.data().number));
            async { BatchOutcome::done() }
        }
    };
    let at_once = toolkit::Backoff::new(Duration::ZERO, Duration::ZERO);
    let step: Arc<dyn BodyStep> = Arc::new(Away(AtomicBool::new(false)));
    let consumer =
        Consumer::new(&clients, &queue).settings(ConsumerSettings { backoff: at_once, ..settings() });
    let running = consumer.step(step).start_batches(handler).await.unwrap();
    deleted(&running, 9).await;
    running.shutdown().await;
    let seen = seen.lock().unwrap();
    for group in 0..3 {
        let of_group: Vec<u32> = seen.iter().copied().filter(|number| number % 3 == group).collect();
        assert_eq!(of_group, [group, group + 3, group + 6], "{seen:?}");
    }
}
