//! The messages that this consumer holds: each stays hidden from others, by heartbeats, for as long as it is held.

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

/// What is held, and until when it is hidden.
pub(super) struct Held {
    visibility: Duration,
    next_key: AtomicU64,
    batches: Mutex<HashMap<u64, Hidden>>,
}

struct Hidden {
    batch: Arc<Batch>,
    renew_at: Instant,
}

/// What one receive brought: its messages are hidden together, and most often end together.
pub(super) struct Batch {
    messages: Arc<RawBatch>,
    key: u64,
    /// When the receive was asked for: not after the queue counts from.
    asked: Instant,
    /// One bit for each message that is still held.
    live: AtomicU32,
    held: Arc<Held>,
    places: Arc<Semaphore>,
    /// What is done, as long as the poller still begins its messages; then it deletes them itself.
    finished: Mutex<Option<Vec<Finished>>>,
}

/// One held message. Dropping it ends its heartbeats and frees its place.
pub(super) struct Received {
    pub raw: Raw,
    batch: Arc<Batch>,
}

impl Held {
    pub fn new(visibility: Duration) -> Arc<Held> {
        Arc::new(Held { visibility, next_key: AtomicU64::new(0), batches: Mutex::default() })
    }

    /// Takes messages that were hidden from `asked` on, at most as many as there is room for.
    pub fn hold(
        self: &Arc<Held>,
        messages: RawBatch,
        mut room: OwnedSemaphorePermit,
        asked: Instant,
    ) -> Arc<Batch> {
        let places = room.semaphore().clone();
        let count = messages.len();
        if let Some(taken) = room.split(count) {
            // They are given back one by one.
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

    /// Hides again what is due, until told to stop.
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
            // Of a batch with a message that is not hidden yet all are tried again.
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
                        // Deleted or taken by another: nothing to keep hidden.
                        Err(fault) if !fault.retryable => {
                            tracing::warn!(%fault, "a message is no longer ours; it may be handled twice");
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
        // Each change is one call of the map, so a panic elsewhere leaves nothing half done.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// Its messages. To be called once.
    pub fn received(self: &Arc<Batch>) -> impl ExactSizeIterator<Item = Received> + use<> {
        let batch = self.clone();
        (0..self.messages.len())
            .map(move |index| Received { raw: Raw::of(&batch.messages, index), batch: batch.clone() })
    }

    /// What was done while its messages were begun. What is done from now on goes to the deleter.
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

    /// For how long from now it can be hidden.
    pub fn hideable(&self) -> Duration {
        hideable(self.batch.asked.elapsed())
    }

    /// Ends its heartbeats: from now on its visibility is somebody else's matter.
    pub fn let_go(&self) {
        self.batch.let_go(self.raw.index());
    }
}

impl Finished {
    /// Puts it with what its poller deletes; gives it back if that has done so already.
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

/// Hides messages for so long from now; one result each.
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

/// A message that was received so long ago can be hidden for so long from now: AWS counts its 12 hours from the receive, and
/// refuses what goes beyond (facts/sqs.md § 6). A minute of them is left for the way.
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
