//! What is remembered of all buses, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, BTreeSet};

use deliveries::Deliveries;
use kernel::{Demand, Extent, Ledger, ParcelSent, Time};
use resources::policy::Policy;
use resources::{Declarations, Standing};
use schedules::Timetable;

use crate::archive::Archiving;
use crate::bus::{Bus, Declared, Rule};
use crate::ids::{BusKey, ResourceKey, RuleId, RuleKey};
use crate::records::{
    BusDeclared, BusDeleted, ConnectionDeclared, DestinationDeclared, Record, RuleDeclared, RuleDeleted,
    RuleRan,
};
use crate::replay::Replaying;

/// All buses.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) buses: BTreeMap<BusKey, Bus>,
    pub(crate) rules: BTreeMap<RuleId, Rule>,
    /// The rules of targets, by the targets' numbers.
    pub(crate) targets: BTreeMap<u64, RuleId>,
    pub(crate) deliveries: Deliveries,
    /// Which rules run when.
    pub(crate) due: Timetable<RuleId>,
    pub(crate) connections: Declarations<ConnectionDeclared>,
    pub(crate) destinations: Declarations<DestinationDeclared>,
    /// The connections for which a first token is to be fetched.
    pub(crate) authorizing: BTreeSet<ResourceKey>,
    pub(crate) archiving: Archiving,
    pub(crate) replaying: Replaying,
}

impl State {
    /// A bus that something is known of: it was created, or it is a default one that has rules or a policy.
    pub fn bus(&self, key: &BusKey) -> Option<&Bus> {
        self.buses.get(key)
    }

    /// Whether a bus is there: it was created, or every account has it.
    pub fn has_bus(&self, key: &BusKey) -> bool {
        key.is_default() || self.buses.get(key).is_some_and(|bus| bus.declared.is_some())
    }

    /// All buses that something is known of, by key.
    pub fn buses(&self) -> impl Iterator<Item = (&BusKey, &Bus)> {
        self.buses.iter()
    }

    /// The buses of an account in a region that something is known of, by name, from a name on.
    pub fn buses_of<'a>(
        &'a self,
        account: &'a str,
        region: &'a str,
        from: &str,
    ) -> impl Iterator<Item = (&'a BusKey, &'a Bus)> {
        let from = BusKey { account: account.to_owned(), region: region.to_owned(), name: from.to_owned() };
        self.buses.range(from..).take_while(move |(key, _)| key.account == account && key.region == region)
    }

    /// A rule by bus and name.
    pub fn rule(&self, key: &RuleKey) -> Option<&Rule> {
        self.rules.get(self.buses.get(&key.bus)?.rules.get(&key.name)?)
    }

    /// A rule by its number.
    pub fn rule_of(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(&id)
    }

    /// The rule and the target of a target's number.
    pub(crate) fn target(&self, number: u64) -> Option<(&Rule, &crate::bus::Target)> {
        let rule = self.rules.get(self.targets.get(&number)?)?;
        Some((rule, rule.targets.iter().find(|target| target.number == number)?))
    }

    /// A fact becomes true. `at` is where its record lies. Applied live and when a log is read, in the order of the log.
    pub fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::BusDeclared(record) => self.bus_declared(record, at, ledger),
            Record::BusDeleted(record) => self.bus_deleted(record, at, ledger),
            Record::RuleDeclared(record) => self.rule_declared(record, at, ledger),
            Record::RuleDeleted(record) => self.rule_deleted(record, at, ledger),
            Record::RuleRan(record) => self.rule_ran(record, at, ledger),
            Record::ConnectionDeclared(record) => self.connection_declared(record, at, ledger),
            Record::ConnectionDeleted(record) => self.connection_deleted(record, at, ledger),
            Record::DestinationDeclared(record) => {
                self.destinations.declare(record, at, ledger);
            }
            Record::DestinationDeleted(record) => {
                self.destinations.delete(record, at, ledger);
            }
            Record::DeliveryFailed(record) => self.deliveries.failed(record, at, ledger),
            Record::DeliveriesEnded(record) => self.deliveries.ended(&record.ended, at, ledger),
            Record::ArchiveDeclared(record) => self.archiving.archive_declared(record, at, ledger),
            Record::ArchiveDeleted(record) => self.archiving.archive_deleted(record, at, ledger),
            Record::ArchiveCounted(record) => self.archiving.archive_counted(record, at, ledger),
            Record::ReplayDeclared(record) => self.replaying.replay_declared(record, at, ledger),
            Record::ReplayDeleted(record) => self.replaying.replay_deleted(record, at, ledger),
            Record::ReplayAdvanced(record) => self.replaying.replay_advanced(record, at, ledger),
        }
    }

    /// A parcel was sent: the deliveries to targets among its takers are pending, those that it ends are over, archives keep its event, and
    /// a replay has come further.
    pub fn parcel_sent(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        let State { targets, deliveries, .. } = self;
        let is_ours = |recipient| recipient != 0 && targets.contains_key(&recipient);
        deliveries.take(parcel, at, ledger, is_ours);
        self.archiving.take(parcel, at, ledger);
        self.replaying.take(parcel, at, ledger);
    }

    fn bus_declared(&mut self, record: &BusDeclared, at: Extent, ledger: &mut Ledger) {
        let bus = self.buses.entry(record.key.clone()).or_default();
        let before = match bus.declared.take() {
            Some(old) if old.record.id == record.id => Some(old.standing),
            // Another that was called so: its deletion was written again behind this.
            Some(old) => {
                old.standing.end(ledger);
                None
            }
            None => None,
        };
        bus.declared = Some(Declared {
            record: record.clone(),
            policy: record.policy.as_deref().map(Policy::compile),
            standing: Standing::declared(at, before, ledger),
        });
    }

    fn bus_deleted(&mut self, record: &BusDeleted, at: Extent, ledger: &mut Ledger) {
        for &segment in &record.declared_in {
            ledger.bury(at.place, segment);
        }
        let Some(bus) = self.buses.get_mut(&record.key) else { return };
        if let Some(old) = bus.declared.take_if(|declared| declared.record.id == record.id) {
            old.standing.end(ledger);
        }
        if bus.is_unknown() {
            self.buses.remove(&record.key);
        }
    }

    fn rule_declared(&mut self, record: &RuleDeclared, at: Extent, ledger: &mut Ledger) {
        let before = self.take_rule(record.id);
        let gone: Vec<u64> =
            before.iter().flat_map(|rule| &rule.targets).map(|target| target.number).collect();
        // The declaration says what was told since the one before, too.
        if let Some(fact) = before.as_ref().and_then(|rule| rule.fact) {
            ledger.release(fact);
        }
        let standing = Standing::declared(at, before.map(|rule| rule.standing), ledger);
        let rule = Rule::new(record, standing);
        if let Some(run) = rule.next_run() {
            self.due.set(run, record.id);
        }
        let bus = self.buses.entry(record.key.bus.clone()).or_default();
        bus.rules.insert(record.key.name.clone(), record.id);
        if let Some(matcher) = rule.matcher() {
            bus.interests.insert(record.id, &matcher);
        }
        self.targets.extend(rule.targets.iter().map(|target| (target.number, record.id)));
        self.rules.insert(record.id, rule);
        self.forget_deliveries(gone, ledger);
    }

    fn rule_ran(&mut self, record: &RuleRan, at: Extent, ledger: &mut Ledger) {
        let Some(rule) = self.rules.get_mut(&record.id) else { return };
        let Some(timing) = &mut rule.declared.timing else { return };
        if let Some(before) = std::mem::replace(&mut timing.next, record.next) {
            self.due.clear(before, record.id);
        }
        if let Some(next) = record.next {
            self.due.set(next, record.id);
        }
        ledger.hold(at);
        if let Some(old) = rule.fact.replace(at) {
            ledger.release(old);
        }
    }

    fn rule_deleted(&mut self, record: &RuleDeleted, at: Extent, ledger: &mut Ledger) {
        for &segment in &record.declared_in {
            ledger.bury(at.place, segment);
        }
        let Some(rule) = self.take_rule(record.id) else { return };
        rule.end(ledger);
        let gone = rule.targets.iter().map(|target| target.number).collect();
        self.forget_deliveries(gone, ledger);
    }

    /// Undoes what [`State::rule_declared`] did.
    fn take_rule(&mut self, id: RuleId) -> Option<Rule> {
        let rule = self.rules.remove(&id)?;
        for target in &rule.targets {
            self.targets.remove(&target.number);
        }
        if let Some(run) = rule.next_run() {
            self.due.clear(run, id);
        }
        if let Some(bus) = self.buses.get_mut(rule.bus()) {
            bus.interests.remove(id);
            let name = &rule.declared.key.name;
            if bus.rules.get(name) == Some(&id) {
                bus.rules.remove(name);
            }
            if bus.is_unknown() {
                self.buses.remove(rule.bus());
            }
        }
        Some(rule)
    }

    /// Targets may be gone: then nothing is delivered to them any more.
    fn forget_deliveries(&mut self, targets: Vec<u64>, ledger: &mut Ledger) {
        for number in targets {
            if !self.targets.contains_key(&number) {
                self.deliveries.forget_recipient(number, ledger);
            }
        }
    }

    /// Whether something follows from the time `now`, which was told, and has not happened yet. Deliveries are tried only while
    /// fewer than `attempts` are under way; rules run only while the disk has room.
    pub fn is_behind(&self, now: Time, attempts: usize, room: Demand) -> bool {
        self.deliveries.is_behind(now, attempts)
            || self.due.falls_due(now)
            || room >= Demand::Growth && self.due.is_behind(now)
            || room >= Demand::Change && !self.authorizing.is_empty()
            || self.replaying.ends.falls_due(now)
            || self.archiving.owed.has_orders()
            || room >= Demand::Purge && self.archiving.has_counts()
            || room >= Demand::Delete && self.replaying.ends.is_behind(now)
            || room >= Demand::Growth && (self.replaying.has_step() || self.replaying.has_events())
    }

    /// The facts after which nothing is left: everything is deleted.
    pub fn reset(&self) -> Vec<Record> {
        let rules = self.rules.values().map(|rule| Record::RuleDeleted(rule.deletion()));
        let buses = self.buses.values().filter_map(|bus| bus.declared.as_ref());
        let connections = self.connections.deletions().map(Record::ConnectionDeleted);
        let destinations = self.destinations.deletions().map(Record::DestinationDeleted);
        let buses = buses.map(|bus| Record::BusDeleted(bus.deletion()));
        let archives = self.archiving.declared.deletions().map(Record::ArchiveDeleted);
        let replays = self.replaying.declared.deletions().map(Record::ReplayDeleted);
        let rest = destinations.chain(connections).chain(replays).chain(archives);
        rules.chain(buses).chain(rest).collect()
    }
}

impl Rule {
    /// The fact that it is gone.
    pub(crate) fn deletion(&self) -> RuleDeleted {
        RuleDeleted { id: self.id(), declared_in: self.standing.declared_in().collect() }
    }
}

impl Declared {
    /// The fact that it is gone.
    pub(crate) fn deletion(&self) -> BusDeleted {
        let BusDeclared { id, key, .. } = &self.record;
        BusDeleted { id: *id, key: key.clone(), declared_in: self.standing.declared_in().collect() }
    }
}

/// What the disk must have room for, so that something about a delivery can be recorded.
pub(crate) fn demand_of(record: &Record) -> Demand {
    match record {
        Record::DeliveriesEnded(_) => Demand::Delete,
        _ => Demand::Change,
    }
}
