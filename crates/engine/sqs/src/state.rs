//! What is remembered of all queues, and `apply`, the only function that changes what the log says.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel::{Deadlines, Demand, Extent, IdsRemembered, Ledger, RememberedId, Secret, Time};
use resources::Standing;

use crate::borrowed::Borrowed;
use crate::operations::Draft;
use crate::queue::{QUEUE_DELAY, Queue, Rest, Touched};
use crate::reading::Ahead;
use crate::recently::RecentlyDeleted;
use crate::records::{
    AttemptRemembered, Deduplication, DropReason, MessagePlaced, MessageSent, MessagesDropped,
    MessagesReceived, MoveStatus, MoveTaskDeclared, QueueDeclared, QueueDeleted, ReceivedMessage, Record,
    VisibilityChanged,
};
use crate::rules::attempts::{self, Attempt};
use crate::rules::group::{BY_ITSELF, NEVER, seed_of};
use crate::rules::settings::Settings;
use crate::{QueueId, QueueKey, Seq, TaskId};
use collections::Entry;
use collections::dedup::{self, DedupKey};
use collections::work;

/// What falls due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Due {
    /// A message's visibility timeout or retention period ends.
    MessageDue(QueueId, Seq),
    /// The delay of the first messages with this delay ends.
    DelayEnds(QueueId, u32),
    /// The retention period of the oldest message that was never received ends.
    RetentionEnds(QueueId),
    /// A receive has waited long enough.
    PollEnds(QueueId, u64),
    /// Deduplication ids stop counting.
    DedupEnds(QueueId),
    /// A move task may move more messages.
    MoveStep(TaskId),
}

/// A receive that waits for a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// Whom to answer.
    pub ticket: u64,
    /// What it asked for.
    pub request: crate::operations::Receive,
    /// Until when it waits.
    pub until: Time,
}

/// A move task and where its latest declaration lies.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is declared.
    pub declared: MoveTaskDeclared,
    /// Messages moved until now.
    pub moved: u64,
    pub(crate) at: Extent,
}

/// Messages of a queue that was emptied, of which the log is told in one go that nobody needs them.
const DISMANTLED: usize = 1000;

/// Messages that hear in one go that their queue's retention period is another.
const SWEPT: usize = 500;

/// Deduplication ids that are forgotten in one go.
const DEDUP_ENDS: usize = 2000;

/// How many move tasks a source queue's listing can show (facts/sqs.md § 2).
const TASKS_LISTED: usize = 10;

/// All queues.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// What the hashes of groups begin with, so that nobody outside can make two of them meet.
    seed: u64,
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    pub(crate) names: BTreeMap<QueueKey, QueueId>,
    /// Dead-letter queues, each with a queue whose redrive policy names it.
    pub(crate) dead_letter_sources: BTreeSet<(QueueKey, QueueKey)>,
    /// When queues were deleted whose names may not be used again at once.
    pub(crate) deleted: RecentlyDeleted,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    /// The same by source queue.
    tasks_by_source: BTreeSet<(QueueId, TaskId)>,
    /// Those that run.
    running: BTreeSet<TaskId>,
    pub(crate) deadlines: Deadlines<Due>,
    /// Messages whose payload lies in a record that names another message.
    pub(crate) borrowed: Borrowed,
    rests: Vec<Rest>,
    /// Queues whose messages are still to hear that the retention period is another.
    sweeps: BTreeSet<QueueId>,
    /// Messages that were set aside, as far as the log still says so.
    pub(crate) set_aside: BTreeSet<(QueueId, Seq)>,
    /// Messages below this number were read from a log.
    replayed_below: u64,
    /// While a log is read: the moment before which nothing will be asked.
    reading_until: Option<Time>,
    /// What was read and is still to be applied.
    pub(crate) ahead: Ahead,

    /// The moment that was told last. While a log is read it is none that matters.
    now: Time,

    // What follows is not in the log: it is about who asks at this moment, and about what is to be looked at next.
    pub(crate) waiting: BTreeMap<u64, (QueueId, u64)>,
    pub(crate) next_waiter: u64,
    /// Queues that have waiters and may have something for them.
    pub(crate) woken: BTreeSet<QueueId>,
    pub(crate) overdue_messages: VecDeque<(QueueId, Seq)>,
    pub(crate) overdue_queues: BTreeSet<QueueId>,
    pub(crate) ended_polls: VecDeque<u64>,
    pub(crate) due_tasks: BTreeSet<TaskId>,
}

impl State {
    /// The queue that an account, region and name denote.
    pub fn queue(&self, key: &QueueKey) -> Option<&Queue> {
        self.queues.get(self.names.get(key)?)
    }

    /// The server has a secret, which nobody outside knows.
    pub fn identified(&mut self, secret: &Secret) {
        self.seed = seed_of(secret);
        self.queues.values_mut().for_each(|queue| queue.groups.reseed(self.seed));
    }

    /// A log is about to be read, all of it before anything is asked, at `now` or later. What no such moment needs to know is
    /// not looked at. Ends with [`State::replayed`].
    pub fn replaying(&mut self, now: Time) {
        self.reading_until = Some(now);
    }

    /// After a log has been read whole: numbers below this one are taken, and some receives of these messages that were
    /// answered may not be in it.
    pub fn replayed(&mut self, seq: u64, ledger: &mut Ledger) {
        self.catch_up(ledger);
        self.ahead = Ahead::default();
        self.replayed_below = seq;
        self.reading_until = None;
        for queue in self.queues.values_mut() {
            queue.dedup.loaded();
            queue.watch_dedup(&mut self.deadlines);
        }
    }

    /// Whether a message was moved to where it is, and its record does not say so: another one does.
    pub fn is_moved(&self, queue: QueueId, seq: Seq) -> bool {
        let touched = self.queues.get(&queue).and_then(|queue| queue.touched.get(&seq));
        touched.is_some_and(|touched| touched.borrowed)
    }

    /// Whether this message may have been received without being known to have been.
    pub(crate) fn may_have_forgotten(&self, seq: Seq) -> bool {
        seq.0 < self.replayed_below
    }

    /// A fact becomes true. `at` is where its record lies. Applied live and when a log is read, in the order of the log.
    pub fn apply(&mut self, record: &Record<'_>, at: Extent, ledger: &mut Ledger) {
        if let Record::MessageSent(record) = record
            && let Some(group) = &record.group
            && self.reading_until.is_some()
        {
            return self.read_message(record, group, at, ledger);
        }
        self.catch_up(ledger);
        match record {
            Record::QueueDeclared(record) => self.queue_declared(record, at, ledger),
            Record::QueueDeleted(record) => self.queue_deleted(record, at, ledger),
            Record::MoveTaskDeclared(record) => self.move_task_declared(record, at, ledger),
            Record::MessageSent(record) => self.message_sent(record, at, ledger),
            Record::MessagesReceived(record) => self.messages_received(record, at, ledger),
            Record::VisibilityChanged(record) => self.visibility_changed(record, at, ledger),
            Record::MessagesDropped(record) => self.messages_dropped(record, at, ledger),
            Record::MessagePlaced(record) => self.message_placed(record, at, ledger),
            Record::AttemptRemembered(record) => self.attempt_remembered(record, at, ledger),
            Record::MessagesMoved(record) => {
                let share = share_of(at, record.placed.len());
                for placed in &record.placed {
                    self.message_placed(placed, share, ledger);
                }
                self.messages_dropped(&record.dropped, at, ledger);
            }
        }
    }

    fn queue_declared(&mut self, record: &QueueDeclared, at: Extent, ledger: &mut Ledger) {
        let seed = self.seed;
        let Some(queue) = self.queues.get_mut(&record.id) else {
            self.names.insert(record.key.clone(), record.id);
            self.dead_letter_sources.extend(redrive(&record.key, &record.settings));
            self.deleted.remove(&record.key);
            let standing = Standing::declared(at, None, ledger);
            self.queues.insert(record.id, Queue::new(record, standing, seed));
            return;
        };
        queue.standing.declare(at, ledger);
        let retention = queue.settings.retention_seconds != record.settings.retention_seconds;
        let delay = queue.settings.delay_seconds != record.settings.delay_seconds;
        if queue.settings.redrive != record.settings.redrive {
            if let Some(before) = redrive(&queue.key, &queue.settings) {
                self.dead_letter_sources.remove(&before);
            }
            self.dead_letter_sources.extend(redrive(&record.key, &record.settings));
        }
        queue.set(&record.settings);
        queue.tags = record.tags.clone();
        queue.modified = record.modified;
        queue.purged = record.purged;
        if retention {
            queue.retention_changed(&mut self.deadlines);
            // A few messages hear of it at once, many a little later.
            if !queue.sweep(SWEPT, &mut self.deadlines) {
                self.sweeps.insert(record.id);
            }
        }
        if delay {
            queue.delay_changed(&mut self.deadlines);
        }
        if record.purged_through > queue.purged_through {
            queue.purged_through = record.purged_through;
            let rest = queue.empty(seed, &mut self.deadlines);
            self.rests.push(rest);
        }
    }

    fn queue_deleted(&mut self, record: &QueueDeleted, at: Extent, ledger: &mut Ledger) {
        for &segment in &record.declared_in {
            ledger.bury(at.place, segment);
        }
        let seed = self.seed;
        let Some(mut queue) = self.queues.remove(&record.id) else { return };
        queue.standing.end(ledger);
        if let Some(redrive) = redrive(&queue.key, &queue.settings) {
            self.dead_letter_sources.remove(&redrive);
        }
        self.rests.push(queue.empty(seed, &mut self.deadlines));
        self.sweeps.remove(&record.id);
        for (number, waiter) in std::mem::take(&mut queue.waiters) {
            self.deadlines.clear(waiter.until, Due::PollEnds(queue.id, number));
            self.ended_polls.push_back(waiter.ticket);
            self.waiting.remove(&waiter.ticket);
        }
        if self.names.get(&queue.key) == Some(&queue.id) {
            self.names.remove(&queue.key);
        }
        self.deleted.insert(queue.key, record.at);
    }

    fn move_task_declared(&mut self, record: &MoveTaskDeclared, at: Extent, ledger: &mut Ledger) {
        ledger.hold(at);
        if let Some(old) = self.tasks.get(&record.id) {
            ledger.release(old.at);
        }
        let task = Task { declared: record.clone(), moved: record.moved, at };
        self.tasks.insert(record.id, task);
        let step = Due::MoveStep(record.id);
        if record.status == MoveStatus::Running {
            self.deadlines.set(record.started, step);
        }
        self.tasks_by_source.insert((record.source, record.id));
        match record.status {
            MoveStatus::Running => self.running.insert(record.id),
            _ => self.running.remove(&record.id),
        };
        let too_old: Vec<TaskId> =
            self.tasks_of(record.source).skip(TASKS_LISTED).map(|task| task.declared.id).collect();
        for id in too_old {
            self.tasks_by_source.remove(&(record.source, id));
            self.running.remove(&id);
            if let Some(task) = self.tasks.remove(&id) {
                ledger.release(task.at);
            }
        }
    }

    /// The move tasks of a source queue, newest first.
    pub(crate) fn tasks_of(&self, source: QueueId) -> impl Iterator<Item = &Task> {
        let of_source = self.tasks_by_source.range((source, TaskId(0))..=(source, TaskId(u64::MAX)));
        of_source.rev().filter_map(|(_, id)| {
            work::look();
            self.tasks.get(id)
        })
    }

    /// The move tasks that run.
    pub(crate) fn running_tasks(&self) -> impl Iterator<Item = &Task> {
        self.running.iter().filter_map(|id| self.tasks.get(id))
    }

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

    fn messages_received(&mut self, record: &MessagesReceived<'_>, at: Extent, ledger: &mut Ledger) {
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

    fn attempt_remembered(&mut self, record: &AttemptRemembered<'_>, at: Extent, ledger: &mut Ledger) {
        let Some(queue) = self.queues.get_mut(&record.queue) else { return };
        ledger.remember(at.place.segment(), record.at + attempts::WINDOW_MILLIS);
        if self.reading_until.is_some() {
            let attempt = Attempt { at: record.at, until: record.until, messages: record.messages.clone() };
            queue.attempts.remember(&record.attempt, attempt);
        }
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

    fn visibility_changed(&mut self, record: &VisibilityChanged<'_>, at: Extent, ledger: &mut Ledger) {
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

    fn messages_dropped(&mut self, record: &MessagesDropped<'_>, at: Extent, ledger: &mut Ledger) {
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

    fn message_placed(&mut self, record: &MessagePlaced<'_>, share: Extent, ledger: &mut Ledger) {
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
    fn changed(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        queue.watch_retention(&mut self.deadlines);
        if !queue.waiters.is_empty() && queue.has_ready() {
            self.woken.insert(id);
        }
    }

    /// Time has come to `now`: what follows from that alone, and needs no record, happens.
    pub fn advance(&mut self, now: Time) {
        let mut room = usize::MAX;
        self.advance_some(now, &mut room);
    }

    /// The same, but no more than there is room for, which it takes up. What falls due and has not been looked at yet makes no
    /// difference but for that: nobody is given a message whose retention has ended, though it still counts.
    pub fn advance_some(&mut self, now: Time, room: &mut usize) {
        self.now = self.now.max(now);
        while *room > 0 {
            let Some((_, due)) = self.deadlines.take_due(now) else { return };
            *room -= 1;
            match due {
                Due::MessageDue(id, seq) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    if queue.message_due(seq, now, &mut self.deadlines) {
                        self.overdue_messages.push_back((id, seq));
                    }
                    self.changed(id);
                }
                Due::DelayEnds(id, delay) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    let moved = queue.delay_ends(delay, now, (*room).clamp(1, 1000), &mut self.deadlines);
                    *room = room.saturating_sub(moved);
                    self.changed(id);
                }
                Due::RetentionEnds(id) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    queue.forget_retention(&mut self.deadlines);
                    self.overdue_queues.insert(id);
                }
                Due::PollEnds(id, number) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    if let Some(waiter) = queue.waiters.remove(&number) {
                        self.waiting.remove(&waiter.ticket);
                        self.ended_polls.push_back(waiter.ticket);
                    }
                }
                Due::DedupEnds(id) => {
                    let Some(queue) = self.queues.get_mut(&id) else { continue };
                    queue.dedup_ends(now, DEDUP_ENDS, &mut self.deadlines);
                    *room = room.saturating_sub(DEDUP_ENDS / 8);
                }
                Due::MoveStep(id) => {
                    self.due_tasks.insert(id);
                }
            }
        }
    }

    /// When time must be told again at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Whether something follows from the time that was told last and has not happened yet, though the disk has `room` for it.
    pub fn is_behind(&self, room: Demand) -> bool {
        self.deadlines.next().is_some_and(|due| due <= self.now)
            || !self.sweeps.is_empty()
            || !self.ended_polls.is_empty()
            || room >= Demand::Delete && !(self.overdue_messages.is_empty() && self.overdue_queues.is_empty())
            || room >= Demand::Change && !(self.woken.is_empty() && self.due_tasks.is_empty())
    }

    /// Whether a receive that waited is still to be told that it waited in vain.
    pub fn has_ended_polls(&self) -> bool {
        !self.ended_polls.is_empty()
    }

    /// Whether there is work that can be done between requests.
    pub fn has_background_work(&self) -> bool {
        !self.rests.is_empty() || !self.sweeps.is_empty()
    }

    /// Does a little of that work.
    pub fn work_in_background(&mut self, ledger: &mut Ledger) {
        if let Some(rest) = self.rests.last_mut()
            && rest.dismantle(DISMANTLED, ledger, &mut self.deadlines, &mut self.borrowed)
        {
            self.rests.pop();
        }
        if let Some(&id) = self.sweeps.first()
            && self.queues.get_mut(&id).is_none_or(|queue| queue.sweep(SWEPT, &mut self.deadlines))
        {
            self.sweeps.remove(&id);
        }
    }

    /// Whether a queue is FIFO; one that is gone is not.
    pub fn is_fifo(&self, id: QueueId) -> bool {
        self.queues.get(&id).is_some_and(Queue::is_fifo)
    }

    /// The facts after which nothing is left: every queue is deleted.
    pub fn reset(&mut self, now: Time) -> Vec<Draft<'static>> {
        self.deleted.clear();
        let deleted = |queue: &Queue| QueueDeleted {
            id: queue.id,
            // Before any time that the strict limits look at, so that the names can be used again at once.
            at: Time(now.0.saturating_sub(crate::limits::DELETED_RECENTLY_MILLIS)),
            declared_in: queue.standing.declared_in().collect(),
        };
        self.queues.values().map(|queue| Record::QueueDeleted(deleted(queue)).into()).collect()
    }

    /// A receive begins to wait.
    pub fn wait(&mut self, id: QueueId, waiter: Waiter) {
        let number = self.next_waiter;
        self.next_waiter += 1;
        if let Some(queue) = self.queues.get_mut(&id) {
            self.deadlines.set(waiter.until, Due::PollEnds(id, number));
            self.waiting.insert(waiter.ticket, (id, number));
            queue.waiters.insert(number, waiter);
            // It may have found as many dead letters as one receive moves, and something to give is behind them.
            if queue.has_ready() {
                self.woken.insert(id);
            }
        }
    }

    /// All receives that wait are to be answered with nothing.
    pub fn end_polls(&mut self) {
        let tickets: Vec<u64> = self.waiting.keys().copied().collect();
        for ticket in tickets {
            self.stop_waiting(ticket);
            self.ended_polls.push_back(ticket);
        }
    }

    /// A receive waits no longer: it is being answered, or the client has gone.
    pub fn stop_waiting(&mut self, ticket: u64) -> Option<Waiter> {
        let (id, number) = self.waiting.remove(&ticket)?;
        let waiter = self.queues.get_mut(&id)?.waiters.remove(&number)?;
        self.deadlines.clear(waiter.until, Due::PollEnds(id, number));
        Some(waiter)
    }
}

/// The dead-letter queue that a queue's settings name, and the queue.
fn redrive(queue: &QueueKey, settings: &Settings) -> Option<(QueueKey, QueueKey)> {
    Some((QueueKey::from_arn(&settings.redrive.as_ref()?.target)?, queue.clone()))
}

/// A record about several messages is needed by each of them: the part that is one message's.
fn share_of(at: Extent, messages: usize) -> Extent {
    Extent { len: at.len / messages.max(1) as u32, ..at }
}

fn dedup_key(record: &MessageSent<'_>, deduplication: &Deduplication<'_>) -> DedupKey {
    let group = if deduplication.in_group { record.group.as_deref() } else { None };
    DedupKey::new(&deduplication.id, group)
}

fn set_receives(touched: &mut Touched, message: &ReceivedMessage<'_>) {
    touched.receives = message.receives;
    touched.first_received = message.first_received;
}
