//! How far a replay has come, and what it reads next.

use collections::{Entry, Owed};
use kernel::retained::{From, Limits, Page, Read, Record};
use kernel::{Extent, Ledger, Seq, Series, Time};

use crate::Archives;

/// Records that are read for a replay in one go, and their bytes in the store.
const READ_AT_ONCE: usize = 16;
const BYTES_AT_ONCE: usize = 1 << 20;

/// A replay that has not come to its end.
#[derive(Clone, Debug)]
pub struct Cursor {
    from: Time,
    to: Option<Time>,
    /// No record with this number or a higher one belongs to it.
    below: u64,
    /// The next record is this one or a later one.
    next: u64,
    /// What is being read for it.
    reading: Option<Reading>,
    /// Whether the store has a record behind its window: no more can come.
    is_past: bool,
    /// Where it stands what it handed on last, and which record that was.
    fact: Option<(Extent, u64)>,
}

/// What is being read for a replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    /// Records that are owed, by the first of them.
    Owed(Extent),
    /// A page of what the store has, which had everything up to this number when it was ordered.
    Page(Read, Seq),
}

/// What a replay needs next.
#[derive(Debug)]
pub enum Step {
    /// Something is being read for it.
    Waits,
    /// These records of the log are to be read, in this order.
    Owed(Vec<Extent>),
    /// A page of the store is to be read.
    Page(Read),
    /// The archive has nothing more for it now.
    End,
}

impl Cursor {
    /// A replay of what an archive got from a moment on, until a moment, and with numbers below a bound.
    pub fn new(from: Time, to: Option<Time>, below: u64) -> Self {
        Cursor { from, to, below, next: 0, reading: None, is_past: false, fact: None }
    }

    /// Whether what the archive got at that moment is in its window.
    pub fn covers(&self, at: Time) -> bool {
        self.from <= at && self.to.is_none_or(|to| at <= to)
    }

    /// The end of its window, if it has one.
    pub fn to(&self) -> Option<Time> {
        self.to
    }

    /// Whether it has handed over anything yet.
    pub fn has_begun(&self) -> bool {
        self.next > 0
    }

    /// What it needs next of an archive. `reader` is whom a page is for; `keeps` tells whether the archive still has a record, none of
    /// which is older than `oldest`.
    pub fn step(
        &mut self,
        reader: u64,
        (archives, series): (&Archives, Series),
        oldest: Time,
        keeps: impl Fn(&Entry) -> bool,
    ) -> Step {
        if self.reading.is_some() {
            return Step::Waits;
        }
        let Some(owed) = archives.owed(series) else { return Step::End };
        if let Some(stored) = owed.stored().filter(|stored| self.next <= stored.0 && !self.is_past) {
            let read = self.page(reader, series, oldest);
            self.reading = Some(Reading::Page(read, stored));
            return Step::Page(read);
        }
        let is_early = |entry: &Entry| entry.sent < self.from || !keeps(entry);
        let from = owed.iter_from(Seq(self.next)).skip_while(is_early);
        let covered = from.take_while(|entry| self.covers(entry.sent) && entry.seq.0 < self.below);
        let extents: Vec<Extent> = covered.take(READ_AT_ONCE).map(|entry| entry.extent).collect();
        match extents.first() {
            Some(&first) => {
                self.reading = Some(Reading::Owed(first));
                Step::Owed(extents)
            }
            None => Step::End,
        }
    }

    /// The next page of the store that it needs.
    fn page(&self, reader: u64, series: Series, oldest: Time) -> Read {
        let from = match self.next {
            0 => From::Time(self.from.max(oldest)),
            next => From::Sequence(next),
        };
        let limits = Limits { records: READ_AT_ONCE, bytes: BYTES_AT_ONCE };
        Read { reader, series, from, limits }
    }

    /// Whether these records, by the first of them, are being read for it. Those that were ordered for a replay that it has replaced
    /// are not.
    pub fn reads_owed(&self, first: Extent) -> bool {
        self.reading == Some(Reading::Owed(first))
    }

    /// Whether this page is being read for it.
    pub fn reads_page(&self, page: &Read) -> bool {
        matches!(self.reading, Some(Reading::Page(read, _)) if read == *page)
    }

    /// A page of the store was read: its records in the window are to be handed on. Those of a page that it has not ordered, or
    /// without room on the disk for what follows, are not: they are read again.
    pub fn page_read(&mut self, page: Page, has_room: bool) -> Option<Vec<Record>> {
        let Some(Reading::Page(read, stored)) = self.reading else { return None };
        if read != page.read {
            return None;
        }
        self.reading = None;
        if !has_room {
            return None;
        }
        let mut records = page.records;
        let last = records.last().map_or(0, |last| last.sequence);
        let next = page.next.unwrap_or(last.max(stored.0) + 1);
        // What moved to the store after the last page can be older than the window.
        let is_early = |record: &Record| record.time < self.from;
        records.drain(..records.iter().take_while(|record| is_early(record)).count());
        let is_covered = |record: &&Record| self.covers(record.time) && record.sequence < self.below;
        let covered = records.iter().take_while(is_covered).count();
        self.is_past = covered < records.len();
        records.truncate(covered);
        if !self.is_past {
            self.next = self.next.max(next);
        }
        Some(records)
    }

    /// What was to be read of the log cannot be from `at` on, since the bytes there are not those that were written: the replay goes on
    /// behind it. Returns whether it was being read.
    pub fn passes(&mut self, at: Extent, owed: Option<&Owed>) -> bool {
        let is_read = self.reads_owed(at);
        if is_read {
            let number = owed.and_then(|owed| {
                let mut owed = owed.iter_from(Seq(self.next));
                owed.find(|entry| entry.extent == at).map(|entry| entry.seq.0)
            });
            self.read_through(number);
        }
        is_read
    }

    /// What was to be read has been, and is handed on, up to this record; absent: nothing could be read, since it lies elsewhere by now.
    pub fn read_through(&mut self, through: Option<u64>) {
        self.reading = None;
        if let Some(through) = through {
            self.next = self.next.max(through + 1);
        }
    }

    /// The record at `at` says that it has handed on everything up to a record of the archive.
    pub fn advance(&mut self, through: u64, at: Extent, ledger: &mut Ledger) {
        self.next = self.next.max(through + 1);
        if let Some((old, latest)) = self.fact {
            if through < latest {
                return;
            }
            ledger.release(old);
        }
        ledger.hold(at);
        self.fact = Some((at, through));
    }

    /// How far it has come, if the record at `at` says it.
    pub fn advanced_at(&self, at: Extent) -> Option<u64> {
        self.fact.filter(|&(fact, _)| fact == at).map(|(_, through)| through)
    }

    /// It is over, or is replaced by another.
    pub fn end(self, ledger: &mut Ledger) {
        if let Some((fact, _)) = self.fact {
            ledger.release(fact);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kernel::{Place, Retention};

    use super::*;

    const SERIES: Series = Series(5);

    fn entry(number: u64) -> Entry {
        let extent = Extent { place: Place::new(1, 100 * number as u32), len: 100 };
        Entry { seq: Seq(number), extent, sent: Time(number), tag: 0 }
    }

    fn archives(owed: std::ops::RangeInclusive<u64>, stored: u64, ledger: &mut Ledger) -> Archives {
        let mut archives = Archives::default();
        archives.declare(SERIES, Retention::FOREVER, true);
        owed.for_each(|number| assert!(archives.put(SERIES, entry(number), ledger)));
        archives.kept(SERIES, Some(stored), ledger);
        archives
    }

    fn record(sequence: u64) -> Record {
        Record { sequence, time: Time(sequence), head: Bytes::new(), tail: Bytes::new() }
    }

    #[test]
    fn a_replay_goes_through_the_store_and_then_through_what_is_owed() {
        let mut ledger = Ledger::default();
        let archives = archives(1..=9, 4, &mut ledger);
        let mut cursor = Cursor::new(Time(2), Some(Time(8)), 8);
        let step = |cursor: &mut Cursor| cursor.step(7, (&archives, SERIES), Time(0), |_| true);
        let Step::Page(read) = step(&mut cursor) else { panic!("the store is first") };
        assert_eq!((read.reader, read.from), (7, From::Time(Time(2))));
        assert!(matches!(step(&mut cursor), Step::Waits));
        assert!(cursor.reads_page(&read));
        // The store has got one more meanwhile, and there is no room at first.
        let page = Page { read, records: (2..=5).map(record).collect(), next: None };
        assert_eq!(cursor.page_read(page.clone(), false), None);
        let Step::Page(_) = step(&mut cursor) else { panic!("it is read again") };
        let records = cursor.page_read(page, true).unwrap();
        assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [2, 3, 4, 5]);
        let Step::Owed(extents) = step(&mut cursor) else { panic!("the rest is owed") };
        assert_eq!(extents, [6, 7].map(|number| entry(number).extent), "8 is not below its bound");
        assert!(cursor.reads_owed(extents[0]) && !cursor.passes(extents[1], archives.owed(SERIES)));
        assert!(cursor.passes(extents[0], archives.owed(SERIES)));
        let Step::Owed(extents) = step(&mut cursor) else { panic!("behind the damage") };
        assert_eq!(extents, [entry(7).extent]);
        cursor.read_through(Some(7));
        assert!(matches!(step(&mut cursor), Step::End));
    }

    #[test]
    fn only_the_latest_fact_of_a_replay_is_held() {
        let mut ledger = Ledger::default();
        let mut cursor = Cursor::new(Time(0), None, u64::MAX);
        cursor.advance(5, entry(1).extent, &mut ledger);
        cursor.advance(7, entry(2).extent, &mut ledger);
        cursor.advance(6, entry(3).extent, &mut ledger);
        assert_eq!(cursor.advanced_at(entry(2).extent), Some(7));
        assert_eq!(cursor.advanced_at(entry(1).extent), None);
        assert_eq!(ledger.segments().map(|(_, used)| used.references).sum::<u64>(), 1);
        cursor.end(&mut ledger);
        assert_eq!(ledger.segments().map(|(_, used)| used.references).sum::<u64>(), 0);
    }

    #[test]
    fn an_archive_that_is_given_up_is_forgotten_a_little_at_a_time() {
        let mut ledger = Ledger::default();
        let mut archives = archives(1..=1500, 0, &mut ledger);
        assert!(archives.has_orders());
        archives.end(SERIES, true);
        assert!(!archives.contains(SERIES) && archives.owed(SERIES).is_none());
        assert_eq!(archives.next_orders().unwrap().len(), 1, "the store forgets it");
        assert!(!archives.has_orders() && archives.has_given_up());
        assert!(archives.forget(&mut ledger) && archives.forget(&mut ledger));
        assert!(!archives.forget(&mut ledger) && !archives.has_given_up());
        assert_eq!(ledger.owed_bytes(), 0);
    }
}
