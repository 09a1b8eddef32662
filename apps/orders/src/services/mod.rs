//! The five services and the watcher of dead letters: what they share, and how they are started.

/// `CREATE TABLE` statements.
macro_rules! tables {
    ($($statement:literal),* $(,)?) => {
        $crate::services::Tables {
            plain: &[$($statement),*],
            by_key: &[$(concat!($statement, " WITHOUT ROWID")),*],
        }
    };
}

pub mod dead_letters;
pub mod gateway;
pub mod inventory;
pub mod notification;
pub mod order;
pub mod payment;
pub mod shipping;
pub mod workflow;

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use tokio_util::sync::CancellationToken;
use toolkit::breaker::BreakerSettings;
use toolkit::consumer::{ConsumerSettings, Running};
use toolkit::dead_letters::RunningMonitor;
use toolkit::inbox::InboxSettings;
use toolkit::inbox::sql::AfterCommit;
use toolkit::outbox::{Outbox, Relay, RelaySettings, RunningRelay};
use toolkit::publisher::{Outgoing, Prepared, PublisherSettings};
use toolkit::sql::{Database, Dialect, StoreError, migrate};
use toolkit::workflow::RunningWorker;
use toolkit::{Backoff, Clients, Envelope, Message, Publisher, Queue};

use crate::model::{Event, Happening};
use crate::places::{Channel, Places};
use crate::store::{Stores, with_database};

/// Any error on the way to a running service.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Service {
    /// Validates orders and leads each to its end.
    Order,
    /// Reserves stock, and takes it out.
    Inventory,
    /// Charges cards and gives back.
    Payment,
    /// Ships.
    Shipping,
    /// Tells customers.
    Notification,
    /// Looks after the dead letters.
    DeadLetters,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 6] = [
        Service::Order,
        Service::Inventory,
        Service::Payment,
        Service::Shipping,
        Service::Notification,
        Service::DeadLetters,
    ];

    /// Its name, and its database's.
    pub fn as_str(self) -> &'static str {
        match self {
            Service::Order => "order",
            Service::Inventory => "inventory",
            Service::Payment => "payment",
            Service::Shipping => "shipping",
            Service::Notification => "notification",
            Service::DeadLetters => "dead-letters",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every service is given.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The SDKs' clients.
    pub clients: Clients,
    /// The queues and topics.
    pub places: Places,
    /// The databases.
    pub stores: Stores,
    /// How it works.
    pub settings: Settings,
    /// The role of the state machine that leads orders; without one the order service's own saga does.
    pub workflow_role: Option<String>,
}

/// What can be chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a message stays hidden after its consumer's death; a living one renews it. (The queues' own visibility timeouts
    /// are the longest that a foreign consumer may take.)
    pub hidden_for: Duration,
    /// How long stock is kept for an order that is not paid.
    pub reservation: Duration,
    /// How many products there are when the inventory is made.
    pub products: u32,
    /// How many of each.
    pub stock: i64,
    /// How the gateway behaves.
    pub gateway: gateway::Behaviour,
    /// How often the dead letters and the queues' depths are looked at.
    pub look_every: Duration,
    /// Of so many waiting messages in a queue somebody is told.
    pub alert_depth: u64,
}

/// A service at work.
pub struct RunningService {
    consumers: Vec<Running>,
    relay: Option<RunningRelay>,
    monitor: Option<RunningMonitor>,
    worker: Option<RunningWorker>,
    stop: CancellationToken,
}

impl RunningService {
    /// Stops it; nothing is lost or half done.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let mut ends = tokio::task::JoinSet::new();
        for consumer in self.consumers {
            ends.spawn(consumer.shutdown());
        }
        ends.join_all().await;
        if let Some(worker) = self.worker {
            worker.shutdown().await;
        }
        if let Some(relay) = self.relay {
            relay.shutdown().await;
        }
        if let Some(monitor) = self.monitor {
            monitor.shutdown().await;
        }
    }
}

/// Starts a service.
///
/// # Errors
/// When its database or its queues cannot be reached.
pub async fn start(service: Service, around: &Surroundings) -> Result<RunningService, Error> {
    let store = around.stores.open(service.as_str()).await?;
    match service {
        Service::Order => with_database!(store, database => order::start(around, database).await),
        Service::Inventory => with_database!(store, database => inventory::start(around, database).await),
        Service::Payment => {
            let gateway = around.stores.open("gateway").await?;
            let gateway = with_database!(gateway, database => gateway::Gateway::open(database, around.settings.gateway).await?);
            with_database!(store, database => payment::start(around, database, gateway).await)
        }
        Service::Shipping => with_database!(store, database => shipping::start(around, database).await),
        Service::Notification => {
            with_database!(store, database => notification::start(around, database).await)
        }
        Service::DeadLetters => dead_letters::start(around).await,
    }
}

/// How a consumer of a service works.
pub fn consuming(settings: &Settings, pollers: usize) -> ConsumerSettings {
    ConsumerSettings {
        pollers,
        // Those that wait for company hold places, too.
        workers: 128,
        prefetch: 1_000,
        linger: LINGER,
        visibility: Some(settings.hidden_for),
        // A gateway or a database that is away for some seconds must not stop a service for a minute.
        breaker: BreakerSettings { failures: 50, open_for: Duration::from_secs(3) },
        backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
        grace: Duration::from_secs(10),
        ..ConsumerSettings::default()
    }
}

/// How long handled messages are remembered: as long as a queue may keep a duplicate.
pub fn remembering() -> InboxSettings {
    InboxSettings::default()
}

/// How long messages may wait for company: on their way out, on their way in, and before a transaction. Some twenty such waits on an
/// order's way are little beside its five seconds, and full requests and transactions cost a fifth of those with two messages each.
const LINGER: Duration = Duration::from_millis(50);

/// The most messages of one transaction.
pub const BATCH: usize = 200;

/// Where a service's messages go: through its outbox, each to its queue or topic.
pub struct Desk<D> {
    outbox: Outbox<D>,
    source: &'static str,
    clients: Clients,
    publishers: Vec<Publisher>,
}

impl<D: Database> Desk<D> {
    /// Of this service.
    pub async fn new(source: &'static str, clients: &Clients, database: &D) -> Result<Desk<D>, StoreError> {
        let outbox = Outbox::new(database);
        outbox.migrate().await?;
        Ok(Desk { outbox, source, clients: clients.clone(), publishers: Vec::new() })
    }

    /// It sends to this queue; gives the place's number.
    pub fn queue(&mut self, queue: &Queue) -> Place {
        self.add(Publisher::queue(&self.clients, queue))
    }

    /// It publishes events there; gives the place's number.
    pub fn channel(&mut self, channel: &Channel) -> Place {
        self.add(channel.publisher(&self.clients))
    }

    fn add(&mut self, publisher: Publisher) -> Place {
        let settings = PublisherSettings { in_flight: 8, ..PublisherSettings::default() };
        // All events may go to one bus.
        let known = self.publishers.iter().position(|known| known.destination() == publisher.destination());
        let place = known.unwrap_or(self.publishers.len());
        if place == self.publishers.len() {
            self.publishers.push(publisher.source(self.source).settings(settings));
        }
        Place(place)
    }

    /// Begins to publish what is written.
    pub fn relay(&self) -> RunningRelay {
        let settings = RelaySettings { batch: 400, linger: LINGER, ..RelaySettings::default() };
        let relay = Relay::new(&self.outbox).settings(settings);
        self.publishers.iter().fold(relay, |relay, publisher| relay.to(publisher.clone())).start()
    }

    /// A batch's messages.
    pub fn mail(&self) -> Mail<'_, D> {
        Mail { desk: self, waiting: Vec::new() }
    }
}

/// One of a desk's destinations.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

/// Messages that are written together.
pub struct Mail<'a, D> {
    desk: &'a Desk<D>,
    waiting: Vec<(&'a str, Prepared)>,
}

impl<'a, D: Database> Mail<'a, D> {
    /// Adds a message; its id is its own for ever, so that a repetition is known as one.
    ///
    /// # Errors
    /// When it could never be sent.
    pub async fn add<T: Message, C>(
        &mut self,
        to: Place,
        id: String,
        message: T,
        group: Option<&str>,
        cause: Option<&Envelope<C>>,
    ) -> Result<(), StoreError> {
        let desk = self.desk;
        let publisher = &desk.publishers[to.0];
        let mut outgoing = Outgoing::new(message).id(id);
        if let Some(group) = group {
            outgoing = outgoing.group(group);
        }
        if let Some(cause) = cause {
            outgoing = outgoing.caused_by(cause);
        }
        self.put(publisher, outgoing).await
    }

    /// Adds an event.
    ///
    /// # Errors
    /// When it could never be sent.
    pub async fn event<C>(
        &mut self,
        to: Place,
        happening: Happening,
        (order_id, customer_id): (&str, &str),
        detail: Option<String>,
        cause: Option<&Envelope<C>>,
    ) -> Result<(), StoreError> {
        let (order_id, customer_id) = (order_id.to_owned(), customer_id.to_owned());
        let event = Event { happening, order_id, customer_id, detail, total_cents: None, due: None };
        self.tell(to, event, cause).await
    }

    /// Adds an event that says more than others.
    ///
    /// # Errors
    /// When it could never be sent.
    pub async fn tell<C>(
        &mut self,
        to: Place,
        event: Event,
        cause: Option<&Envelope<C>>,
    ) -> Result<(), StoreError> {
        let desk = self.desk;
        let publisher = &desk.publishers[to.0];
        let (happening, order_id) = (event.happening, event.order_id.clone());
        let mut outgoing = Outgoing::new(event).id(format!("{order_id}:{}", happening.as_str()));
        if happening.is_critical() {
            outgoing = outgoing.attribute("critical", "true");
        }
        if let Some(cause) = cause {
            outgoing = outgoing.caused_by(cause);
        }
        self.put(publisher, outgoing).await
    }

    async fn put<T: Message>(
        &mut self,
        publisher: &'a Publisher,
        outgoing: Outgoing<T>,
    ) -> Result<(), StoreError> {
        let prepared =
            publisher.prepare(outgoing).await.map_err(|error| StoreError::Shape(error.to_string()))?;
        self.waiting.push((publisher.destination(), prepared));
        Ok(())
    }

    /// Writes them; once that is durable, they leave.
    ///
    /// # Errors
    /// What the database says.
    pub async fn write(
        self,
        transaction: &mut D::Connection,
        after: &mut AfterCommit,
    ) -> Result<(), StoreError> {
        let outbox = self.desk.outbox.clone();
        let written = outbox.add_all_prepared(transaction, self.waiting).await?;
        after.run(move || outbox.committed(written));
        Ok(())
    }
}

/// A running service of these parts.
fn running(consumers: Vec<Running>, relay: Option<RunningRelay>) -> RunningService {
    RunningService { consumers, relay, monitor: None, worker: None, stop: CancellationToken::new() }
}

/// Tables of a service.
pub struct Tables {
    /// As they are.
    pub plain: &'static [&'static str],
    /// The same with their rows in the order of the key, and not in an order of their own with a second tree that finds them by it.
    pub by_key: &'static [&'static str],
}

impl Tables {
    /// Makes them if they are missing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn make<D: Database>(&self, database: &D) -> Result<(), StoreError> {
        let statements = match D::DIALECT {
            Dialect::Sqlite => self.by_key,
            Dialect::Postgres => self.plain,
        };
        migrate(database, statements).await
    }
}

/// JSON of rows, for [`toolkit::sql::from_json`].
fn rows<T: serde::Serialize>(rows: &[T]) -> Result<String, StoreError> {
    Ok(serde_json::to_string(rows)?)
}
