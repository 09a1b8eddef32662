//! The records of one series that the log owes to the store for retained data, a few bytes each.
//!
//! What the store has is a beginning of the series, and what is owed is the rest. So a reader reads first the store and then
//! these, and a number tells where a record is.

use kernel::retained::{Keep, Owed as Record};
use kernel::{Extent, Ledger, Retention, Seq, Series};

use crate::{Entry, Lane};

/// Maximum number of records of one order, and their bytes in the log. One record may be longer.
const ORDERED: usize = 8192;
const ORDERED_BYTES: u64 = 3 << 20;

/// The records of a series that are owed.
#[derive(Clone, Debug, Default)]
pub struct Owed {
    lane: Lane,
    /// The number up to which the store has everything.
    stored: Option<Seq>,

    // What follows is not in the log.
    /// Whether an order to keep records has not ended.
    ordered: bool,
}

impl Owed {
    /// Returns the number of records.
    pub fn len(&self) -> u64 {
        self.lane.len()
    }

    /// Returns whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.lane.is_empty()
    }

    /// Returns the number up to which the store has everything.
    pub fn stored(&self) -> Option<Seq> {
        self.stored
    }

    /// Returns the records from this number on.
    pub fn iter_from(&self, seq: Seq) -> impl Iterator<Item = Entry> + '_ {
        self.lane.iter_from(seq)
    }

    /// Returns whether the record of this number is owed, and lies at `at`.
    pub fn contains(&self, seq: Seq, at: Extent) -> bool {
        self.lane.get(seq).is_some_and(|entry| entry.extent == at)
    }

    /// A record is owed, or lies elsewhere now; unless the store has it.
    pub fn put(&mut self, entry: Entry, ledger: &mut Ledger) {
        if self.stored.is_some_and(|stored| entry.seq <= stored) {
            return;
        }
        ledger.owe(entry.extent);
        if let Some(old) = self.lane.put(entry) {
            ledger.settle(old.extent);
        }
    }

    /// Returns whether records can be ordered to be kept.
    pub fn is_ready(&self) -> bool {
        !self.ordered && !self.lane.is_empty()
    }

    /// Returns an order for the oldest records. There is no other one before [`Owed::kept`].
    pub fn order(&mut self, series: Series, retention: Retention) -> Option<Keep> {
        if !self.is_ready() {
            return None;
        }
        self.ordered = true;
        let (mut records, mut bytes) = (Vec::new(), 0);
        for entry in self.lane.iter().take(ORDERED) {
            bytes += u64::from(entry.extent.len);
            if bytes > ORDERED_BYTES && !records.is_empty() {
                break;
            }
            records.push(Record { sequence: entry.seq.0, time: entry.sent, extent: entry.extent });
        }
        let more = (records.len() as u64) < self.lane.len();
        Some(Keep { series, retention, records, more })
    }

    /// The order has ended: the store has everything up to this number; nothing of what was ordered, if it is absent.
    pub fn kept(&mut self, through: Option<Seq>, ledger: &mut Ledger) {
        self.ordered = false;
        self.stored = self.stored.max(through);
        while let Some(oldest) = self.lane.front()
            && Some(oldest.seq) <= through
        {
            self.lane.pop_front();
            ledger.settle(oldest.extent);
        }
    }

    /// The series is given up: forgets up to `most` records. Returns how many.
    pub fn forget(&mut self, most: usize, ledger: &mut Ledger) -> usize {
        for forgotten in 0..most {
            let Some(entry) = self.lane.pop_front() else { return forgotten };
            ledger.settle(entry.extent);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Place, Time};

    use super::*;

    fn entry(number: u64) -> Entry {
        let extent = Extent { place: Place::new(1, 100 * number as u32), len: 100 };
        Entry { seq: Seq(number), extent, sent: Time(number), tag: 0 }
    }

    fn numbers(keep: &Keep) -> Vec<u64> {
        keep.records.iter().map(|record| record.sequence).collect()
    }

    #[test]
    fn what_the_store_has_is_not_owed_and_one_order_is_under_way_at_a_time() {
        let (mut owed, mut ledger) = (Owed::default(), Ledger::default());
        let order = |owed: &mut Owed| owed.order(Series(5), Retention::days(1));
        owed.kept(Some(Seq(1)), &mut ledger);
        (1..=3).for_each(|number| owed.put(entry(number), &mut ledger));
        assert_eq!((owed.len(), ledger.owed_bytes()), (2, 200));
        let first = order(&mut owed).unwrap();
        assert_eq!((numbers(&first), first.more), (vec![2, 3], false));
        owed.put(entry(4), &mut ledger);
        assert_eq!(order(&mut owed), None);
        // Written forward meanwhile.
        let moved = Extent { place: Place::new(2, 0), len: 100 };
        owed.put(Entry { extent: moved, ..entry(3) }, &mut ledger);
        assert!(owed.contains(Seq(3), moved) && !owed.contains(Seq(3), entry(3).extent));
        owed.kept(Some(Seq(2)), &mut ledger);
        assert_eq!(numbers(&order(&mut owed).unwrap()), [3, 4]);
        owed.kept(None, &mut ledger);
        assert_eq!(owed.stored(), Some(Seq(2)));
        assert_eq!(numbers(&order(&mut owed).unwrap()), [3, 4]);
        assert_eq!(owed.forget(1, &mut ledger), 1);
        assert_eq!(owed.forget(9, &mut ledger), 1);
        assert_eq!((owed.is_empty(), ledger.owed_bytes()), (true, 0));
        assert!(ledger.segments().all(|(_, used)| used.references == 0));
    }

    #[test]
    fn an_order_is_bounded_and_says_that_there_is_more() {
        let (mut owed, mut ledger) = (Owed::default(), Ledger::default());
        let long = |number: u64| {
            let extent = Extent { place: Place::new(number as u32, 0), len: 2 << 20 };
            Entry { extent, ..entry(number) }
        };
        (1..=3).for_each(|number| owed.put(long(number), &mut ledger));
        let order = owed.order(Series(5), Retention::days(1)).unwrap();
        assert_eq!((numbers(&order), order.more), (vec![1], true));
        (4..20_000).for_each(|number| owed.put(entry(number), &mut ledger));
        owed.kept(Some(Seq(3)), &mut ledger);
        let order = owed.order(Series(5), Retention::days(1)).unwrap();
        assert_eq!((order.records.len(), order.more), (ORDERED, true));
    }
}
