//! What becomes true of messages: they arrive, are received, hidden, dropped and moved.

use kernel::{Extent, Ledger, Time};

use super::State;
use crate::QueueId;
use crate::queue::{QUEUE_DELAY, Touched};
use crate::records::{
    Deduplication, DropReason, MessagePlaced, MessageSent, MessagesDropped, MessagesReceived,
    ReceivedMessage, VisibilityChanged,
};
use crate::rules::attempts::{self, Attempt};
use crate::rules::group::{BY_ITSELF, NEVER};
use collections::Entry;
use collections::dedup::{self, DedupKey};

impl State {
    pub(crate) fn message_sent(&mut self, record: &MessageSent<'_>, at: Extent, ledger: &mut Ledger) {
        let Some(queue) = self.queues.get_mut(&record.queue) else { return };
        let counts_no_more = |until: Time| record.sent + dedup::WINDOW_MILLIS <= until;
        if let Some(deduplication) = record.deduplication.as_ref().filter(|_| !record.forwarded)
            && record.seq > queue.purged_through
            && !self.reading_until.is_some_and(counts_no_more)
        {
            let key = dedup_key(record, deduplication);
            match self.reading_until {
                Some(_) => queue.dedup.load(key, record.seq, record.sent),
                None => queue.dedup.accept(key, record.seq, record.sent),
            }
            queue.watch_dedup(&mut self.deadlines);
            ledger.remember(at.place.segment(), record.sent + dedup::WINDOW_MILLIS);
        }
        if record.seq <= queue.purged_through {
            return;
        }
        let delay = if record.delay_seconds > 0 {
            Some(record.delay_seconds)
        } else if queue.is_fifo()
            && !record.forwarded
            && (queue.settings.delay_seconds > 0 || queue.has_delayed())
        {
            Some(QUEUE_DELAY)
        } else {
            None
        };
        let entry = Entry { seq: record.seq, extent: at, sent: record.sent, tag: 0 };
        ledger.hold(at);
        if record.origin != record.seq && queue.waiting(record.seq, record.group.as_deref()).is_none() {
            // It has a history, which the record that follows tells; until then it must not be taken for a new one.
            let known = queue.touched.get_mut(&record.seq);
            match known {
                Some(touched) => {
                    ledger.release(touched.extent);
                    ledger.replace(at.place, touched.extent.place.segment());
                    self.borrowed.remove(touched.extent, record.queue, record.seq);
                    touched.extent = at;
                    touched.copy = record.origin;
                    touched.borrowed = false;
                }
                None => {
                    let number = queue.groups.find_or_add(record.group.as_deref());
                    let touched = Box::new(Touched::new(entry, number, record.origin));
                    queue.attach(record.seq, touched, &mut self.deadlines);
                    queue.list(number, record.sent);
                }
            }
        } else if let Some(old) =
            queue.arrive(entry, record.group.as_deref(), delay, record.forwarded, &mut self.deadlines)
        {
            ledger.release(old);
            ledger.replace(at.place, old.place.segment());
            self.borrowed.remove(old, record.queue, record.seq);
        }
        self.changed(record.queue);
    }

    pub(super) fn messages_received(
        &mut self,
        record: &MessagesReceived<'_>,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let share = share_of(at, record.messages.len());
        let Some(queue) = self.queues.get_mut(&record.queue) else { return };
        let mut attempt = Vec::new();
        let mut listed = None;
        for message in &record.messages {
            // Also what is not known here: it may have been written forward to behind this.
            attempt.push((message.seq, message.receives));
            let Some(mut touched) = queue.detach(message.seq, message.group.as_deref(), &mut self.deadlines)
            else {
                continue;
            };
            queue.gave_returned = touched.receives > 0;
            set_receives(&mut touched, message);
            touched.received = record.at;
            touched.visible = record.until;
            touched.in_flight = record.until > record.at;
            if !touched.in_flight {
                touched.returned = queue.given_back();
            }
            ledger.hold(share);
            if let Some(old) = touched.fact.replace(share) {
                ledger.release(old);
            }
            let group = touched.group;
            queue.attach(message.seq, touched, &mut self.deadlines);
            // Messages of one group come together: one look at it is enough.
            if let Some(previous) = listed.replace(group)
                && previous != group
            {
                queue.list(previous, record.at);
            }
        }
        if let Some(group) = listed {
            queue.list(group, record.at);
        }
        if let Some(id) = &record.attempt {
            queue.attempts.remember(id, Attempt { at: record.at, until: record.until, messages: attempt });
            ledger.remember(at.place.segment(), record.at + attempts::WINDOW_MILLIS);
        }
        self.changed(record.queue);
    }

    pub(super) fn visibility_changed(
        &mut self,
        record: &VisibilityChanged<'_>,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let share = share_of(at, record.messages.len());
        let Some(queue) = self.queues.get_mut(&record.queue) else { return };
        if let Some(id) = &record.attempt
            && let Some(changed) = record.messages.last()
        {
            queue.attempts.extend(id, changed.until);
            ledger.remember(at.place.segment(), changed.received + attempts::WINDOW_MILLIS);
        }
        for changed in &record.messages {
            let message = &changed.message;
            let mut change = |touched: &mut Touched| {
                set_receives(touched, message);
                touched.received = changed.received;
                touched.visible = changed.until;
                ledger.hold(share);
                if let Some(old) = touched.fact.replace(share) {
                    ledger.release(old);
                }
            };
            let in_flight = changed.until > record.at;
            // Nearly always: a client asks for more time.
            if in_flight
                && let Some(group) = queue.stay_in_flight(message.seq, &mut change, &mut self.deadlines)
            {
                queue.list(group, record.at);
                continue;
            }
            let Some(mut touched) = queue.detach(message.seq, message.group.as_deref(), &mut self.deadlines)
            else {
                continue;
            };
            change(&mut touched);
            touched.in_flight = in_flight;
            if !in_flight {
                touched.returned = queue.given_back();
            }
            let group = touched.group;
            queue.attach(message.seq, touched, &mut self.deadlines);
            queue.list(group, record.at);
        }
        self.changed(record.queue);
    }

    pub(super) fn messages_dropped(&mut self, record: &MessagesDropped<'_>, at: Extent, ledger: &mut Ledger) {
        for message in &record.messages {
            ledger.bury(at.place, message.place.segment());
        }
        if let DropReason::Moved(id) = record.reason
            && let Some(task) = self.tasks.get_mut(&id)
            && at.place > task.at.place
        {
            task.moved += record.messages.len() as u64;
        }
        if record.reason == DropReason::Damaged {
            // Also of what is not known here: nobody reads more of it than that it is damaged.
            self.set_aside.extend(record.messages.iter().map(|message| (record.queue, message.seq)));
        }
        let Some(queue) = self.queues.get_mut(&record.queue) else { return };
        for message in &record.messages {
            let Some(touched) = queue.detach(message.seq, message.group.as_deref(), &mut self.deadlines)
            else {
                continue;
            };
            if record.reason == DropReason::Damaged {
                let until = touched.sent + queue.retention_millis();
                ledger.set_aside(touched.extent.place.segment(), until);
            }
            ledger.release(touched.extent);
            for fact in [touched.fact, touched.placed].into_iter().flatten() {
                ledger.release(fact);
            }
            if touched.borrowed {
                self.borrowed.remove(touched.extent, record.queue, message.seq);
            }
            // What comes after it in a FIFO group may be free now.
            let now = touched.received.max(self.now);
            queue.list(touched.group, now);
        }
        self.changed(record.queue);
    }

    pub(super) fn message_placed(&mut self, record: &MessagePlaced<'_>, share: Extent, ledger: &mut Ledger) {
        let Some(queue) = self.queues.get_mut(&record.queue) else { return };
        if record.seq <= queue.purged_through {
            return;
        }
        let known = queue.detach(record.seq, record.group.as_deref(), &mut self.deadlines);
        // If nothing is known of it and its payload is gone, it has been dropped since, and the tombstone went with the
        // payload's segment.
        if known.is_none() && !ledger.contains(record.extent.place.segment()) {
            return;
        }
        let entry = Entry { seq: record.seq, extent: record.extent, sent: record.sent, tag: 0 };
        let number = queue.groups.find_or_add(record.group.as_deref());
        let mut touched = Box::new(Touched::new(entry, number, record.origin));
        if record.receives > record.receives_elsewhere {
            touched.returned = BY_ITSELF;
        }
        match known {
            Some(known) => {
                if known.visible == record.visible && known.returned != NEVER {
                    touched.returned = known.returned;
                }
                touched.borrowed = known.borrowed && known.extent == record.extent;
                if !touched.borrowed {
                    self.borrowed.remove(known.extent, record.queue, record.seq);
                }
                touched.extent = known.extent;
                // If its payload was written elsewhere since, the parcel there calls it by another name.
                touched.copy = if known.extent == record.extent { record.copy } else { known.copy };
                for fact in [known.fact, known.placed].into_iter().flatten() {
                    ledger.release(fact);
                }
            }
            None => {
                touched.borrowed = true;
                touched.copy = record.copy;
                ledger.hold(record.extent);
                self.borrowed.insert(record.extent, record.queue, record.seq);
            }
        }
        touched.receives = record.receives;
        touched.receives_elsewhere = record.receives_elsewhere;
        touched.first_received = record.first_received;
        touched.received = record.received;
        touched.visible = record.visible;
        touched.in_flight = record.in_flight;
        touched.deduplicates_by_id = record.deduplicates_by_id;
        touched.dead_letter_source = record.dead_letter_source.as_deref().map(|arn| queue.source(arn));
        touched.fact = Some(share);
        ledger.hold(share);
        if touched.borrowed
            || touched.origin != record.seq
            || touched.dead_letter_source.is_some()
            || touched.deduplicates_by_id
        {
            touched.placed = Some(share);
            ledger.hold(share);
        }
        queue.attach(record.seq, touched, &mut self.deadlines);
        queue.list(number, record.visible);
        self.changed(record.queue);
    }

    /// Messages have come or gone: something may expire sooner, and whoever waits for this queue may be in luck.
    pub(super) fn changed(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        queue.watch_retention(&mut self.deadlines);
        if !queue.waiters.is_empty() && queue.has_ready() {
            self.woken.insert(id);
        }
        if queue.is_watched && queue.has_ready() {
            self.filled.insert(id);
        }
    }
}

/// A record about several messages is needed by each of them: the part that is one message's.
pub(super) fn share_of(at: Extent, messages: usize) -> Extent {
    Extent { len: at.len / messages.max(1) as u32, ..at }
}

pub(super) fn dedup_key(record: &MessageSent<'_>, deduplication: &Deduplication<'_>) -> DedupKey {
    let group = if deduplication.in_group { record.group.as_deref() } else { None };
    DedupKey::new(&deduplication.id, group)
}

fn set_receives(touched: &mut Touched, message: &ReceivedMessage<'_>) {
    touched.receives = message.receives;
    touched.first_received = message.first_received;
}
