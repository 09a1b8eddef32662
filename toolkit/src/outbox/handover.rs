//! What writers have committed, on its way to the relay of the same process: by memory, and not through the table.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::publisher::Prepared;

/// Messages that a transaction has written: for [`Outbox::committed`](super::Outbox::committed), once it is durable.
#[derive(Debug, Default)]
pub struct Written {
    messages: Vec<(i64, Letter)>,
}

/// A message and where it goes.
#[derive(Debug)]
pub(super) struct Letter {
    pub destination: String,
    pub message: Prepared,
}

impl Written {
    /// Messages with their ids, in one order.
    pub(super) fn of(ids: Vec<i64>, messages: Vec<(&str, Prepared)>) -> Written {
        let letter =
            |(destination, message): (&str, _)| Letter { destination: destination.to_owned(), message };
        Written { messages: ids.into_iter().zip(messages.into_iter().map(letter)).collect() }
    }

    /// Adds what the same transaction has written besides.
    pub fn and(&mut self, more: Written) {
        self.messages.extend(more.messages);
    }
}

/// More messages than these, or larger ones, are left to be read from the table.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;

/// Where writers put what they have committed, and a relay finds it.
#[derive(Debug, Default)]
pub(super) struct Handover {
    tray: Mutex<Tray>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct Tray {
    /// Whether a relay takes from it.
    open: bool,
    /// Whether there is something in the table that is not here.
    look: bool,
    letters: BTreeMap<i64, Letter>,
    bytes: usize,
}

impl Handover {
    pub fn give(&self, written: Written) {
        if written.messages.is_empty() {
            return;
        }
        let bytes: usize = written.messages.iter().map(|(_, letter)| letter.message.size()).sum();
        let mut tray = self.tray();
        let count = tray.letters.len() + written.messages.len();
        if tray.open && count <= MOST && tray.bytes + bytes <= MOST_BYTES {
            tray.letters.extend(written.messages);
            tray.bytes += bytes;
        } else {
            tray.look = true;
        }
        drop(tray);
        self.woken.notify_one();
    }

    /// There is something in the table.
    pub fn look(&self) {
        self.tray().look = true;
        self.woken.notify_one();
    }

    /// Returns when something was given, or is to be looked at.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// What was given since, by id; and whether to look into the table.
    pub fn take(&self) -> (BTreeMap<i64, Letter>, bool) {
        let mut tray = self.tray();
        tray.open = true;
        tray.bytes = 0;
        (std::mem::take(&mut tray.letters), std::mem::take(&mut tray.look))
    }

    /// Until this value goes, a relay takes what is given.
    pub fn open(&self) -> Open<'_> {
        self.tray().open = true;
        Open(self)
    }

    fn tray(&self) -> MutexGuard<'_, Tray> {
        // Whatever a panic elsewhere left undone here, the table knows.
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A relay takes what is given.
pub(super) struct Open<'a>(&'a Handover);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut tray = self.0.tray();
        tray.open = false;
        tray.look = true;
        tray.letters.clear();
        tray.bytes = 0;
    }
}
