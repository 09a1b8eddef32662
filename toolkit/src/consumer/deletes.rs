//! Deletes finished messages: ten at a time under load, at once otherwise.

use std::sync::Arc;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::body::BodyStep;
use crate::consumer::decode::unwrap_notification;
use crate::consumer::held::Received;
use crate::consumer::raw::RawBatch;
use crate::consumer::tallies::Tallies;
use crate::consumer::work::Core;
use crate::direct::{BatchAsk, Direct, Failed, Failures, PATIENCE};
use crate::fault::Fault;
use crate::publisher::BATCH_ENTRIES;

/// Maximum number of concurrent requests; more if there are more pollers, which deletes would otherwise hold
/// back.
const REQUESTS: usize = 4;
const ATTEMPTS: u32 = 10;

/// A message to delete.
pub(super) struct Finished {
    pub received: Received,
    /// Whether its handler returned done. (Otherwise its copy is in the dead-letter queue.)
    pub handled: bool,
}

/// Deletes messages until the channel closes, and then the rest.
///
/// Messages collect while a request is in progress, and leave when there are ten or when no request is in
/// progress, so no timer is needed. They stay held, and so hidden, until they are deleted.
pub(super) async fn delete(
    sqs: aws_sdk_sqs::Client,
    direct: Arc<Direct>,
    url: String,
    (backoff, pollers): (Backoff, usize),
    tallies: Arc<Tallies>,
    steps: Vec<Arc<dyn BodyStep>>,
    mut done: mpsc::UnboundedReceiver<Finished>,
) {
    let requests = REQUESTS.max(pollers);
    let mut waiting: Vec<Finished> = Vec::new();
    let mut under_way = FuturesUnordered::new();
    let mut open = true;
    while open || !waiting.is_empty() || !under_way.is_empty() {
        while waiting.len() >= BATCH_ENTRIES && under_way.len() < requests
            || (!waiting.is_empty() && under_way.is_empty())
        {
            let batch: Vec<Finished> = waiting.drain(..waiting.len().min(BATCH_ENTRIES)).collect();
            under_way.push(delete_batch(&sqs, &direct, &url, backoff, &tallies, &steps, batch));
        }
        let room = waiting.len() < BATCH_ENTRIES * requests;
        tokio::select! {
            received = done.recv(), if open && room => match received {
                Some(finished) => {
                    waiting.push(finished);
                    while waiting.len() < BATCH_ENTRIES && let Ok(finished) = done.try_recv() {
                        waiting.push(finished);
                    }
                }
                None => open = false,
            },
            Some(()) = under_way.next() => {}
        }
    }
}

/// Deletes the messages of one receive when all of them are finished. Leaves failures to the
/// [deleter](delete).
pub(super) async fn delete_at_once(core: &Core, finished: Vec<Finished>) {
    let results = request(&core.sqs, &core.direct, &core.queue.url, &finished).await;
    settle_at_once(core, finished, results).await;
}

/// As [`delete_at_once`], and receives available messages with the same request, without waiting. Returns
/// `None` if the server cannot do this or an error occurred; then the finished messages are unchanged.
pub(super) async fn delete_and_receive(
    core: &Core,
    finished: &mut Vec<Finished>,
    receive: impl Serialize,
) -> Option<RawBatch> {
    let (delete, bytes) = batch_ask(&core.queue.url, finished);
    let both = Both { delete, receive };
    let target = "Posthaste.DeleteAndReceiveMessages";
    let answer = core.direct.ask_posthaste(target, (&both, bytes), RawBatch::read_with_failures).await;
    let (messages, failures) = answer?;
    settle_at_once(core, std::mem::take(finished), Ok(failures)).await;
    Some(messages)
}

/// A delete and the receive after it.
#[derive(Serialize)]
struct Both<D, R> {
    #[serde(flatten)]
    delete: D,
    #[serde(flatten)]
    receive: R,
}

async fn settle_at_once(core: &Core, finished: Vec<Finished>, answer: Result<Failures, Fault>) {
    for finished in settle(&core.tallies, &core.steps, finished, answer, true).await {
        // The deleter outlives all pollers.
        let _ = core.done.send(finished);
    }
}

async fn delete_batch(
    sqs: &aws_sdk_sqs::Client,
    direct: &Direct,
    url: &str,
    backoff: Backoff,
    tallies: &Tallies,
    steps: &[Arc<dyn BodyStep>],
    mut batch: Vec<Finished>,
) {
    for number in 1..=ATTEMPTS {
        let answer = request(sqs, direct, url, &batch).await;
        batch = settle(tallies, steps, batch, answer, number < ATTEMPTS).await;
        if batch.is_empty() {
            return;
        }
        tokio::time::sleep(backoff.delay(number)).await;
    }
}

/// Returns the messages to retry, if there is another attempt.
async fn settle(
    tallies: &Tallies,
    steps: &[Arc<dyn BodyStep>],
    batch: Vec<Finished>,
    answer: Result<Failures, Fault>,
    may_come_again: bool,
) -> Vec<Finished> {
    let mut results = vec![Ok(()); batch.len()];
    match answer {
        Ok(answer) => answer.note(&mut results),
        Err(fault) => results.fill(Err(fault)),
    }
    let (mut deleted, mut again) = (0, Vec::new());
    for (finished, result) in batch.into_iter().zip(results) {
        match result {
            Ok(()) => {
                deleted += 1;
                if finished.handled && !steps.is_empty() {
                    let raw = &finished.received.raw;
                    let wrapped = unwrap_notification(raw.body()).map(|(_, attributes)| attributes);
                    for step in steps {
                        step.handled(wrapped.as_ref().unwrap_or(raw.attributes())).await;
                    }
                }
            }
            Err(fault) if fault.retryable && may_come_again => again.push(finished),
            // It comes again although it was handled: at least once.
            Err(fault) => {
                tracing::warn!(message_id = finished.received.message_id(), %fault, "handled, but not deleted");
            }
        }
    }
    tallies.deleted(deleted);
    again
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    id: &'static str,
    receipt_handle: &'a str,
}

/// The ids of a batch's entries.
const IDS: [&str; BATCH_ENTRIES] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn batch_ask<'a>(url: &'a str, batch: &'a [Finished]) -> (BatchAsk<'a, Entry<'a>>, usize) {
    let entries = IDS.iter().zip(batch);
    let entries = entries.map(|(id, finished)| Entry { id, receipt_handle: finished.received.receipt() });
    let bytes = 256 + batch.iter().map(|finished| 64 + finished.received.receipt().len()).sum::<usize>();
    (BatchAsk { queue_url: url, entries: entries.collect() }, bytes)
}

async fn request(
    sqs: &aws_sdk_sqs::Client,
    direct: &Direct,
    url: &str,
    batch: &[Finished],
) -> Result<Failures, Fault> {
    let (ask, bytes) = batch_ask(url, batch);
    if let Some(answer) =
        direct.call::<Failures>("AmazonSQS.DeleteMessageBatch", (&ask, bytes), PATIENCE).await
    {
        return Ok(answer);
    }
    let mut call = sqs.delete_message_batch().queue_url(url);
    for entry in &ask.entries {
        let entry = DeleteMessageBatchRequestEntry::builder()
            .id(entry.id)
            .receipt_handle(entry.receipt_handle)
            .build();
        call = call.entries(entry.map_err(|error| Fault::permanent("Construction", error.to_string()))?);
    }
    let failed = call.send().await?.failed.into_iter();
    Ok(Failures {
        failed: Some(
            failed
                .map(|failed| Failed {
                    id: failed.id,
                    code: failed.code,
                    message: failed.message,
                    sender_fault: failed.sender_fault,
                })
                .collect(),
        ),
    })
}
