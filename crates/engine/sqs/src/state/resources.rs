//! What becomes true when queues and move tasks are declared and deleted.

use kernel::{Extent, Ledger};
use resources::Standing;

use super::time::SWEPT;
use super::{State, Task};
use crate::due::Due;
use crate::queue::Queue;
use crate::records::{MoveStatus, MoveTaskDeclared, QueueDeclared, QueueDeleted};
use crate::rules::settings::Settings;
use crate::{QueueId, QueueKey, TaskId};
use collections::work;

/// How many move tasks a source queue's listing can show (facts/sqs.md § 2).
const TASKS_LISTED: usize = 10;

impl State {
    pub(super) fn queue_declared(&mut self, record: &QueueDeclared, at: Extent, ledger: &mut Ledger) {
        let seed = self.seed;
        let Some(queue) = self.queues.get_mut(&record.id) else {
            self.names.insert(record.key.clone(), record.id);
            self.dead_letter_sources.extend(redrive(&record.key, &record.settings));
            self.deleted.remove(&record.key);
            let standing = Standing::declared(at, None, ledger);
            self.queues.insert(record.id, Queue::new(record, standing, seed));
            self.watch_queue(record.id);
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

    pub(super) fn queue_deleted(&mut self, record: &QueueDeleted, at: Extent, ledger: &mut Ledger) {
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

    pub(super) fn move_task_declared(&mut self, record: &MoveTaskDeclared, at: Extent, ledger: &mut Ledger) {
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
}

/// The dead-letter queue that a queue's settings name, and the queue.
fn redrive(queue: &QueueKey, settings: &Settings) -> Option<(QueueKey, QueueKey)> {
    Some((QueueKey::from_arn(&settings.redrive.as_ref()?.target)?, queue.clone()))
}
