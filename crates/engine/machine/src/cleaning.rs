//! Which segments of the log can go, and which are worth writing forward so that they can.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel::{Extent, Ledger, Position, Stored, Time};

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
    /// The one that is being written forward, with the extents whose payloads are still to be fetched.
    pub forwarding: Option<Forwarding>,
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

    /// Finds segments that have died. `end` is what must be durable before they go: the facts that killed them.
    pub fn find_dead(&mut self, ledger: &Ledger, now: Time, end: Position) {
        for (number, segment) in ledger.segments() {
            if self.sealed.contains_key(&number)
                && segment.is_dead(now)
                && self.discarding != Some(number)
                && self.going.iter().all(|&(going, _)| going != number)
            {
                self.going.push_back((number, end));
                if self.forwarding.as_ref().is_some_and(|forwarding| forwarding.segment == number) {
                    self.forwarding = None;
                }
            }
        }
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

    /// A segment worth writing forward: the emptiest one, if more than half of the log is dead; or, if there is no room on the
    /// disk, any that is nearly empty and whose survivors fit into what is `left`. It lies whole before `durable`: of one that is still being written not all can be read.
    pub fn find_victim(
        &mut self,
        ledger: &Ledger,
        now: Time,
        durable: Position,
        left: Option<u64>,
    ) -> Option<u32> {
        if self.forwarding.is_some() || self.discarding.is_some() || !self.going.is_empty() {
            return None;
        }
        // What was written forward from a segment that is still there must stay: that one goes first.
        let id_bytes = if left.is_some() { ID_BYTES } else { ID_WEIGHT };
        let movable: Vec<(u32, u64, u64)> = ledger
            .segments()
            .filter(|(_, segment)| segment.replaces.is_empty())
            .filter(|&(number, segment)| number < durable.segment() && segment.set_aside_until <= now)
            .filter(|(number, _)| !self.unreadable.contains(number))
            .filter_map(|(number, segment)| {
                let bytes = *self.sealed.get(&number)?;
                let tombstones: u64 = segment.buries.values().map(|&count| u64::from(count)).sum();
                let ids = if segment.keep_until > now { u64::from(segment.remembers) } else { 0 };
                // Tombstones are written forward, too: who takes them for dead writes them forward for ever. So are ids.
                let facts = tombstones * TOMBSTONE_BYTES + ids * id_bytes;
                Some((number, bytes, bytes.min(segment.live_bytes + facts)))
            })
            .collect();
        let segments = movable.len() as u64;
        if left.is_none() {
            if segments < FEW_SEGMENTS {
                return None;
            }
            let total: u64 = movable.iter().map(|(_, bytes, _)| bytes).sum();
            let live: u64 = movable.iter().map(|(_, _, live)| live).sum();
            // Twice what lives, and a few segments that come and go.
            if total <= 2 * live + FEW_SEGMENTS * total / segments {
                return None;
            }
        }
        let part = if left.is_some() { SCARCE } else { 2 };
        let (victim, ..) = movable
            .into_iter()
            .filter(|(_, bytes, live)| live * part < *bytes)
            // A history that was told in a part of a record takes more when it is told alone.
            .filter(|(_, _, live)| left.is_none_or(|left| 2 * live < left))
            .min_by_key(|(number, bytes, live)| (live * 1000 / bytes.max(&1), *number))?;
        self.forwarding = Some(Forwarding {
            segment: victim,
            surveyed: None,
            to_fetch: VecDeque::new(),
            fetched: VecDeque::new(),
        });
        Some(victim)
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
