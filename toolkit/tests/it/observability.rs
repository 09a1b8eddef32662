//! What can be seen from outside: every metric that the README names, and one trace from publisher to consumer to the next.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use toolkit::consumer::{BatchOutcome, ConsumerSettings, Delivery, Outcome};
use toolkit::dead_letters::DeadLetterMonitor;
use toolkit::health::{HealthCheck, Thresholds};
use toolkit::inbox::{InboxSettings, MemoryInbox, once};
use toolkit::publisher::{Outgoing, PublisherSettings};
use toolkit::saga::{SagaSettings, SagaStep, Sagas, StepContext, StepError};
use toolkit::{Backoff, Consumer, Envelope, Publisher, QueueSpec};

use crate::common::{Faulty, Step, Trouble, receive, server};
use crate::databases::sqlite;

/// Which metrics something was counted, set or measured by, with their labels' values.
#[derive(Clone, Default)]
struct Touched(Arc<Mutex<BTreeSet<String>>>);

struct Instrument {
    name: String,
    touched: Touched,
}

impl Instrument {
    fn touch(&self) {
        self.touched.0.lock().unwrap().insert(self.name.clone());
    }
}

impl CounterFn for Instrument {
    fn increment(&self, count: u64) {
        if count > 0 {
            self.touch();
        }
    }
    fn absolute(&self, _: u64) {
        self.touch();
    }
}

impl GaugeFn for Instrument {
    fn increment(&self, _: f64) {
        self.touch();
    }
    fn decrement(&self, _: f64) {
        self.touch();
    }
    fn set(&self, _: f64) {
        self.touch();
    }
}

impl HistogramFn for Instrument {
    fn record(&self, _: f64) {
        self.touch();
    }
}

impl Touched {
    fn instrument(&self, key: &Key) -> Arc<Instrument> {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Instrument { name: format!("{} {}", key.name(), labels.join(" ")), touched: self.clone() })
    }
}

impl Recorder for Touched {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.instrument(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.instrument(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.instrument(key))
    }
}

fn settings() -> ConsumerSettings {
    let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
    ConsumerSettings { wait: Duration::from_secs(1), backoff: at_once, ..ConsumerSettings::default() }
}

/// Cannot be done, nor undone at first.
struct Hopeless;

#[async_trait]
impl SagaStep<()> for Hopeless {
    fn name(&self) -> &str {
        "hopeless"
    }
    async fn act(&self, _: &StepContext<'_>, (): &mut ()) -> Result<(), StepError> {
        Err(StepError::Fail("no".into()))
    }
    async fn undo(&self, context: &StepContext<'_>, (): &mut ()) -> Result<(), StepError> {
        if context.failures == 0 { Err(StepError::Retry("later".into())) } else { Ok(()) }
    }
}

#[tokio::test]
async fn every_metric_of_the_readme_is_emitted() {
    let touched = Touched::default();
    let _recorder = metrics::set_default_local_recorder(&touched);
    let (_server, clients) = server().await;
    let millisecond = Duration::from_millis(1);
    let fifo = QueueSpec::new("q.fifo").dead_letters("dead.fifo", 100).ensure(&clients).await.unwrap();
    let dead = clients.queue("dead.fifo").await.unwrap();

    // One that is sent again, and one that is refused.
    let faulty = Faulty::new(&clients, &fifo, |number, batch| match number {
        0 => Trouble::Lost,
        _ => {
            let bad = batch.iter().position(|message| message.body.contains("\"number\":9}"));
            bad.map_or(Trouble::None, |bad| Trouble::Entries(vec![bad], true))
        }
    });
    let quick =
        PublisherSettings { backoff: Backoff::new(millisecond, millisecond), ..PublisherSettings::default() };
    let messages = [(1, "a"), (2, "a"), (3, "b"), (9, "c")]
        .map(|(number, group)| Outgoing::new(Step { number }).group(group).id(number.to_string()));
    Publisher::to(faulty).settings(quick).publish_all(messages).await.unwrap();
    // The first one again.
    let again = Outgoing::new(Step { number: 1 }).group("d").id("1").deduplication_id("again");
    Publisher::queue(&clients, &fifo).publish(again).await.unwrap();

    // The first comes again, and 2 behind it is released; 3 is a dead letter.
    let handler = |delivery: Delivery<Step>| async move {
        match (delivery.data().number, delivery.receive_count) {
            (1, 1) => Outcome::retry("not yet"),
            (3, _) => Outcome::give_up("no"),
            _ => Outcome::Done,
        }
    };
    let handler = once(MemoryInbox::new(), InboxSettings::default(), handler);
    let running = Consumer::new(&clients, &fifo).settings(settings()).start(handler).await.unwrap();
    while running.counts().deleted < 4 {
        tokio::time::sleep(5 * millisecond).await;
    }
    running.shutdown().await;
    HealthCheck::new(&clients).queue(&fifo, Thresholds::default()).look().await;
    DeadLetterMonitor::new(&clients).watch(&dead).look().await.unwrap();

    let (_folder, pool) = sqlite().await;
    let backoff = Backoff::new(millisecond, millisecond);
    let sagas = Sagas::new(&pool, "hopeless").settings(SagaSettings { backoff, ..SagaSettings::default() });
    let sagas = sagas.step(Hopeless);
    sagas.migrate().await.unwrap();
    sagas.begin("s", &()).await.unwrap();
    sagas.run("s").await.unwrap();

    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("## Metrics").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let names: Vec<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 15, "{names:?}");
    let touched = touched.0.lock().unwrap();
    let missing: Vec<&&str> =
        names.iter().filter(|name| !touched.iter().any(|one| one.starts_with(&format!("{name} ")))).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {touched:?}");
    for status in ["success", "retry", "dead_letter"] {
        assert!(touched.contains(&format!("messages.processed queue=q.fifo status={status}")), "{touched:?}");
    }
}

/// What was logged, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The only line with these words.
    fn line(&self, words: &str) -> String {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let mut found = log.lines().filter(|line| line.contains(words));
        let line = found.next().unwrap_or_else(|| panic!("no \"{words}\" in {log}")).to_owned();
        assert!(found.next().is_none(), "{log}");
        line
    }
}

#[tokio::test]
async fn spans_follow_a_message_from_publisher_to_consumer_and_on_to_what_follows_from_it() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // While there is only one subscriber, `tracing` takes it for the one of whichever thread comes first to what is logged; here other
    // tests run in threads that have none.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _logging = tracing::subscriber::set_default(subscriber);
    let (_server, clients) = server().await;
    let [first, second, third] = ["first", "second", "third"].map(QueueSpec::new);
    let (first, second) = (first.ensure(&clients).await.unwrap(), second.ensure(&clients).await.unwrap());
    let third = third.ensure(&clients).await.unwrap();
    let publisher = |queue| Publisher::queue(&clients, queue);

    publisher(&first).publish(Outgoing::new(Step { number: 1 }).id("the-first")).await.unwrap();
    let next = publisher(&second);
    let handler = move |delivery: Delivery<Step>| {
        let next = next.clone();
        async move {
            tracing::info!("the first is handled");
            let follows = Outgoing::new(Step { number: 2 }).id("the-second").caused_by(&delivery.envelope);
            next.publish(follows).await.unwrap();
        }
    };
    let running = Consumer::new(&clients, &first).settings(settings()).without_dead_letters();
    let running = running.start(handler).await.unwrap();
    // In batches, too.
    let next = publisher(&third);
    let handler = move |batch: Vec<Delivery<Step>>| {
        let next = next.clone();
        async move {
            tracing::info!("the second is handled");
            let follows = Outgoing::new(Step { number: 3 }).id("the-third").caused_by(&batch[0].envelope);
            next.publish(follows).await.unwrap();
            BatchOutcome::done()
        }
    };
    let batches = Consumer::new(&clients, &second).settings(settings()).without_dead_letters();
    let batches = batches.start_batches(handler).await.unwrap();
    while batches.counts().deleted < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    batches.shutdown().await;

    let last = receive(&clients, &third).await.pop().unwrap();
    let last = Envelope::<Step>::decode(last.body().unwrap()).unwrap();
    assert_eq!(last.metadata.correlation_id.as_deref(), Some("the-first"));
    assert_eq!(last.metadata.causation_id.as_deref(), Some("the-second"));
    let trace = format!("00-{:032x}-", last.trace().unwrap().trace_id);
    let handled = log.line("the first is handled");
    assert!(handled.contains("handle{") && handled.contains("queue=\"first\""), "{handled}");
    assert!(handled.contains("id=the-first") && handled.contains("receive_count=1"), "{handled}");
    assert!(handled.contains(&trace), "{handled}");
    let of_batch = log.line("in this batch");
    assert!(of_batch.contains("handle_batch{") && of_batch.contains("id=the-second"), "{of_batch}");
    assert!(of_batch.contains(&trace), "{of_batch}");
    let in_batch = log.line("the second is handled");
    assert!(in_batch.contains("handle_batch{queue=\"second\" messages=1}"), "{in_batch}");
    for id in ["the-first", "the-second", "the-third"] {
        let published = log.line(&format!("to be published destination=\"{}\" id={id} ", &id[4..]));
        assert!(published.contains(&trace), "{published}");
    }
}
