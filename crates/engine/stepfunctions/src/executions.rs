//! Executions as they are remembered: a few hundred bytes each. What they work on, and their history, lies in the log.

use std::collections::BTreeMap;

use kernel::{Extent, Ledger, Time};
use states_language::PAYLOAD_BYTES;

use crate::records::{Again, Branching, ExecutionStarted, InState, Status, TaskWait};
use crate::redrives::Redrives;
use crate::{DefinitionId, ExecutionId, MachineId, MachineKey};

/// An execution.
#[derive(Clone, PartialEq, Debug)]
pub struct Execution {
    /// Its state machine.
    pub machine: MachineId,
    /// The definition with which it runs.
    pub definition: DefinitionId,
    /// Whether it is one of an express state machine.
    pub is_express: bool,
    /// Its name; of an express one with an id behind it: `name:id`.
    pub name: Box<str>,
    /// When it was started.
    pub started: Time,
    /// When it fails because it takes too long.
    pub deadline: Option<Time>,
    /// What tells its input from another one.
    pub(crate) input_mark: u64,
    /// How it stands.
    pub status: Status,
    /// When it ended.
    pub stopped: Time,
    /// What only some have.
    pub origin: Option<Box<Origin>>,
    /// The number of its next event.
    pub next_event: u32,
    /// The number of its next flow.
    pub(crate) next_flow: u32,
    /// Where its records lie, by their numbers.
    pub(crate) records: Records,
    /// Its main flow.
    pub(crate) main: Flow,
    /// Its other flows, by their numbers.
    pub(crate) others: BTreeMap<u32, Flow>,
    /// How it was redriven, and what a redrive would go on with.
    pub(crate) redrives: Option<Box<Redrives>>,
}

/// Where an execution came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The version of the state machine; zero if none was asked for.
    pub version: u64,
    /// The alias that was asked for.
    pub alias: Option<String>,
    /// `traceHeader`.
    pub trace: Option<String>,
}

/// A flow of states: the main one of an execution, a branch of a Parallel state, or an iteration of a Map state.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Flow {
    /// The flow for which this one runs; itself if it is the main one.
    pub(crate) parent: u32,
    /// The record with its data. A flow that has not begun has those of its parent.
    pub(crate) data: Extent,
    /// Whether it has begun.
    pub(crate) has_begun: bool,
    /// Its last event.
    pub(crate) last: u32,
    /// What the event came from with which it entered its state.
    pub(crate) before: u32,
    /// The kind of state that it is in.
    pub(crate) state: InState,
    pub(crate) doing: Doing,
    pub(crate) restart: Restart,
}

/// Whether a flow was given up, and goes on only since its execution is redriven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    /// It was not.
    No,
    /// It was, and its data are what they were.
    Kept,
    /// It has failed, and its data lie behind the failure.
    BehindFailure,
}

/// What a flow does.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Doing {
    /// It goes on.
    Goes,
    /// It goes on at this moment.
    Waits(Time),
    /// It goes on when its task has ended.
    Tasks {
        wait: TaskWait,
        /// Where it is told that the task was heard of, if it was.
        fact: Option<Extent>,
    },
    /// Its task has ended so: where it is told, and whether it has failed.
    Reported(Extent, bool),
    /// Other flows run for it.
    Branches(Box<Branches>),
    /// One of them has failed: where it is told.
    BranchFailed(Extent, Box<Branches>),
}

/// Flows that run for another one.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Branches {
    pub(crate) branching: Branching,
    /// How many have begun.
    pub(crate) begun: u32,
    /// Where the output of each is that has ended.
    pub(crate) outputs: BTreeMap<u32, Extent>,
    /// Bytes that the outputs have at the least.
    pub(crate) bytes: u64,
}

impl Branches {
    /// Whether the outputs are longer together than a result may be, so that nobody need read them.
    pub(crate) fn are_too_long(&self) -> bool {
        self.bytes > PAYLOAD_BYTES as u64
    }
}

impl Doing {
    /// When time must be told to the flow.
    pub(crate) fn due(&self) -> Option<Time> {
        match self {
            Doing::Waits(until) => Some(*until),
            Doing::Tasks { wait, .. } => wait.due(),
            _ => None,
        }
    }

    /// The execution for whose end the flow waits.
    pub(crate) fn nested(&self) -> Option<ExecutionId> {
        match self {
            Doing::Tasks { wait, .. } => wait.nested,
            _ => None,
        }
    }

    /// Whether the flow waits for the answer of a server elsewhere.
    pub(crate) fn asks(&self) -> bool {
        matches!(self, Doing::Tasks { wait, .. } if wait.asks)
    }

    /// Whether the flow can go on.
    pub(crate) fn is_ready(&self, now: Time) -> bool {
        match self {
            Doing::Goes | Doing::Reported(..) | Doing::BranchFailed(..) => true,
            Doing::Branches(branches) => branches.outputs.len() as u32 == branches.branching.total,
            Doing::Waits(_) | Doing::Tasks { .. } => self.due().is_some_and(|due| due <= now),
        }
    }
}

impl Flow {
    /// The flow is given up: what was under way has come to nothing, but the ends of its branches stay.
    pub(crate) fn give_up(&mut self) {
        self.doing = match std::mem::replace(&mut self.doing, Doing::Goes) {
            Doing::Branches(branches) | Doing::BranchFailed(_, branches) => Doing::Branches(branches),
            _ => Doing::Goes,
        };
        if self.restart == Restart::No {
            self.restart = Restart::Kept;
        }
    }

    /// The flow has failed, as the record at `at` says.
    pub(crate) fn fail(&mut self, again: Again, at: Extent) {
        self.give_up();
        if again == Again::Here {
            (self.data, self.has_begun) = (at, true);
            (self.doing, self.restart) = (Doing::Goes, Restart::BehindFailure);
        }
    }
}

impl Execution {
    /// An execution whose first record lies at `at`.
    pub(crate) fn new(record: &ExecutionStarted, at: Extent) -> Self {
        let has_origin = record.version > 0 || record.alias.is_some() || record.trace.is_some();
        let origin = has_origin.then(|| {
            let (alias, trace) = (record.alias.clone(), record.trace.clone());
            Box::new(Origin { version: record.version, alias, trace })
        });
        let main = Flow {
            parent: 0,
            data: at,
            has_begun: true,
            // The first state comes from nothing (facts/stepfunctions.md § 18).
            last: 0,
            before: 0,
            state: InState::Other,
            doing: Doing::Goes,
            restart: Restart::No,
        };
        Execution {
            machine: record.machine,
            definition: record.definition,
            is_express: record.is_express,
            name: record.name.as_str().into(),
            started: record.started,
            deadline: record.deadline,
            input_mark: record.input_mark,
            status: Status::Running,
            stopped: record.started,
            origin,
            next_event: record.tail.next_event(),
            next_flow: 1,
            records: Records::default(),
            main,
            others: BTreeMap::new(),
            redrives: None,
        }
    }

    /// Its ARN, as one of the state machine of this key.
    pub fn arn(&self, key: &MachineKey) -> String {
        if self.is_express { key.express_arn(&self.name) } else { key.execution_arn(&self.name) }
    }

    /// Its name, without an id.
    pub fn shown_name(&self) -> &str {
        self.name.split_once(':').map_or(&*self.name, |(name, _)| name)
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.status == Status::Running
    }

    /// How many records it has: the number of the next one.
    pub(crate) fn next_record(&self) -> u32 {
        self.records.len()
    }

    pub(crate) fn flow(&self, number: u32) -> Option<&Flow> {
        match number {
            0 => Some(&self.main).filter(|_| self.is_open()),
            number => self.others.get(&number),
        }
    }

    pub(crate) fn flow_mut(&mut self, number: u32) -> Option<&mut Flow> {
        match number {
            0 => Some(&mut self.main),
            number => self.others.get_mut(&number),
        }
    }

    /// All flows with their numbers.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (u32, &Flow)> {
        let main = self.is_open().then_some((0, &self.main));
        main.into_iter().chain(self.others.iter().map(|(&number, flow)| (number, flow)))
    }

    /// The event with which the task was scheduled for which a flow waits.
    pub(crate) fn waits_since(&self, flow: u32) -> Option<u32> {
        match &self.flow(flow)?.doing {
            Doing::Tasks { wait, .. } => Some(wait.since),
            _ => None,
        }
    }

    /// The flows that run for another one.
    pub(crate) fn children_of(&self, parent: u32) -> impl Iterator<Item = u32> + '_ {
        self.others.iter().filter(move |(_, flow)| flow.parent == parent).map(|(&number, _)| number)
    }

    /// The branching flow for which another one runs, and at which place among its branches.
    pub(crate) fn place_of(&self, number: u32) -> Option<(u32, u32, &Branches)> {
        let parent = self.flow(number).filter(|_| number > 0)?.parent;
        match &self.flow(parent)?.doing {
            Doing::Branches(branches) => {
                Some((parent, number.checked_sub(branches.branching.first)?, branches))
            }
            _ => None,
        }
    }

    /// What must be known besides memory so that a flow goes on. First the flow's own data.
    pub(crate) fn needs(&self, number: u32, asks_for_input: bool) -> Vec<Extent> {
        let Some(flow) = self.flow(number) else { return Vec::new() };
        let mut needs = vec![flow.data];
        match &flow.doing {
            Doing::Reported(at, _) | Doing::BranchFailed(at, _) => needs.push(*at),
            Doing::Branches(branches) if !branches.are_too_long() => needs.extend(branches.outputs.values()),
            _ => {}
        }
        if asks_for_input {
            needs.extend(self.records.get(0).map(|(_, extent)| extent));
        }
        needs
    }

    /// A record lies elsewhere from now on.
    pub(crate) fn moved(&mut self, number: u32, at: Extent, ledger: &mut Ledger) -> Option<Extent> {
        let old = self.records.moved(number, at)?;
        ledger.hold(at);
        ledger.release(old);
        ledger.replace(at.place, old.place.segment());
        let given_up = self.redrives.iter_mut().flat_map(|redrives| redrives.given_up.values_mut());
        let main = std::iter::once(&mut self.main);
        for flow in main.chain(self.others.values_mut()).chain(given_up) {
            let told = match &mut flow.doing {
                Doing::Reported(at, _) | Doing::BranchFailed(at, _) => Some(at),
                _ => None,
            };
            for place in told.into_iter().chain([&mut flow.data]) {
                if *place == old {
                    *place = at;
                }
            }
            if let Doing::Branches(branches) | Doing::BranchFailed(_, branches) = &mut flow.doing {
                branches.outputs.values_mut().filter(|place| **place == old).for_each(|place| *place = at);
            }
        }
        Some(old)
    }
}

/// Where the records of an execution lie, each with the number of its first event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Records(Vec<(u32, Extent)>);

impl Records {
    pub(crate) fn len(&self) -> u32 {
        // An execution has at most 25,000 events, and each record but those of tasks has one.
        self.0.len() as u32
    }

    pub(crate) fn push(&mut self, first_event: u32, at: Extent) {
        if self.0.len() == self.0.capacity() {
            // Most have few, and there may be a million of them.
            self.0.reserve_exact(2 + self.0.len() / 2);
        }
        self.0.push((first_event, at));
    }

    pub(crate) fn get(&self, number: u32) -> Option<(u32, Extent)> {
        self.0.get(number as usize).copied()
    }

    pub(crate) fn last(&self) -> Option<Extent> {
        self.0.last().map(|record| record.1)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, Extent)> + '_ {
        self.0.iter().copied()
    }

    /// Those with events from this one on.
    pub(crate) fn since_event(&self, event: u32) -> impl DoubleEndedIterator<Item = (u32, Extent)> + '_ {
        let first = self.0.partition_point(|record| record.0 <= event).saturating_sub(1);
        self.0[first..].iter().copied()
    }

    fn moved(&mut self, number: u32, at: Extent) -> Option<Extent> {
        let known = self.0.get_mut(number as usize)?;
        Some(std::mem::replace(&mut known.1, at))
    }
}
