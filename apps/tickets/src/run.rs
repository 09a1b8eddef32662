//! The shop's services at work: the relay of the outbox, the two consumers, the monitor of dead letters, and who watches over them.

use std::io::Read;
use std::time::Duration;

use clap::{Args, ValueEnum};
use toolkit::breaker::BreakerSettings;
use toolkit::consumer::{ConsumerSettings, Handler, Running};
use toolkit::dead_letters::RunningMonitor;
use toolkit::health::{HealthCheck, Thresholds};
use toolkit::outbox::{Relay, RelaySettings, RunningRelay};
use toolkit::{Backoff, Clients, Consumer, Fault, Queue, Router};

use crate::alerts::{self, Limits};
use crate::consumers::{Once, PaymentEventConsumer, TicketEventConsumer};
use crate::dead_letters;
use crate::events::{EventManagementEvent, PaymentEvent, TicketEvent};
use crate::metrics::Metrics;
use crate::services::Shop;
use crate::settings::Settings;
use crate::store::Store;
use crate::topology::{self, MAX_RECEIVE_COUNT, Topology};

/// Options of `tickets run`.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// Run only these services; the others can run in other processes with the same data
    #[arg(long, value_delimiter = ',', value_name = "SERVICES")]
    pub only: Vec<Service>,
    /// How long a receive waits for messages: 0 to 20 seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=20))]
    pub poll_wait: u64,
    /// Visibility timeout of a message in progress [default: that of the queue, 30 seconds]
    #[arg(long, value_name = "SECONDS")]
    pub visibility: Option<u64>,
    /// Messages of a queue that are handled at the same time
    #[arg(long, default_value_t = 8)]
    pub workers: usize,
    /// Interval of the monitor's looks at the dead letters
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub monitor_every: u64,
    /// Interval at which metrics are logged and compared with the limits
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub report_every: u64,
    #[command(flatten)]
    pub limits: Limits,
    /// Stop when standard input closes, for instance because the parent process ended
    #[arg(long, hide = true)]
    pub until_stdin_ends: bool,
}

/// A service that can run alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Service {
    /// Publishes the events in the outbox
    Relay,
    /// The consumer of payment events
    Payments,
    /// The consumer of ticket events
    Tickets,
    /// The monitor of dead letters
    Monitor,
}

impl RunOptions {
    fn runs(&self, service: Service) -> bool {
        self.only.is_empty() || self.only.contains(&service)
    }

    fn consumer_settings(&self) -> ConsumerSettings {
        ConsumerSettings {
            workers: self.workers,
            prefetch: self.workers,
            pollers: 1,
            wait: Duration::from_secs(self.poll_wait),
            visibility: self.visibility.map(Duration::from_secs),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            // One address's mail server is not all of them: more must fail before everything waits.
            breaker: BreakerSettings { failures: 30, open_for: Duration::from_secs(15) },
            ..ConsumerSettings::default()
        }
    }
}

/// Runs the services until a signal arrives or standard input closes.
///
/// # Errors
/// The database cannot be opened, or the queues and topics cannot be created.
pub async fn run(settings: &Settings, options: &RunOptions) -> Result<(), Box<dyn std::error::Error>> {
    let metrics = Metrics::default();
    metrics::set_global_recorder(metrics.clone())?;
    let store = Store::open(settings.folder()).await?;
    let clients = settings.clients().await;
    // A server that is just starting again is no reason to give up.
    let topology = patiently(|| topology::ensure(&clients, settings)).await?;
    let publishers = topology.publishers(&clients);
    let shop = Shop::new(&store, &publishers);

    let relay = options.runs(Service::Relay).then(|| {
        let settings = RelaySettings {
            every: Duration::from_millis(100),
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            lease: Duration::from_secs(3),
            ..RelaySettings::default()
        };
        let relay = Relay::new(&store.outbox).settings(settings);
        publishers.all().fold(relay, |relay, publisher| relay.to(publisher.clone())).start()
    });
    let mut consumers = Vec::new();
    if options.runs(Service::Payments) {
        let handler = || once(&shop, PaymentEventConsumer { shop: shop.clone() });
        consumers
            .push(consume::<PaymentEvent, _>(&clients, &topology.payment_queue, options, handler).await?);
    }
    if options.runs(Service::Tickets) {
        // The Notification Service hears the event-management topic at the same queue.
        let reaction = || once(&shop, TicketEventConsumer { shop: shop.clone() });
        let handler = || Router::new().on::<TicketEvent>(reaction()).on::<EventManagementEvent>(reaction());
        consumers.push(consume(&clients, &topology.ticket_queue, options, handler).await?);
    }
    let every = Duration::from_secs(options.monitor_every.max(1));
    let monitor = options
        .runs(Service::Monitor)
        .then(|| dead_letters::monitor(&clients, &topology, &store, settings.folder(), every).start());
    let watching = alerts::watch(
        queues_to_watch(&clients, &topology, options),
        store.clone(),
        metrics,
        options.limits.clone(),
        Duration::from_secs(options.report_every.max(1)),
    );
    let watching = tokio::spawn(watching);
    let forgetting = tokio::spawn(forget(store.clone()));
    tracing::info!(endpoint = settings.endpoints().0, data = %settings.folder().display(), "at work");

    told_to_stop(options.until_stdin_ends).await?;
    tracing::info!("finishing what is being handled (Ctrl-C again ends it now; nothing is lost)");
    watching.abort();
    forgetting.abort();
    tokio::select! {
        result = finish(consumers, monitor, relay) => result?,
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

/// Stops all services after they finished their current work.
async fn finish(
    consumers: Vec<Running>,
    monitor: Option<RunningMonitor>,
    relay: Option<RunningRelay>,
) -> Result<(), tokio::task::JoinError> {
    let stopping: Vec<_> = consumers.into_iter().map(|consumer| tokio::spawn(consumer.shutdown())).collect();
    if let Some(monitor) = monitor {
        monitor.shutdown().await;
    }
    for consumer in stopping {
        consumer.await?;
    }
    if let Some(relay) = relay {
        relay.shutdown().await;
    }
    Ok(())
}

fn once<R>(shop: &Shop, reaction: R) -> Once<R> {
    Once { shop: shop.clone(), reaction, attempts: MAX_RECEIVE_COUNT }
}

async fn consume<T: toolkit::Message, H: Handler<T>>(
    clients: &Clients,
    queue: &Queue,
    options: &RunOptions,
    handler: impl Fn() -> H,
) -> Result<Running, Fault> {
    patiently(async || {
        let consumer = Consumer::<T>::new(clients, queue).settings(options.consumer_settings());
        consumer.start(handler()).await.map_err(|error| match error {
            toolkit::consumer::StartError::Queue(fault) => fault,
            error => Fault::permanent("Consumer", error.to_string()),
        })
    })
    .await
}

fn queues_to_watch(clients: &Clients, topology: &Topology, options: &RunOptions) -> HealthCheck {
    let check = HealthCheck::new(clients);
    match options.runs(Service::Monitor) {
        true => {
            topology.pairs().iter().fold(check, |check, (queue, _)| check.queue(queue, Thresholds::default()))
        }
        false => check,
    }
}

/// Deletes, once an hour, the ids of messages that were handled too long ago to come again.
async fn forget(store: Store) {
    loop {
        if let Err(error) = toolkit::inbox::Inbox::expire(&store.inbox).await {
            tracing::warn!(%error, "the inbox was not cleared");
        }
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
}

/// Repeats a call that failed with a temporary error, for about a minute.
pub async fn patiently<T, F: AsyncFnMut() -> Result<T, Fault>>(mut attempt: F) -> Result<T, Fault> {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut attempts = 1;
    loop {
        match attempt().await {
            Err(fault) if fault.retryable && attempts < 20 => {
                tracing::info!(%fault, attempts, "not yet");
                tokio::time::sleep(backoff.delay(attempts)).await;
                attempts += 1;
            }
            result => return result,
        }
    }
}

async fn told_to_stop(until_stdin_ends: bool) -> std::io::Result<()> {
    let (ended, stdin_ends) = tokio::sync::oneshot::channel();
    if until_stdin_ends {
        // A thread of its own: a read of standard input cannot be broken off, and must not hold up the end.
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = ended.send(());
        });
    }
    tokio::select! {
        result = toolkit::shutdown_signal() => result,
        _ = stdin_ends, if until_stdin_ends => Ok(()),
    }
}
