//! What other services hand to queues: copies of parcels, whose payload lies in one record for all who get it.

use std::borrow::Cow;

use kernel::parcel::{Deduplicates, StoredCopy};
use kernel::{Context, Extent, Ledger, Offer, ParcelSent, RememberedId, Taken, Why};

use crate::limits::Limits;
use crate::operations::Setting;
use crate::queue::QUEUE_DELAY;
use crate::records::Draft;
use crate::records::{Deduplication, MessageSent};
use crate::rules::allows::service_may_send;
use crate::state::State;
use crate::survival::placed;
use crate::{QueueId, QueueKey, Seq, limits};
use collections::dedup::DedupKey;

impl State {
    /// Takes an offer for a queue, or does not.
    pub fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_, Limits>) -> Taken {
        let Some(queue) = QueueKey::from_arn(offer.to).and_then(|key| self.queue(&key)) else {
            return Taken::Refused(Why::Missing, "the queue does not exist");
        };
        if let Some(sender) = offer.must_be_allowed
            && !service_may_send(queue, &sender)
        {
            return Taken::Refused(Why::Forbidden, "the queue's policy does not let the sender send");
        }
        // An envelope is a little longer, which AWS measures, too; but not before it is made.
        if offer.size > queue.settings.maximum_message_bytes as usize {
            return Taken::Refused(Why::Unfit, "the message is longer than the queue allows");
        }
        if offer.form.raw && offer.attributes > limits::MESSAGE_ATTRIBUTES {
            let reason = "the message has more attributes than a queue's message can have";
            return Taken::Refused(Why::Unfit, reason);
        }
        let Setting { now, numbers, .. } = context.setting;
        let parcel = context.parcel(offer.body);
        let deduplicates = match (&queue.settings.fifo, &parcel.group, &parcel.deduplication_id) {
            (None, ..) => None,
            (Some(fifo), ..) if offer.deduplicates_by_content && !fifo.content_based => {
                let reason =
                    "a FIFO queue without content-based deduplication takes messages with an id only";
                return Taken::Refused(Why::Unfit, reason);
            }
            (Some(fifo), Some(group), Some(id)) => {
                let in_group = fifo.scope_in_force_is_group(now);
                let key = DedupKey::new(id, in_group.then_some(&**group));
                // What is replayed was there before; that is what is wanted.
                if !offer.form.replayed && !offer.is_dead_letter && queue.dedup.find(key, now).is_some() {
                    return Taken::Duplicate;
                }
                Some(if in_group { Deduplicates::InGroup } else { Deduplicates::All })
            }
            (Some(_), ..) => {
                return Taken::Refused(Why::Unfit, "a FIFO queue takes messages with a group only");
            }
        };
        let seq = numbers.draw();
        parcel.copies.push(StoredCopy {
            holder: queue.id.0,
            seq,
            origin: seq,
            form: offer.form,
            // On FIFO the queue's own delay counts, when it falls due.
            delay_seconds: if deduplicates.is_some() { 0 } else { queue.settings.delay_seconds },
            deduplicates,
            sent_after: now - parcel.at,
            // Only a FIFO topic's messages have a deduplication id (AWS's documentation of SNS, "Message grouping for FIFO
            // topics": "Message group ID is not passed to Amazon SQS standard queues").
            without_group: queue.settings.fifo.is_none() && parcel.deduplication_id.is_some(),
        });
        Taken::Taken
    }
}

impl State {
    /// A parcel was sent: the queues among its takers have their copies.
    pub fn parcel_sent(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        self.catch_up(ledger);
        for copy in &parcel.copies {
            self.message_sent(&message_of(parcel, copy), at, ledger);
        }
    }

    /// What the copies of a parcel are remembered for, in queues that must still know its deduplication id.
    pub fn ids_to_remember(&self, parcel: &ParcelSent<'_>) -> Vec<RememberedId> {
        let copies = parcel.copies.iter().filter(|copy| copy.deduplicates.is_some());
        copies.filter_map(|copy| self.id_to_remember(&message_of(parcel, copy))).collect()
    }

    /// The copies whose payload still lies in the record at `at`: the parcel's own, and those that were moved since.
    pub fn copies_again(&self, parcel: &ParcelSent<'_>, at: Extent) -> Vec<StoredCopy> {
        let mut again = Vec::new();
        for copy in &parcel.copies {
            let message = message_of(parcel, copy);
            if self.lies_at(&message, at) {
                again.push(self.copy_now(parcel, copy, message.queue, message.seq));
            }
        }
        for (id, seq) in self.borrowers(at) {
            let Some(touched) = self.queues.get(&id).and_then(|queue| queue.touched.get(&seq)) else {
                continue;
            };
            let is_own = |copy: &StoredCopy| copy.holder == id.0 && copy.seq == seq.0;
            if let Some(copy) = parcel.copy(touched.copy.0).filter(|_| !parcel.copies.iter().any(is_own)) {
                again.push(self.copy_now(parcel, copy, id, seq));
            }
        }
        again
    }

    /// What is to be written after a parcel that was written again: what is known of its messages besides.
    pub fn placed_again(&self, copies: &[StoredCopy]) -> Vec<Draft<'static>> {
        let of = |copy: &StoredCopy| placed(self.queues.get(&QueueId(copy.holder))?, Seq(copy.seq));
        copies.iter().filter_map(of).collect()
    }

    /// A copy as it is to be written now.
    fn copy_now(&self, parcel: &ParcelSent<'_>, copy: &StoredCopy, id: QueueId, seq: Seq) -> StoredCopy {
        let mut now = StoredCopy { holder: id.0, seq: seq.0, ..*copy };
        let Some(queue) = self.queues.get(&id) else { return now };
        if let Some(touched) = queue.touched.get(&seq) {
            now.origin = touched.origin.0;
            now.sent_after = touched.sent - parcel.at;
        }
        now.delay_seconds = match queue.waiting(seq, parcel.group_of(copy)) {
            Some((_, Some(QUEUE_DELAY))) => queue.settings.delay_seconds,
            Some((_, Some(delay))) => delay,
            _ => 0,
        };
        now
    }
}

/// A copy as the message that it is in its queue.
pub(crate) fn message_of<'a>(parcel: &'a ParcelSent<'_>, copy: &StoredCopy) -> MessageSent<'a> {
    MessageSent {
        queue: QueueId(copy.holder),
        seq: Seq(copy.seq),
        origin: Seq(copy.origin),
        sent: parcel.at + copy.sent_after,
        group: parcel.group_of(copy).map(Cow::Borrowed),
        deduplication: copy.deduplicates.and_then(|deduplicates| {
            let id = Cow::Borrowed(parcel.deduplication_id.as_deref()?);
            Some(Deduplication { id, in_group: deduplicates == Deduplicates::InGroup })
        }),
        delay_seconds: copy.delay_seconds,
        forwarded: parcel.forwarded,
    }
}
