//! Archives, as they are remembered: what they keep, and how much (facts/eventbridge.md § 7).
//!
//! An archive is a series of the store for retained data ([`archives::Archives`]). A rule of its own sends events to it, and it is one more
//! taker of an event's parcel: a delivery that nobody makes ([`Delivery::TO_ARCHIVE`]), whose number is the event's in the archive.

use std::collections::BTreeMap;

use archives::Archives;
use collections::Entry;
use kernel::parcel::Delivery;
use kernel::{Extent, Ledger, ParcelSent, Retention, Seq, Series, Time};
use resources::Declarations;

use crate::ids::{ArchiveId, BusKey, ResourceKey, RuleId};
use crate::records::{ArchiveCounted, ArchiveDeclared, Record, ResourceDeleted};
use crate::tally::{Spread, Tally, oldest_day};

/// All archives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archiving {
    /// By account, region and name.
    pub(crate) declared: Declarations<ArchiveDeclared>,
    /// Their names, by their numbers.
    keys: BTreeMap<ArchiveId, ResourceKey>,
    /// By the rules that send events to them.
    rules: BTreeMap<RuleId, ArchiveId>,
    tallies: BTreeMap<ArchiveId, Tally>,
    pub(crate) owed: Archives,

    // What follows is not in the log.
    /// Archives of which the store has got more than the log says: up to which numbers.
    to_count: BTreeMap<ArchiveId, u64>,
    /// Whether a log is being read.
    is_reading: bool,
}

impl ArchiveDeclared {
    /// How long it keeps events.
    pub(crate) fn retention(&self) -> Retention {
        match self.retention_days {
            0 => Retention::FOREVER,
            days => Retention::days(days),
        }
    }

    /// The oldest moment of what it keeps at `now`.
    pub(crate) fn oldest(&self, now: Time) -> Time {
        match self.retention_days {
            0 => Time(0),
            days => Time(now.0.saturating_sub(u64::from(days) * 24 * 60 * 60 * 1000)),
        }
    }

    /// Whether it keeps at `now` what came at that moment.
    pub(crate) fn keeps(&self, came: Time, now: Time) -> bool {
        now < self.retention().passes(came)
    }
}

impl Archiving {
    /// The archive of a number.
    pub(crate) fn get(&self, id: ArchiveId) -> Option<&ArchiveDeclared> {
        self.declared.get(self.keys.get(&id)?).filter(|archive| archive.id == id)
    }

    /// The archive to which a rule sends events.
    pub(crate) fn of_rule(&self, rule: RuleId) -> Option<&ArchiveDeclared> {
        self.get(*self.rules.get(&rule)?)
    }

    /// Whether an archive may keep events of a bus. Looks at all archives.
    pub(crate) fn keeps_of(&self, bus: &BusKey) -> bool {
        self.declared.iter().any(|archive| archive.bus == *bus && archive.disabled.is_none())
    }

    /// `EventCount` and `SizeBytes`. What is on its way to the store is counted, but its bytes are not; what passes its retention counts
    /// until its day is over. (With AWS, both can be a day late.)
    pub(crate) fn size(&self, archive: &ArchiveDeclared, now: Time) -> (u64, u64) {
        let day = oldest_day(archive.retention_days, now);
        let (events, bytes) = self.tallies.get(&archive.id).map_or((0, 0), |tally| tally.since(day));
        (events + self.owed.owed(archive.series()).map_or(0, collections::Owed::len), bytes)
    }

    /// How far the times of an archive's events were from the moments at which they came.
    pub(crate) fn spread(&self, archive: &ArchiveDeclared) -> Spread {
        self.tallies.get(&archive.id).map_or_else(Spread::default, Tally::spread)
    }

    pub(crate) fn archive_declared(&mut self, record: &ArchiveDeclared, at: Extent, ledger: &mut Ledger) {
        if let Some(before) = self.get(record.id) {
            let rule = before.rule;
            self.rules.remove(&rule);
        }
        self.declared.declare(record, at, ledger);
        self.keys.insert(record.id, record.key.clone());
        self.rules.insert(record.rule, record.id);
        self.owed.declare(record.series(), record.retention(), !self.is_reading);
    }

    pub(crate) fn archive_deleted(&mut self, record: &ResourceDeleted, at: Extent, ledger: &mut Ledger) {
        let id = ArchiveId(record.id);
        if let Some(rule) = self.get(id).map(|archive| archive.rule) {
            self.rules.remove(&rule);
        }
        self.declared.delete(record, at, ledger);
        self.keys.remove(&id);
        self.to_count.remove(&id);
        self.owed.end(Series(record.id), !self.is_reading);
        if let Some(tally) = self.tallies.remove(&id) {
            tally.end(ledger);
        }
    }

    /// The store has the events of an archive up to a number: the log need not hold them any more.
    pub(crate) fn archive_counted(&mut self, record: &ArchiveCounted, at: Extent, ledger: &mut Ledger) {
        let days = self.get(record.id).map_or(0, |archive| archive.retention_days);
        let oldest = oldest_day(days, Time(record.day.saturating_mul(24 * 60 * 60 * 1000)));
        self.tallies.entry(record.id).or_default().count(record, oldest, at, ledger);
        self.owed.kept(Series(record.id.0), Some(record.through), ledger);
    }

    /// What is to be said again of a day, if the record at `at` tells it.
    pub(crate) fn counted_again(&self, record: &ArchiveCounted, at: Extent) -> Option<ArchiveCounted> {
        self.tallies.get(&record.id)?.counted_again(record, at)
    }

    /// A parcel was sent, or lies at `at` now: archives among its takers keep its event.
    pub(crate) fn take(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        for delivery in parcel.deliveries.iter().filter(|delivery| delivery.is_to_archive()) {
            let tag = u32::try_from(delivery.progress).unwrap_or(u32::MAX);
            let (series, seq) = (Series(delivery.form.recipient), Seq(delivery.number));
            if self.owed.put(series, Entry { seq, extent: at, sent: parcel.at, tag }, ledger) {
                self.tallies.entry(ArchiveId(series.0)).or_default().came(tag);
            }
        }
    }

    /// The archives among a parcel's takers to which its event is still owed at `at`.
    pub(crate) fn take_again<'p>(
        &self,
        parcel: &'p ParcelSent<'_>,
        at: Extent,
    ) -> impl Iterator<Item = Delivery> + use<'_, 'p> {
        parcel.deliveries.iter().copied().filter(move |delivery| {
            let series = Series(delivery.form.recipient);
            delivery.is_to_archive() && self.owed.is_owed(series, Seq(delivery.number), at)
        })
    }

    /// The store has the events of an archive up to a number. The log says so before it lets them go, so that the archive's count and the
    /// times of its events are never lost.
    pub(crate) fn kept(&mut self, series: Series, through: Option<u64>, ledger: &mut Ledger) {
        let id = ArchiveId(series.0);
        if self.is_reading {
            // What the log has not counted yet, it still has, and it is handed over again.
            let counted = self.tallies.get(&id).map(|tally| tally.through);
            return self.owed.kept(series, through.min(counted), ledger);
        }
        match through {
            Some(through) if self.keys.contains_key(&id) => drop(self.to_count.insert(id, through)),
            _ => self.owed.kept(series, None, ledger),
        }
    }

    /// Whether the log is to say of an archive how much the store has.
    pub(crate) fn has_counts(&self) -> bool {
        !self.to_count.is_empty()
    }

    /// The next facts about how much the store has of an archive.
    pub(crate) fn next_counts(&mut self) -> Option<Vec<Record>> {
        let (id, through) = self.to_count.pop_first()?;
        let none = Tally::default();
        let tally = self.tallies.get(&id).unwrap_or(&none);
        let owed = self.owed.owed(Series(id.0)).into_iter().flat_map(|owed| owed.iter_from(Seq(0)));
        let facts = tally.counted(id, through, owed.take_while(|entry| entry.seq.0 <= through));
        Some(facts.into_iter().map(Record::ArchiveCounted).collect())
    }

    /// A log is about to be read.
    pub(crate) fn replaying(&mut self) {
        self.is_reading = true;
    }

    /// A log has been read whole.
    pub(crate) fn replayed(&mut self, ledger: &mut Ledger) {
        self.is_reading = false;
        self.owed.rule_all();
        // Counts of deleted archives, in segments that are there for another reason.
        let keys = &self.keys;
        let strays = self.tallies.extract_if(.., |id, _| !keys.contains_key(id));
        strays.for_each(|(_, tally)| tally.end(ledger));
    }
}
