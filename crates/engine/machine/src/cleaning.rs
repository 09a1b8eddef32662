//! Which segments of the log can go, and which are worth writing forward so that they can.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel::{Extent, Ledger, Position, SegmentUse, Stored, Time};

/// Survivors are written forward in steps of about so many bytes, so that requests come between.
pub const STEP_BYTES: u32 = 256 << 10;

/// What a tombstone takes when it is written again, about.
const TOMBSTONE_BYTES: u64 = 100;

/// What an id that is remembered (for deduplication) takes when it is written again, about.
const ID_BYTES: u64 = 16;

/// An id weighs more than it takes, while there is room on the disk: it stops counting soon, and until then it should not be
/// written again more than once or twice.
const ID_WEIGHT: u64 = 320;

/// Heads of a segment that are looked at, or records that are written forward, in one step, counted by who is to be looked at for
/// them.
pub const STEP_RECORDS: usize = 500;

/// A log shorter than so many segments is left alone, while there is room on the disk.
const FEW_SEGMENTS: u64 = 4;

/// On a full disk only a segment of which less than this part lives is written forward: it takes from the little that is left.
const SCARCE: u64 = 8;

/// The state of cleaning: which segments there are, which are going, which one is being written forward.
#[derive(Debug, Default)]
pub struct Cleaning {
    /// Sealed segments with their lengths.
    sealed: BTreeMap<u32, u64>,
    /// Segments that are dead once the log is durable up to a position.
    going: VecDeque<(u32, Position)>,
    /// The one whose deletion was asked for. One at a time: the order matters after a crash.
    discarding: Option<u32>,
    /// Segments that cannot be read, or not all of them: they stay until nothing needs them, and cleaning goes on around them.
    unreadable: BTreeSet<u32>,
    /// Sealed segments of which something that kept them has gone: they are to be looked at.
    maybe_dead: BTreeSet<u32>,
    /// Segments that nothing keeps but time, by when they are to be looked at again.
    kept_by_time: BTreeSet<(Time, u32)>,
    /// The search for a segment that is worth writing forward.
    round: Option<Round>,
    /// The one that is being written forward, with the extents whose payloads are still to be fetched.
    pub forwarding: Option<Forwarding>,
}

/// Segments that one step of a search looks at. There may be thousands, and a step is taken at each flush.
const ROUND_STEP: usize = 64;

/// A search through all segments, a few at each step: for the emptiest, and for how much of all of them lives.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// The first segment that has not been looked at.
    next: u32,
    segments: u64,
    bytes: u64,
    live: u64,
    /// The best until now: how much of it lives, in thousandths, and its number.
    best: Option<(u64, u32)>,
}

/// A segment that is being written forward.
#[derive(Debug)]
pub struct Forwarding {
    /// Which.
    pub segment: u32,
    /// Heads of its records that are still to be looked at; absent: they have not been read yet, or all were looked at.
    pub surveyed: Option<VecDeque<(Extent, Vec<u8>)>>,
    /// Records that are still to be fetched.
    pub to_fetch: VecDeque<Extent>,
    /// Records that were fetched and are still to be written.
    pub fetched: VecDeque<Stored>,
}

impl Cleaning {
    /// A segment is complete.
    pub fn sealed(&mut self, segment: u32, bytes: u64) {
        self.sealed.insert(segment, bytes);
        self.maybe_dead.insert(segment);
    }

    /// Not all of a segment can be read; `ends`: nothing else of it will be told.
    pub fn unreadable(&mut self, segment: u32, ends: bool) {
        self.unreadable.insert(segment);
        if ends && self.forwarding.as_ref().is_some_and(|forwarding| forwarding.segment == segment) {
            self.forwarding = None;
        }
    }

    /// A segment is gone.
    pub fn discarded(&mut self, segment: u32) {
        self.unreadable.remove(&segment);
        self.sealed.remove(&segment);
        self.discarding = None;
    }

    /// Finds segments that have died. `end` is what must be durable before they go: the facts that killed them. Only segments are
    /// looked at of which something that kept them has gone. Returns whether there were any.
    pub fn find_dead(&mut self, ledger: &mut Ledger, now: Time, end: Position) -> bool {
        self.maybe_dead.append(&mut ledger.take_emptied());
        while let Some(&(until, number)) = self.kept_by_time.first()
            && until <= now
        {
            self.kept_by_time.pop_first();
            self.maybe_dead.insert(number);
        }
        let looked_at = std::mem::take(&mut self.maybe_dead);
        let has_looked = !looked_at.is_empty();
        for number in looked_at {
            let Some(segment) = ledger.get(number).filter(|_| self.sealed.contains_key(&number)) else {
                continue;
            };
            if segment.is_held()
                || self.discarding == Some(number)
                || self.going.iter().any(|&(going, _)| going == number)
            {
                // It is told of again when what holds it has gone.
                continue;
            }
            if !segment.is_dead(now) {
                self.kept_by_time.insert((segment.kept_until(), number));
                continue;
            }
            self.going.push_back((number, end));
            if self.forwarding.as_ref().is_some_and(|forwarding| forwarding.segment == number) {
                self.forwarding = None;
            }
        }
        has_looked
    }

    /// The next segment to delete, if what killed it is durable. Oldest first, since `find_dead` goes in that order.
    pub fn next_discard(&mut self, durable: Position) -> Option<u32> {
        if self.discarding.is_some() || self.going.front()?.1 > durable {
            return None;
        }
        let (segment, _) = self.going.pop_front()?;
        self.discarding = Some(segment);
        Some(segment)
    }

    /// Whether a search is under way: it goes on at the next flush.
    pub fn is_searching(&self) -> bool {
        self.round.is_some()
    }

    /// Goes a step on in the search for a segment worth writing forward: the emptiest one, if more than half of the log is dead;
    /// or, if there is no room on the disk, any that is nearly empty and whose survivors fit into what is `left`. It lies whole
    /// before `durable`: of one that is still being written not all can be read.
    pub fn find_victim(
        &mut self,
        ledger: &Ledger,
        now: Time,
        durable: Position,
        left: Option<u64>,
    ) -> Option<u32> {
        if self.forwarding.is_some() || self.discarding.is_some() || !self.going.is_empty() {
            self.round = None;
            return None;
        }
        let mut round = self.round.take().unwrap_or_default();
        let mut segments = ledger.segments_from(round.next);
        for _ in 0..ROUND_STEP {
            let Some((number, segment)) = segments.next() else {
                return self.end_round(round, ledger, now, left);
            };
            round.next = number + 1;
            if number >= durable.segment() || !self.is_movable(number, segment, now) {
                continue;
            }
            let Some((bytes, live)) = self.measure(number, segment, now, left) else { continue };
            (round.segments, round.bytes, round.live) =
                (round.segments + 1, round.bytes + bytes, round.live + live);
            if is_worth_it(bytes, live, left) {
                let found = (live * 1000 / bytes.max(1), number);
                round.best = Some(round.best.map_or(found, |best| best.min(found)));
            }
        }
        self.round = Some(round);
        None
    }

    /// All segments have been looked at.
    fn end_round(&mut self, round: Round, ledger: &Ledger, now: Time, left: Option<u64>) -> Option<u32> {
        if left.is_none() {
            if round.segments < FEW_SEGMENTS {
                return None;
            }
            // Twice what lives, and a few segments that come and go.
            if round.bytes <= 2 * round.live + FEW_SEGMENTS * round.bytes / round.segments {
                return None;
            }
        }
        let (_, victim) = round.best?;
        // Things may have changed since it was looked at.
        let segment = ledger.get(victim).filter(|segment| self.is_movable(victim, segment, now))?;
        let (bytes, live) = self.measure(victim, segment, now, left)?;
        if !is_worth_it(bytes, live, left) {
            return None;
        }
        self.forwarding = Some(Forwarding {
            segment: victim,
            surveyed: None,
            to_fetch: VecDeque::new(),
            fetched: VecDeque::new(),
        });
        Some(victim)
    }

    /// Whether a segment may be written forward. What was written forward from a segment that is still there must stay: that one
    /// goes first.
    fn is_movable(&self, number: u32, segment: &SegmentUse, now: Time) -> bool {
        segment.replaces.is_empty() && segment.set_aside_until <= now && !self.unreadable.contains(&number)
    }

    /// The bytes of a sealed segment, and how many of them live. Tombstones are written forward, too: who takes them for dead
    /// writes them forward for ever. So are ids.
    fn measure(&self, number: u32, segment: &SegmentUse, now: Time, left: Option<u64>) -> Option<(u64, u64)> {
        let bytes = *self.sealed.get(&number)?;
        let id_bytes = if left.is_some() { ID_BYTES } else { ID_WEIGHT };
        let tombstones: u64 = segment.buries.values().map(|&count| u64::from(count)).sum();
        let ids = if segment.keep_until > now { u64::from(segment.remembers) } else { 0 };
        let facts = tombstones * TOMBSTONE_BYTES + ids * id_bytes;
        Some((bytes, bytes.min(segment.live_bytes + facts)))
    }

    /// Whether something was read and is still to be looked at or written.
    pub fn has_work(&self) -> bool {
        let work = |forwarding: &Forwarding| forwarding.surveyed.is_some() || !forwarding.fetched.is_empty();
        self.forwarding.as_ref().is_some_and(work)
    }

    /// The next records of the segment that is being written forward; none if it is done.
    pub fn next_fetch(&mut self) -> Option<Vec<Extent>> {
        let forwarding = self.forwarding.as_mut()?;
        let mut extents = Vec::new();
        let mut bytes = 0;
        while bytes < STEP_BYTES
            && let Some(extent) = forwarding.to_fetch.pop_front()
        {
            bytes += extent.len;
            extents.push(extent);
        }
        (!extents.is_empty()).then_some(extents)
    }
}

/// Whether a segment is worth writing forward, of which so many bytes live. A history that was told in a part of a record takes
/// more when it is told alone.
fn is_worth_it(bytes: u64, live: u64, left: Option<u64>) -> bool {
    let part = if left.is_some() { SCARCE } else { 2 };
    live * part < bytes && left.is_none_or(|left| 2 * live < left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Place;

    const SEGMENT: u64 = 1000;

    /// A log of so many full segments, of each of which `live` bytes live, and the segment that is written.
    fn log(segments: u32, live: impl Fn(u32) -> u32) -> (Cleaning, Ledger) {
        let (mut cleaning, mut ledger) = (Cleaning::default(), Ledger::default());
        for number in 1..=segments {
            ledger.hold(extent(number, live(number)));
            cleaning.sealed(number, SEGMENT);
        }
        ledger.open(segments + 1);
        (cleaning, ledger)
    }

    fn extent(segment: u32, len: u32) -> Extent {
        Extent { place: Place::new(segment, 100), len }
    }

    /// How many steps a search takes, and what it finds.
    fn search(cleaning: &mut Cleaning, ledger: &Ledger) -> (usize, Option<u32>) {
        let durable = Place::new(1_000_000, 0);
        for step in 1.. {
            let found = cleaning.find_victim(ledger, Time(0), durable, None);
            if found.is_some() || !cleaning.is_searching() {
                return (step, found);
            }
        }
        unreachable!()
    }

    #[test]
    fn the_emptiest_segment_of_a_log_that_is_mostly_dead_is_written_forward() {
        let (mut cleaning, ledger) = log(20, |number| if number == 7 { 10 } else { 300 });
        assert_eq!(search(&mut cleaning, &ledger), (1, Some(7)));
        let (mut cleaning, ledger) = log(20, |_| 700);
        assert_eq!(search(&mut cleaning, &ledger), (1, None), "most of it lives");
    }

    #[test]
    fn a_search_through_a_long_log_is_made_in_steps() {
        let (mut cleaning, ledger) = log(1000, |number| if number == 700 { 10 } else { 300 });
        assert_eq!(search(&mut cleaning, &ledger), (1000 / ROUND_STEP + 1, Some(700)));
    }

    #[test]
    fn what_was_found_is_looked_at_again_before_it_is_written_forward() {
        let (mut cleaning, mut ledger) = log(1000, |number| if number == 3 { 10 } else { 300 });
        let durable = Place::new(1_000_000, 0);
        assert_eq!(cleaning.find_victim(&ledger, Time(0), durable, None), None);
        ledger.hold(extent(3, 900));
        assert_eq!(search(&mut cleaning, &ledger).1, None);
    }

    #[test]
    fn a_dead_segment_is_found_when_what_kept_it_goes_or_its_time_has_come() {
        let (mut cleaning, mut ledger) = log(1000, |_| 10);
        let end = Place::new(1001, 0);
        ledger.remember(5, Time(50));
        ledger.release(extent(5, 10));
        ledger.release(extent(8, 10));
        cleaning.find_dead(&mut ledger, Time(49), end);
        assert_eq!(cleaning.next_discard(end), Some(8));
        cleaning.discarded(8);
        ledger.dropped(8);
        assert_eq!(cleaning.next_discard(end), None);
        cleaning.find_dead(&mut ledger, Time(50), end);
        assert_eq!(cleaning.next_discard(end), Some(5));
        // One that only waits for another to go.
        ledger.bury(Place::new(9, 0), 5);
        ledger.release(extent(9, 10));
        cleaning.find_dead(&mut ledger, Time(51), end);
        assert_eq!(cleaning.next_discard(end), None);
        cleaning.discarded(5);
        ledger.dropped(5);
        cleaning.find_dead(&mut ledger, Time(51), end);
        assert_eq!(cleaning.next_discard(end), Some(9));
    }
}
