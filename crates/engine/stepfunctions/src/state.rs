//! What is remembered of state machines and executions, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kernel::{Extent, Ledger, Time};
use resources::Standing;
use schedules::Timetable;

use crate::activities::{Activities, Activity};
use crate::executions::{Branches, Doing, Execution, Flow};
use crate::machines::{Definition, Machine};
use crate::records::{
    After, Branching, DefinitionDeclared, DefinitionDropped, ExecutionStarted, ExecutionsRemoved, InState,
    MachineDeclared, MachineDeleted, Record, Status, Stepped, TaskHeard, TaskReported, TaskTaken, TaskWait,
};
use crate::steps::{Loaded, Task};
use crate::versions::Versions;
use crate::warm::Warm;
use crate::{DefinitionId, ExecutionId, MachineId, MachineKey, limits};

/// In the timetable, the flow that stands for an execution as a whole.
pub(crate) const WHOLE: u32 = u32::MAX;

/// Closed executions that one record removes: a turn should not take long.
pub(crate) const REMOVED_AT_ONCE: usize = 64;

/// All state machines and executions.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) machines: BTreeMap<MachineId, Machine>,
    pub(crate) machine_names: BTreeMap<MachineKey, MachineId>,
    pub(crate) definitions: BTreeMap<DefinitionId, Definition>,
    /// Bytes of all texts of definitions.
    pub(crate) definition_bytes: usize,
    pub(crate) versions: Versions,
    pub(crate) activities: Activities,
    pub(crate) executions: BTreeMap<ExecutionId, Box<Execution>>,
    /// By [`name_key`].
    names: BTreeMap<Box<[u8]>, ExecutionId>,
    pub(crate) by_machine: BTreeSet<(MachineId, ExecutionId)>,
    /// Open ones by when they were started, closed ones by when they ended.
    pub(crate) by_status: BTreeSet<(MachineId, Status, Time, ExecutionId)>,
    /// How many executions of each state machine are open.
    open: BTreeMap<MachineId, usize>,

    // What follows is derived, and not in the log.
    /// When flows go on, and when executions take too long ([`WHOLE`]).
    pub(crate) timetable: Timetable<(ExecutionId, u32)>,
    /// When closed executions are forgotten.
    pub(crate) forgetting: Timetable<ExecutionId>,
    /// Flows that can go on. Some may have gone on since.
    pub(crate) ready: VecDeque<(ExecutionId, u32)>,
    /// Requests that wait for the end of an execution, and those whose execution has ended.
    pub(crate) syncing: BTreeMap<ExecutionId, u64>,
    pub(crate) synced: VecDeque<(u64, ExecutionId)>,
    /// Flows that wait for the end of an execution.
    parents: BTreeSet<(ExecutionId, ExecutionId, u32)>,
    /// Executions that take too long.
    pub(crate) overdue: VecDeque<ExecutionId>,
    /// Flows whose data are being read from the log, and what of them has been read.
    pub(crate) reading: BTreeMap<(ExecutionId, u32), Loaded>,
    /// Data that need not be read.
    pub(crate) warm: Warm,
    /// Definitions that nobody needs.
    pub(crate) unneeded: BTreeSet<DefinitionId>,
    /// State machines that are being deleted and have no open executions.
    pub(crate) deletable: BTreeSet<MachineId>,
    /// While a log is read: records that come before others of their execution.
    early: BTreeMap<ExecutionId, Early>,
    is_replaying: bool,
}

/// Records of an execution that were read before others which come first.
#[derive(Debug, Default)]
struct Early {
    records: BTreeMap<u32, (Record, Extent)>,
    heard: BTreeMap<u32, (TaskHeard, Extent)>,
}

impl State {
    /// A state machine, by account, region and name.
    pub fn machine(&self, key: &MachineKey) -> Option<&Machine> {
        self.machines.get(self.machine_names.get(key)?)
    }

    /// An execution of a state machine, by its name.
    pub fn execution(&self, machine: MachineId, name: &str) -> Option<(ExecutionId, &Execution)> {
        let id = *self.names.get(&name_key(machine, name))?;
        Some((id, self.executions.get(&id)?))
    }

    /// An activity, by account, region and name.
    pub fn activity(&self, key: &MachineKey) -> Option<&Activity> {
        self.activities.find(key)
    }

    /// All executions, oldest first.
    pub fn executions(&self) -> impl Iterator<Item = (ExecutionId, &Execution)> {
        self.executions.iter().map(|(&id, execution)| (id, &**execution))
    }

    /// All state machines, oldest first.
    pub fn machines(&self) -> impl Iterator<Item = &MachineDeclared> {
        self.machines.values().map(|machine| &machine.declared)
    }

    /// The numbers of all definitions that are remembered.
    pub fn definitions(&self) -> impl Iterator<Item = DefinitionId> + '_ {
        self.definitions.keys().copied()
    }

    /// The task that a token names, if it is still waited for.
    pub fn waiting_task(&self, task: &Task) -> Option<(&Execution, &TaskWait)> {
        let execution = self.executions.get(&task.execution)?;
        match &execution.flow(task.flow)?.doing {
            Doing::Tasks { wait, .. } if wait.since == task.since => Some((execution, wait)),
            _ => None,
        }
    }

    /// How many executions of an account are open in a region.
    pub fn open_executions(&self, account: &str, region: &str) -> usize {
        let theirs = self.machines.values().map(|machine| &machine.declared);
        let theirs = theirs.filter(|machine| machine.key.account == account && machine.key.region == region);
        theirs.map(|machine| self.open_of(machine.id)).sum()
    }

    /// How many executions of a state machine are open.
    pub fn open_of(&self, machine: MachineId) -> usize {
        self.open.get(&machine).copied().unwrap_or(0)
    }

    /// Applies a record that lies at `at`.
    pub fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::MachineDeclared(record) => self.machine_declared(record, at, ledger),
            Record::MachineDeleted(record) => self.machine_deleted(record, at, ledger),
            Record::DefinitionDeclared(record) => self.definition_declared(record, at, ledger),
            Record::DefinitionDropped(record) => self.definition_dropped(record, at, ledger),
            Record::ExecutionsRemoved(record) => self.executions_removed(record, at, ledger),
            Record::TaskHeard(record) => self.task_heard(record, at, ledger),
            Record::VersionPublished(record) => {
                if self.versions.published(record, at, ledger) {
                    self.use_definition(record.definition);
                }
            }
            Record::VersionDeleted(record) => {
                if let Some(version) = self.versions.version_deleted(record, at, ledger) {
                    self.unuse(version.definition);
                }
            }
            Record::AliasDeclared(record) => self.versions.alias_declared(record, at, ledger),
            Record::AliasDeleted(record) => self.versions.alias_deleted(record, at, ledger),
            Record::ActivityDeclared(record) => self.activities.declared(record, at, ledger),
            Record::ActivityDeleted(record) => self.activities.deleted(record, at, ledger),
            Record::ExecutionStarted(_)
            | Record::Stepped(_)
            | Record::TaskReported(_)
            | Record::TaskTaken(_) => self.execution_goes_on(record, at, ledger),
        }
    }

    fn machine_declared(&mut self, record: &MachineDeclared, at: Extent, ledger: &mut Ledger) {
        let before = self.machines.remove(&record.id);
        if let Some(before) = &before {
            self.unuse(before.declared.definition);
        }
        self.use_definition(record.definition);
        let standing = Standing::declared(at, before.map(|before| before.standing), ledger);
        self.machines.insert(record.id, Machine { declared: record.clone(), standing });
        self.machine_names.insert(record.key.clone(), record.id);
        self.note_deletable(record.id);
    }

    fn machine_deleted(&mut self, record: &MachineDeleted, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        self.deletable.remove(&record.id);
        let Some(machine) = self.machines.remove(&record.id) else { return };
        machine.standing.end(ledger);
        self.unuse(machine.declared.definition);
        self.machine_names.remove(&machine.declared.key);
        self.open.remove(&record.id);
    }

    fn definition_declared(&mut self, record: &DefinitionDeclared, at: Extent, ledger: &mut Ledger) {
        match self.definitions.get_mut(&record.id) {
            // Written again.
            Some(known) => known.standing.declare(at, ledger),
            None => {
                let standing = Standing::declared(at, None, ledger);
                self.definition_bytes += record.text.len();
                let definition = Definition::new(&record.text, record.is_express, standing);
                self.definitions.insert(record.id, definition);
            }
        }
    }

    fn definition_dropped(&mut self, record: &DefinitionDropped, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        self.unneeded.remove(&record.id);
        if let Some(definition) = self.definitions.remove(&record.id) {
            self.definition_bytes -= definition.text.len();
            definition.standing.end(ledger);
        }
    }

    fn use_definition(&mut self, id: DefinitionId) {
        if let Some(definition) = self.definitions.get_mut(&id) {
            definition.users += 1;
            self.unneeded.remove(&id);
        }
    }

    fn unuse(&mut self, id: DefinitionId) {
        if let Some(definition) = self.definitions.get_mut(&id) {
            definition.users = definition.users.saturating_sub(1);
            if definition.users == 0 && !self.is_replaying {
                self.unneeded.insert(id);
            }
        }
    }

    /// The state machine may be one that can be deleted now.
    fn note_deletable(&mut self, id: MachineId) {
        let is_deleting = self.machines.get(&id).is_some_and(|machine| machine.declared.is_deleting);
        if is_deleting && self.open_of(id) == 0 && !self.is_replaying {
            self.deletable.insert(id);
        }
    }

    /// A record of an execution takes effect when all before it have; or it says where an earlier one lies now.
    fn execution_goes_on(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
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
        self.goes(record.id, 0);
    }

    fn keep_warm(&mut self, data: &Option<Arc<[u8]>>, at: Extent) {
        if let Some(data) = data {
            self.warm.put(at.place, data.clone());
        }
    }

    /// A flow can go on.
    fn goes(&mut self, id: ExecutionId, flow: u32) {
        if !self.is_replaying {
            self.ready.push_back((id, flow));
        }
    }

    fn stepped(&mut self, record: &Stepped, at: Extent, ledger: &mut Ledger) {
        let (id, number) = (record.execution, record.flow);
        let Some(mut execution) = self.executions.remove(&id) else { return };
        execution.records.push(record.tail.first, at);
        ledger.hold(at);
        execution.next_event = record.tail.next_event();
        self.leave(id, &execution, number, ledger);
        match &record.after {
            After::Over(status) => self.over(id, &mut execution, *status, record.time, ledger),
            After::Ended(begins) => {
                self.branch_ended(id, &mut execution, (number, record.last), *begins, at);
                self.keep_warm(&record.tail.warm, at);
            }
            After::Failed => {
                self.branch_failed(id, &mut execution, (number, record.last), at, ledger);
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
                    };
                    if let Some(due) = flow.doing.due() {
                        self.timetable.set(due, (id, number));
                    }
                    self.activities.wait(&flow.doing, (id, number));
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
            Doing::Reported(at, _) | Doing::BranchFailed(at) => self.warm.forget(at.place),
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
            let event = branching.event + if branching.is_map { index } else { 0 };
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
        (number, last): (u32, u32),
        begins: Option<u32>,
        at: Extent,
    ) {
        let Some(parent) = execution.others.remove(&number).map(|flow| flow.parent) else { return };
        let Some(flow) = execution.flow_mut(parent) else { return };
        flow.last = last;
        let data = flow.data;
        let Doing::Branches(branches) = &mut flow.doing else { return };
        branches.outputs.insert(number.saturating_sub(branches.branching.first), at);
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
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let Some(parent) = execution.others.get(&number).map(|flow| flow.parent) else { return };
        self.give_up(id, execution, parent, ledger);
        let Some(flow) = execution.flow_mut(parent) else { return };
        flow.last = last;
        if let Doing::Branches(branches) = &flow.doing {
            branches.outputs.values().for_each(|at| self.warm.forget(at.place));
        }
        flow.doing = Doing::BranchFailed(at);
        self.goes(id, parent);
    }

    /// All flows that run for another one, or for one of these, are gone.
    fn give_up(&mut self, id: ExecutionId, execution: &mut Execution, parent: u32, ledger: &mut Ledger) {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            let theirs: Vec<u32> = execution.children_of(parent).collect();
            for number in theirs {
                self.leave(id, execution, number, ledger);
                execution.others.remove(&number);
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
        execution.main.doing = Doing::Goes;
        (execution.status, execution.stopped) = (status, time);
        if !execution.is_express {
            self.by_status.insert((execution.machine, status, time, id));
        }
        self.forgetting.set(forgotten_at(execution), id);
        self.synced.extend(self.syncing.remove(&id).map(|ticket| (ticket, id)));
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

    fn task_heard(&mut self, record: &TaskHeard, at: Extent, ledger: &mut Ledger) {
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

    fn executions_removed(&mut self, record: &ExecutionsRemoved, at: Extent, ledger: &mut Ledger) {
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
            self.unuse(execution.definition);
        }
    }

    /// A log is about to be read.
    pub(crate) fn replaying(&mut self) {
        self.is_replaying = true;
    }

    /// A log has been read: what is derived from it is made.
    pub(crate) fn replayed(&mut self) {
        self.is_replaying = false;
        // Records of executions that were removed, whose tombstones come later.
        self.early.clear();
        let mut ready_flows = VecDeque::new();
        for (&id, execution) in &self.executions {
            let is_ready = |doing: &Doing| doing.is_ready(Time(0)) || self.nested_that_ended(doing).is_some();
            let ready = execution.flows().filter(|(_, flow)| is_ready(&flow.doing));
            ready_flows.extend(ready.map(|(number, _)| (id, number)));
        }
        self.ready = ready_flows;
        // Cleaning may have written a definition again behind what needs it.
        self.definitions.values_mut().for_each(|definition| definition.users = 0);
        let of_machines = self.machines.values().map(|machine| machine.declared.definition);
        let of_versions = self.versions.versions.values().map(|known| known.declared.definition);
        let of_executions = self.executions.values().map(|execution| execution.definition);
        let needed: Vec<DefinitionId> = of_machines.chain(of_versions).chain(of_executions).collect();
        needed.into_iter().for_each(|id| self.use_definition(id));
        let unneeded = self.definitions.iter().filter(|(_, definition)| definition.users == 0);
        self.unneeded = unneeded.map(|(&id, _)| id).collect();
        let machines: Vec<MachineId> = self.machines.keys().copied().collect();
        machines.into_iter().for_each(|id| self.note_deletable(id));
    }

    /// The fact that executions are forgotten.
    pub(crate) fn removal_of(&self, ids: Vec<ExecutionId>) -> ExecutionsRemoved {
        let executions = ids.iter().filter_map(|id| self.executions.get(id));
        let places = executions.flat_map(|execution| execution.records.iter().map(|(_, at)| at.place));
        let declared_in: BTreeSet<u32> = places.map(|place| place.segment()).collect();
        ExecutionsRemoved { ids, declared_in: declared_in.into_iter().collect() }
    }

    /// The fact that a state machine is gone, which has no executions.
    pub(crate) fn deletion_of(&self, machine: &Machine) -> MachineDeleted {
        MachineDeleted { id: machine.declared.id, declared_in: machine.standing.declared_in().collect() }
    }

    /// The fact that nobody needs a definition.
    pub(crate) fn dropping_of(&self, id: DefinitionId) -> DefinitionDropped {
        let known = self.definitions.get(&id);
        let declared_in = known.map(|known| known.standing.declared_in().collect());
        DefinitionDropped { id, declared_in: declared_in.unwrap_or_default() }
    }

    /// The next fact towards the end of a state machine that is being deleted.
    pub(crate) fn deletion_step(&self, id: MachineId) -> Option<Record> {
        let machine = self.machines.get(&id)?;
        let theirs = self.by_machine.range((id, ExecutionId(0))..=(id, ExecutionId(u64::MAX)));
        let ids: Vec<ExecutionId> = theirs.map(|entry| entry.1).take(REMOVED_AT_ONCE).collect();
        if !ids.is_empty() {
            return Some(Record::ExecutionsRemoved(self.removal_of(ids)));
        }
        let version = self.versions.deletions(id).next();
        Some(version.unwrap_or_else(|| Record::MachineDeleted(self.deletion_of(machine))))
    }

    /// The facts after which nothing is left.
    pub(crate) fn reset(&self) -> Vec<Record> {
        let ids: Vec<ExecutionId> = self.executions.keys().copied().collect();
        let executions =
            ids.chunks(REMOVED_AT_ONCE).map(|ids| Record::ExecutionsRemoved(self.removal_of(ids.to_vec())));
        let machines =
            self.machines.values().map(|machine| Record::MachineDeleted(self.deletion_of(machine)));
        let definitions = self.definitions.keys().map(|&id| Record::DefinitionDropped(self.dropping_of(id)));
        let activities = self.activities.iter().map(|activity| Record::ActivityDeleted(activity.deletion()));
        let versions = self.machines.keys().flat_map(|&id| self.versions.deletions(id));
        executions.chain(versions).chain(machines).chain(definitions).chain(activities).collect()
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
            Doing::Branches(Box::new(Branches { branching: *branching, begun, outputs }))
        }
        After::Goes | After::Ended(_) | After::Failed | After::Over(_) => Doing::Goes,
    }
}

/// When an execution is forgotten that has ended: an express one at once, since nobody can ask for it.
fn forgotten_at(execution: &Execution) -> Time {
    let days = if execution.is_express { 0 } else { limits::KEPT_DAYS };
    execution.stopped.plus_seconds(days * 24 * 60 * 60)
}

/// The key of an execution's name: its state machine's number, then the name.
fn name_key(machine: MachineId, name: &str) -> Box<[u8]> {
    [&machine.0.to_be_bytes()[..], name.as_bytes()].concat().into()
}
