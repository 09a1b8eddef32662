//! A publisher that gathers messages of many tasks into batches: by size, and by how long the first may wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::message::Message;
use crate::publisher::dispatch::{Dispatch, Item};
use crate::publisher::{Outgoing, Prepared, PublishError, Publisher, Receipt};

/// Gathers what many tasks publish. Cheap to clone.
///
/// **Promise**: at least once, like [`Publisher`]; `publish` returns when its message has been accepted. A caller that stops
/// waiting does not stop its message.
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

    /// Publishes one message together with others, and waits until it is accepted.
    ///
    /// # Errors
    /// As [`Publisher::publish`]; and [`PublishError::Closed`] after [`close`](Self::close).
    pub async fn publish<T: Message>(
        &self,
        message: impl Into<Outgoing<T>>,
    ) -> Result<Receipt, PublishError> {
        self.publish_prepared(self.publisher.prepare(message).await?).await
    }

    /// Publishes what is prepared already.
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

    /// Sends what waits, and returns when it is over. Other clones publish no more.
    pub async fn close(self) {
        self.closing.cancel();
        if let Some(gatherer) = self.gatherer.lock().await.take() {
            // A panic in there has been reported by tokio; there is nothing left to send.
            let _ = gatherer.await;
        }
    }
}

/// Takes in and sends out until the last sender is gone or this is closed, and everything is sent.
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
            // What is due and still waits, waits for a request to finish, not for the clock.
            () = linger_ends, if !due => {}
            // What is in the channel already is still taken; then `recv` gives `None`.
            () = closing.cancelled(), if !closed => { closed = true; receiver.close(); }
            // Nothing above applies only when nothing is left to do.
            else => break,
        }
    }
}
