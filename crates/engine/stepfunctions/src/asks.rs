//! Tasks that ask servers elsewhere (`http:invoke`): which wait for their turn, which are under way, and which have been answered.
//!
//! State machines take turns, and none has more than a part of all requests: a server that never answers holds up its own state machine
//! only. None of this is in the log but that the task is waited for. After a restart every such task asks again.

use std::collections::{BTreeMap, VecDeque};

use kernel::request::Answer;

use crate::executions::{Doing, Execution};
use crate::steps::Task;
use crate::{ExecutionId, MachineId};

/// Requests that are under way at the same time, of all state machines.
const UNDER_WAY: usize = 512;

/// Those of one state machine, about: a few more can have had their turn and still be read from the log.
const OF_ONE: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    machines: BTreeMap<MachineId, OfMachine>,
    /// State machines that can ask, in the order of their turns.
    turns: VecDeque<MachineId>,
    under_way: BTreeMap<Task, MachineId>,
    /// Answers from which nothing has followed yet.
    answers: VecDeque<(Task, Answer)>,
}

/// The requests of one state machine.
#[derive(Debug, Default)]
struct OfMachine {
    waiting: VecDeque<(ExecutionId, u32)>,
    under_way: usize,
    has_turn: bool,
}

impl Asks {
    /// A flow waits for its turn, if it is one that asks.
    pub(crate) fn wait(&mut self, doing: &Doing, key: (ExecutionId, u32), machine: MachineId) {
        if doing.asks() {
            self.machines.entry(machine).or_default().waiting.push_back(key);
            self.take_turn(machine);
        }
    }

    /// A log has been read.
    pub(crate) fn begin_again<'e>(&mut self, executions: impl Iterator<Item = (ExecutionId, &'e Execution)>) {
        *self = Asks::default();
        for (id, execution) in executions {
            for (number, flow) in execution.flows() {
                self.wait(&flow.doing, (id, number), execution.machine);
            }
        }
    }

    /// A state machine can ask, if something of it waits and not too much of it is under way.
    fn take_turn(&mut self, machine: MachineId) {
        let Some(theirs) = self.machines.get_mut(&machine) else { return };
        if theirs.waiting.is_empty() && theirs.under_way == 0 {
            self.machines.remove(&machine);
        } else if !theirs.has_turn && !theirs.waiting.is_empty() && theirs.under_way < OF_ONE {
            theirs.has_turn = true;
            self.turns.push_back(machine);
        }
    }

    /// Whether a request can be sent.
    pub(crate) fn is_able(&self) -> bool {
        !self.turns.is_empty() && self.under_way.len() + self.answers.len() < UNDER_WAY
    }

    /// The next flow whose turn it is. It may have stopped to wait since.
    pub(crate) fn next(&mut self) -> Option<(ExecutionId, u32)> {
        while self.is_able()
            && let Some(machine) = self.turns.pop_front()
        {
            let Some(theirs) = self.machines.get_mut(&machine) else { continue };
            theirs.has_turn = false;
            let next = theirs.waiting.pop_front();
            self.take_turn(machine);
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// A request is sent.
    pub(crate) fn asked(&mut self, task: Task, machine: MachineId) {
        if self.under_way.insert(task, machine).is_none() {
            self.machines.entry(machine).or_default().under_way += 1;
        }
    }

    /// Whether the request of a task is under way, or has been answered.
    pub(crate) fn has_asked(&self, task: &Task) -> bool {
        self.under_way.contains_key(task) || self.answers.iter().any(|(answered, _)| answered == task)
    }

    /// A request has been answered.
    pub(crate) fn answered(&mut self, task: Task, answer: Answer) {
        let Some(machine) = self.under_way.remove(&task) else { return };
        self.answers.push_back((task, answer));
        if let Some(theirs) = self.machines.get_mut(&machine) {
            theirs.under_way -= 1;
        }
        self.take_turn(machine);
    }

    /// The next answer from which nothing has followed.
    pub(crate) fn next_answer(&mut self) -> Option<(Task, Answer)> {
        self.answers.pop_front()
    }

    /// Whether there are answers.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use kernel::Time;

    use super::*;
    use crate::records::TaskWait;

    #[test]
    fn a_state_machine_that_is_not_answered_holds_up_no_other_one() {
        let wait = TaskWait {
            since: 1,
            started: Time(0),
            timeout_seconds: 0,
            beat_seconds: 0,
            heard: Time(0),
            activity: None,
            nested: None,
            asks: true,
        };
        let doing = Doing::Tasks { wait, fact: None };
        let mut asks = Asks::default();
        let task = |execution| Task { execution: ExecutionId(execution), flow: 0, since: 1 };
        for n in 1..=200 {
            asks.wait(&doing, (ExecutionId(n), 0), MachineId(1));
        }
        asks.wait(&doing, (ExecutionId(300), 0), MachineId(2));
        let mut asked = Vec::new();
        while let Some((id, _)) = asks.next() {
            let machine = MachineId(if id.0 < 300 { 1 } else { 2 });
            asks.asked(task(id.0), machine);
            asked.push(id.0);
        }
        assert!((OF_ONE..OF_ONE + 3).contains(&asked.len()), "{}", asked.len());
        assert_eq!(asked[1], 300, "they take turns");
        assert!(!asks.is_able());
        asks.answered(task(1), Answer::None(String::new()));
        assert!(asks.has_asked(&task(1)));
        asks.answered(task(2), Answer::None(String::new()));
        assert!(asks.next().is_some());
        assert!(asks.next_answer().is_some() && asks.next_answer().is_some() && !asks.has_answers());
        // What is over is forgotten.
        for n in asked.iter().skip(1) {
            asks.answered(task(*n), Answer::None(String::new()));
        }
        while asks.next().is_some() {}
        assert!(asks.machines.is_empty());
    }
}
