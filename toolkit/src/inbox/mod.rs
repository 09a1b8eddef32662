//! Remembers the handled messages, so that a handler runs once for each.
//!
//! A queue delivers at least once. How to make this *effectively once* depends on what the handler does:
//!
//! | the handler's work | use | guarantee |
//! |---|---|---|
//! | changes one database | `sql::in_transaction` | effectively once: the changes and the id commit together or not at all |
//! | anything else | [`once`] | once, unless the process dies after the work and before the id is stored: then the message is handled again after the lease |
//!
//! If several duplicates arrive at the same time, both run one of them; the others come back later and find
//! it done.

mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryInbox;

use crate::consumer::{Delivery, Handler, Outcome};
use crate::message::Message;

/// A store of keys. All consumers of a queue must be able to reach it.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Asks to handle `key`. Of several concurrent callers, one gets [`Begin::Run`].
    ///
    /// # Errors
    /// The store cannot be reached; then nothing is claimed.
    async fn begin(&self, key: &str, lease: Duration) -> Result<Begin, InboxError>;

    /// Renews the lease of a claim. Returns `false` if it had ended and another caller has the claim.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn renew(&self, key: &str, claim: &Claim, lease: Duration) -> Result<bool, InboxError>;

    /// Reports that the work is done: `key` is remembered for `keep`. Returns `false` if the lease had ended
    /// and another caller has the claim.
    ///
    /// # Errors
    /// The store cannot be reached; then the key may be handled again.
    async fn finish(&self, key: &str, claim: &Claim, keep: Duration) -> Result<bool, InboxError>;

    /// Reports that the work was not done: other callers may try at once.
    ///
    /// # Errors
    /// The store cannot be reached; then other callers wait until the lease ends.
    async fn abandon(&self, key: &str, claim: &Claim) -> Result<(), InboxError>;

    /// Deletes the keys that need not be kept any longer, and returns their number. The handlers of this
    /// module, and those of `sql`, call it once a minute.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn expire(&self) -> Result<u64, InboxError>;
}

/// The result of asking to handle a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begin {
    /// The caller may handle it, and must pass this claim at the end.
    Run(Claim),
    /// The key has been handled.
    Done,
    /// Another caller is handling it. If that caller dies, its lease ends after this time.
    Busy(Duration),
}

/// How often a waiting duplicate checks the other one.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Proves ownership of a claim: a new owner's claim differs from an old one's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim(pub String);

impl Claim {
    pub(crate) fn new() -> Claim {
        Claim(uuid::Uuid::new_v4().to_string())
    }
}

/// The store cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("inbox error: {0}")]
pub struct InboxError(pub String);

/// Durations of an inbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InboxSettings {
    /// The lease: how long a claim lasts if its owner dies. A running owner renews it.
    pub lease: Duration,
    /// How long a duplicate waits for the other one before it returns to the queue.
    pub patience: Duration,
    /// How long a handled key is remembered: longer than a duplicate can be delayed. A queue keeps a message
    /// up to 14 days.
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
/// **Guarantee**: of all deliveries of one message, concurrent or later, one runs the handler to
/// [`Outcome::Done`]. If the process dies after the work and before the id is stored, the handler runs again
/// after the lease.
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
/// // The same order is published twice.
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

/// Runs `expire` from time to time: otherwise the inbox would grow for ever.
#[derive(Default)]
struct Forgetting {
    due: Mutex<Option<tokio::time::Instant>>,
}

const FORGET_EVERY: Duration = Duration::from_secs(60);

impl Forgetting {
    /// To be called for each message. It is cheap if nothing is due; otherwise it runs in the background.
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
                tracing::warn!(%error, "old ids were not deleted");
            }
        });
    }
}

impl<T: Message, H: Handler<T>> Handler<T> for Once<H> {
    async fn handle(&self, delivery: Delivery<T>) -> Outcome {
        self.forgetting.now_and_then(|| self.inbox.clone());
        let key = delivery.envelope.id.clone();
        let lease = self.settings.lease;
        // The other delivery is usually done soon; checking again costs less than a round through the queue.
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
                    Ok(false) => tracing::warn!(%key, "the claim was lost; the message may be handled twice"),
                    Err(error) => tracing::warn!(%key, %error, "the claim cannot be renewed"),
                }
            }
        };
        // If the handler is cancelled or panics, dropping this returns the claim.
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
            tracing::warn!(%key, %error, "the result of the message was not stored");
        }
        outcome
    }
}

/// Returns a claim if its owner is dropped without a result while the process lives on.
struct Abandon<'a> {
    inbox: Option<Arc<dyn Inbox>>,
    key: &'a str,
    claim: &'a Claim,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        // Outside of a runtime, the lease ends by itself.
        if let (Some(inbox), Ok(runtime)) = (self.inbox.take(), tokio::runtime::Handle::try_current()) {
            let (key, claim) = (self.key.to_owned(), self.claim.clone());
            runtime.spawn(async move { inbox.abandon(&key, &claim).await });
        }
    }
}
