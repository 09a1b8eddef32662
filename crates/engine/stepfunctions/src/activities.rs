//! Activities: their tasks that wait for a worker, and workers that wait for a task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel::{Extent, Ledger, Time};
use resources::Standing;
use schedules::Timetable;

use crate::executions::Doing;
use crate::records::{ActivityDeclared, ActivityDeleted};
use crate::{ActivityId, ExecutionId, MachineKey};

/// An activity.
#[derive(Clone, Debug)]
pub struct Activity {
    /// What the log says of it.
    pub declared: ActivityDeclared,
    standing: Standing,
}

impl Activity {
    /// Whether its declaration lies at `at`.
    pub(crate) fn is_at(&self, at: Extent) -> bool {
        self.standing.is_at(at)
    }

    /// The fact that it is gone.
    pub(crate) fn deletion(&self) -> ActivityDeleted {
        ActivityDeleted { id: self.declared.id, declared_in: self.standing.declared_in().collect() }
    }
}

/// A worker that waits for a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Poll {
    /// The request.
    pub ticket: u64,
    /// The activity.
    pub activity: ActivityId,
    /// `workerName`.
    pub worker: Option<String>,
    /// Until when it waits.
    pub until: Time,
}

/// All activities.
#[derive(Debug, Default)]
pub(crate) struct Activities {
    by_id: BTreeMap<ActivityId, Activity>,
    pub(crate) names: BTreeMap<MachineKey, ActivityId>,

    // What follows is derived, and not in the log.
    /// Tasks that wait for a worker, by when they were scheduled.
    queued: BTreeSet<(ActivityId, Time, ExecutionId, u32)>,
    /// Workers that wait, in their order.
    polls: BTreeMap<ActivityId, VecDeque<Poll>>,
    /// The activities of those, by request.
    tickets: BTreeMap<u64, ActivityId>,
    /// When they wait no longer.
    ends: Timetable<u64>,
    /// Activities that may have both a task and a worker.
    meets: BTreeSet<ActivityId>,
}

impl Activities {
    pub(crate) fn find(&self, key: &MachineKey) -> Option<&Activity> {
        self.by_id.get(self.names.get(key)?)
    }

    pub(crate) fn get(&self, id: ActivityId) -> Option<&Activity> {
        self.by_id.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Activity> {
        self.by_id.values()
    }

    pub(crate) fn declared(&mut self, record: &ActivityDeclared, at: Extent, ledger: &mut Ledger) {
        let before = self.by_id.remove(&record.id).map(|activity| activity.standing);
        let standing = Standing::declared(at, before, ledger);
        self.by_id.insert(record.id, Activity { declared: record.clone(), standing });
        self.names.insert(record.key.clone(), record.id);
    }

    pub(crate) fn deleted(&mut self, record: &ActivityDeleted, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        let Some(activity) = self.by_id.remove(&record.id) else { return };
        activity.standing.end(ledger);
        if self.names.get(&activity.declared.key) == Some(&record.id) {
            self.names.remove(&activity.declared.key);
        }
    }

    /// A task of an activity waits for a worker, if this is one.
    pub(crate) fn wait(&mut self, doing: &Doing, key: (ExecutionId, u32)) {
        if let Some(entry) = entry_of(doing, key) {
            self.queued.insert(entry);
            self.meets.insert(entry.0);
        }
    }

    /// It waits no longer.
    pub(crate) fn wait_no_more(&mut self, doing: &Doing, key: (ExecutionId, u32)) {
        if let Some(entry) = entry_of(doing, key) {
            self.queued.remove(&entry);
        }
    }

    /// The task of an activity that has waited for the longest time.
    pub(crate) fn first(&self, activity: ActivityId) -> Option<(ExecutionId, u32)> {
        let first = (activity, Time(0), ExecutionId(0), 0);
        let entry = self.queued.range(first..).next().filter(|entry| entry.0 == activity)?;
        Some((entry.2, entry.3))
    }

    /// A worker waits.
    pub(crate) fn poll(&mut self, poll: Poll) {
        self.ends.set(poll.until, poll.ticket);
        self.tickets.insert(poll.ticket, poll.activity);
        self.meets.insert(poll.activity);
        self.polls.entry(poll.activity).or_default().push_back(poll);
    }

    /// How many workers wait for tasks of an activity.
    pub(crate) fn polls_of(&self, activity: ActivityId) -> usize {
        self.polls.get(&activity).map_or(0, VecDeque::len)
    }

    /// A worker waits no longer. Returns whether it did.
    pub(crate) fn gone(&mut self, ticket: u64) -> bool {
        let Some(activity) = self.tickets.remove(&ticket) else { return false };
        let Some(polls) = self.polls.get_mut(&activity) else { return false };
        polls
            .iter()
            .filter(|poll| poll.ticket == ticket)
            .for_each(|poll| self.ends.clear(poll.until, ticket));
        polls.retain(|poll| poll.ticket != ticket);
        if polls.is_empty() {
            self.polls.remove(&activity);
        }
        true
    }

    /// All workers that wait are due.
    pub(crate) fn end_all(&mut self) {
        for poll in self.polls.values().flatten() {
            self.ends.clear(poll.until, poll.ticket);
            self.ends.set(Time(0), poll.ticket);
        }
        for poll in self.polls.values_mut().flatten() {
            poll.until = Time(0);
        }
        self.ends.advance(Time(0), &mut usize::MAX.clone());
    }

    /// Whether a worker waits whose time is over.
    pub(crate) fn owes(&self, now: Time) -> bool {
        self.ends.is_behind(now)
    }

    pub(crate) fn advance(&mut self, now: Time, room: &mut usize) {
        self.ends.advance(now, room);
    }

    pub(crate) fn next_end(&self) -> Option<Time> {
        self.ends.next()
    }

    /// Whether a worker can be answered.
    pub(crate) fn is_behind(&self, now: Time) -> bool {
        !self.meets.is_empty() || self.ends.is_behind(now)
    }

    /// The next worker whose time is over.
    pub(crate) fn next_ended(&mut self) -> Option<u64> {
        let ticket = self.ends.take()?;
        self.gone(ticket);
        Some(ticket)
    }

    /// The next worker that waits for a task which waits for a worker.
    pub(crate) fn next_met(&mut self) -> Option<Poll> {
        while let Some(&activity) = self.meets.first() {
            let poll = self.polls.get(&activity).and_then(VecDeque::front).cloned();
            match poll.filter(|_| self.first(activity).is_some()) {
                Some(poll) => {
                    self.gone(poll.ticket);
                    return Some(poll);
                }
                None => self.meets.remove(&activity),
            };
        }
        None
    }
}

/// What stands for a task that waits for a worker.
fn entry_of(doing: &Doing, (id, flow): (ExecutionId, u32)) -> Option<(ActivityId, Time, ExecutionId, u32)> {
    match doing {
        Doing::Tasks { wait, .. } if wait.is_queued() => Some((wait.activity?.0, wait.started, id, flow)),
        _ => None,
    }
}
