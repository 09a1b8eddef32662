//! Messages that were received too often leave for the dead-letter queue; a move task brings messages back.

use std::borrow::Cow;

use kernel::gather::in_records;
use kernel::{Numbers, Time};

use super::{Draft, Setting};
use crate::queue::Queue;
use crate::records::{DropReason, DroppedMessage, MessagePlaced, MessagesDropped, MessagesMoved, Record};
use crate::rules::selection::Candidate;
use crate::state::State;
use crate::{QueueKey, Seq};

/// The dead letters that one receive finds.
pub(crate) struct DeadLetters<'s> {
    queue: &'s Queue,
    /// The dead-letter queue and how often a message is delivered before it goes there.
    target: Option<(&'s Queue, u32)>,
    transfer: Transfer<'s>,
    now: Time,
    source_arn: String,
}

impl<'s> DeadLetters<'s> {
    pub(crate) fn new(state: &'s State, queue: &'s Queue, setting: &Setting<'s>) -> Self {
        // A dead-letter queue that has been deleted takes nothing: messages are then simply received again (§ 8).
        let target = queue.settings.redrive.as_ref().and_then(|redrive| {
            let target = state.queue(&QueueKey::from_arn(&redrive.target)?)?;
            Some((target, redrive.max_receives))
        });
        DeadLetters {
            queue,
            target,
            transfer: Transfer::new(setting.numbers, DropReason::DeadLettered),
            now: setting.now,
            source_arn: if target.is_some() { queue.arn.to_string() } else { String::new() },
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.transfer.len()
    }

    /// Takes the message if it has been received often enough: delivered `maxReceiveCount` times, it moves at the next
    /// attempt (facts/sqs.md § 8). What it was received in other queues, whose dead letter it is here, does not count (AWS's
    /// guide: how often a consumer can receive it "from a source queue"); `ApproximateReceiveCount` goes on.
    pub(crate) fn take(&mut self, candidate: &Candidate<'_>) -> bool {
        let Some((target, max_receives)) = self.target else { return false };
        let Some(touched) = candidate.touched.filter(|touched| touched.receives_here() >= max_receives)
        else {
            return false;
        };
        let fifo = target.is_fifo();
        self.transfer.add(self.queue, candidate, |seq| MessagePlaced {
            queue: target.id,
            seq,
            origin: touched.origin,
            copy: touched.copy,
            extent: candidate.extent,
            // On FIFO the retention period begins anew; on standard it goes on.
            sent: if fifo { self.now } else { touched.sent },
            group: candidate.group_name.map(|name| Cow::Owned(name.to_owned())),
            dead_letter_source: Some(Cow::Owned(self.source_arn.clone())),
            deduplicates_by_id: fifo,
            receives: touched.receives,
            receives_elsewhere: touched.receives,
            first_received: touched.first_received,
            received: touched.received,
            visible: self.now,
            in_flight: false,
        });
        true
    }

    pub(crate) fn into_drafts(self) -> Vec<Draft<'static>> {
        self.transfer.into_drafts(self.queue)
    }
}

/// Messages on their way from one queue to others of this server. Their payloads stay where they are.
pub(crate) struct Transfer<'s> {
    numbers: &'s Numbers,
    reason: DropReason,
    /// What is no longer where it was, and what it is from now on.
    moved: Vec<(DroppedMessage<'static>, MessagePlaced<'static>)>,
}

impl<'s> Transfer<'s> {
    pub(crate) fn new(numbers: &'s Numbers, reason: DropReason) -> Self {
        Transfer { numbers, reason, moved: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.moved.len()
    }

    /// Takes a message out of `source`; `place` says, for its new number, what it is from now on.
    pub(crate) fn add(
        &mut self,
        source: &Queue,
        candidate: &Candidate<'_>,
        place: impl FnOnce(Seq) -> MessagePlaced<'static>,
    ) {
        debug_assert!(source.groups.get(candidate.group).is_some());
        let seq = Seq(self.numbers.draw());
        let dropped = DroppedMessage {
            seq: candidate.seq,
            place: candidate.extent.place,
            group: candidate.group_name.map(|name| Cow::Owned(name.to_owned())),
        };
        self.moved.push((dropped, place(seq)));
    }

    /// Each message is in one record, in both of its conditions; several may share one.
    pub(crate) fn into_drafts(self, source: &Queue) -> Vec<Draft<'static>> {
        let (queue, reason) = (source.id, self.reason);
        let records = in_records(self.moved, |(dropped, placed)| dropped.most_bytes() + placed.most_bytes());
        let draft = |moved: Vec<(DroppedMessage<'static>, MessagePlaced<'static>)>| {
            let (messages, placed) = moved.into_iter().unzip();
            let dropped = MessagesDropped { queue, reason, messages };
            Record::MessagesMoved(MessagesMoved { dropped, placed }).into()
        };
        records.into_iter().map(draft).collect()
    }
}
