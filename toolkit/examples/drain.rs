//! Measures the library itself: how fast a publisher fills a queue and a consumer with an empty handler empties it.
//!
//!     cargo run --release -p posthaste-toolkit --example drain -- 200000 [pollers]
//!     cargo run --release -p posthaste-toolkit --example drain -- 200000 32 share 5
//!
//! Starts a server of its own unless `AWS_ENDPOINT_URL` names one. With `share`, so many times by turns `posthaste bench drain` and a
//! consumer empty a queue of that server, and what is printed last is how much of the raw client's rate the consumer keeps.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use toolkit::consumer::{BatchOutcome, ConsumerSettings, Delivery, Running, StartError};
use toolkit::publisher::{PublishError, PublisherSettings};
use toolkit::testing::Server;
use toolkit::{Clients, Consumer, Message, Publisher, Queue, QueueSpec};

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
    const TYPES: &'static [&'static str] = &["payload"];
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let messages: u64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    // Each has one request under way, as has a connection of `posthaste bench`, which has 64.
    let pollers: usize = std::env::args().nth(2).map_or(Ok(32), |text| text.parse())?;
    if std::env::args().nth(3).as_deref() == Some("share") {
        let rounds = std::env::args().nth(4).map_or(Ok(5), |text| text.parse())?;
        return share(Server::in_memory()?, messages, pollers, rounds).await;
    }
    let (_server, clients) = match std::env::var_os("AWS_ENDPOINT_URL") {
        Some(_) => (None, Clients::from_env().await),
        None => {
            let server = Server::in_memory()?;
            let clients = server.clients().await;
            (Some(server), clients)
        }
    };
    let queue = QueueSpec::new("toolkit-drain").ensure(&clients).await?;
    for batches in [false, true] {
        let begun = now();
        publish(&clients, &queue, messages).await?;
        report("publish_all", messages, begun);

        let begun = now();
        let running = consume(&clients, &queue, messages, pollers, batches).await?;
        report(if batches { "consumer, batch handler" } else { "consumer, handler" }, messages, begun);
        running.shutdown().await;
    }
    Ok(())
}

async fn publish(clients: &Clients, queue: &Queue, messages: u64) -> Result<(), PublishError> {
    let publisher = Publisher::queue(clients, queue);
    let publisher = publisher.settings(PublisherSettings { in_flight: 8, ..PublisherSettings::default() });
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
        result.expect("a publisher that does not panic")?;
    }
    Ok(())
}

/// With a handler that does nothing; the consumer's last receives are not waited for.
async fn consume(
    clients: &Clients,
    queue: &Queue,
    messages: u64,
    pollers: usize,
    batches: bool,
) -> Result<Running, StartError> {
    let settings = ConsumerSettings {
        workers: 400,
        prefetch: 800,
        pollers,
        wait: Duration::from_secs(1),
        ..ConsumerSettings::default()
    };
    let consumer = Consumer::<Payload>::new(clients, queue).settings(settings).without_dead_letters();
    let running = match batches {
        false => consumer.start(|_: Delivery<Payload>| async {}).await?,
        true => consumer.start_batches(|_: Vec<Delivery<Payload>>| async { BatchOutcome::done() }).await?,
    };
    while running.counts().deleted < messages {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(running)
}

/// By turns the raw client and a consumer: this machine may be slower a minute later.
async fn share(
    server: Server,
    messages: u64,
    pollers: usize,
    rounds: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let clients = server.clients().await;
    let queue = QueueSpec::new("toolkit-drain").ensure(&clients).await?;
    let folder = tempfile::tempdir()?;
    let mut shares = Vec::new();
    println!("messages a second, and µs of CPU time for each: of the client + of the server");
    for _ in 0..rounds {
        let raw = raw_drain(&server, messages, &folder.path().join("raw.json"))?;
        publish(&clients, &queue, messages).await?;
        let own = Usage::now(server.process_id());
        let running = consume(&clients, &queue, messages, pollers, false).await?;
        let own = own.since(messages, server.process_id());
        running.shutdown().await;
        shares.push(own.rate / raw.rate);
        println!("raw {raw}; consumer {own}; share {:.2}", own.rate / raw.rate);
    }
    shares.sort_by(f64::total_cmp);
    let (least, most) = (shares.first().unwrap_or(&0.0), shares.last().unwrap_or(&0.0));
    let median = shares.get(shares.len() / 2).unwrap_or(&0.0);
    println!("share: median {median:.2}, from {least:.2} to {most:.2}");
    Ok(())
}

/// `posthaste bench drain`, with messages that are as long as the others, JSON's escapes included.
fn raw_drain(server: &Server, messages: u64, report: &Path) -> Result<Drained, Box<dyn std::error::Error>> {
    let pid = server.process_id().to_string();
    let number = messages.to_string();
    let status = Command::new(server.program())
        .args(["bench", "drain", "--size", "600", "--quiet", "--endpoint", server.endpoint()])
        .args(["--messages", &number, "--server-pid", &pid, "--json"])
        .arg(report)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("posthaste bench: {status}").into());
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let report = &report[0];
    let number =
        |name: &str| report[name].as_f64().ok_or(format!("no {name} in the report of posthaste bench"));
    // Its CPU times are a request's.
    let each = number("requests")? / number("messages")?;
    Ok(Drained {
        rate: number("messages_per_second")?,
        client: number("client_cpu_micros_per_request")? * each,
        server: number("server_cpu_micros_per_request")? * each,
    })
}

/// How fast a queue was emptied, in messages a second, and what CPU time each cost, in microseconds.
struct Drained {
    rate: f64,
    client: f64,
    server: f64,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drained { rate, client, server } = self;
        write!(f, "{rate:.0} ({client:.1} + {server:.1})")
    }
}

/// What client and server had used at some time.
struct Usage {
    begun: Instant,
    client: f64,
    server: f64,
}

impl Usage {
    fn now(server: u32) -> Usage {
        Usage {
            begun: Instant::now(),
            client: processor_seconds("self"),
            server: processor_seconds(&server.to_string()),
        }
    }

    fn since(&self, messages: u64, server: u32) -> Drained {
        let now = Usage::now(server);
        let messages = messages as f64;
        Drained {
            rate: messages / now.begun.duration_since(self.begun).as_secs_f64(),
            client: (now.client - self.client) / messages * 1e6,
            server: (now.server - self.server) / messages * 1e6,
        }
    }
}

fn report(what: &str, messages: u64, (begun, before): (Instant, f64)) {
    let seconds = begun.elapsed().as_secs_f64();
    let (rate, own) =
        (messages as f64 / seconds, (processor_seconds("self") - before) / messages as f64 * 1e6);
    println!(
        "{what:<24} {messages} messages in {seconds:.2} s: {rate:.0} a second, {own:.1} µs of CPU time each"
    );
}

fn now() -> (Instant, f64) {
    (Instant::now(), processor_seconds("self"))
}

/// What a process has used so far, where Linux says it.
fn processor_seconds(process: &str) -> f64 {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in brackets, may hold blanks.
        let fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
        fields.take(2).map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()
    };
    // A hundred a second, on every Linux that there is.
    ticks().unwrap_or(0) as f64 / 100.0
}
