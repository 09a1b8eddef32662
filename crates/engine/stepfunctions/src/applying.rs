//! What the records of executions change: the part of [`State::apply`] that is about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::{Extent, Ledger, Time};

use crate::executions::{Branches, Doing, Execution, Flow, Restart};
use crate::records::{
    After, Again, Branching, ExecutionStarted, ExecutionsRemoved, InState, Record, Status, Stepped,
    TaskHeard, TaskReported, TaskTaken,
};
use crate::state::{State, WHOLE, name_key};
use crate::{ExecutionId, limits};

/// Bytes of a record of a step besides its tail, at the most.
const HEAD_BYTES: u32 = 256;

impl State {
    /// A record of an execution takes effect when all before it have; or it says where an earlier one lies now.
    pub(crate) fn execution_goes_on(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        let Some((id, number)) = record.of_execution() else { return };
        match self.executions.get_mut(&id) {
            Some(execution) if number < execution.next_record() => {
                if let Some(old) = execution.moved(number, at, ledger) {
                    self.warm.forget(old.place);
                }
                return;
            }
            Some(execution) if number == execution.next_record() => {}
            None if number == 0 => {}
            _ => {
                // Only cleaning writes records again, behind later ones; so this happens only while a log is read.
                self.early.entry(id).or_default().records.insert(number, (record.clone(), at));
                return;
            }
        }
        self.take_effect(record, at, ledger);
        while let Some(execution) = self.executions.get(&id)
            && let Some(early) = self.early.get_mut(&id)
            && let Some((next, at)) = early.records.remove(&execution.next_record())
        {
            self.take_effect(&next, at, ledger);
        }
    }

    fn take_effect(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::ExecutionStarted(record) => self.execution_started(record, at, ledger),
            Record::Stepped(record) => self.stepped(record, at, ledger),
            Record::TaskReported(record) => self.task_reported(record, at, ledger),
            Record::TaskTaken(record) => self.task_taken(record, at, ledger),
            _ => {}
        }
    }

    fn execution_started(&mut self, record: &ExecutionStarted, at: Extent, ledger: &mut Ledger) {
        // What was of a state machine that is gone has been removed before; only its tombstone comes later.
        if !self.machines.contains_key(&record.machine) {
            return;
        }
        let mut execution = Box::new(Execution::new(record, at));
        execution.records.push(record.tail.first, at);
        ledger.hold(at);
        self.use_definition(record.definition);
        if !record.is_express {
            self.names.insert(name_key(record.machine, &record.name), record.id);
            self.by_machine.insert((record.machine, record.id));
            self.by_status.insert((record.machine, Status::Running, record.started, record.id));
        }
        *self.open.entry(record.machine).or_default() += 1;
        if let Some(deadline) = record.deadline {
            self.timetable.set(deadline, (record.id, WHOLE));
        }
        self.executions.insert(record.id, execution);
        self.keep_warm(&record.tail.warm, at);
        if !record.is_express {
            self.note_begin(record.id, record.tail.warm.as_ref());
        }
        self.goes(record.id, 0);
    }

    fn keep_warm(&mut self, data: &Option<Arc<[u8]>>, at: Extent) {
        if let Some(data) = data {
            self.warm.put(at.place, data.clone());
        }
    }

    /// A flow can go on.
    pub(crate) fn goes(&mut self, id: ExecutionId, flow: u32) {
        if !self.is_replaying {
            self.ready.push_back((id, flow));
        }
    }

    fn stepped(&mut self, record: &Stepped, at: Extent, ledger: &mut Ledger) {
        let (id, number) = (record.execution, record.flow);
        let Some(mut execution) = self.executions.remove(&id) else { return };
        if let After::Redriven(_) = record.after {
            self.reopen(id, &mut execution);
        }
        let machine = execution.machine;
        execution.records.push(record.tail.first, at);
        ledger.hold(at);
        execution.next_event = record.tail.next_event();
        if let After::Over(status, _) = record.after {
            self.note_end(id, &execution, (status, record.time), record.tail.warm.as_ref());
        }
        self.leave(id, &execution, number, ledger);
        match record.after {
            After::Failed(Again::Lost) => execution.cannot_be_redriven(),
            After::Over(status, Again::Lost) if status != Status::Succeeded => execution.cannot_be_redriven(),
            After::Failed(Again::Kept) | After::Over(_, Again::Kept) | After::Redriven(_) => {}
            _ => execution.forget_given_up(number),
        }
        match &record.after {
            After::Over(status, again) => {
                if let Some(flow) = execution.flow_mut(number) {
                    flow.fail(*again, at);
                }
                self.over(id, &mut execution, *status, record.time, ledger);
            }
            After::Redriven(redriven) => self.redriven(id, &mut execution, redriven, record),
            After::Ended(begins) => {
                self.branch_ended(id, &mut execution, record, *begins, at);
                self.keep_warm(&record.tail.warm, at);
            }
            After::Failed(again) => {
                self.branch_failed(id, &mut execution, (number, record.last), (*again, at), ledger);
                self.keep_warm(&record.tail.warm, at);
            }
            after => {
                self.keep_warm(&record.tail.warm, at);
                if let After::Branches(branching) = after {
                    execution.next_flow = branching.first.saturating_add(branching.total);
                }
                if let Some(flow) = execution.flow_mut(number) {
                    let (last, before) = (record.last, record.before);
                    let doing = doing(after);
                    *flow = Flow {
                        parent: flow.parent,
                        data: at,
                        has_begun: true,
                        last,
                        before,
                        state: record.state,
                        doing,
                        restart: Restart::No,
                    };
                    if let Some(due) = flow.doing.due() {
                        self.timetable.set(due, (id, number));
                    }
                    self.activities.wait(&flow.doing, (id, number));
                    if !self.is_replaying {
                        self.asks.wait(&flow.doing, (id, number), machine);
                    }
                    if let Some(nested) = flow.doing.nested() {
                        self.parents.insert((nested, id, number));
                        // It may have ended already.
                        self.goes(id, number);
                    }
                }
                match after {
                    After::Goes => self.goes(id, number),
                    After::Branches(branching) => self.branch(id, &mut execution, number, branching, at),
                    _ => {}
                }
            }
        }
        self.executions.insert(id, execution);
        self.hear_early(id, ledger);
    }

    /// What a flow did before a step is over.
    fn leave(&mut self, id: ExecutionId, execution: &Execution, number: u32, ledger: &mut Ledger) {
        let Some(flow) = execution.flow(number) else { return };
        if let Some(due) = flow.doing.due() {
            self.timetable.clear(due, (id, number));
        }
        self.activities.wait_no_more(&flow.doing, (id, number));
        if let Some(nested) = flow.doing.nested() {
            self.parents.remove(&(nested, id, number));
        }
        // The input of the execution may be asked for until its end.
        let is_input = execution.records.get(0).is_some_and(|first| first.1 == flow.data);
        let definition = self.definitions.get(&execution.definition);
        let is_asked_for = is_input && definition.is_some_and(|definition| definition.asks_for_input());
        if flow.has_begun && !is_asked_for {
            self.warm.forget(flow.data.place);
        }
        match &flow.doing {
            Doing::Tasks { fact: Some(fact), .. } => ledger.release(*fact),
            Doing::Reported(at, _) => self.warm.forget(at.place),
            Doing::BranchFailed(at, _) => self.warm.forget(at.place),
            Doing::Branches(branches) => branches.outputs.values().for_each(|at| self.warm.forget(at.place)),
            _ => {}
        }
    }

    /// Flows begin to run for another one, whose data lie at `at`.
    fn branch(
        &mut self,
        id: ExecutionId,
        execution: &mut Execution,
        parent: u32,
        branching: &Branching,
        at: Extent,
    ) {
        let begun = branching.limit.min(branching.total);
        for index in 0..begun {
            let event = branching.event.saturating_add(if branching.is_map { index } else { 0 });
            let number = branching.first.saturating_add(index);
            execution.others.insert(number, Flow::beginning(parent, at, event));
            self.goes(id, number);
        }
        if begun == 0 {
            self.goes(id, parent);
        }
    }

    fn branch_ended(
        &mut self,
        id: ExecutionId,
        execution: &mut Execution,
        record: &Stepped,
        begins: Option<u32>,
        at: Extent,
    ) {
        let number = record.flow;
        let Some(parent) = execution.others.remove(&number).map(|flow| flow.parent) else { return };
        let Some(flow) = execution.flow_mut(parent) else { return };
        flow.last = record.last;
        let data = flow.data;
        let Doing::Branches(branches) = &mut flow.doing else { return };
        branches.outputs.insert(number.saturating_sub(branches.branching.first), at);
        branches.bytes += u64::from(at.len.saturating_sub(record.tail.split + HEAD_BYTES));
        let is_done = branches.outputs.len() as u32 == branches.branching.total;
        if let Some(event) = begins {
            let next = branches.branching.first.saturating_add(branches.begun);
            branches.begun += 1;
            execution.others.insert(next, Flow::beginning(parent, data, event));
            self.goes(id, next);
        }
        if is_done {
            self.goes(id, parent);
        }
    }

    fn branch_failed(
        &mut self,
        id: ExecutionId,
        execution: &mut Execution,
        (number, last): (u32, u32),
        (again, at): (Again, Extent),
        ledger: &mut Ledger,
    ) {
        let Some(flow) = execution.others.get_mut(&number) else { return };
        flow.fail(again, at);
        let parent = flow.parent;
        self.give_up(id, execution, parent, ledger);
        let Some(flow) = execution.flow_mut(parent) else { return };
        flow.last = last;
        if let Doing::Branches(branches) = std::mem::replace(&mut flow.doing, Doing::Goes) {
            branches.outputs.values().for_each(|at| self.warm.forget(at.place));
            flow.doing = Doing::BranchFailed(at, branches);
        }
        self.goes(id, parent);
    }

    /// All flows that run for another one, or for one of these, are given up.
    fn give_up(&mut self, id: ExecutionId, execution: &mut Execution, parent: u32, ledger: &mut Ledger) {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            let theirs: Vec<u32> = execution.children_of(parent).collect();
            for number in theirs {
                self.leave(id, execution, number, ledger);
                if let Some(flow) = execution.others.remove(&number) {
                    execution.give_up(number, flow);
                }
                parents.push(number);
            }
        }
    }

    fn over(
        &mut self,
        id: ExecutionId,
        execution: &mut Execution,
        status: Status,
        time: Time,
        ledger: &mut Ledger,
    ) {
        self.give_up(id, execution, 0, ledger);
        if let Some((_, first)) = execution.records.get(0) {
            self.warm.forget(first.place);
        }
        if let Some(deadline) = execution.deadline {
            self.timetable.clear(deadline, (id, WHOLE));
        }
        self.by_status.remove(&(execution.machine, Status::Running, execution.started, id));
        execution.main.give_up();
        (execution.status, execution.stopped) = (status, time);
        if !execution.is_express {
            self.by_status.insert((execution.machine, status, time, id));
        }
        self.forgetting.set(forgotten_at(execution), id);
        self.closed_bytes += memory_of(execution);
        self.synced.extend(self.syncing.remove(&id).map(|ticket| (ticket, id)));
        if execution.is_express
            && self.ended.is_awaited()
            && let Some(machine) = self.machines.get(&execution.machine)
            && let (Some((name, _)), Some(last)) = (execution.name.rsplit_once(':'), execution.records.last())
        {
            self.ended.over(machine.declared.key.express_arn(name), status, last);
        }
        if let Some(open) = self.open.get_mut(&execution.machine) {
            *open = open.saturating_sub(1);
        }
        self.note_deletable(execution.machine);
        let first = (id, ExecutionId(0), 0);
        let theirs = self.parents.range(first..).take_while(|parent| parent.0 == id);
        let theirs: Vec<(ExecutionId, u32)> = theirs.map(|parent| (parent.1, parent.2)).collect();
        theirs.into_iter().for_each(|(parent, flow)| self.goes(parent, flow));
    }

    /// The execution for whose end a flow has waited, if it has come.
    pub(crate) fn nested_that_ended(&self, doing: &Doing) -> Option<ExecutionId> {
        let nested = doing.nested()?;
        self.executions.get(&nested).is_none_or(|nested| !nested.is_open()).then_some(nested)
    }

    fn task_reported(&mut self, record: &TaskReported, at: Extent, ledger: &mut Ledger) {
        let (id, number) = (record.execution, record.flow);
        let Some(mut execution) = self.executions.remove(&id) else { return };
        execution.records.push(execution.next_event, at);
        ledger.hold(at);
        if let Some(flow) = execution.flow_mut(number)
            && let Doing::Tasks { fact, .. } = &flow.doing
        {
            if let Some(due) = flow.doing.due() {
                self.timetable.clear(due, (id, number));
            }
            fact.iter().for_each(|&fact| ledger.release(fact));
            self.activities.wait_no_more(&flow.doing, (id, number));
            flow.doing = Doing::Reported(at, record.has_failed);
            self.keep_warm(&record.tail.warm, at);
            self.goes(id, number);
        }
        self.executions.insert(id, execution);
    }

    fn task_taken(&mut self, record: &TaskTaken, at: Extent, ledger: &mut Ledger) {
        let (id, number) = (record.execution, record.flow);
        let Some(mut execution) = self.executions.remove(&id) else { return };
        execution.records.push(record.tail.first, at);
        ledger.hold(at);
        execution.next_event = record.tail.next_event();
        if let Some(flow) = execution.flow_mut(number) {
            self.activities.wait_no_more(&flow.doing, (id, number));
            if let Doing::Tasks { wait, .. } = &mut flow.doing {
                flow.last = record.tail.first;
                (wait.started, wait.heard) = (record.time, record.time);
                wait.activity = wait.activity.map(|(activity, _)| (activity, false));
            }
            if let Some(due) = flow.doing.due() {
                self.timetable.set(due, (id, number));
            }
        }
        self.executions.insert(id, execution);
    }

    pub(crate) fn task_heard(&mut self, record: &TaskHeard, at: Extent, ledger: &mut Ledger) {
        let id = record.execution;
        let known = self.executions.get_mut(&id).and_then(|execution| execution.flow_mut(record.flow));
        if let Some(flow) = known
            && let before = flow.doing.due()
            && let Doing::Tasks { wait, fact } = &mut flow.doing
            && wait.since == record.since
        {
            if record.time < wait.heard {
                return;
            }
            ledger.hold(at);
            if let Some(old) = fact.replace(at) {
                ledger.release(old);
            }
            wait.heard = record.time;
            let after = flow.doing.due();
            before.into_iter().for_each(|due| self.timetable.clear(due, (id, record.flow)));
            after.into_iter().for_each(|due| self.timetable.set(due, (id, record.flow)));
        } else if self.is_replaying {
            self.early.entry(id).or_default().heard.insert(record.flow, (*record, at));
        }
    }

    /// While a log is read: a task may have been heard of before the record since which it is waited for.
    fn hear_early(&mut self, id: ExecutionId, ledger: &mut Ledger) {
        let Some(early) = self.early.get_mut(&id) else { return };
        for (heard, at) in std::mem::take(&mut early.heard).into_values() {
            self.task_heard(&heard, at, ledger);
        }
    }

    pub(crate) fn executions_removed(&mut self, record: &ExecutionsRemoved, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        for &id in &record.ids {
            self.early.remove(&id);
            let Some(execution) = self.executions.get(&id) else { continue };
            if execution.is_open() {
                // Only a reset removes open ones.
                let Some(mut execution) = self.executions.remove(&id) else { continue };
                self.leave(id, &execution, 0, ledger);
                let time = execution.started;
                self.over(id, &mut execution, Status::Aborted, time, ledger);
                self.executions.insert(id, execution);
            }
            let Some(execution) = self.executions.remove(&id) else { continue };
            execution.records.iter().for_each(|(_, at)| ledger.release(at));
            self.names.remove(&name_key(execution.machine, &execution.name));
            self.by_machine.remove(&(execution.machine, id));
            self.by_status.remove(&(execution.machine, execution.status, execution.stopped, id));
            self.forgetting.clear(forgotten_at(&execution), id);
            self.closed_bytes -= memory_of(&execution);
            self.unuse(execution.definition);
        }
    }
}

impl Flow {
    /// A flow that begins, with the data of the one for which it runs.
    fn beginning(parent: u32, data: Extent, event: u32) -> Self {
        Flow {
            parent,
            data,
            has_begun: false,
            last: event,
            before: event,
            state: InState::Other,
            doing: Doing::Goes,
            restart: Restart::No,
        }
    }
}

/// What a flow does after a step that leaves it running.
fn doing(after: &After) -> Doing {
    match after {
        After::Waits(until) => Doing::Waits(*until),
        After::Tasks(wait) => Doing::Tasks { wait: *wait, fact: None },
        After::Branches(branching) => {
            let begun = branching.limit.min(branching.total);
            let outputs = BTreeMap::new();
            Doing::Branches(Box::new(Branches { branching: *branching, begun, outputs, bytes: 0 }))
        }
        After::Goes | After::Ended(_) | After::Failed(_) | After::Over(..) | After::Redriven(_) => {
            Doing::Goes
        }
    }
}

/// When an execution is forgotten that has ended: an express one at once, since nobody can ask for it.
pub(crate) fn forgotten_at(execution: &Execution) -> Time {
    let days = if execution.is_express { 0 } else { limits::KEPT_DAYS };
    execution.stopped.plus_seconds(days * 24 * 60 * 60)
}

/// Bytes of memory that a closed execution takes, about: its own, those of its entries in trees, and those of its records' places.
pub(crate) fn memory_of(execution: &Execution) -> usize {
    let redrives = execution.redrives.as_ref().map_or(0, |redrives| redrives.bytes());
    512 + redrives + execution.name.len() + 16 * execution.records.len() as usize
}
