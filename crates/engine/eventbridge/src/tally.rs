//! How many events an archive has, and of which times: told by the log, so that no start counts them.

use std::collections::BTreeMap;

use collections::Entry;
use kernel::{Extent, Ledger, Time};

use crate::ArchiveId;
use crate::records::ArchiveCounted;

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// What the store for retained data has of an archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// The number of the last event that it has.
    pub(crate) through: u64,
    /// By the days on which events came.
    days: BTreeMap<u64, Day>,
    /// The spread of what it has.
    kept: Spread,
    /// And of what has come, which the log still has or the store has since.
    came: Spread,
}

/// What the store has of one day.
#[derive(Clone, Copy, Debug)]
struct Day {
    events: u64,
    bytes: u64,
    /// Where the log tells it.
    fact: Extent,
}

/// How far the times of events were from the moments at which they came, in seconds, at the most.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Spread {
    /// Events of the future.
    pub(crate) ahead: u32,
    /// Events of the past.
    pub(crate) behind: u32,
}

impl Spread {
    fn and(self, other: Spread) -> Spread {
        Spread { ahead: self.ahead.max(other.ahead), behind: self.behind.max(other.behind) }
    }

    /// Adds what [`offset_tag`] says of an event.
    pub(crate) fn add(&mut self, tag: u32) {
        let half = tag >> 1;
        // The longest says no more than that it is too long to be told.
        let seconds = if half == u32::MAX >> 1 { u32::MAX } else { half };
        let side = if tag & 1 == 1 { &mut self.ahead } else { &mut self.behind };
        *side = (*side).max(seconds);
    }

    /// When what happened in a window can have come: the first and the last moment.
    pub(crate) fn came(self, (from, to): (i64, i64)) -> (Time, Time) {
        let millis = |seconds: u32| i64::from(seconds) * 1000;
        // An event's time has whole seconds.
        let first = from.saturating_sub(millis(self.ahead)).saturating_sub(1000);
        let last = to.saturating_add(millis(self.behind)).saturating_add(1000);
        let at = |millis: i64| Time(u64::try_from(millis).unwrap_or(0));
        match (self.ahead, self.behind) {
            (u32::MAX, u32::MAX) => (Time(0), Time(u64::MAX)),
            (u32::MAX, _) => (Time(0), at(last)),
            (_, u32::MAX) => (at(first), Time(u64::MAX)),
            _ => (at(first), at(last)),
        }
    }
}

/// How far the time of an event is from the moment at which it came: seconds, then one bit that is set if it is ahead.
pub(crate) fn offset_tag(time: i64, came: Time) -> u32 {
    let came = came.signed_millis().div_euclid(1000);
    let seconds = time.div_euclid(1000).saturating_sub(came);
    let most = u64::from(u32::MAX >> 1);
    let half = u32::try_from(seconds.unsigned_abs().min(most)).unwrap_or(u32::MAX >> 1);
    (half << 1) | u32::from(seconds > 0)
}

impl Tally {
    /// An event has come, which is described by [`offset_tag`].
    pub(crate) fn came(&mut self, tag: u32) {
        self.came.add(tag);
    }

    /// The spread of all events.
    pub(crate) fn spread(&self) -> Spread {
        self.kept.and(self.came)
    }

    /// The facts after which the store has these events besides. There is one at least.
    pub(crate) fn counted(
        &self,
        id: ArchiveId,
        through: u64,
        kept: impl Iterator<Item = Entry>,
    ) -> Vec<ArchiveCounted> {
        let mut spread = self.kept;
        let mut more: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for entry in kept {
            spread.add(entry.tag);
            let (events, bytes) = more.entry(entry.sent.0 / DAY_MILLIS).or_default();
            *events += 1;
            *bytes += u64::from(entry.extent.len);
        }
        if more.is_empty() {
            more.insert(0, (0, 0));
        }
        let Spread { ahead, behind } = spread;
        let fact = |(day, (events, bytes))| {
            let before = self.days.get(&day).map_or((0, 0), |known| (known.events, known.bytes));
            let (events, bytes) = (before.0 + events, before.1 + bytes);
            ArchiveCounted { id, through, day, events, bytes, ahead, behind }
        };
        more.into_iter().map(fact).collect()
    }

    /// A fact is true. Days before `oldest` are forgotten.
    pub(crate) fn count(&mut self, record: &ArchiveCounted, oldest: u64, at: Extent, ledger: &mut Ledger) {
        self.through = self.through.max(record.through);
        self.kept = self.kept.and(Spread { ahead: record.ahead, behind: record.behind });
        ledger.hold(at);
        let day = Day { events: record.events, bytes: record.bytes, fact: at };
        if let Some(old) = self.days.insert(record.day, day) {
            ledger.release(old.fact);
        }
        // The last one tells the number and the spread, and stays.
        while let Some(entry) = self.days.first_entry().filter(|entry| *entry.key() < oldest.min(record.day))
        {
            ledger.release(entry.remove().fact);
        }
    }

    /// The events and bytes that came on a day or later.
    pub(crate) fn since(&self, day: u64) -> (u64, u64) {
        let days = self.days.range(day..).map(|(_, day)| (day.events, day.bytes));
        days.fold((0, 0), |sum, day| (sum.0 + day.0, sum.1 + day.1))
    }

    /// What is to be said again, if the record at `at` tells a day that still counts.
    pub(crate) fn counted_again(&self, record: &ArchiveCounted, at: Extent) -> Option<ArchiveCounted> {
        let day = self.days.get(&record.day).filter(|day| day.fact == at)?;
        let Spread { ahead, behind } = self.kept;
        let (through, events, bytes) = (self.through, day.events, day.bytes);
        Some(ArchiveCounted { id: record.id, through, day: record.day, events, bytes, ahead, behind })
    }

    /// The archive is gone.
    pub(crate) fn end(self, ledger: &mut Ledger) {
        self.days.into_values().for_each(|day| ledger.release(day.fact));
    }
}

/// The first day of which an archive can still have events at `now`, if it keeps them for so many days.
pub(crate) fn oldest_day(retention_days: u32, now: Time) -> u64 {
    match retention_days {
        0 => 0,
        days => (now.0 / DAY_MILLIS).saturating_sub(days.into()),
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Place, Seq};

    use super::*;

    fn extent(number: u64) -> Extent {
        Extent { place: Place::new(1, number as u32), len: 10 }
    }

    fn entry(number: u64, day: u64, tag: u32) -> Entry {
        Entry { seq: Seq(number), extent: extent(number), sent: Time(day * DAY_MILLIS + number), tag }
    }

    #[test]
    fn events_are_counted_by_the_days_on_which_they_came() {
        let (mut tally, mut ledger) = (Tally::default(), Ledger::default());
        let mut count = |tally: &mut Tally, through, kept: &[Entry], oldest| {
            let facts = tally.counted(ArchiveId(7), through, kept.iter().copied());
            for fact in &facts {
                tally.count(fact, oldest, extent(1000 + through + fact.day), &mut ledger);
            }
            (facts.len(), ledger.segments().map(|(_, used)| used.references).sum::<u64>())
        };
        assert_eq!(count(&mut tally, 3, &[entry(1, 5, 0), entry(2, 5, 0), entry(3, 6, 0)], 0), (2, 2));
        assert_eq!(count(&mut tally, 4, &[entry(4, 6, 0)], 0), (1, 2));
        assert_eq!((tally.through, tally.since(0), tally.since(6)), (4, (4, 40), (2, 20)));
        assert_eq!(count(&mut tally, 5, &[entry(5, 8, 9)], 6), (1, 2), "the first day has passed");
        assert_eq!((tally.since(0), tally.spread()), ((3, 30), Spread { ahead: 4, behind: 0 }));
        tally.came(1 << 1);
        assert_eq!(tally.spread(), Spread { ahead: 4, behind: 1 });
        let fact = tally.counted(ArchiveId(7), 5, [].into_iter());
        assert_eq!(fact.len(), 1, "there is a fact in any case");
        let again = tally.counted_again(&ArchiveCounted { day: 8, ..fact[0].clone() }, extent(1013));
        assert_eq!(again.map(|again| (again.events, again.through, again.ahead)), Some((1, 5, 4)));
        tally.end(&mut ledger);
        assert!(ledger.segments().all(|(_, used)| used.references == 0));
    }

    #[test]
    fn what_happened_in_a_window_came_near_it() {
        let mut spread = Spread::default();
        for (time, came) in [(5_999, 5_000), (5_000, 5_999)] {
            assert_eq!(offset_tag(time, Time(came)), 0, "a second is one moment");
        }
        spread.add(offset_tag(9_000, Time(5_100)));
        spread.add(offset_tag(-7_000, Time(2_000)));
        assert_eq!(spread, Spread { ahead: 4, behind: 9 });
        assert_eq!(spread.came((20_000, 30_000)), (Time(15_000), Time(40_000)));
        assert_eq!(spread.came((0, 0)), (Time(0), Time(10_000)));
        spread.add(offset_tag(i64::MIN, Time(0)));
        assert_eq!(spread.came((20_000, 30_000)), (Time(15_000), Time(u64::MAX)));
        spread.add(offset_tag(i64::MAX, Time(0)));
        assert_eq!(spread.came((20_000, 30_000)), (Time(0), Time(u64::MAX)));
        assert_eq!((oldest_day(0, Time(u64::MAX)), oldest_day(2, Time(9 * DAY_MILLIS))), (0, 7));
    }
}
