//! Tasks that ask servers elsewhere (`http:invoke`): which wait for their turn, which are under way, and which have been answered.
//!
//! None of this is in the log but that the task is waited for. After a restart every such task asks again.

use std::collections::{BTreeSet, VecDeque};

use kernel::request::Answer;

use crate::ExecutionId;
use crate::executions::{Doing, Execution};
use crate::steps::Task;

/// Requests that are under way at the same time, of all executions.
const UNDER_WAY: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    waiting: VecDeque<(ExecutionId, u32)>,
    under_way: BTreeSet<Task>,
    /// Answers for which the disk has had no room.
    answers: VecDeque<(Task, Answer)>,
}

impl Asks {
    /// A flow waits for its turn, if it is one that asks.
    pub(crate) fn wait(&mut self, doing: &Doing, key: (ExecutionId, u32)) {
        if doing.asks() {
            self.waiting.push_back(key);
        }
    }

    /// A log has been read.
    pub(crate) fn begin_again<'e>(&mut self, executions: impl Iterator<Item = (ExecutionId, &'e Execution)>) {
        self.waiting.clear();
        for (id, execution) in executions {
            let asking = execution.flows().filter(|(_, flow)| flow.doing.asks());
            self.waiting.extend(asking.map(|(number, _)| (id, number)));
        }
    }

    /// Whether a request can be sent.
    pub(crate) fn is_able(&self) -> bool {
        !self.waiting.is_empty() && self.under_way.len() + self.answers.len() < UNDER_WAY
    }

    /// The next flow whose turn it is. It may have stopped to wait since.
    pub(crate) fn next(&mut self) -> Option<(ExecutionId, u32)> {
        if self.is_able() { self.waiting.pop_front() } else { None }
    }

    /// A request is sent.
    pub(crate) fn asked(&mut self, task: Task) {
        self.under_way.insert(task);
    }

    /// Whether the request of a task is under way, or has been answered.
    pub(crate) fn has_asked(&self, task: &Task) -> bool {
        self.under_way.contains(task) || self.answers.iter().any(|(answered, _)| answered == task)
    }

    /// A request has been answered.
    pub(crate) fn answered(&mut self, task: Task, answer: Answer) {
        if self.under_way.remove(&task) {
            self.answers.push_back((task, answer));
        }
    }

    /// The next answer that nothing has followed from.
    pub(crate) fn next_answer(&mut self) -> Option<(Task, Answer)> {
        self.answers.pop_front()
    }

    /// Whether there are answers.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }
}
