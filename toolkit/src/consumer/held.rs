//! The messages that this consumer holds: each stays hidden from others, by heartbeats, for as long as it is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::consumer::raw::Raw;
use crate::fault::Fault;
use crate::publisher::BATCH_ENTRIES;

/// What is held, and until when it is hidden.
#[derive(Debug)]
pub(super) struct Held {
    visibility: Duration,
    next_key: AtomicU64,
    messages: Mutex<HashMap<u64, Hidden>>,
}

#[derive(Debug)]
struct Hidden {
    raw: Arc<Raw>,
    renew_at: Instant,
}

/// One held message. Dropping it ends its heartbeats and frees its place.
pub(super) struct Received {
    pub raw: Arc<Raw>,
    key: u64,
    held: Arc<Held>,
    _place: OwnedSemaphorePermit,
}

impl Held {
    pub fn new(visibility: Duration) -> Arc<Held> {
        Arc::new(Held { visibility, next_key: AtomicU64::new(0), messages: Mutex::default() })
    }

    /// Takes a message that was hidden from `asked` on.
    pub fn hold(self: &Arc<Held>, raw: Raw, place: OwnedSemaphorePermit, asked: Instant) -> Received {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let (raw, renew_at) = (Arc::new(raw), asked + self.visibility / 2);
        self.lock().insert(key, Hidden { raw: raw.clone(), renew_at });
        Received { raw, key, held: self.clone(), _place: place }
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
            let due: Vec<(u64, Arc<Raw>)> = {
                let messages = self.lock();
                let due = messages.iter().filter(|(_, hidden)| hidden.renew_at <= now);
                due.map(|(key, hidden)| (*key, hidden.raw.clone())).collect()
            };
            for batch in due.chunks(BATCH_ENTRIES) {
                let receipts: Vec<&str> = batch.iter().map(|(_, raw)| raw.receipt.as_str()).collect();
                match change_visibility(&sqs, &url, &receipts, self.visibility).await {
                    Ok(results) => {
                        for ((key, _), result) in batch.iter().zip(results) {
                            match result {
                                Ok(()) => self.renewed(*key, now),
                                // Deleted or taken by another: nothing to keep hidden.
                                Err(fault) if !fault.retryable => {
                                    tracing::warn!(%fault, "a message is no longer ours; it may be handled twice");
                                    self.forget(*key);
                                }
                                Err(fault) => tracing::debug!(%fault, "a heartbeat failed"),
                            }
                        }
                    }
                    Err(fault) => tracing::warn!(%fault, "heartbeats failed"),
                }
            }
        }
    }

    fn renewed(&self, key: u64, now: Instant) {
        if let Some(hidden) = self.lock().get_mut(&key) {
            hidden.renew_at = now + self.visibility / 2;
        }
    }

    fn forget(&self, key: u64) {
        self.lock().remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Hidden>> {
        // Each change is one call of the map, so a panic elsewhere leaves nothing half done.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Received {
    pub fn receipt(&self) -> &str {
        &self.raw.receipt
    }

    pub fn message_id(&self) -> &str {
        &self.raw.message_id
    }

    pub fn receive_count(&self) -> u32 {
        self.raw.receive_count
    }

    /// Ends its heartbeats: from now on its visibility is somebody else's matter.
    pub fn let_go(&self) {
        self.held.forget(self.key);
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.let_go();
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

/// Rounded up, at most AWS's 12 hours.
pub(super) fn whole_seconds(time: Duration) -> i32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    i32::try_from(seconds.min(43_200)).unwrap_or(43_200)
}
