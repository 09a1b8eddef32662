//! The messages that this consumer holds: heartbeats keep each hidden as long as it is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::consumer::deletes::Finished;
use crate::consumer::raw::{Raw, RawBatch};
use crate::fault::Fault;
use crate::publisher::BATCH_ENTRIES;

/// The held messages, and the ends of their visibility timeouts.
pub(super) struct Held {
    visibility: Duration,
    next_key: AtomicU64,
    batches: Mutex<HashMap<u64, Hidden>>,
}

struct Hidden {
    batch: Arc<Batch>,
    renew_at: Instant,
}

/// The messages of one receive: they are hidden together, and usually end together.
pub(super) struct Batch {
    messages: Arc<RawBatch>,
    key: u64,
    /// When the receive was requested: not later than the start of the queue's timeout.
    asked: Instant,
    /// One bit for each message that is still held.
    live: AtomicU32,
    held: Arc<Held>,
    places: Arc<Semaphore>,
    /// The finished messages, as long as the poller still starts the others; then the poller deletes them
    /// itself.
    finished: Mutex<Option<Vec<Finished>>>,
}

/// A held message. Dropping it ends its heartbeats and frees its place.
pub(super) struct Received {
    pub raw: Raw,
    batch: Arc<Batch>,
}

impl Held {
    pub fn new(visibility: Duration) -> Arc<Held> {
        Arc::new(Held { visibility, next_key: AtomicU64::new(0), batches: Mutex::default() })
    }

    /// Holds messages that were hidden since `asked`, at most as many as there are places.
    pub fn hold(
        self: &Arc<Held>,
        messages: RawBatch,
        mut room: OwnedSemaphorePermit,
        asked: Instant,
    ) -> Arc<Batch> {
        let places = room.semaphore().clone();
        let count = messages.len();
        if let Some(taken) = room.split(count) {
            // They are released one by one.
            taken.forget();
        }
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let batch = Arc::new(Batch {
            messages: Arc::new(messages),
            key,
            asked,
            live: AtomicU32::new((1 << count) - 1),
            held: self.clone(),
            places,
            finished: Mutex::new(Some(Vec::with_capacity(count))),
        });
        if count > 0 {
            let hidden = Hidden { batch: batch.clone(), renew_at: asked + self.visibility / 2 };
            self.lock().insert(key, hidden);
        }
        batch
    }

    /// Renews timeouts that are due, until it is stopped.
    pub async fn beat(self: Arc<Held>, sqs: aws_sdk_sqs::Client, url: String, stop: CancellationToken) {
        let pause = (self.visibility / 4).max(Duration::from_millis(100));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let now = Instant::now();
            let due: Vec<Arc<Batch>> = {
                let batches = self.lock();
                let due = batches.values().filter(|hidden| hidden.renew_at <= now);
                due.map(|hidden| hidden.batch.clone()).collect()
            };
            let live = |batch: &Arc<Batch>| {
                let messages = batch.messages.clone();
                batch.live().map(move |index| Raw::of(&messages, index))
            };
            let live: Vec<(&Arc<Batch>, Raw)> =
                due.iter().flat_map(|batch| live(batch).map(move |raw| (batch, raw))).collect();
            // If a message of a batch is not renewed yet, the whole batch is tried again.
            let mut failed: Vec<u64> = Vec::new();
            for some in live.chunks(BATCH_ENTRIES) {
                let receipts: Vec<&str> = some.iter().map(|(_, raw)| raw.receipt()).collect();
                let results = match change_visibility(&sqs, &url, &receipts, self.visibility).await {
                    Ok(results) => results,
                    Err(fault) => {
                        tracing::warn!(%fault, "heartbeats failed");
                        failed.extend(some.iter().map(|(batch, _)| batch.key));
                        continue;
                    }
                };
                for ((batch, raw), result) in some.iter().zip(results) {
                    match result {
                        Ok(()) => {}
                        // Deleted, or taken by another consumer: nothing to renew.
                        Err(fault) if !fault.retryable => {
                            tracing::warn!(%fault, "a message is no longer held by this consumer; it may be handled twice");
                            batch.let_go(raw.index());
                        }
                        Err(fault) => {
                            tracing::debug!(%fault, "a heartbeat failed");
                            failed.push(batch.key);
                        }
                    }
                }
            }
            let mut batches = self.lock();
            for batch in due.iter().filter(|batch| !failed.contains(&batch.key)) {
                if let Some(hidden) = batches.get_mut(&batch.key) {
                    hidden.renew_at = now + self.visibility / 2;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Hidden>> {
        // Each change is one call of the map, so the map is valid after a panic on another thread.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// Returns its messages. To be called once.
    pub fn received(self: &Arc<Batch>) -> impl ExactSizeIterator<Item = Received> + use<> {
        let batch = self.clone();
        (0..self.messages.len())
            .map(move |index| Received { raw: Raw::of(&batch.messages, index), batch: batch.clone() })
    }

    /// Returns the messages that finished while the batch was started. Later ones go to the deleter.
    pub fn finished(&self) -> Vec<Finished> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    fn live(&self) -> impl Iterator<Item = usize> + use<> {
        let live = self.live.load(Ordering::Acquire);
        (0..u32::BITS as usize).filter(move |index| live & (1 << index) != 0)
    }

    fn let_go(&self, index: usize) {
        let bit = 1 << index;
        if self.live.fetch_and(!bit, Ordering::AcqRel) == bit {
            self.held.lock().remove(&self.key);
        }
    }
}

impl Received {
    pub fn receipt(&self) -> &str {
        self.raw.receipt()
    }

    pub fn message_id(&self) -> &str {
        self.raw.message_id()
    }

    pub fn receive_count(&self) -> u32 {
        self.raw.receive_count()
    }

    /// Returns for how long from now it can be hidden.
    pub fn hideable(&self) -> Duration {
        hideable(self.batch.asked.elapsed())
    }

    /// Ends its heartbeats: its visibility is now controlled elsewhere.
    pub fn let_go(&self) {
        self.batch.let_go(self.raw.index());
    }
}

impl Finished {
    /// Adds it to the messages that its poller deletes. Returns it if the poller has deleted them already.
    pub fn with_its_batch(self) -> Option<Finished> {
        let batch = self.received.batch.clone();
        let mut finished = batch.finished.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *finished {
            Some(finished) => {
                finished.push(self);
                None
            }
            None => Some(self),
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.let_go();
        self.batch.places.add_permits(1);
    }
}

/// Hides messages for this long from now. Returns one result for each.
pub(crate) async fn change_visibility(
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    receipts: &[&str],
    visibility: Duration,
) -> Result<Vec<Result<(), Fault>>, Fault> {
    let mut call = sqs.change_message_visibility_batch().queue_url(url);
    for (number, receipt) in receipts.iter().enumerate() {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(number.to_string())
            .receipt_handle(*receipt)
            .visibility_timeout(whole_seconds(visibility))
            .build();
        call = call.entries(entry.map_err(|error| Fault::permanent("Construction", error.to_string()))?);
    }
    let answer = call.send().await?;
    let mut results = vec![Ok(()); receipts.len()];
    for failed in answer.failed {
        if let Some(place) = failed.id.parse().ok().and_then(|number: usize| results.get_mut(number)) {
            *place = Err(Fault::of_entry(&failed.code, failed.message.as_deref(), failed.sender_fault));
        }
    }
    Ok(results)
}

/// Returns how long a message can be hidden from now, given the age of its receive. AWS counts its 12 hours
/// from the receive, and refuses more (facts/sqs.md § 6). One minute of them is reserved for the request.
fn hideable(held_for: Duration) -> Duration {
    MOST_HIDDEN.saturating_sub(held_for + Duration::from_secs(60))
}

/// AWS's 12 hours.
const MOST_HIDDEN: Duration = Duration::from_secs(43_200);

/// Rounded up, at most AWS's 12 hours.
pub(super) fn whole_seconds(time: Duration) -> i32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    i32::try_from(seconds.min(MOST_HIDDEN.as_secs())).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_is_hidden_beyond_twelve_hours_from_its_receive() {
        for held_for in [0, 1, 3_600, 43_139, 43_140, 43_200, 90_000].map(Duration::from_secs) {
            let hidden = whole_seconds(hideable(held_for + Duration::from_millis(1)));
            assert!(hidden == 0 || held_for.as_secs() + hidden as u64 <= 43_200, "{held_for:?}: {hidden}");
        }
        assert_eq!(whole_seconds(hideable(Duration::from_secs(3_600))), 39_540);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
    }
}
