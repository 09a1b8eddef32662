//! What is remembered of all queues, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel::{Deadlines, Extent, Ledger, Secret, Time};

use crate::borrowed::Borrowed;
use crate::due::Due;
use crate::queue::{Queue, Rest};
use crate::reading::Ahead;
use crate::recently::RecentlyDeleted;
use crate::records::{Draft, MoveTaskDeclared, QueueDeleted, Record};
use crate::rules::group::seed_of;
use crate::{QueueId, QueueKey, Seq, TaskId};

mod messages;
mod polls;
mod remembered;
mod resources;
mod time;

use messages::share_of;

/// A move task and where its latest declaration lies.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is declared.
    pub declared: MoveTaskDeclared,
    /// Messages moved until now.
    pub moved: u64,
    pub(crate) at: Extent,
}

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
    /// Queues that other services wish for, whether they exist or not.
    pub(crate) watched: BTreeSet<QueueKey>,
    /// Those that have something now.
    pub(crate) filled: BTreeSet<QueueId>,
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
}
