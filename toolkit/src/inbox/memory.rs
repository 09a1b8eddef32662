//! An inbox in the memory of this process: for tests, and for a single consuming process that may forget the
//! ids at its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::inbox::{Begin, Claim, Inbox, InboxError};

/// Remembers ids for the lifetime of the process.
#[derive(Debug, Default)]
pub struct MemoryInbox {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
enum Entry {
    Claimed { claim: Claim, until: Instant },
    Done { until: Instant },
}

impl MemoryInbox {
    /// Creates an empty inbox.
    pub fn new() -> MemoryInbox {
        MemoryInbox::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Each change is one call of the map, so the map is valid after a panic on another thread.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn if_ours(&self, key: &str, ours: &Claim, become_: Option<Entry>) -> bool {
        let mut entries = self.lock();
        match entries.get_mut(key) {
            Some(Entry::Claimed { claim, .. }) if claim == ours => {}
            _ => return false,
        }
        match become_ {
            Some(entry) => entries.insert(key.to_owned(), entry),
            None => entries.remove(key),
        };
        true
    }
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn begin(&self, key: &str, lease: Duration) -> Result<Begin, InboxError> {
        let now = Instant::now();
        let mut entries = self.lock();
        match entries.get(key) {
            Some(Entry::Done { until }) if *until > now => return Ok(Begin::Done),
            Some(Entry::Claimed { until, .. }) if *until > now => return Ok(Begin::Busy(*until - now)),
            _ => {}
        }
        let claim = Claim::new();
        entries.insert(key.to_owned(), Entry::Claimed { claim: claim.clone(), until: now + lease });
        Ok(Begin::Run(claim))
    }

    async fn renew(&self, key: &str, claim: &Claim, lease: Duration) -> Result<bool, InboxError> {
        let entry = Entry::Claimed { claim: claim.clone(), until: Instant::now() + lease };
        Ok(self.if_ours(key, claim, Some(entry)))
    }

    async fn finish(&self, key: &str, claim: &Claim, keep: Duration) -> Result<bool, InboxError> {
        Ok(self.if_ours(key, claim, Some(Entry::Done { until: Instant::now() + keep })))
    }

    async fn abandon(&self, key: &str, claim: &Claim) -> Result<(), InboxError> {
        self.if_ours(key, claim, None);
        Ok(())
    }

    async fn expire(&self) -> Result<u64, InboxError> {
        let now = Instant::now();
        let mut entries = self.lock();
        let before = entries.len();
        entries.retain(|_, entry| match entry {
            Entry::Claimed { until, .. } | Entry::Done { until } => *until > now,
        });
        Ok((before - entries.len()) as u64)
    }
}

impl From<MemoryInbox> for Arc<dyn Inbox> {
    fn from(inbox: MemoryInbox) -> Arc<dyn Inbox> {
        Arc::new(inbox)
    }
}
