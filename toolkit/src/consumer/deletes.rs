//! Deletes what is done, ten at a time when there is much, at once when there is little.

use std::sync::Arc;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::backoff::Backoff;
use crate::body::BodyStep;
use crate::consumer::delivery::attributes_of;
use crate::consumer::held::Received;
use crate::consumer::tallies::Tallies;
use crate::fault::Fault;
use crate::publisher::BATCH_ENTRIES;

/// How many requests may be under way.
const REQUESTS: usize = 4;
const ATTEMPTS: u32 = 10;

/// A message that is to be deleted.
pub(super) struct Finished {
    pub received: Received,
    /// Whether its handler dealt with it. (Otherwise its copy is with the dead letters.)
    pub handled: bool,
}

/// Deletes what comes until the channel closes, and then what is left.
///
/// Messages gather while a request is under way, and leave when there are ten or when none is: no clock needed. They stay held,
/// and so hidden, until they are deleted.
pub(super) async fn delete(
    sqs: aws_sdk_sqs::Client,
    url: String,
    backoff: Backoff,
    tallies: Arc<Tallies>,
    steps: Vec<Arc<dyn BodyStep>>,
    mut done: mpsc::UnboundedReceiver<Finished>,
) {
    let mut waiting: Vec<Finished> = Vec::new();
    let mut under_way = FuturesUnordered::new();
    let mut open = true;
    while open || !waiting.is_empty() || !under_way.is_empty() {
        while waiting.len() >= BATCH_ENTRIES && under_way.len() < REQUESTS
            || (!waiting.is_empty() && under_way.is_empty())
        {
            let batch: Vec<Finished> = waiting.drain(..waiting.len().min(BATCH_ENTRIES)).collect();
            under_way.push(delete_batch(&sqs, &url, backoff, &tallies, &steps, batch));
        }
        let room = waiting.len() < BATCH_ENTRIES * REQUESTS;
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

async fn delete_batch(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    backoff: Backoff,
    tallies: &Tallies,
    steps: &[Arc<dyn BodyStep>],
    mut batch: Vec<Finished>,
) {
    let mut attempt = 1;
    loop {
        let results = match request(sqs, url, &batch).await {
            Ok(results) => results,
            Err(fault) => vec![Err(fault); batch.len()],
        };
        let mut again = Vec::new();
        for (finished, result) in batch.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    tallies.deleted();
                    if finished.handled && !steps.is_empty() {
                        let attributes = attributes_of(&finished.received.raw);
                        for step in steps {
                            step.handled(&attributes).await;
                        }
                    }
                }
                Err(fault) if fault.retryable && attempt < ATTEMPTS => again.push(finished),
                // It comes again although it was handled: at least once.
                Err(fault) => {
                    tracing::warn!(message_id = finished.received.message_id(), %fault, "handled, but not deleted");
                }
            }
        }
        if again.is_empty() {
            return;
        }
        batch = again;
        tokio::time::sleep(backoff.delay(attempt)).await;
        attempt += 1;
    }
}

async fn request(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    batch: &[Finished],
) -> Result<Vec<Result<(), Fault>>, Fault> {
    let mut call = sqs.delete_message_batch().queue_url(url);
    for (number, finished) in batch.iter().enumerate() {
        let entry = DeleteMessageBatchRequestEntry::builder();
        let entry = entry.id(number.to_string()).receipt_handle(finished.received.receipt()).build();
        call = call.entries(entry.map_err(|error| Fault::permanent("Construction", error.to_string()))?);
    }
    let answer = call.send().await?;
    let mut results = vec![Ok(()); batch.len()];
    for failed in answer.failed {
        if let Some(place) = failed.id.parse().ok().and_then(|number: usize| results.get_mut(number)) {
            *place = Err(Fault::of_entry(&failed.code, failed.message.as_deref(), failed.sender_fault));
        }
    }
    Ok(results)
}
