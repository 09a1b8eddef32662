//! Questions and answers over queues: a request names the queue for the reply; the reply names the request.
//!
//! ```text
//!   requester ── request {id, reply_to} ──▶ [requests] ──▶ responder
//!       ▲                                                     │
//!       └────────── [replies] ◀── reply {causation id} ───────┘
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::clients::Clients;
use crate::consumer::{Delivery, Handler, Outcome};
use crate::envelope::Envelope;
use crate::fault::Fault;
use crate::message::Message;
use crate::publisher::{Outgoing, PublishError, Publisher};
use crate::queue::{Queue, QueueSpec};

/// Sends requests, and waits for the replies.
///
/// **Guarantee**: a request is delivered *at least once*; the requester gets a reply *at most once*. After a
/// timeout the result is unknown: a responder may have handled the request, or may still do so. Ask again
/// with the same id ([`Outgoing::id`]) and responders behind an [inbox](crate::inbox).
///
/// **Requirement**: a reply queue that only this requester reads: a temporary one for each process, or a
/// permanent one for each instance of a service. Any number of requests may wait at the same time. (The
/// publisher's steps, such as encryption, apply to the request only.)
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use toolkit::Message;
/// #[derive(Serialize, Deserialize)]
/// struct Ask { number: u64 }
/// #[derive(Serialize, Deserialize)]
/// struct Answer { square: u64 }
/// # impl Message for Ask { const TYPES: &'static [&'static str] = &["ask"]; }
/// # impl Message for Answer { const TYPES: &'static [&'static str] = &["answer"]; }
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use std::time::Duration;
/// use toolkit::request_reply::{Requester, responder};
/// use toolkit::{Consumer, Publisher, QueueSpec, consumer::Delivery};
///
/// let requests = QueueSpec::new("squares").dead_letters("squares-dlq", 3).ensure(&clients).await?;
/// let answering = responder(&clients, "squarer", |ask: Delivery<Ask>| async move {
///     Ok::<_, String>(Answer { square: ask.data().number * ask.data().number })
/// });
/// # let settings = toolkit::consumer::ConsumerSettings { wait: Duration::from_secs(1), ..Default::default() };
/// let running = Consumer::new(&clients, &requests)
///     # .settings(settings)
///     .start(answering).await?;
///
/// let requester = Requester::temporary(&clients, Publisher::queue(&clients, &requests)).await?;
/// let answer = requester.ask::<Ask, Answer>(Ask { number: 12 }, Duration::from_secs(10)).await?;
/// assert_eq!(answer.data.square, 144);
/// requester.close().await?;
/// # running.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Requester {
    clients: Clients,
    publisher: Publisher,
    replies: Queue,
    temporary: bool,
    waiting: Arc<Waiting>,
    reader: JoinHandle<()>,
}

/// The waiting callers by request id; several if the same id was asked again before the first reply.
#[derive(Default)]
struct Waiting(Mutex<HashMap<String, Vec<oneshot::Sender<String>>>>);

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The request could not be sent.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// No reply arrived in time. A responder may have handled the request, or may still do so.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// A reply arrived that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] crate::envelope::EnvelopeError),
    /// The responder refused.
    #[error("the responder refused: {0}")]
    Refused(String),
    /// The requester is closed.
    #[error("the requester is closed")]
    Closed,
}

/// The type of a reply that is a refusal; its data is a text.
const REFUSED: &str = "request.refused";

impl Requester {
    /// Creates a requester with a temporary reply queue, which [`close`](Self::close) deletes. Its name
    /// begins with `reply-`. After a crash it remains, with a retention of one minute.
    ///
    /// # Errors
    /// The queue cannot be created.
    pub async fn temporary(clients: &Clients, publisher: Publisher) -> Result<Requester, Fault> {
        let name = format!("reply-{}", uuid::Uuid::new_v4());
        let spec =
            QueueSpec::new(name).retention(Duration::from_secs(60)).receive_wait(Duration::from_secs(20));
        let replies = spec.ensure(clients).await?;
        let mut requester = Requester::shared(clients, publisher, &replies);
        requester.temporary = true;
        Ok(requester)
    }

    /// Uses a permanent reply queue that only this requester reads. Must be called within a tokio runtime.
    pub fn shared(clients: &Clients, publisher: Publisher, replies: &Queue) -> Requester {
        let waiting = Arc::new(Waiting::default());
        let reader = tokio::spawn(read_replies(clients.clone(), replies.clone(), waiting.clone()));
        Requester {
            clients: clients.clone(),
            publisher,
            replies: replies.clone(),
            temporary: false,
            waiting,
            reader,
        }
    }

    /// Sends a request, and waits up to `patience` for the reply.
    ///
    /// # Errors
    /// The request cannot be sent, or no readable reply arrives in time.
    pub async fn ask<Q: Message, A: Message>(
        &self,
        request: impl Into<Outgoing<Q>>,
        patience: Duration,
    ) -> Result<Envelope<A>, RequestError> {
        let prepared = self.publisher.prepare(request.into().reply_to(&self.replies.url)).await?;
        let id = prepared.id.clone();
        // Removed after the receiver, however this function ends.
        let _forget = Forget { waiting: &self.waiting, id: &id };
        let (sender, receiver) = oneshot::channel();
        // Registered before the send, because the reply may be fast.
        self.waiting.lock().entry(id.clone()).or_default().push(sender);
        for result in self.publisher.publish_prepared(vec![prepared]).await? {
            result?;
        }
        let body =
            tokio::time::timeout(patience, receiver).await.map_err(|_| RequestError::Timeout(patience))?;
        let body = body.map_err(|_| RequestError::Closed)?;
        let kind: Envelope<&serde_json::value::RawValue> = serde_json::from_str(&body)
            .map_err(|why| crate::envelope::EnvelopeError::Unreadable { what: "the answer", why })?;
        if kind.message_type == REFUSED {
            let why = serde_json::from_str(kind.data.get()).unwrap_or_else(|_| kind.data.get().to_owned());
            return Err(RequestError::Refused(why));
        }
        Ok(Envelope::decode(&body)?)
    }

    /// Closes the requester and deletes a temporary reply queue. Waiting callers get
    /// [`RequestError::Closed`].
    ///
    /// # Errors
    /// The queue cannot be deleted.
    pub async fn close(self) -> Result<(), Fault> {
        self.reader.abort();
        self.waiting.lock().clear();
        if self.temporary {
            self.clients.sqs.delete_queue().queue_url(&self.replies.url).send().await?;
        }
        Ok(())
    }
}

impl Drop for Requester {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<oneshot::Sender<String>>>> {
        // Each change is one call of the map, so the map is valid after a panic on another thread.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Forget<'a> {
    waiting: &'a Waiting,
    id: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        if let Some(senders) = waiting.get_mut(self.id) {
            // The own entry is the one whose receiver is gone.
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(self.id);
            }
        }
    }
}

/// Passes each reply to the caller that waits for it. Drops replies without a waiting caller.
async fn read_replies(clients: Clients, replies: Queue, waiting: Arc<Waiting>) {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut failures = 0;
    loop {
        let call = clients.sqs.receive_message().queue_url(&replies.url).max_number_of_messages(10);
        let messages = match call.wait_time_seconds(20).send().await {
            Ok(answer) => answer.messages.unwrap_or_default(),
            Err(error) => {
                failures += 1;
                tracing::warn!(queue = replies.name(), fault = %Fault::from(error), "cannot receive answers");
                tokio::time::sleep(backoff.delay(failures)).await;
                continue;
            }
        };
        failures = 0;
        let mut entries = Vec::new();
        for (number, message) in messages.into_iter().enumerate() {
            let body = message.body.unwrap_or_default();
            if let Ok(envelope) = serde_json::from_str::<Envelope<&serde_json::value::RawValue>>(&body) {
                let asked = envelope.metadata.causation_id.as_ref().and_then(|id| waiting.lock().remove(id));
                match asked {
                    // A caller that gave up at this moment gets its timeout.
                    Some(asked) => asked.into_iter().for_each(|asked| drop(asked.send(body.clone()))),
                    None => tracing::debug!(id = %envelope.id, "an answer that nobody waits for"),
                }
            }
            let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
            entries.extend(entry.receipt_handle(message.receipt_handle.unwrap_or_default()).build());
        }
        if !entries.is_empty() {
            let call = clients.sqs.delete_message_batch().queue_url(&replies.url).set_entries(Some(entries));
            if let Err(error) = call.send().await {
                // The messages come again, and then no caller waits for them.
                tracing::debug!(fault = %Fault::from(error), "answers were not deleted");
            }
        }
    }
}

/// Answers one request at a time. An async closure from a [`Delivery`] to a `Result` is an answerer; an error
/// text is sent as a refusal.
pub trait Answerer<Q, A>: Send + Sync + 'static {
    /// Returns the reply, or the reason for a refusal.
    fn answer(&self, request: Delivery<Q>) -> impl Future<Output = Result<A, String>> + Send;
}

impl<Q, A, F, R, E> Answerer<Q, A> for F
where
    Q: Send + 'static,
    F: Fn(Delivery<Q>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<A, E>> + Send,
    E: std::fmt::Display,
{
    async fn answer(&self, request: Delivery<Q>) -> Result<A, String> {
        self(request).await.map_err(|error| error.to_string())
    }
}

/// Returns a handler that answers requests.
///
/// **Guarantee**: *at least once*: a redelivered request is answered again.
pub fn responder<Q: Message, A: Message, F: Answerer<Q, A>>(
    clients: &Clients,
    source: &str,
    answerer: F,
) -> Responder<A, F> {
    Responder {
        clients: clients.clone(),
        source: source.to_owned(),
        answerer,
        answers: std::marker::PhantomData,
    }
}

/// The handler of [`responder`].
pub struct Responder<A, F> {
    clients: Clients,
    source: String,
    answerer: F,
    answers: std::marker::PhantomData<fn() -> A>,
}

/// A refusal as a message.
#[derive(serde::Serialize, serde::Deserialize)]
struct Refusal(String);

impl Message for Refusal {
    const TYPES: &'static [&'static str] = &[REFUSED];
}

impl<Q: Message, A: Message, F: Answerer<Q, A>> Handler<Q> for Responder<A, F> {
    async fn handle(&self, delivery: Delivery<Q>) -> Outcome {
        let Envelope { id, message_type, source, timestamp, metadata, .. } = &delivery.envelope;
        // The envelope without the data, which may not be cloneable.
        let cause = Envelope {
            id: id.clone(),
            message_type: message_type.clone(),
            source: source.clone(),
            timestamp: *timestamp,
            data: (),
            metadata: metadata.clone(),
        };
        let Some(reply_to) = cause.metadata.reply_to.clone() else {
            return Outcome::give_up("the request does not say where its answer is awaited");
        };
        let publisher = Publisher::queue(&self.clients, &Queue::at(reply_to)).source(self.source.clone());
        let sent = match self.answerer.answer(delivery).await {
            Ok(answer) => publisher.publish(Outgoing::new(answer).caused_by(&cause)).await,
            Err(why) => publisher.publish(Outgoing::new(Refusal(why)).caused_by(&cause)).await,
        };
        match sent {
            Ok(_) => Outcome::Done,
            // A temporary queue is deleted with its requester, so no caller waits any more.
            Err(PublishError::Refused { fault, .. })
                if fault.code.ends_with("QueueDoesNotExist") || fault.code.ends_with("NonExistentQueue") =>
            {
                tracing::info!(id = %cause.id, "the requester is gone");
                Outcome::Done
            }
            Err(error) => Outcome::retry(error),
        }
    }
}
