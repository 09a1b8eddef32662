//! Lanes: the deliveries of one recipient, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use kernel::Time;

/// Attempts of one recipient that are under way at once.
const UNDER_WAY: u32 = 32;
/// Attempts without a recipient that are under way at once.
const UNDER_WAY_DIRECT: u32 = 256;

/// All deliveries of one recipient. Those without a recipient share a lane, whose number is zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    /// All that are not over.
    pub(crate) members: BTreeSet<u64>,
    pub(crate) ready: BTreeSet<u64>,
    pub(crate) under_way: u32,
    /// When its next attempt may be made, if it waits for that: its endpoint wants only so many a second.
    pub(crate) turn_at: Option<Time>,
    /// Whether the latest attempt failed. Known in this run of the server only.
    pub(crate) is_troubled: bool,
    /// Where the lane waits for its turn, if it does.
    waits: Option<Waiting>,
}

/// The lanes that have something ready and room for it, by how urgent their next attempt is. Where many endpoints hang, their
/// attempts must not keep all others waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waiting {
    /// Nothing of the lane is under way, and its endpoint took what it was last sent.
    Fresh,
    /// Something of the lane is under way.
    Busy,
    /// Nothing is under way; the latest attempt failed.
    TroubledFresh,
    /// Something is under way; the latest attempt failed.
    TroubledBusy,
}

/// Lanes that wait for their turn: each in its turn, whatever its number.
#[derive(Clone, Debug, Default)]
struct Turns {
    lanes: BTreeSet<u64>,
    /// The lane whose turn it was last.
    latest: u64,
}

impl Turns {
    fn next(&mut self) -> Option<u64> {
        let after = self.lanes.range((Excluded(self.latest), Unbounded)).next();
        let next = *after.or_else(|| self.lanes.first())?;
        self.lanes.remove(&next);
        self.latest = next;
        Some(next)
    }
}

/// All lanes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    lanes: BTreeMap<u64, Lane>,
    /// Lanes that wait for their turn, by [`Waiting`].
    waiting: [Turns; 4],
    /// The attempts that are being made, also those whose deliveries are over meanwhile, and whether their lanes were troubled.
    trying: BTreeMap<u64, bool>,
    /// How many of them were of troubled lanes.
    troubled: usize,
}

impl Lanes {
    /// How many deliveries of a lane are not over.
    pub(crate) fn members_of(&self, lane: u64) -> usize {
        self.lanes.get(&lane).map_or(0, |lane| lane.members.len())
    }

    /// The deliveries of a lane that are not over.
    pub(crate) fn members(&self, lane: u64) -> BTreeSet<u64> {
        self.lanes.get(&lane).map(|lane| lane.members.clone()).unwrap_or_default()
    }

    pub(crate) fn add(&mut self, lane: u64, number: u64) {
        self.lanes.entry(lane).or_default().members.insert(number);
    }

    pub(crate) fn get_mut(&mut self, lane: u64) -> Option<&mut Lane> {
        self.lanes.get_mut(&lane)
    }

    /// A delivery may be tried.
    pub(crate) fn ready(&mut self, lane: u64, number: u64) {
        self.lanes.entry(lane).or_default().ready.insert(number);
        self.look_at(lane);
    }

    /// A delivery is over: the lane goes with its last one.
    pub(crate) fn remove(&mut self, lane: u64, number: u64) {
        if let Some(of) = self.lanes.get_mut(&lane) {
            of.members.remove(&number);
            if of.members.is_empty() && of.under_way == 0 {
                self.remove_lane(lane);
            }
        }
    }

    pub(crate) fn remove_lane(&mut self, lane: u64) {
        let waits = self.lanes.remove(&lane).and_then(|lane| lane.waits);
        if let Some(waits) = waits {
            self.waiting[waits as usize].lanes.remove(&lane);
        }
    }

    /// A delivery that was ready is not any more.
    pub(crate) fn leave(&mut self, lane: u64, number: u64) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.ready.remove(&number);
        }
        self.look_at(lane);
    }

    /// An attempt of the lane is not under way any more.
    pub(crate) fn came_back(&mut self, lane: u64) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.under_way = lane.under_way.saturating_sub(1);
        }
        self.look_at(lane);
    }

    /// An attempt is being made.
    pub(crate) fn begin(&mut self, number: u64, is_troubled: bool) {
        if self.trying.insert(number, is_troubled).is_none() {
            self.troubled += usize::from(is_troubled);
        }
    }

    /// An attempt has ended.
    pub(crate) fn end(&mut self, number: u64) {
        if self.trying.remove(&number) == Some(true) {
            self.troubled -= 1;
        }
    }

    /// Which lanes' turn it is, if an attempt may begin while `at_most` may be under way.
    ///
    /// Lanes whose latest attempt failed have half of all attempts together, or a quarter if something of theirs is under way; the
    /// last quarter is for lanes of which nothing is. So an endpoint that answers waits for no endpoint that hangs, as long as
    /// there is any room.
    fn open_for(&self, at_most: usize) -> Option<Waiting> {
        let under_way = self.trying.len();
        if under_way >= at_most {
            return None;
        }
        let room = |share: usize| share.max(1);
        let by_turns = [
            (Waiting::TroubledFresh, self.troubled < room(at_most / 2)),
            (Waiting::TroubledBusy, self.troubled < room(at_most / 4)),
            (Waiting::Fresh, true),
            (Waiting::Busy, under_way < room(at_most - at_most / 4)),
        ];
        let is_open =
            |&(waiting, may): &(Waiting, bool)| may && !self.waiting[waiting as usize].lanes.is_empty();
        by_turns.into_iter().find(is_open).map(|(waiting, _)| waiting)
    }

    /// Whether some delivery can be tried now, while `at_most` attempts may be under way.
    pub(crate) fn has_open(&self, at_most: usize) -> bool {
        self.open_for(at_most).is_some()
    }

    /// The lane whose turn it is, if an attempt may begin while `at_most` may be under way. It waits no more.
    pub(crate) fn next(&mut self, at_most: usize) -> Option<u64> {
        let waiting = self.open_for(at_most)?;
        let id = self.waiting[waiting as usize].next()?;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.waits = None;
        }
        Some(id)
    }

    /// Puts a lane where it waits for its turn, or takes it away from there: whenever anything about it has changed.
    pub(crate) fn look_at(&mut self, id: u64) {
        let most = if id == 0 { UNDER_WAY_DIRECT } else { UNDER_WAY };
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let waits = (!lane.ready.is_empty() && lane.under_way < most).then_some({
            match (lane.is_troubled, lane.under_way) {
                (false, 0) => Waiting::Fresh,
                (false, _) => Waiting::Busy,
                (true, 0) => Waiting::TroubledFresh,
                (true, _) => Waiting::TroubledBusy,
            }
        });
        if waits == lane.waits {
            return;
        }
        let before = std::mem::replace(&mut lane.waits, waits);
        if let Some(before) = before {
            self.waiting[before as usize].lanes.remove(&id);
        }
        if let Some(waits) = waits {
            self.waiting[waits as usize].lanes.insert(id);
        }
    }
}
