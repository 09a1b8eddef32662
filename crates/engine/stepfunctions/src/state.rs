//! What is remembered of state machines and executions, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel::{Extent, Ledger, Time};
use resources::Standing;
use schedules::Timetable;

use crate::activities::{Activities, Activity};
use crate::asks::Asks;
use crate::ended::Ended;
use crate::executions::{Doing, Execution};
use crate::machines::{Definition, Machine};
use crate::records::{
    DefinitionDeclared, DefinitionDropped, ExecutionsRemoved, MachineDeclared, MachineDeleted, Record,
    Status, TaskHeard, TaskWait,
};
use crate::steps::{Loaded, Task};
use crate::versions::Versions;
use crate::warm::Warm;
use crate::{DefinitionId, ExecutionId, MachineId, MachineKey, StatusChange};

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
    pub(crate) asks: Asks,
    pub(crate) executions: BTreeMap<ExecutionId, Box<Execution>>,
    /// By [`name_key`].
    pub(crate) names: BTreeMap<Box<[u8]>, ExecutionId>,
    pub(crate) by_machine: BTreeSet<(MachineId, ExecutionId)>,
    /// Open ones by when they were started, closed ones by when they ended.
    pub(crate) by_status: BTreeSet<(MachineId, Status, Time, ExecutionId)>,
    /// How many executions of each state machine are open.
    pub(crate) open: BTreeMap<MachineId, usize>,

    // What follows is derived, and not in the log.
    /// When flows go on, and when executions take too long ([`WHOLE`]).
    pub(crate) timetable: Timetable<(ExecutionId, u32)>,
    /// When closed executions are forgotten.
    pub(crate) forgetting: Timetable<ExecutionId>,
    /// Bytes of memory that closed executions take, about.
    pub(crate) closed_bytes: usize,
    /// Flows that can go on. Some may have gone on since.
    pub(crate) ready: VecDeque<(ExecutionId, u32)>,
    /// Requests that wait for the end of an execution, and those whose execution has ended.
    pub(crate) syncing: BTreeMap<ExecutionId, u64>,
    pub(crate) synced: VecDeque<(u64, ExecutionId)>,
    /// Executions whose output another service draws.
    pub(crate) ended: Ended,
    /// Flows that wait for the end of an execution.
    pub(crate) parents: BTreeSet<(ExecutionId, ExecutionId, u32)>,
    /// Executions that take too long.
    pub(crate) overdue: VecDeque<ExecutionId>,
    /// Changes of which the default bus is still to be told.
    pub(crate) status_changes: VecDeque<StatusChange>,
    /// Flows whose data are being read from the log, and what of them has been read.
    pub(crate) reading: BTreeMap<(ExecutionId, u32), Loaded>,
    /// Data that need not be read.
    pub(crate) warm: Warm,
    /// Definitions that nobody needs.
    pub(crate) unneeded: BTreeSet<DefinitionId>,
    /// State machines that are being deleted and have no open executions.
    pub(crate) deletable: BTreeSet<MachineId>,
    /// While a log is read: records that come before others of their execution.
    pub(crate) early: BTreeMap<ExecutionId, Early>,
    pub(crate) is_replaying: bool,
}

/// Records of an execution that were read before others which come first.
#[derive(Debug, Default)]
pub(crate) struct Early {
    pub(crate) records: BTreeMap<u32, (Record, Extent)>,
    pub(crate) heard: BTreeMap<u32, (TaskHeard, Extent)>,
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

    pub(crate) fn use_definition(&mut self, id: DefinitionId) {
        if let Some(definition) = self.definitions.get_mut(&id) {
            definition.users += 1;
            self.unneeded.remove(&id);
        }
    }

    pub(crate) fn unuse(&mut self, id: DefinitionId) {
        if let Some(definition) = self.definitions.get_mut(&id) {
            definition.users = definition.users.saturating_sub(1);
            if definition.users == 0 && !self.is_replaying {
                self.unneeded.insert(id);
            }
        }
    }

    /// The state machine may be one that can be deleted now.
    pub(crate) fn note_deletable(&mut self, id: MachineId) {
        let is_deleting = self.machines.get(&id).is_some_and(|machine| machine.declared.is_deleting);
        if is_deleting && self.open_of(id) == 0 && !self.is_replaying {
            self.deletable.insert(id);
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
        self.asks.begin_again(self.executions.iter().map(|(&id, execution)| (id, &**execution)));
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

/// The key of an execution's name: its state machine's number, then the name.
pub(crate) fn name_key(machine: MachineId, name: &str) -> Box<[u8]> {
    [&machine.0.to_be_bytes()[..], name.as_bytes()].concat().into()
}
