//! Remembers which messages have been handled, so that a handler runs once for each.
//!
//! A queue delivers at least once. What makes that *effectively once* depends on what the handler does:
//!
//! | the handler's work | use | promise |
//! |---|---|---|
//! | changes one database | `sql::in_transaction` | effectively once: work and memory commit together or not at all |
//! | anything else | [`once`] | once, unless a crash falls between the work and the memory of it: then again, after the lease |
//!
//! Both run one of several simultaneous duplicates; the others come back later and find it done.

mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryInbox;

use crate::consumer::{Delivery, Handler, Outcome};
use crate::message::Message;

/// A memory of keys. Keep it where all consumers of a queue can reach it.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Asks to handle `key`. Of many who ask at once, one is told [`Begin::Run`].
    ///
    /// # Errors
    /// When the memory cannot be reached; then nothing is claimed.
    async fn begin(&self, key: &str, lease: Duration) -> Result<Begin, InboxError>;

    /// The work goes on: keeps the claim for another lease. `false` if it had run out and another has taken it.
    ///
    /// # Errors
    /// When the memory cannot be reached.
    async fn renew(&self, key: &str, claim: &Claim, lease: Duration) -> Result<bool, InboxError>;

    /// The work is done: `key` is remembered for `keep`. `false` if the claim had run out and another has taken it.
    ///
    /// # Errors
    /// When the memory cannot be reached; then the key may be handled again.
    async fn finish(&self, key: &str, claim: &Claim, keep: Duration) -> Result<bool, InboxError>;

    /// The work was not done: others may try at once.
    ///
    /// # Errors
    /// When the memory cannot be reached; then others wait until the lease ends.
    async fn abandon(&self, key: &str, claim: &Claim) -> Result<(), InboxError>;

    /// Forgets what was to be kept until now; gives how many. The handlers of this module, and those of `sql`, see to it once a minute.
    ///
    /// # Errors
    /// When the memory cannot be reached.
    async fn expire(&self) -> Result<u64, InboxError>;
}

/// The answer to "may I?".
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begin {
    /// Yes; say this at the end.
    Run(Claim),
    /// It has been done.
    Done,
    /// Somebody is at it; if he dies, his claim ends in so long.
    Busy(Duration),
}

/// How often a waiting duplicate looks for its twin.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Proof that a key is ours: an old holder's differs from a new one's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim(pub String);

impl Claim {
    pub(crate) fn new() -> Claim {
        Claim(uuid::Uuid::new_v4().to_string())
    }
}

/// The memory cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the inbox: {0}")]
pub struct InboxError(pub String);

/// How long an inbox holds and remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InboxSettings {
    /// How long a claim holds if its holder dies. A living holder renews it.
    pub lease: Duration,
    /// How long a duplicate waits for its twin before it goes back to the queue.
    pub patience: Duration,
    /// How long a handled key is remembered: longer than a duplicate can be late. A queue keeps a message up to 14 days.
    pub keep: Duration,
}

impl Default for InboxSettings {
    /// A minute, two seconds, and AWS's longest retention.
    fn default() -> InboxSettings {
        InboxSettings {
            lease: Duration::from_secs(60),
            patience: Duration::from_secs(2),
            keep: Duration::from_secs(14 * 86_400),
        }
    }
}

/// Makes a handler run once for each envelope id.
///
/// **Promise**: of any number of deliveries of one message, at the same time or later, one runs the handler to
/// [`Outcome::Done`]. After a crash between the work and the memory of it the handler runs again, once the lease has ended.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderCreated { id: String }
/// # impl toolkit::Message for OrderCreated { const TYPES: &'static [&'static str] = &["order.created"]; }
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use toolkit::consumer::{ConsumerSettings, Delivery, Outcome};
/// use toolkit::inbox::{InboxSettings, MemoryInbox, once};
/// use toolkit::publisher::Outgoing;
/// use toolkit::{Consumer, Publisher, QueueSpec};
///
/// let queue = QueueSpec::new("orders").dead_letters("orders-dlq", 3).ensure(&clients).await?;
/// let publisher = Publisher::queue(&clients, &queue);
/// // Somebody publishes the same order twice.
/// for _ in 0..2 {
///     publisher.publish(Outgoing::new(OrderCreated { id: "o-1".into() }).id("o-1")).await?;
/// }
/// # let (handled, mut seen) = tokio::sync::mpsc::unbounded_channel();
/// let handler = move |order: Delivery<OrderCreated>| {
///     # let handled = handled.clone();
///     async move {
///         println!("charged {}", order.data().id);
///         # handled.send(()).ok();
///         Outcome::Done
///     }
/// };
/// # let settings = ConsumerSettings { wait: std::time::Duration::from_secs(1), ..Default::default() };
/// let running = Consumer::new(&clients, &queue)
///     # .settings(settings)
///     .start(once(MemoryInbox::new(), InboxSettings::default(), handler))
///     .await?;
/// # while running.counts().deleted < 2 { tokio::time::sleep(std::time::Duration::from_millis(5)).await; }
/// # running.shutdown().await;
/// # seen.recv().await; assert!(seen.recv().await.is_none(), "charged once");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub fn once<H>(inbox: impl Into<Arc<dyn Inbox>>, settings: InboxSettings, handler: H) -> Once<H> {
    Once { inbox: inbox.into(), settings, handler, forgetting: Forgetting::default() }
}

/// A handler behind an [`Inbox`]: see [`once`].
pub struct Once<H> {
    inbox: Arc<dyn Inbox>,
    settings: InboxSettings,
    handler: H,
    forgetting: Forgetting,
}

/// Has an inbox forget, now and then: otherwise it would grow for ever.
#[derive(Default)]
struct Forgetting {
    due: Mutex<Option<tokio::time::Instant>>,
}

const FORGET_EVERY: Duration = Duration::from_secs(60);

impl Forgetting {
    /// To be called for each message. Costs next to nothing when it is not yet time, and nobody waits for it when it is.
    fn now_and_then(&self, inbox: impl FnOnce() -> Arc<dyn Inbox>) {
        let now = tokio::time::Instant::now();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.is_some_and(|due| now < due) {
            return;
        }
        *due = Some(now + FORGET_EVERY);
        drop(due);
        let inbox = inbox();
        tokio::spawn(async move {
            if let Err(error) = inbox.expire().await {
                tracing::warn!(%error, "what is old was not forgotten");
            }
        });
    }
}

impl<T: Message, H: Handler<T>> Handler<T> for Once<H> {
    async fn handle(&self, delivery: Delivery<T>) -> Outcome {
        self.forgetting.now_and_then(|| self.inbox.clone());
        let key = delivery.envelope.id.clone();
        let lease = self.settings.lease;
        // A duplicate's twin is usually done in a moment; asking again costs less than a round through the queue.
        let patient_until = tokio::time::Instant::now() + self.settings.patience;
        let claim = loop {
            match self.inbox.begin(&key, lease).await {
                Ok(Begin::Run(claim)) => break claim,
                Ok(Begin::Done) => {
                    tracing::debug!(%key, "handled before");
                    metrics::counter!("messages.duplicate").increment(1);
                    return Outcome::Done;
                }
                Ok(Begin::Busy(left)) if tokio::time::Instant::now() < patient_until => {
                    tokio::time::sleep(left.min(ASK_AGAIN)).await;
                }
                Ok(Begin::Busy(left)) => return Outcome::not_yet(left, "a duplicate is being handled"),
                Err(error) => return Outcome::retry(error),
            }
        };
        let renew = async {
            loop {
                tokio::time::sleep(lease / 3).await;
                match self.inbox.renew(&key, &claim, lease).await {
                    Ok(true) => {}
                    Ok(false) => tracing::warn!(%key, "the claim ran out; the message may be handled twice"),
                    Err(error) => tracing::warn!(%key, %error, "the claim cannot be renewed"),
                }
            }
        };
        // Where the handler is broken off or panics, the claim goes back when this does.
        let mut guard = Abandon { inbox: Some(self.inbox.clone()), key: &key, claim: &claim };
        let outcome = tokio::select! {
            outcome = self.handler.handle(delivery) => outcome,
            never = renew => never,
        };
        guard.inbox = None;
        let remembered = match outcome {
            Outcome::Done => self.inbox.finish(&key, &claim, self.settings.keep).await.map(drop),
            _ => self.inbox.abandon(&key, &claim).await,
        };
        if let Err(error) = remembered {
            tracing::warn!(%key, %error, "what became of the message was not remembered");
        }
        outcome
    }
}

/// Gives a claim back if its holder ends without a word but the process lives on.
struct Abandon<'a> {
    inbox: Option<Arc<dyn Inbox>>,
    key: &'a str,
    claim: &'a Claim,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        // Outside a runtime, the lease ends by itself.
        if let (Some(inbox), Ok(runtime)) = (self.inbox.take(), tokio::runtime::Handle::try_current()) {
            let (key, claim) = (self.key.to_owned(), self.claim.clone());
            runtime.spawn(async move { inbox.abandon(&key, &claim).await });
        }
    }
}
