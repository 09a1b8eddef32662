//! A publisher that collects messages of many tasks in batches, by size and by the longest wait of a message.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::message::Message;
use crate::publisher::dispatch::{Dispatch, Item};
use crate::publisher::{Outgoing, Prepared, PublishError, Publisher, Receipt};

/// Collects the messages of many tasks in batches. Cheap to clone.
///
/// **Guarantee**: at least once, like [`Publisher`]; `publish` returns when its message has been accepted. A
/// caller that stops waiting does not stop its message.
#[derive(Clone, Debug)]
pub struct BatchingPublisher {
    publisher: Publisher,
    sender: mpsc::Sender<Item>,
    closing: CancellationToken,
    gatherer: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

impl BatchingPublisher {
    pub(super) fn new(publisher: Publisher, linger: Duration) -> BatchingPublisher {
        let most = publisher.settings.waiting.max(1);
        let (sender, receiver) = mpsc::channel(most);
        let closing = CancellationToken::new();
        let dispatch =
            Dispatch::new(publisher.sink.clone(), publisher.settings, publisher.tallies.clone(), false);
        let gatherer = tokio::spawn(gather(receiver, dispatch, linger, most, closing.clone()));
        BatchingPublisher {
            publisher,
            sender,
            closing,
            gatherer: Arc::new(tokio::sync::Mutex::new(Some(gatherer))),
        }
    }

    /// Publishes a message in a batch with others, and waits until it is accepted.
    ///
    /// # Errors
    /// As [`Publisher::publish`]; and [`PublishError::Closed`] after [`close`](Self::close).
    pub async fn publish<T: Message>(
        &self,
        message: impl Into<Outgoing<T>>,
    ) -> Result<Receipt, PublishError> {
        self.publish_prepared(self.publisher.prepare(message).await?).await
    }

    /// Publishes a prepared message.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_prepared(&self, message: Prepared) -> Result<Receipt, PublishError> {
        self.publisher.check(&message)?;
        let (reply, answer) = oneshot::channel();
        let message = Arc::new(message);
        self.sender.send(Item { message, reply }).await.map_err(|_| PublishError::Closed)?;
        answer.await.map_err(|_| PublishError::Closed)?
    }

    /// Sends the waiting messages, and returns when all are done. Other clones cannot publish any more.
    pub async fn close(self) {
        self.closing.cancel();
        if let Some(gatherer) = self.gatherer.lock().await.take() {
            // tokio has reported a panic in the task; nothing is left to send.
            let _ = gatherer.await;
        }
    }
}

/// Receives and sends messages until the last sender is gone or this publisher is closed, and all messages
/// are sent.
async fn gather(
    mut receiver: mpsc::Receiver<Item>,
    mut dispatch: Dispatch,
    linger: Duration,
    most: usize,
    closing: CancellationToken,
) {
    let mut flush_at: Option<Instant> = None;
    let (mut open, mut closed) = (true, false);
    while open || !dispatch.is_idle() {
        let due = !open || closed || flush_at.is_some_and(|at| at <= Instant::now());
        dispatch.start(due);
        flush_at = match dispatch.waiting() {
            0 => None,
            _ => Some(flush_at.unwrap_or_else(|| Instant::now() + linger)),
        };
        let linger_ends = async {
            match flush_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let may_take = open && dispatch.waiting() < most;
        tokio::select! {
            item = receiver.recv(), if may_take => match item {
                Some(item) => dispatch.add(item),
                None => open = false,
            },
            () = dispatch.next_finished(), if dispatch.has_under_way() => {}
            // A due message that still waits is waiting for a request to end, not for the clock.
            () = linger_ends, if !due => {}
            // The messages in the channel are still received; then `recv` returns `None`.
            () = closing.cancelled(), if !closed => { closed = true; receiver.close(); }
            // All branches above are disabled only if nothing is left to do.
            else => break,
        }
    }
}
