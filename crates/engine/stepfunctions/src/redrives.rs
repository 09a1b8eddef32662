//! Redrives: an execution that has ended badly goes on from what has not come to its end (developer guide, "Restarting state machine
//! executions with redrive").
//!
//! A flow that is given up stays with the place of its data, and a flow whose branches are given up stays with the places of the outputs
//! that it has. So a redrive goes on with what the log has, and only what was under way begins again.

use std::collections::BTreeMap;

use kernel::Time;

use crate::applying::{forgotten_at, memory_of};
use crate::executions::{Doing, Execution, Flow};
use crate::machines::Machine;
use crate::records::{Redriven, Status, Stepped};
use crate::state::{State, WHOLE};
use crate::{ExecutionId, limits};

/// Days since its end for which an execution can be redriven, and after its start.
const REDRIVABLE_DAYS: u64 = 14;
const OPEN_DAYS: u64 = 365;

/// Tokens of clients that are remembered, and for how long (AWS's model of RedriveExecution).
const TOKENS: usize = 10;
const TOKEN_SECONDS: u64 = 15 * 60;

/// How an execution was redriven, and what a redrive would go on with.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Redrives {
    /// How often it was redriven.
    count: u32,
    /// When the last time.
    latest: Time,
    /// The last tokens of clients, with the redrive of each.
    tokens: Vec<(u64, Time)>,
    /// Flows that were given up and that nothing has made needless, by their numbers. The main flow stays where it is.
    pub(crate) given_up: BTreeMap<u32, Flow>,
    /// An older version has noted a failure of it, without what a redrive would go on with.
    is_lost: bool,
}

impl Redrives {
    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let outputs = |flow: &Flow| match &flow.doing {
            Doing::Branches(branches) => 96 + 32 * branches.outputs.len(),
            _ => 0,
        };
        let flows = self.given_up.values().map(|flow| size_of::<Flow>() + 16 + outputs(flow));
        size_of::<Redrives>() + 16 * self.tokens.len() + flows.sum::<usize>()
    }
}

impl Execution {
    /// How often it was redriven.
    pub fn redrive_count(&self) -> u32 {
        self.redrives.as_ref().map_or(0, |redrives| redrives.count)
    }

    /// When it was redriven last.
    pub fn redriven(&self) -> Option<Time> {
        self.redrives.as_ref().filter(|redrives| redrives.count > 0).map(|redrives| redrives.latest)
    }

    /// When the redrive was that a client has asked for with this token.
    pub(crate) fn redriven_with(&self, token: u64, now: Time) -> Option<Time> {
        let tokens = self.redrives.as_ref().map(|redrives| &redrives.tokens)?;
        let known = tokens.iter().find(|known| token > 0 && known.0 == token)?;
        (now < known.1.plus_seconds(TOKEN_SECONDS)).then_some(known.1)
    }

    /// Why it cannot be redriven, in AWS's words (AWS's model: `redriveStatusReason`); nothing if it can.
    pub(crate) fn unredrivable(&self, machine: &Machine, now: Time) -> Option<&'static str> {
        let days = |since: Time, days: u64| since.plus_seconds(days * 24 * 60 * 60);
        match self.status {
            Status::Running => return Some("Execution is RUNNING and cannot be redriven"),
            Status::Succeeded => return Some("Execution is SUCCEEDED and cannot be redriven"),
            Status::Failed | Status::TimedOut | Status::Aborted => {}
        }
        if machine.declared.is_deleting {
            Some("State machine is in DELETING status")
        } else if self.next_event >= limits::EVENTS || self.next_record() > 2 * limits::EVENTS {
            Some("Execution history event limit exceeded")
        } else if self.redrives.as_ref().is_some_and(|redrives| redrives.is_lost) {
            Some("Execution has failed under an older version of Posthaste, which kept no data for redrives")
        } else if now > days(self.started, OPEN_DAYS) {
            Some("Execution has exceeded the max execution time")
        } else if now > days(self.stopped, REDRIVABLE_DAYS) {
            Some("Execution redrivable period exceeded")
        } else {
            None
        }
    }

    /// An older version has noted a failure.
    pub(crate) fn cannot_be_redriven(&mut self) {
        self.redrives.get_or_insert_default().is_lost = true;
    }

    /// A flow is given up. Express executions cannot be redriven.
    pub(crate) fn give_up(&mut self, number: u32, mut flow: Flow) {
        if !self.is_express {
            flow.give_up();
            self.redrives.get_or_insert_default().given_up.insert(number, flow);
        }
    }

    /// A flow has gone on without the flows that ran for it: nobody redrives them.
    pub(crate) fn forget_given_up(&mut self, below: u32) {
        let Some(redrives) = &mut self.redrives else { return };
        let mut parents = vec![below];
        while let Some(parent) = parents.pop().filter(|_| !redrives.given_up.is_empty()) {
            parents.extend(
                redrives.given_up.extract_if(.., |_, flow| flow.parent == parent).map(|(number, _)| number),
            );
        }
        if redrives.count == 0 && redrives.given_up.is_empty() && !redrives.is_lost {
            self.redrives = None;
        }
    }
}

/// Whether an execution can be redriven, as AWS shows it.
pub(crate) fn redrive_status(reason: Option<&'static str>) -> &'static str {
    if reason.is_some() { "NOT_REDRIVABLE" } else { "REDRIVABLE" }
}

impl State {
    /// An execution that has ended is one that has not. Asked while its memory counts as that of a closed one.
    pub(crate) fn reopen(&mut self, id: ExecutionId, execution: &mut Execution) {
        self.forgetting.clear(forgotten_at(execution), id);
        self.closed_bytes -= memory_of(execution);
        self.by_status.remove(&(execution.machine, execution.status, execution.stopped, id));
        self.by_status.insert((execution.machine, Status::Running, execution.started, id));
        *self.open.entry(execution.machine).or_default() += 1;
    }

    /// All flows of an execution go on that were given up.
    pub(crate) fn redriven(
        &mut self,
        id: ExecutionId,
        execution: &mut Execution,
        redriven: &Redriven,
        record: &Stepped,
    ) {
        let redrives = execution.redrives.get_or_insert_default();
        redrives.count += 1;
        redrives.latest = record.time;
        if redriven.token > 0 {
            if redrives.tokens.len() >= TOKENS {
                redrives.tokens.remove(0);
            }
            redrives.tokens.push((redriven.token, record.time));
        }
        execution.others = std::mem::take(&mut redrives.given_up);
        execution.status = Status::Running;
        execution.deadline = redriven.deadline;
        if let Some(deadline) = redriven.deadline {
            self.timetable.set(deadline, (id, WHOLE));
        }
        for (number, flow) in std::iter::once((0, &mut execution.main))
            .chain(execution.others.iter_mut().map(|(&number, flow)| (number, flow)))
        {
            flow.last = record.last;
            if flow.doing.is_ready(Time(0)) {
                self.goes(id, number);
            }
        }
        self.note_begin(id, None);
    }
}
