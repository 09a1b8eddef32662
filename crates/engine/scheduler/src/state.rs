//! What is remembered of all schedules, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::{Extent, Ledger, Time};
use resources::Standing;
use schedules::Timetable;

use crate::invocations::Invocations;
use crate::records::{
    GroupDeclared, GroupDeleted, InvocationDeclared, Record, ScheduleDeclared, ScheduleRan, SchedulesDeleted,
    Shared,
};
use crate::rules::timing::Run;
use crate::schedule::Schedule;
use crate::{GroupId, GroupKey, ScheduleId};

/// A group of schedules.
#[derive(Clone, Debug)]
pub struct Group {
    /// What the log says of it.
    pub declared: GroupDeclared,
    pub(crate) standing: Standing,
}

/// All groups and schedules.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) group_names: BTreeMap<GroupKey, GroupId>,
    pub(crate) schedules: BTreeMap<ScheduleId, Box<Schedule>>,
    /// By [`name_key`].
    pub(crate) names: BTreeMap<Box<[u8]>, ScheduleId>,
    /// Which schedules run when.
    pub(crate) due: Timetable<ScheduleId>,
    /// How many schedules an account has in a region.
    counts: BTreeMap<(String, String), usize>,
    /// Bytes of what schedules have for themselves.
    bytes: usize,
    /// Groups that are being deleted.
    pub(crate) deleting: BTreeSet<GroupId>,
    /// Invocations that are tried again.
    pub(crate) invocations: Invocations,
    /// What schedules share.
    shared: BTreeSet<Arc<Shared>>,
}

impl State {
    /// A group, by account, region and name.
    pub fn group(&self, key: &GroupKey) -> Option<&Group> {
        self.groups.get(self.group_names.get(key)?)
    }

    /// A schedule of a group, by its name.
    pub fn schedule(&self, group: GroupId, name: &str) -> Option<(ScheduleId, &Schedule)> {
        let id = *self.names.get(&name_key(group, name))?;
        Some((id, self.schedules.get(&id)?))
    }

    /// How many schedules an account has in a region.
    pub fn schedules_of(&self, account: &str, region: &str) -> usize {
        self.counts.get(&(account.to_owned(), region.to_owned())).copied().unwrap_or(0)
    }

    /// How many schedules there are.
    pub fn len(&self) -> usize {
        self.schedules.len()
    }

    /// Whether there are no schedules.
    pub fn is_empty(&self) -> bool {
        self.schedules.is_empty()
    }

    /// All schedules, oldest first.
    pub fn schedules(&self) -> impl Iterator<Item = ScheduleDeclared> + '_ {
        self.schedules.iter().map(|(&id, schedule)| schedule.declared(id))
    }

    /// All groups that were made, oldest first.
    pub fn groups(&self) -> impl Iterator<Item = &GroupDeclared> {
        self.groups.values().map(|group| &group.declared)
    }

    /// All invocations that are tried again, oldest first.
    pub fn invocations(&self) -> impl Iterator<Item = &InvocationDeclared> {
        self.invocations.iter()
    }

    /// Bytes of what all schedules have for themselves, such as their inputs.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many groups an account has in a region, without the default one.
    pub fn groups_of(&self, account: &str, region: &str) -> usize {
        let first = GroupKey { account: account.into(), region: region.into(), name: String::new() };
        let theirs = self.group_names.range(first..).map(|(key, _)| key);
        let theirs = theirs.take_while(|key| key.account == account && key.region == region);
        theirs.filter(|key| !key.is_default()).count()
    }

    /// Applies a record that lies at `at`.
    pub fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::GroupDeclared(record) => self.group_declared(record, at, ledger),
            Record::GroupDeleted(record) => self.group_deleted(record, at, ledger),
            Record::ScheduleDeclared(record) => self.schedule_declared(record, at, ledger),
            Record::SchedulesDeleted(record) => self.schedules_deleted(record, at, ledger),
            Record::ScheduleRan(record) => self.schedule_ran(record, at, ledger),
            Record::InvocationDeclared(record) => self.invocations.declared(record, at, ledger),
            Record::InvocationTried(record) => self.invocations.tried(record, at, ledger),
            Record::InvocationEnded(record) => self.invocations.ended(record, at, ledger),
        }
    }

    fn group_declared(&mut self, record: &GroupDeclared, at: Extent, ledger: &mut Ledger) {
        let before = self.groups.remove(&record.id).map(|group| group.standing);
        let standing = Standing::declared(at, before, ledger);
        self.groups.insert(record.id, Group { declared: record.clone(), standing });
        self.group_names.insert(record.key.clone(), record.id);
        if record.is_deleting {
            self.deleting.insert(record.id);
        }
    }

    fn group_deleted(&mut self, record: &GroupDeleted, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        self.deleting.remove(&record.id);
        let Some(group) = self.groups.remove(&record.id) else { return };
        group.standing.end(ledger);
        if self.group_names.get(&group.declared.key) == Some(&record.id) {
            self.group_names.remove(&group.declared.key);
        }
    }

    fn schedule_declared(&mut self, record: &ScheduleDeclared, at: Extent, ledger: &mut Ledger) {
        let account = (record.shared.group.account.clone(), record.shared.group.region.clone());
        let shared = self.share(&record.shared);
        let before = match self.take(record.id) {
            Some(old) => {
                old.fact.into_iter().for_each(|fact| ledger.release(fact));
                self.unshare(old.shared);
                Some(old.standing)
            }
            None => {
                *self.counts.entry(account).or_default() += 1;
                self.names.insert(name_key(record.shared.group_id, &record.own.name), record.id);
                None
            }
        };
        let schedule = Schedule::new(record, shared, Standing::declared(at, before, ledger));
        self.set_run(record.id, Box::new(schedule), record.run);
    }

    fn schedules_deleted(&mut self, record: &SchedulesDeleted, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        for &id in &record.ids {
            let Some(schedule) = self.take(id) else { continue };
            schedule.end(ledger);
            self.names.remove(&name_key(schedule.shared.group_id, &schedule.own().name));
            let key = &schedule.shared.group;
            if let Some(count) = self.counts.get_mut(&(key.account.clone(), key.region.clone())) {
                *count = count.saturating_sub(1);
            }
            self.unshare(schedule.shared);
        }
    }

    fn schedule_ran(&mut self, record: &ScheduleRan, at: Extent, ledger: &mut Ledger) {
        let Some(mut schedule) = self.take(record.id) else { return };
        ledger.hold(at);
        if let Some(old) = schedule.fact.replace(at) {
            ledger.release(old);
        }
        self.set_run(record.id, schedule, record.run);
    }

    /// Takes a schedule out of what is remembered, with its deadline.
    fn take(&mut self, id: ScheduleId) -> Option<Box<Schedule>> {
        let schedule = self.schedules.remove(&id)?;
        self.bytes -= schedule.own_bytes();
        if let Some(run) = schedule.run() {
            self.due.clear(run.due, id);
        }
        Some(schedule)
    }

    fn set_run(&mut self, id: ScheduleId, mut schedule: Box<Schedule>, run: Option<Run>) {
        schedule.set_run(run);
        if let Some(run) = run {
            self.due.set(run.due, id);
        }
        self.bytes += schedule.own_bytes();
        self.schedules.insert(id, schedule);
    }

    fn share(&mut self, shared: &Shared) -> Arc<Shared> {
        if let Some(known) = self.shared.get(shared) {
            return known.clone();
        }
        let new = Arc::new(shared.clone());
        self.shared.insert(new.clone());
        new
    }

    /// A schedule needs it no longer; perhaps no other does.
    fn unshare(&mut self, shared: Arc<Shared>) {
        // This one and the one in the set.
        if Arc::strong_count(&shared) == 2 {
            self.shared.remove(&shared);
        }
    }

    /// When a schedule or another attempt is due next.
    pub fn next_deadline(&self) -> Option<Time> {
        [self.due.next(), self.invocations.due.next()].into_iter().flatten().min()
    }

    /// Lets time pass: at most `room` schedules and invocations fall due, which are subtracted from it.
    pub fn advance(&mut self, now: Time, room: &mut usize) {
        self.due.advance(now, room);
        self.invocations.due.advance(now, room);
    }

    /// The fact that schedules are gone.
    pub(crate) fn deletion_of(&self, ids: Vec<ScheduleId>) -> SchedulesDeleted {
        let schedules = ids.iter().filter_map(|id| self.schedules.get(id));
        let declared_in: BTreeSet<u32> =
            schedules.flat_map(|schedule| schedule.standing.declared_in()).collect();
        SchedulesDeleted { ids, declared_in: declared_in.into_iter().collect() }
    }

    /// The fact that a group is gone, which has no schedules.
    pub(crate) fn deletion_of_group(&self, group: &Group) -> GroupDeleted {
        GroupDeleted { id: group.declared.id, declared_in: group.standing.declared_in().collect() }
    }

    /// The facts after which nothing is left.
    pub fn reset(&self) -> Vec<Record> {
        let ids: Vec<ScheduleId> = self.schedules.keys().copied().collect();
        let schedules =
            ids.chunks(DELETED_AT_ONCE).map(|ids| Record::SchedulesDeleted(self.deletion_of(ids.to_vec())));
        let groups = self.groups.values().map(|group| Record::GroupDeleted(self.deletion_of_group(group)));
        let ends = self.invocations.ends().map(Record::InvocationEnded);
        schedules.chain(groups).chain(ends).collect()
    }
}

/// The key of a schedule's name: its group's number, then the name. So the schedules of a group lie together, by name.
pub(crate) fn name_key(group: GroupId, name: &str) -> Box<[u8]> {
    [&group.0.to_be_bytes()[..], name.as_bytes()].concat().into()
}

/// The name in a key of a schedule of this group; nothing if the key is that of another group.
pub(crate) fn name_in(key: &[u8], group: GroupId) -> Option<&str> {
    std::str::from_utf8(key.strip_prefix(&group.0.to_be_bytes()[..])?).ok()
}

/// Schedules of a group that one record deletes: a turn should not take long.
pub(crate) const DELETED_AT_ONCE: usize = 256;
