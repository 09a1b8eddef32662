//! Large payloads go to an object store; the message carries a reference, the ticket.
//!
//! ```text
//!   publisher ── body ──▶ [object store]            consumer ◀── body ── [object store]
//!       └─────── ticket ─────────▶ [queue] ── ticket ──────▶┘  then: delete message, then object
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::body::{Attribute, Attributes, BodyError, BodyStep};

/// The message attribute with the object's path.
pub const CLAIM_CHECK: &str = "ClaimCheck";

/// Puts large bodies into an object store: a folder, S3, or any other store that the `object_store` crate
/// supports.
///
/// **Guarantee**: *at least once*, like the queue. The publisher writes the object before it sends the
/// message; the consumer deletes the object (if wanted) after the message. A crash in between leaves an
/// object without a message; [`sweep`](Self::sweep) deletes such objects.
///
/// **Requirement**: [`delete_when_handled`](Self::delete_when_handled) is off if several queues get the
/// message, as from a topic.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Report { text: String }
/// # impl toolkit::Message for Report { const TYPES: &'static [&'static str] = &["report"]; }
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use std::sync::Arc;
/// use toolkit::claim_check::ClaimCheck;
/// use toolkit::{Consumer, Publisher, QueueSpec, consumer::Delivery};
///
/// let store = Arc::new(object_store::memory::InMemory::new());
/// let step = ClaimCheck::new(store, "reports").larger_than(100_000).delete_when_handled(true);
///
/// let queue = QueueSpec::new("reports").dead_letters("reports-dlq", 3).ensure(&clients).await?;
/// // Larger than SQS permits.
/// let report = Report { text: "x".repeat(3_000_000) };
/// Publisher::queue(&clients, &queue).step(step.clone()).publish(report).await?;
/// # let (handled, mut seen) = tokio::sync::mpsc::unbounded_channel();
/// # let settings = toolkit::consumer::ConsumerSettings { wait: std::time::Duration::from_secs(1), ..Default::default() };
/// let running = Consumer::new(&clients, &queue)
///     # .settings(settings)
///     .step(step)
///     .start(move |report: Delivery<Report>| {
///         # let handled = handled.clone();
///         async move {
///             assert_eq!(report.data().text.len(), 3_000_000);
///             # handled.send(()).ok();
///         }
///     })
///     .await?;
/// # seen.recv().await;
/// # assert_eq!(running.shutdown().await.done, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ClaimCheck {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    larger_than: usize,
    delete_when_handled: bool,
}

/// The body of a message whose payload is in the store.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    claim_check: String,
    bytes: usize,
}

impl ClaimCheck {
    /// Stores objects below `prefix`. Bodies of more than 200,000 bytes go to the store, which leaves room
    /// within SNS's limit.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> ClaimCheck {
        ClaimCheck { store, prefix: Path::from(prefix), larger_than: 200_000, delete_when_handled: false }
    }

    /// Sets the size above which bodies go to the store, in bytes.
    #[must_use]
    pub fn larger_than(mut self, bytes: usize) -> ClaimCheck {
        self.larger_than = bytes;
        self
    }

    /// Sets whether a consumer deletes the object after the message. Off by default. Dead letters keep their
    /// objects.
    #[must_use]
    pub fn delete_when_handled(mut self, delete: bool) -> ClaimCheck {
        self.delete_when_handled = delete;
        self
    }

    /// Deletes objects that are older than `age`, and returns their number. Choose an age above the retention
    /// of the queues and their dead-letter queues: older objects have no message any more.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, age: Duration) -> Result<u64, object_store::Error> {
        let seconds = Timestamp::now().as_second() - i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let objects: Vec<_> = self.store.list(Some(&self.prefix)).try_collect().await?;
        let mut deleted = 0;
        for object in objects.into_iter().filter(|object| object.last_modified.timestamp() < seconds) {
            match self.store.delete(&object.location).await {
                // Another sweep has deleted it already.
                Ok(()) | Err(object_store::Error::NotFound { .. }) => deleted += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(deleted)
    }

    fn location(attributes: &Attributes) -> Option<Path> {
        attributes.get(CLAIM_CHECK).and_then(Attribute::as_text).and_then(|path| Path::parse(path).ok())
    }
}

#[async_trait]
impl BodyStep for ClaimCheck {
    async fn outgoing(&self, body: String, attributes: &mut Attributes) -> Result<String, BodyError> {
        if body.len() <= self.larger_than {
            return Ok(body);
        }
        let location = self.prefix.clone().join(uuid::Uuid::now_v7().to_string());
        let ticket = Ticket { claim_check: location.to_string(), bytes: body.len() };
        let put = self.store.put(&location, PutPayload::from(body)).await;
        put.map_err(|error| BodyError::passing(format!("the object store: {error}")))?;
        attributes.insert(CLAIM_CHECK.to_owned(), Attribute::Text(ticket.claim_check.clone()));
        serde_json::to_string(&ticket).map_err(|error| BodyError::permanent(error.to_string()))
    }

    async fn incoming(&self, body: String, attributes: &Attributes) -> Result<String, BodyError> {
        let Some(location) = ClaimCheck::location(attributes) else {
            return Ok(body);
        };
        if !location.prefix_matches(&self.prefix) {
            // A writer of messages must not be able to select arbitrary objects.
            return Err(BodyError::permanent(format!("{location} does not lie below {}", self.prefix)));
        }
        let ticket: Ticket = serde_json::from_str(&body)
            .map_err(|error| BodyError::permanent(format!("the ticket: {error}")))?;
        let unavailable = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => {
                BodyError::permanent(format!("the payload is gone: {error}"))
            }
            error => BodyError::passing(format!("the object store: {error}")),
        };
        let object = self.store.get(&location).await.map_err(unavailable)?;
        let bytes = object.bytes().await.map_err(unavailable)?;
        if bytes.len() != ticket.bytes {
            let why = format!("the payload has {} bytes; the ticket says {}", bytes.len(), ticket.bytes);
            return Err(BodyError::permanent(why));
        }
        String::from_utf8(bytes.into()).map_err(|_| BodyError::permanent("the payload is not text"))
    }

    async fn handled(&self, attributes: &Attributes) {
        let Some(location) = ClaimCheck::location(attributes) else { return };
        if self.delete_when_handled
            && location.prefix_matches(&self.prefix)
            && let Err(error) = self.store.delete(&location).await
        {
            tracing::warn!(%location, %error, "the payload was not deleted; a sweep will delete it");
        }
    }
}

impl From<ClaimCheck> for Arc<dyn BodyStep> {
    fn from(step: ClaimCheck) -> Arc<dyn BodyStep> {
        Arc::new(step)
    }
}
