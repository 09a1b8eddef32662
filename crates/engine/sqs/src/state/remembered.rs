//! What is remembered for a while: deduplication ids, and attempts to receive.

use std::borrow::Cow;

use kernel::{Extent, IdsRemembered, Ledger, RememberedId};

use super::State;
use super::messages::dedup_key;
use crate::records::{AttemptRemembered, Draft, MessageSent, Record};
use crate::rules::attempts::{self, Attempt};
use crate::{QueueId, Seq};
use collections::dedup::{self, DedupKey};

impl State {
    pub(super) fn attempt_remembered(
        &mut self,
        record: &AttemptRemembered<'_>,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let Some(queue) = self.queues.get_mut(&record.queue) else { return };
        ledger.remember(at.place.segment(), record.at + attempts::WINDOW_MILLIS);
        if self.reading_until.is_some() {
            let attempt = Attempt { at: record.at, until: record.until, messages: record.messages.clone() };
            queue.attempts.remember(&record.attempt, attempt);
        }
    }

    /// What is to be said again of an attempt that was told when it was received at `at`, if it can still be repeated.
    pub(crate) fn attempt_again(
        &self,
        id: QueueId,
        attempt: Option<&str>,
        is_it: impl Fn(&Attempt) -> bool,
    ) -> Option<Draft<'static>> {
        let attempt_id = attempt?;
        let attempt = self.queues.get(&id)?.attempts.find(attempt_id, self.now).filter(|it| is_it(it))?;
        let record = AttemptRemembered {
            queue: id,
            attempt: Cow::Owned(attempt_id.to_owned()),
            at: attempt.at,
            until: attempt.until,
            messages: attempt.messages.clone(),
        };
        Some(Record::AttemptRemembered(record).into())
    }

    /// Deduplication ids are told in a record at `at`, too: those that are of queues.
    pub fn ids_remembered(&mut self, record: &IdsRemembered, at: Extent, ledger: &mut Ledger) {
        self.catch_up(ledger);
        for id in &record.ids {
            let Some(queue) = self.queues.get_mut(&QueueId(id.owner)) else { continue };
            let until = id.at + dedup::WINDOW_MILLIS;
            if Seq(id.message) <= queue.purged_through || self.reading_until.is_some_and(|now| until <= now) {
                continue;
            }
            ledger.remember(at.place.segment(), until);
            if self.reading_until.is_some() {
                queue.dedup.load_late(DedupKey::from_bytes(id.key), Seq(id.message), id.at);
            }
        }
    }

    /// What a message that was sent is remembered for, if its queue must still know its deduplication id.
    pub fn id_to_remember(&self, record: &MessageSent<'_>) -> Option<RememberedId> {
        let deduplication = record.deduplication.as_ref().filter(|_| !record.forwarded)?;
        let key = || dedup_key(record, deduplication).to_bytes();
        let id = RememberedId { owner: record.queue.0, message: record.seq.0, at: record.sent, key: [0; 10] };
        self.still_counts(&id).then(|| RememberedId { key: key(), ..id })
    }

    /// Whether an id that a queue has accepted still counts.
    pub fn still_counts(&self, id: &RememberedId) -> bool {
        let queue = self.queues.get(&QueueId(id.owner));
        queue.is_some_and(|queue| Seq(id.message) > queue.purged_through)
            && self.now < id.at + dedup::WINDOW_MILLIS
    }
}
