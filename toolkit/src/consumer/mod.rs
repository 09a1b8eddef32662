//! Receives messages from a queue, passes them to a handler, and carries out the outcome that the handler
//! returns.

mod at_once;
mod dead;
mod decode;
mod deletes;
mod delivery;
mod gather;
mod held;
mod poll;
mod raw;
mod reader;
mod router;
mod tallies;
mod work;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use dead::{CATEGORY, Category, REASON, RECEIVE_COUNT, SOURCE};
pub use delivery::{BatchHandler, BatchOutcome, Delivery, Handler, Outcome};

pub use gather::{Gather, gather};

pub use router::Router;

pub(crate) use decode::unwrap_notification;
pub(crate) use held::change_visibility;
pub(crate) use raw::{Raw, RawBatch};
pub use tallies::Counts;

use crate::backoff::Backoff;
use crate::body::BodyStep;
use crate::breaker::{BreakerSettings, CircuitBreaker, Phase};
use crate::clients::Clients;
use crate::direct::Direct;
use crate::fault::Fault;
use crate::message::Message;
use crate::publisher::BodyForm;
use crate::queue::Queue;
use at_once::AtOnce;
use held::Held;
use tallies::Tallies;
use work::{Core, Job, Shop};

/// Receives messages of type `T` from one queue.
///
/// **Guarantee**: *at least once*. The consumer deletes a message only after its handler returned
/// [`Outcome::Done`], or after a copy of it is in the dead-letter queue. After a crash, a lost answer or a
/// missed heartbeat it comes again.
///
/// **Requirement**: a handler that tolerates duplicates; an [inbox](crate::inbox) adds this to any handler.
///
/// On FIFO queues the messages of a group are handled one after the other, in order; a message that is
/// retried holds back the later ones of its group. (Those were received, too, and their receive count has
/// grown: give such a queue a maxReceiveCount well above the consumer's number of attempts.)
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderCreated { id: String }
/// # impl toolkit::Message for OrderCreated { const TYPES: &'static [&'static str] = &["order.created"]; }
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use toolkit::consumer::{Delivery, Outcome};
/// use toolkit::{Consumer, Publisher, QueueSpec};
///
/// let queue = QueueSpec::new("orders").dead_letters("orders-dlq", 3).ensure(&clients).await?;
/// Publisher::queue(&clients, &queue).publish(OrderCreated { id: "o-1".into() }).await?;
/// # let (handled, mut seen) = tokio::sync::mpsc::unbounded_channel();
///
/// # let quick = toolkit::consumer::ConsumerSettings { wait: std::time::Duration::from_secs(1), ..Default::default() };
/// let running = Consumer::new(&clients, &queue)
/// #   .settings(quick)
///     .start(move |order: Delivery<OrderCreated>| {
///         let handled = handled.clone();
///         async move {
///             if order.data().id.is_empty() {
///                 return Outcome::give_up("an order without an id");
///             }
///             // … do the work; on trouble: Outcome::retry("the database is away")
///             # handled.send(order.data().id.clone()).ok();
///             Outcome::Done
///         }
///     })
///     .await?;
/// # assert_eq!(seen.recv().await.as_deref(), Some("o-1"));
///
/// let counts = running.shutdown().await;
/// assert_eq!((counts.done, counts.deleted), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Consumer<T> {
    clients: Clients,
    queue: Queue,
    settings: ConsumerSettings,
    form: BodyForm,
    steps: Vec<Arc<dyn BodyStep>>,
    dead_letters: DeadLetters,
    reads: PhantomData<fn() -> T>,
}

enum DeadLetters {
    AsTheQueueSays,
    To(Queue),
    Dropped,
}

/// Settings of a [`Consumer`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ConsumerSettings {
    /// Number of handlers that run at the same time.
    pub workers: usize,
    /// Number of messages that may wait for a worker, in addition to those being handled.
    pub prefetch: usize,
    /// Number of concurrent receives.
    pub pollers: usize,
    /// How long a receive waits for messages: up to 20 seconds.
    pub wait: Duration,
    /// How long a poller pauses after a receive that was not full. A queue with a steady flow of messages
    /// then returns them in fewer, fuller receives. Zero: no pause.
    pub linger: Duration,
    /// Visibility timeout of a held message; heartbeats renew it. `None`: that of the queue.
    pub visibility: Option<Duration>,
    /// Maximum number of attempts before a message becomes a dead letter. `None`: the maxReceiveCount of the
    /// queue, if it has one.
    pub max_attempts: Option<u32>,
    /// The wait before a retry, by receive count.
    pub backoff: Backoff,
    /// Timeout of a handler. A handler that takes longer is cancelled, which counts as a failure and is
    /// retried.
    pub handler_timeout: Option<Duration>,
    /// The circuit breaker, which pauses polling after repeated failures of the handler.
    pub breaker: BreakerSettings,
    /// How long handlers may still run after [`Running::shutdown`].
    pub grace: Duration,
    /// The wait after a failed receive or delete.
    pub poll_backoff: Backoff,
}

impl Default for ConsumerSettings {
    fn default() -> ConsumerSettings {
        ConsumerSettings {
            workers: 16,
            prefetch: 32,
            pollers: 2,
            wait: Duration::from_secs(20),
            linger: Duration::ZERO,
            visibility: None,
            max_attempts: None,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            handler_timeout: None,
            breaker: BreakerSettings::default(),
            grace: Duration::from_secs(30),
            poll_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

impl<T: Message> Consumer<T> {
    /// Consumes this queue.
    pub fn new(clients: &Clients, queue: &Queue) -> Consumer<T> {
        Consumer {
            clients: clients.clone(),
            queue: queue.clone(),
            settings: ConsumerSettings::default(),
            form: BodyForm::Envelope,
            steps: Vec::new(),
            dead_letters: DeadLetters::AsTheQueueSays,
            reads: PhantomData,
        }
    }

    /// Sets all settings.
    #[must_use]
    pub fn settings(mut self, settings: ConsumerSettings) -> Consumer<T> {
        self.settings = settings;
        self
    }

    /// Sets the number of handlers that run at the same time.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Consumer<T> {
        self.settings.workers = workers;
        self
    }

    /// Sets how bodies are read.
    #[must_use]
    pub fn form(mut self, form: BodyForm) -> Consumer<T> {
        self.form = form;
        self
    }

    /// Adds a step between envelope and wire, to be undone. Add the steps in the publisher's order.
    #[must_use]
    pub fn step(mut self, step: impl Into<Arc<dyn BodyStep>>) -> Consumer<T> {
        self.steps.push(step.into());
        self
    }

    /// Sends dead letters to this queue instead of the one that the redrive policy names.
    #[must_use]
    pub fn dead_letters_to(mut self, queue: &Queue) -> Consumer<T> {
        self.dead_letters = DeadLetters::To(queue.clone());
        self
    }

    /// Logs messages that cannot be handled as errors, and deletes them.
    #[must_use]
    pub fn without_dead_letters(mut self) -> Consumer<T> {
        self.dead_letters = DeadLetters::Dropped;
        self
    }

    /// Starts the consumer, with one message at a time for each handler.
    ///
    /// # Errors
    /// The queue cannot be read, or it has no dead-letter queue and none was set.
    pub async fn start<H: Handler<T>>(self, handler: H) -> Result<Running, StartError> {
        let handler = Arc::new(handler);
        self.launch(false, move |core| {
            let shop = Arc::new(Shop { core, handler: handler.clone() });
            move |job| work::one_by_one::<T, H>(shop.clone(), job)
        })
        .await
    }

    /// Starts the consumer, with all messages of a receive at once for each handler.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_batches<H: BatchHandler<T>>(self, handler: H) -> Result<Running, StartError> {
        let handler = Arc::new(handler);
        self.launch(true, move |core| {
            let shop = Arc::new(Shop { core, handler: handler.clone() });
            move |job| work::together::<T, H>(shop.clone(), job)
        })
        .await
    }

    /// `shop` creates, for each poller, the data that its jobs share and run with.
    async fn launch<F, J>(
        self,
        whole_batches: bool,
        shop: impl Fn(Arc<Core>) -> F,
    ) -> Result<Running, StartError>
    where
        F: Fn(Job) -> J + Send + Sync + 'static,
        J: Future<Output = ()> + Send + 'static,
    {
        let policy = QueuePolicy::of(&self.clients, &self.queue).await.map_err(StartError::Queue)?;
        let graveyard = match self.dead_letters {
            DeadLetters::To(queue) => Some(queue),
            DeadLetters::Dropped => None,
            DeadLetters::AsTheQueueSays => {
                let name = policy.dead_letters.ok_or(StartError::NoDeadLetters(self.queue.url.clone()))?;
                Some(self.clients.queue(&name).await.map_err(StartError::Queue)?)
            }
        };
        let settings = self.settings;
        let visibility = settings.visibility.unwrap_or(policy.visibility).max(Duration::from_secs(1));
        let tallies = Arc::new(Tallies::of(self.queue.name()));
        let (done, to_delete) = mpsc::unbounded_channel();
        let core = Arc::new(Core {
            sqs: self.clients.sqs.clone(),
            direct: Direct::new(&self.clients.sqs),
            graveyard: graveyard.map(|queue| dead::Graveyard::new(&self.clients, &queue, &self.queue)),
            queue: self.queue,
            settings,
            form: self.form,
            steps: self.steps,
            max_attempts: settings.max_attempts.or(policy.max_receives),
            workers: Semaphore::new(settings.workers.max(1)),
            breaker: CircuitBreaker::new(settings.breaker),
            done,
            tallies: tallies.clone(),
            stop: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            abort: CancellationToken::new(),
        });
        let held = Held::new(visibility);
        let silence = CancellationToken::new();
        let heart = held.clone().beat(core.sqs.clone(), core.queue.url.clone(), silence.clone());
        let deletes = deletes::delete(
            core.sqs.clone(),
            core.direct.clone(),
            core.queue.url.clone(),
            (settings.poll_backoff, settings.pollers),
            tallies.clone(),
            core.steps.clone(),
            to_delete,
        );
        let (heart, deletes) = (tokio::spawn(heart), tokio::spawn(deletes));

        let jobs = TaskTracker::new();
        let places = Arc::new(Semaphore::new(settings.workers.max(1) + settings.prefetch));
        let mut pollers = JoinSet::new();
        for _ in 0..settings.pollers.max(1) {
            let (core, run, at_once) = (core.clone(), shop(core.clone()), AtOnce::new(jobs.clone()));
            let (held, places) = (held.clone(), places.clone());
            pollers.spawn(poll::poll(core, held, places, visibility, whole_batches, at_once, run));
        }
        Ok(Running { core, pollers, jobs, heart, silence, deletes, tallies })
    }
}

/// The queue's own settings.
struct QueuePolicy {
    visibility: Duration,
    max_receives: Option<u32>,
    dead_letters: Option<String>,
}

impl QueuePolicy {
    async fn of(clients: &Clients, queue: &Queue) -> Result<QueuePolicy, Fault> {
        let call = clients.sqs.get_queue_attributes().queue_url(&queue.url);
        let call = call
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .attribute_names(QueueAttributeName::RedrivePolicy);
        let attributes = call.send().await?.attributes.unwrap_or_default();
        let visibility =
            attributes.get(&QueueAttributeName::VisibilityTimeout).and_then(|text| text.parse().ok());
        let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
        let policy: serde_json::Value =
            policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        // AWS returns a number; other servers return the value as it was set, which may be a string.
        let most = &policy["maxReceiveCount"];
        let most = most.as_u64().or_else(|| most.as_str()?.parse().ok());
        let target = policy["deadLetterTargetArn"].as_str().and_then(|arn| arn.rsplit(':').next());
        Ok(QueuePolicy {
            visibility: Duration::from_secs(visibility.unwrap_or(30)),
            max_receives: most.and_then(|most| u32::try_from(most).ok()),
            dead_letters: target.map(str::to_owned),
        })
    }
}

/// Why a consumer could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The queue, or its dead-letter queue, cannot be read.
    #[error("cannot read the queue's attributes: {0}")]
    Queue(#[source] Fault),
    /// There is no destination for messages that cannot be handled.
    #[error(
        "{0} has no dead-letter queue. Give it a redrive policy, or call dead_letters_to or without_dead_letters"
    )]
    NoDeadLetters(String),
}

/// A running consumer. Dropping it stops it like a crash: messages in progress come again.
pub struct Running {
    core: Arc<Core>,
    pollers: JoinSet<()>,
    jobs: TaskTracker,
    heart: JoinHandle<()>,
    silence: CancellationToken,
    deletes: JoinHandle<()>,
    tallies: Arc<Tallies>,
}

impl Running {
    /// Returns its counters.
    pub fn counts(&self) -> Counts {
        self.tallies.counts()
    }

    /// Returns whether polling is paused because the handler keeps failing.
    pub fn circuit(&self) -> Phase {
        self.core.breaker.phase()
    }

    /// Stops without losing messages. It cancels waiting receives and returns messages in transit to the
    /// queue. Running handlers finish, within [`grace`](ConsumerSettings::grace); then they are cancelled and
    /// their messages returned. Handled messages are deleted. An idle consumer stops within a second.
    ///
    /// If the server answers at the moment at which a receive is cancelled, it may not notice that no client
    /// reads the answer. Its messages then come back when their visibility timeout ends.
    pub async fn shutdown(mut self) -> Counts {
        self.core.begin_to_stop();
        let abort = self.core.abort.clone();
        let grace = self.core.settings.grace;
        let overdue = tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            abort.cancel();
        });
        while self.pollers.join_next().await.is_some() {}
        self.jobs.close();
        self.jobs.wait().await;
        overdue.abort();
        // The last sender is dropped with the core; then the deleter finishes.
        let tallies = self.tallies.clone();
        let (deletes, heart, silence) = self.take_apart();
        // A task that panicked has nothing left to finish.
        let _ = deletes.await;
        silence.cancel();
        let _ = heart.await;
        tallies.counts()
    }

    fn take_apart(mut self) -> (JoinHandle<()>, JoinHandle<()>, CancellationToken) {
        let nothing = || tokio::spawn(async {});
        let deletes = std::mem::replace(&mut self.deletes, nothing());
        let heart = std::mem::replace(&mut self.heart, nothing());
        (deletes, heart, std::mem::take(&mut self.silence))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.core.begin_to_stop();
        self.core.abort.cancel();
        self.heart.abort();
        self.deletes.abort();
    }
}
