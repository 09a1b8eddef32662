//! What of an old segment still holds, so that it can be written again and the segment can go.

use std::borrow::Cow;

use kernel::{Extent, Ledger, Place, Survival};

use crate::operations::receive_message::group_name;
use crate::queue::{QUEUE_DELAY, Queue, Touched};
use crate::records::Draft;
use crate::records::{
    DropReason, DroppedMessage, MessagePlaced, MessageSent, MessagesDropped, MoveTaskDeclared, QueueDeleted,
    Record,
};
use crate::state::State;
use crate::{QueueId, Seq};

impl State {
    /// Whether the record at `at` still holds.
    pub fn survival(&self, record: &Record<'_>, at: Extent, ledger: &Ledger) -> Survival {
        match record {
            Record::MessageSent(record) => {
                if self.owners(record, at).is_empty() {
                    Survival::Dead
                } else {
                    Survival::Payload
                }
            }
            record => {
                if self.facts_again(record, at, ledger).is_empty() {
                    Survival::Dead
                } else {
                    Survival::Fact
                }
            }
        }
    }

    /// What is to be written so that the record at `at` is no longer needed.
    pub fn write_again<'a>(
        &self,
        record: Record<'a>,
        tail: &'a [u8],
        at: Extent,
        ledger: &Ledger,
    ) -> Vec<Draft<'a>> {
        let record = match record {
            Record::MessageSent(record) => record,
            record => return self.facts_again(&record, at, ledger),
        };
        let mut drafts = Vec::new();
        for (id, seq) in self.owners(&record, at) {
            let Some(queue) = self.queues.get(&id) else { continue };
            let touched = queue.touched.get(&seq);
            let waiting = queue.waiting(seq, record.group.as_deref());
            let delay_seconds = match waiting {
                Some((_, Some(QUEUE_DELAY))) => queue.settings.delay_seconds,
                Some((_, Some(delay))) => delay,
                _ => 0,
            };
            drafts.push(Draft {
                record: Record::MessageSent(MessageSent {
                    queue: id,
                    seq,
                    origin: touched.map_or(seq, |touched| touched.origin),
                    sent: touched.map_or(record.sent, |touched| touched.sent),
                    delay_seconds,
                    forwarded: true,
                    ..record.clone()
                }),
                tail: Cow::Borrowed(tail),
            });
            drafts.extend(placed(queue, seq));
        }
        drafts
    }

    /// After a log has been read: what is to be said again of messages that were written forward. If the record that tells their
    /// history and should have followed was lost with the power, older ones tell it. These would be read before the message
    /// is there, and so be forgotten, once the segment is gone in which it lay before.
    pub fn histories_cut_off(&self) -> Vec<Draft<'static>> {
        let is_cut_off = |touched: &Touched| {
            let facts = [touched.fact, touched.placed];
            facts.into_iter().flatten().any(|fact| fact.place < touched.extent.place)
        };
        let mut drafts = Vec::new();
        for queue in self.queues.values() {
            let cut_off = queue.touched.iter().filter(|(_, touched)| is_cut_off(touched));
            drafts.extend(cut_off.filter_map(|(&seq, _)| placed(queue, seq)));
        }
        drafts
    }

    /// The messages whose payload lies at `at`: the record's own, and those that were moved.
    fn owners(&self, record: &MessageSent<'_>, at: Extent) -> Vec<(QueueId, Seq)> {
        let mut owners = Vec::new();
        if self.lies_at(record, at) {
            owners.push((record.queue, record.seq));
        }
        let is_there = |id: &QueueId, seq: &Seq| {
            // Of a queue that was emptied, all is forgotten only after a while.
            self.queues.get(id).is_some_and(|queue| queue.touched.contains_key(seq))
        };
        let others = self.borrowers(at).filter(|owner| *owner != (record.queue, record.seq));
        owners.extend(others.filter(|(id, seq)| is_there(id, seq)));
        owners
    }

    /// Whether a message's payload lies in the record at `at`, which names it.
    pub(crate) fn lies_at(&self, record: &MessageSent<'_>, at: Extent) -> bool {
        let Some(queue) = self.queues.get(&record.queue) else { return false };
        match queue.touched.get(&record.seq) {
            Some(touched) => touched.extent == at,
            None => queue
                .waiting(record.seq, record.group.as_deref())
                .is_some_and(|(entry, _)| entry.extent == at),
        }
    }

    /// The messages whose payload lies in the record at `at`, which does not name them.
    pub(crate) fn borrowers(&self, at: Extent) -> impl Iterator<Item = (QueueId, Seq)> {
        self.borrowed.at(at)
    }

    fn facts_again(&self, record: &Record<'_>, at: Extent, ledger: &Ledger) -> Vec<Draft<'static>> {
        let facts_of = |id: QueueId, seqs: &mut dyn Iterator<Item = Seq>| -> Vec<Draft<'static>> {
            let Some(queue) = self.queues.get(&id) else { return Vec::new() };
            seqs.filter(|&seq| rests_on(queue, seq, at.place)).filter_map(|seq| placed(queue, seq)).collect()
        };
        match record {
            Record::QueueDeclared(record) => match self.queues.get(&record.id) {
                Some(queue) if queue.standing.is_at(at) => {
                    vec![Record::QueueDeclared(Box::new(queue.declaration())).into()]
                }
                _ => Vec::new(),
            },
            Record::QueueDeleted(record) => {
                let declared_in: Vec<u32> = record
                    .declared_in
                    .iter()
                    .copied()
                    .filter(|&segment| ledger.needs_tombstone(segment, at))
                    .collect();
                if declared_in.is_empty() {
                    return Vec::new();
                }
                vec![Record::QueueDeleted(QueueDeleted { declared_in, ..record.clone() }).into()]
            }
            Record::MoveTaskDeclared(record) => match self.tasks.get(&record.id) {
                Some(task) if task.at == at => {
                    let declared = MoveTaskDeclared { moved: task.moved, ..task.declared.clone() };
                    vec![Record::MoveTaskDeclared(Box::new(declared)).into()]
                }
                _ => Vec::new(),
            },
            // Handled by the callers, since it needs the payload.
            Record::MessageSent(_) => Vec::new(),
            Record::MessagesReceived(record) => {
                let mut drafts =
                    facts_of(record.queue, &mut record.messages.iter().map(|message| message.seq));
                let attempt = record.attempt.as_deref();
                drafts.extend(self.attempt_again(record.queue, attempt, |it| it.at == record.at));
                drafts
            }
            Record::VisibilityChanged(record) => {
                let mut drafts =
                    facts_of(record.queue, &mut record.messages.iter().map(|changed| changed.message.seq));
                let received = record.messages.last().map(|changed| changed.received);
                let attempt = record.attempt.as_deref();
                drafts.extend(self.attempt_again(record.queue, attempt, |it| Some(it.at) == received));
                drafts
            }
            Record::AttemptRemembered(record) => {
                let again = self.attempt_again(record.queue, Some(&record.attempt), |it| it.at == record.at);
                again.into_iter().collect()
            }
            Record::MessagePlaced(record) => facts_of(record.queue, &mut std::iter::once(record.seq)),
            Record::MessagesDropped(record) => tombstones(record, at, ledger),
            Record::MessagesMoved(record) => {
                let mut drafts = tombstones(&record.dropped, at, ledger);
                for placed in &record.placed {
                    drafts.extend(facts_of(placed.queue, &mut std::iter::once(placed.seq)));
                }
                drafts
            }
        }
    }
}

/// What has to be said again of messages that are gone: those whose segments are still there. Older versions wrote records of
/// any length.
fn tombstones(record: &MessagesDropped<'_>, at: Extent, ledger: &Ledger) -> Vec<Draft<'static>> {
    let messages: Vec<_> = record
        .messages
        .iter()
        .filter(|message| ledger.needs_tombstone(message.place.segment(), at))
        .map(|message| DroppedMessage {
            seq: message.seq,
            place: message.place,
            group: message.group.as_ref().map(|group| Cow::Owned(group.to_string())),
        })
        .collect();
    let reason = match record.reason {
        // As long as it is told that they are damaged, their segment stays.
        DropReason::Damaged => DropReason::Damaged,
        _ => DropReason::Forwarded,
    };
    let again = MessagesDropped::of(record.queue, reason, messages);
    again.map(|again| Record::MessagesDropped(again).into()).collect()
}

/// Whether the latest fact about a message stands in the record at `place`, or what no later one repeats.
fn rests_on(queue: &Queue, seq: Seq, place: Place) -> bool {
    let Some(touched) = queue.touched.get(&seq) else { return false };
    [touched.fact, touched.placed].into_iter().flatten().any(|fact| fact.place == place)
}

/// All that is known of a message that was touched.
pub(crate) fn placed(queue: &Queue, seq: Seq) -> Option<Draft<'static>> {
    let touched = queue.touched.get(&seq)?;
    let record = MessagePlaced {
        queue: queue.id,
        seq,
        origin: touched.origin,
        copy: touched.copy,
        extent: touched.extent,
        sent: touched.sent,
        group: group_name(queue, touched.group),
        dead_letter_source: touched.dead_letter_source.as_ref().map(|arn| Cow::Owned(arn.to_string())),
        deduplicates_by_id: touched.deduplicates_by_id,
        receives: touched.receives,
        receives_elsewhere: touched.receives_elsewhere,
        first_received: touched.first_received,
        received: touched.received,
        visible: touched.visible,
        in_flight: touched.in_flight,
    };
    Some(Record::MessagePlaced(Box::new(record)).into())
}
