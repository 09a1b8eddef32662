//! What each segment of the log is still needed for, so that segments nobody needs can go.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Extent, Place, Time};

/// What one segment is still needed for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentUse {
    /// How many living things refer to a record here: bodies that can still be read, facts that still hold.
    pub references: u64,
    /// Bytes of the records referred to, counted once a reference.
    pub live_bytes: u64,
    /// Segments whose dead records are known to be dead only from records here, with how many such records.
    /// As long as one of them exists, dropping this segment would bring its dead back.
    pub buries: BTreeMap<u32, u32>,
    /// Segments from which records were written forward to here. What becomes of such a record is said with this place in
    /// mind: as long as one of those segments exists, this one has to, or a tombstone could go before its dead.
    pub replaces: BTreeSet<u32>,
    /// How many facts about what may be dead already (deduplication) are read from here, and until when the last of them
    /// counts. Before that the segment goes only if they have been written again elsewhere.
    pub remembers: u32,
    /// See `remembers`.
    pub keep_until: Time,
    /// Until when the segment stays whole, since it holds something that cannot be read and was set aside.
    pub set_aside_until: Time,
}

impl SegmentUse {
    /// Whether the segment can go without anything being lost or coming back.
    pub fn is_dead(&self, now: Time) -> bool {
        !self.is_held() && self.kept_until() <= now
    }

    /// Whether something other than time keeps the segment.
    pub fn is_held(&self) -> bool {
        self.references > 0 || !self.buries.is_empty() || !self.replaces.is_empty()
    }

    /// Until when time keeps the segment.
    pub fn kept_until(&self) -> Time {
        self.keep_until.max(self.set_aside_until)
    }
}

/// The use of every segment. Kept by `apply` alone, so that it is the same after a restart.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    segments: BTreeMap<u32, SegmentUse>,
    /// Full segments that may have died since that was last asked.
    emptied: BTreeSet<u32>,
    /// Bytes of records that the log owes to the store for retained data.
    owed_bytes: u64,
}

impl Ledger {
    /// Something living refers to this record from now on.
    pub fn hold(&mut self, extent: Extent) {
        let segment = self.segments.entry(extent.place.segment()).or_default();
        segment.references += 1;
        segment.live_bytes += u64::from(extent.len);
    }

    /// It refers to it no longer. Segments that are gone are ignored.
    pub fn release(&mut self, extent: Extent) {
        let number = extent.place.segment();
        let Some(segment) = self.segments.get_mut(&number) else { return };
        debug_assert!(segment.references > 0, "{extent:?} was released more often than held");
        segment.references = segment.references.saturating_sub(1);
        segment.live_bytes = segment.live_bytes.saturating_sub(u64::from(extent.len));
        // The newest is still being written; on quiet days it is empty again and again.
        if segment.references == 0
            && self.segments.last_key_value().is_some_and(|(&newest, _)| newest != number)
        {
            self.emptied.insert(number);
        }
    }

    /// The log owes this record to the store for retained data: it is held until the store has it.
    pub fn owe(&mut self, extent: Extent) {
        self.hold(extent);
        self.owed_bytes += u64::from(extent.len);
    }

    /// The record is no longer owed.
    pub fn settle(&mut self, extent: Extent) {
        self.release(extent);
        self.owed_bytes = self.owed_bytes.saturating_sub(u64::from(extent.len));
    }

    /// Bytes of all records that are owed.
    pub fn owed_bytes(&self) -> u64 {
        self.owed_bytes
    }

    /// The full segments of which something that kept them has gone since this was last asked. A segment that dies by the passing
    /// of time alone is among them before.
    pub fn take_emptied(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.emptied)
    }

    /// The record at `tombstone` says that what lies in segment `buried` is dead.
    pub fn bury(&mut self, tombstone: Place, buried: u32) {
        let here = tombstone.segment();
        // A tombstone goes with its own segment, and what is gone needs none.
        if buried != here && self.segments.contains_key(&buried) {
            *self.segments.entry(here).or_default().buries.entry(buried).or_default() += 1;
        }
    }

    /// What lay in segment `before` lies at `place` now: it was written forward.
    pub fn replace(&mut self, place: Place, before: u32) {
        let here = place.segment();
        if before != here && self.segments.contains_key(&before) {
            self.segments.entry(here).or_default().replaces.insert(before);
        }
    }

    /// A record of this segment says something that counts until a moment, whatever becomes of what it is about.
    pub fn remember(&mut self, segment: u32, until: Time) {
        let segment = self.segments.entry(segment).or_default();
        segment.remembers = segment.remembers.saturating_add(1);
        segment.keep_until = segment.keep_until.max(until);
    }

    /// Something in a segment cannot be read. Its bytes stay where they are until a moment.
    pub fn set_aside(&mut self, segment: u32, until: Time) {
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.set_aside_until = segment.set_aside_until.max(until);
        }
    }

    /// A segment exists, even if nothing refers to it.
    pub fn open(&mut self, segment: u32) {
        self.segments.entry(segment).or_default();
    }

    /// The segment has been dropped: nothing needs to bury its dead any more.
    pub fn dropped(&mut self, segment: u32) {
        self.segments.remove(&segment);
        for (&number, other) in &mut self.segments {
            let was_kept = other.buries.remove(&segment).is_some() | other.replaces.remove(&segment);
            if was_kept && other.references == 0 {
                self.emptied.insert(number);
            }
        }
    }

    /// Whether a tombstone at `at` is still needed for what it buried in `segment`.
    pub fn needs_tombstone(&self, segment: u32, at: Extent) -> bool {
        segment != at.place.segment() && self.contains(segment)
    }

    /// Whether the segment still exists.
    pub fn contains(&self, segment: u32) -> bool {
        self.segments.contains_key(&segment)
    }

    /// The oldest segment that exists.
    pub fn oldest(&self) -> Option<u32> {
        self.segments.keys().next().copied()
    }

    /// What a segment buries, and what it remembers, has been said again elsewhere.
    pub fn facts_copied(&mut self, segment: u32) {
        if let Some(used) = self.segments.get_mut(&segment) {
            used.buries.clear();
            used.remembers = 0;
            used.keep_until = Time(0);
            if used.references == 0 {
                self.emptied.insert(segment);
            }
        }
    }

    /// The use of a segment that exists.
    pub fn get(&self, segment: u32) -> Option<&SegmentUse> {
        self.segments.get(&segment)
    }

    /// The segments from `first` on, oldest first.
    pub fn segments_from(&self, first: u32) -> impl Iterator<Item = (u32, &SegmentUse)> {
        self.segments.range(first..).map(|(&number, segment)| (number, segment))
    }

    /// Every segment with its use, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = (u32, &SegmentUse)> {
        self.segments.iter().map(|(&number, segment)| (number, segment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(segment: u32) -> Extent {
        Extent { place: Place::new(segment, 100), len: 10 }
    }

    #[test]
    fn a_segment_is_dead_when_nothing_refers_to_it_and_it_buries_nobody() {
        let mut ledger = Ledger::default();
        ledger.hold(extent(1));
        ledger.open(2);
        assert!(!ledger.segments[&1].is_dead(Time(0)));
        ledger.release(extent(1));
        ledger.bury(Place::new(2, 0), 1);
        assert!(ledger.segments[&1].is_dead(Time(0)));
        assert!(!ledger.segments[&2].is_dead(Time(0)), "its tombstone keeps segment 1's message dead");
        ledger.dropped(1);
        assert!(ledger.segments[&2].is_dead(Time(0)));
    }

    #[test]
    fn a_segment_with_records_from_an_older_one_stays_as_long_as_that_one() {
        let mut ledger = Ledger::default();
        ledger.hold(extent(1));
        ledger.open(2);
        ledger.replace(Place::new(2, 0), 1);
        assert!(
            !ledger.segments[&2].is_dead(Time(0)),
            "a tombstone that names it buries the older record, too"
        );
        ledger.dropped(1);
        assert!(ledger.segments[&2].is_dead(Time(0)));
    }

    #[test]
    fn a_full_segment_of_which_something_that_kept_it_has_gone_is_told_of_once() {
        let mut ledger = Ledger::default();
        ledger.hold(extent(1));
        ledger.release(extent(1));
        assert!(ledger.take_emptied().is_empty(), "the newest is still being written");
        ledger.hold(extent(1));
        ledger.hold(extent(2));
        ledger.hold(extent(3));
        ledger.bury(Place::new(2, 0), 1);
        ledger.release(extent(1));
        assert_eq!(ledger.take_emptied(), BTreeSet::from([1]));
        ledger.release(extent(2));
        assert_eq!(ledger.take_emptied(), BTreeSet::from([2]));
        ledger.dropped(1);
        assert_eq!(ledger.take_emptied(), BTreeSet::from([2]), "its tombstones are needed no more");
        ledger.remember(2, Time(5));
        ledger.facts_copied(2);
        assert_eq!(ledger.take_emptied(), BTreeSet::from([2]));
        assert!(ledger.take_emptied().is_empty());
    }

    #[test]
    fn a_kept_segment_is_not_dead_before_its_time() {
        let mut ledger = Ledger::default();
        ledger.remember(3, Time(500));
        assert!(!ledger.segments[&3].is_dead(Time(499)));
        assert!(ledger.segments[&3].is_dead(Time(500)));
        ledger.facts_copied(3);
        assert!(ledger.segments[&3].is_dead(Time(0)), "what it remembers is said elsewhere");
    }
}
