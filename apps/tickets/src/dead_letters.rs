//! The dead letters: looked after, logged with all that is known of them, and put back into their queues when asked.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use toolkit::dead_letters::{
    DeadLetter, DeadLetterMonitor, DeadLetterReport, FileArchive, Requeued, requeue,
};
use toolkit::{Clients, Envelope, Fault, Message};

use crate::events::{EventManagementEvent, PaymentEvent, Subject, TicketEvent};
use crate::store::{LogLine, Status, Store};
use crate::topology::Topology;

/// A monitor of both dead-letter queues that logs, archives and tells of what it finds.
pub fn monitor(
    clients: &Clients,
    topology: &Topology,
    store: &Store,
    folder: &Path,
    every: Duration,
) -> DeadLetterMonitor {
    let store = store.clone();
    let (queue, graveyard) = (&topology.payment_dlq, &topology.ticket_dlq);
    DeadLetterMonitor::new(clients)
        .watch(queue)
        .watch(graveyard)
        .every(every)
        .archive(FileArchive::new(folder.join("dead-letters.jsonl")))
        .alert(move |report: &DeadLetterReport| {
            let letters = report.new.clone();
            for letter in &letters {
                tracing::error!("{}", as_logged(letter));
            }
            let store = store.clone();
            tokio::spawn(async move {
                for letter in &letters {
                    let detail = format!("{}: {}", letter.category.as_str(), letter.reason);
                    if let Err(error) = store.log(&line(letter, Status::DeadLetter, detail)).await {
                        tracing::error!(%error, "a dead letter was not logged");
                    }
                }
            });
        })
}

/// A dead letter with its full context, in one line of JSON: `messageId`, `receiveCount`, `sentTimestamp` and `message` (the event
/// itself), and beside them why, where, and in which envelope.
pub fn as_logged(letter: &DeadLetter) -> Value {
    let envelope: Option<Envelope<Value>> = serde_json::from_str(&letter.message).ok();
    let mut logged = json!({
        "messageId": letter.message_id,
        "receiveCount": letter.receive_count.to_string(),
        "sentTimestamp": letter.sent_timestamp.as_millisecond().to_string(),
        "category": letter.category.as_str(),
        "reason": letter.reason,
        "queue": letter.source,
    });
    match envelope {
        Some(envelope) => {
            logged["id"] = json!(envelope.id);
            logged["correlationId"] = json!(envelope.metadata.correlation_id);
            logged["message"] = envelope.data;
        }
        None => logged["message"] = json!(letter.message),
    }
    logged
}

/// Puts letters back into the queues that they came from, at most so many a second.
///
/// # Errors
/// When a queue cannot be reached.
pub async fn put_back(
    clients: &Clients,
    topology: &Topology,
    store: &Store,
    per_second: f64,
    choose: impl Fn(&DeadLetter) -> bool,
) -> Result<Requeued, RequeueError> {
    let mut all = Requeued::default();
    for (queue, graveyard) in topology.pairs() {
        let mut chosen = Vec::new();
        let result = requeue(clients, graveyard, queue, per_second, |letter| {
            let yes = choose(letter);
            if yes {
                chosen.push(line(letter, Status::Requeued, format!("into {}", queue.name())));
            }
            yes
        })
        .await;
        for line in chosen {
            store.log(&line).await?;
        }
        let moved = result?;
        all = Requeued { moved: all.moved + moved.moved, left: all.left + moved.left };
    }
    Ok(all)
}

/// Why letters were not put back.
#[derive(Debug, thiserror::Error)]
pub enum RequeueError {
    #[error("the queues: {0}")]
    Queue(#[from] Fault),
    #[error(transparent)]
    Store(#[from] toolkit::sql::StoreError),
}

/// What tells a message from others: its envelope's id, or its beginning.
pub fn key(letter: &DeadLetter) -> String {
    match &letter.envelope {
        Some((id, _)) => id.clone(),
        None => letter.message.chars().take(60).collect(),
    }
}

fn line(letter: &DeadLetter, status: Status, detail: String) -> LogLine {
    fn subject<T: Message + Subject>(letter: &DeadLetter) -> Option<String> {
        Envelope::<T>::decode(&letter.message).ok().map(|envelope| envelope.data.subject().to_owned())
    }
    let subject = subject::<PaymentEvent>(letter)
        .or_else(|| subject::<TicketEvent>(letter))
        .or_else(|| subject::<EventManagementEvent>(letter));
    LogLine {
        key: key(letter),
        message_id: letter.message_id.clone(),
        event_type: letter.envelope.as_ref().map_or("(unreadable)", |(_, kind)| kind).to_owned(),
        subject: subject.unwrap_or_default(),
        status,
        attempt: letter.receive_count,
        detail,
    }
}
