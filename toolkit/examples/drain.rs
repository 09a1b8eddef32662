//! Measures the library itself: how fast a publisher fills a queue and a consumer with an empty handler empties it.
//!
//!     cargo run --release -p posthaste-toolkit --example drain -- 200000 [pollers]
//!
//! Starts a server of its own unless `AWS_ENDPOINT_URL` names one.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use toolkit::consumer::{BatchOutcome, ConsumerSettings, Delivery};
use toolkit::publisher::{PublishError, PublisherSettings};
use toolkit::testing::Server;
use toolkit::{Clients, Consumer, Message, Publisher, QueueSpec};

/// As `posthaste bench` has it, to be compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TASKS: u64 = 8;

#[derive(Serialize, Deserialize)]
struct Payload {
    number: u64,
    text: String,
}

impl Message for Payload {
    fn message_type(&self) -> &str {
        "payload"
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let messages: u64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    // Each has one request under way, as has a connection of `posthaste bench`, which has 64.
    let pollers: usize = std::env::args().nth(2).map_or(Ok(32), |text| text.parse())?;
    let (_server, clients) = match std::env::var_os("AWS_ENDPOINT_URL") {
        Some(_) => (None, Clients::from_env().await),
        None => {
            let server = Server::in_memory()?;
            let clients = server.clients().await;
            (Some(server), clients)
        }
    };
    let queue = QueueSpec::new("toolkit-drain").ensure(&clients).await?;
    let settings = ConsumerSettings {
        workers: 400,
        prefetch: 800,
        pollers,
        wait: Duration::from_secs(1),
        ..ConsumerSettings::default()
    };

    for batches in [false, true] {
        let publisher = Publisher::queue(&clients, &queue);
        let publisher =
            publisher.settings(PublisherSettings { in_flight: 8, ..PublisherSettings::default() });
        let begun = now();
        // As a service does: many tasks, none of which holds all messages at once.
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let publisher = publisher.clone();
            tasks.spawn(async move {
                let mut own: Vec<u64> = (0..messages).filter(|number| number % TASKS == task).collect();
                while !own.is_empty() {
                    let chunk = own.split_off(own.len().saturating_sub(1_000));
                    let payload = |number| Payload { number, text: "x".repeat(200) };
                    for result in publisher.publish_all(chunk.into_iter().map(payload)).await? {
                        result?;
                    }
                }
                Ok::<(), PublishError>(())
            });
        }
        while let Some(result) = tasks.join_next().await {
            result??;
        }
        report("publish_all", messages, begun);

        let begun = now();
        let consumer = Consumer::<Payload>::new(&clients, &queue).settings(settings).without_dead_letters();
        let running = match batches {
            false => consumer.start(|_: Delivery<Payload>| async {}).await?,
            true => {
                consumer.start_batches(|_: Vec<Delivery<Payload>>| async { BatchOutcome::done() }).await?
            }
        };
        while running.counts().deleted < messages {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        report(if batches { "consumer, batch handler" } else { "consumer, handler" }, messages, begun);
        running.shutdown().await;
    }
    Ok(())
}

fn report(what: &str, messages: u64, (begun, before): (Instant, f64)) {
    let seconds = begun.elapsed().as_secs_f64();
    let (rate, own) = (messages as f64 / seconds, (processor_seconds() - before) / messages as f64 * 1e6);
    println!(
        "{what:<24} {messages} messages in {seconds:.2} s: {rate:.0} a second, {own:.1} µs of CPU time each"
    );
}

fn now() -> (Instant, f64) {
    (Instant::now(), processor_seconds())
}

/// What this process has used so far, where Linux says it; the server is another.
fn processor_seconds() -> f64 {
    let ticks = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name, in brackets, may hold blanks.
        let fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
        fields.take(2).map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()
    };
    // A hundred a second, on every Linux that there is.
    ticks().unwrap_or(0) as f64 / 100.0
}
