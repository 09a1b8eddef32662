//! Replays of archives to their buses (facts/eventbridge.md § 7).
//!
//! A replay goes through its archive page by page ([`archives::Cursor`]), and hands each event to the rules that it is for, as if it had
//! just come. What the targets get and how far the replay has come are one group of the log: the group ends with a parcel of the replay
//! that nobody takes. If one event's targets take more than a group may have, a crash in between repeats the event for some of them.
//! No crash leaves one out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use archives::{Cursor, Step};
use kernel::retained::{Page, Read, Record as Kept};
use kernel::{Extent, Ledger, ParcelSent, Stored, Time};
use notification::Notification;
use resources::Declarations;
use schedules::Timetable;

use crate::ids::{ReplayId, ResourceKey};
use crate::limits;
use crate::operations::{Context, Decision};
use crate::records::{Record, ReplayAdvanced, ReplayDeclared, ResourceDeleted, Stage};
use crate::routing::Route;
use crate::rules::entry::Draft;
use crate::state::State;

/// All replays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replaying {
    /// By account, region and name.
    pub(crate) declared: Declarations<ReplayDeclared>,
    /// Those that have not ended.
    active: BTreeMap<ReplayId, Active>,
    /// The names of those that have ended, and when they are forgotten.
    ended: BTreeMap<ReplayId, ResourceKey>,
    pub(crate) ends: Timetable<ReplayId>,

    // What follows is not in the log.
    /// Those that may go on.
    to_look_at: BTreeSet<ReplayId>,
    /// Those for which something is read, or that have read something and not handed it on.
    busy: BTreeSet<ReplayId>,
    /// Which had its turn last.
    turn: ReplayId,
}

/// A replay that has not ended.
#[derive(Clone, Debug)]
struct Active {
    key: ResourceKey,
    cursor: Cursor,
    /// What was read for it.
    page: VecDeque<Kept>,
    /// The time of the event that it handed on last, in seconds since 1970.
    last: Option<i64>,
}

/// What a replay needs next.
#[derive(Debug)]
pub(crate) enum ReplayStep {
    /// These records of the log are to be read, in this order.
    Read(ReplayId, Vec<Extent>),
    /// A page of the store is to be read.
    Page(Read),
    /// It has ended: the replay as it is from now on.
    Ended(Box<ReplayDeclared>),
}

/// An event that a replay is to hand on.
#[derive(Debug)]
pub struct Replayed {
    id: ReplayId,
    event: Kept,
    /// Whether nothing else has been read: how far the replay has come is told even if nobody gets the event.
    is_last: bool,
}

/// How many replays read or hand on at once; the others wait for their turn. So what they have read takes bounded memory.
const AT_ONCE: usize = 4;

/// The next of a set after the one that had its turn last.
fn next_of(set: &BTreeSet<ReplayId>, turn: ReplayId, is_it: impl Fn(&ReplayId) -> bool) -> Option<ReplayId> {
    let behind = set.range((Bound::Excluded(turn), Bound::Unbounded));
    behind.chain(set.range(..=turn)).copied().find(is_it)
}

impl Replaying {
    pub(crate) fn replay_declared(&mut self, record: &ReplayDeclared, at: Extent, ledger: &mut Ledger) {
        self.declared.declare(record, at, ledger);
        if record.stage.is_active() {
            let cursor = || Cursor::new(record.came.0, Some(record.came.1), record.below);
            self.active.entry(record.id).or_insert_with(|| Active {
                key: record.key.clone(),
                cursor: cursor(),
                page: VecDeque::new(),
                last: record.last,
            });
            self.to_look_at.insert(record.id);
            return;
        }
        self.forget_active(record.id, ledger);
        self.ended.insert(record.id, record.key.clone());
        self.ends.set(forgotten_at(record), record.id);
    }

    pub(crate) fn replay_deleted(&mut self, record: &ResourceDeleted, at: Extent, ledger: &mut Ledger) {
        let id = ReplayId(record.id);
        if let Some(declared) = self.declared.get(&record.key).filter(|declared| declared.id == id) {
            self.ends.clear(forgotten_at(declared), id);
        }
        self.declared.delete(record, at, ledger);
        self.ended.remove(&id);
        self.forget_active(id, ledger);
    }

    fn forget_active(&mut self, id: ReplayId, ledger: &mut Ledger) {
        self.to_look_at.remove(&id);
        self.busy.remove(&id);
        if let Some(active) = self.active.remove(&id) {
            active.cursor.end(ledger);
        }
    }

    /// A parcel was sent: it says how far a replay has come, if it is one's.
    pub(crate) fn take(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        if let Some(active) = self.active.get_mut(&ReplayId(parcel.source)) {
            active.cursor.advance(parcel.number, at, ledger);
            if parcel.at > Time(0) {
                active.last = i64::try_from(parcel.at.0 / 1000).ok();
            }
        }
    }

    pub(crate) fn replay_advanced(&mut self, record: &ReplayAdvanced, at: Extent, ledger: &mut Ledger) {
        if let Some(active) = self.active.get_mut(&record.id) {
            active.cursor.advance(record.through, at, ledger);
            active.last = Some(record.last);
        }
    }

    /// What is to be said again of a replay, if the record at `at` says how far it has come.
    pub(crate) fn advanced_again(&self, id: ReplayId, at: Extent) -> Option<ReplayAdvanced> {
        let active = self.active.get(&id)?;
        let through = active.cursor.advanced_at(at)?;
        Some(ReplayAdvanced { id, through, last: active.last.unwrap_or_default() })
    }

    /// How many replays of an account in a region have not ended.
    pub(crate) fn active_of(&self, key: &ResourceKey) -> usize {
        let is_theirs =
            |active: &&Active| active.key.account == key.account && active.key.region == key.region;
        self.active.values().filter(is_theirs).count()
    }

    /// `State` and, in seconds since 1970, `EventLastReplayedTime`.
    pub(crate) fn progress(&self, declared: &ReplayDeclared) -> (&'static str, Option<i64>) {
        let active = self.active.get(&declared.id);
        let last = active.map_or(declared.last, |active| active.last);
        let has_begun = active.is_some_and(|it| it.cursor.has_begun()) || self.busy.contains(&declared.id);
        let state = match declared.stage {
            Stage::Running if has_begun => "RUNNING",
            Stage::Running => "STARTING",
            Stage::Cancelling => "CANCELLING",
            Stage::Cancelled => "CANCELLED",
            Stage::Completed => "COMPLETED",
            Stage::Failed => "FAILED",
        };
        (state, last)
    }

    /// Whether a replay can go on.
    pub(crate) fn has_step(&self) -> bool {
        self.busy.len() < AT_ONCE && !self.to_look_at.is_empty()
    }

    /// Whether a replay has read something that it has not handed on.
    pub(crate) fn has_events(&self) -> bool {
        self.busy.iter().any(|id| self.has_page(id))
    }

    fn has_page(&self, id: &ReplayId) -> bool {
        self.active.get(id).is_some_and(|active| !active.page.is_empty())
    }

    /// The next event that a replay hands on. They take turns.
    pub(crate) fn next_event(&mut self) -> Option<Replayed> {
        let id = next_of(&self.busy, self.turn, |id| self.has_page(id))?;
        let page = &mut self.active.get_mut(&id)?.page;
        let event = page.pop_front()?;
        let is_last = page.is_empty();
        self.turn = id;
        if is_last {
            self.looks_again(id);
        }
        Some(Replayed { id, event, is_last })
    }

    /// What was read for a replay is handed on, or there was nothing: it goes on.
    fn looks_again(&mut self, id: ReplayId) {
        self.busy.remove(&id);
        if self.active.contains_key(&id) {
            self.to_look_at.insert(id);
        }
    }

    /// A page of the store was read.
    pub(crate) fn page_read(&mut self, page: Page, has_room: bool) {
        let id = ReplayId(page.read.reader);
        let Some(active) = self.active.get_mut(&id).filter(|it| it.cursor.reads_page(&page.read)) else {
            return;
        };
        active.page.extend(active.cursor.page_read(page, has_room).unwrap_or_default());
        if active.page.is_empty() {
            self.looks_again(id);
        }
    }

    /// The replay that was forgotten longest ago.
    pub(crate) fn next_forgotten(&mut self) -> Option<Record> {
        let id = self.ends.take()?;
        Some(Record::ReplayDeleted(self.declared.deletion(self.ended.get(&id)?)?))
    }
}

/// When a replay that has ended is forgotten, so that another can have its name.
fn forgotten_at(declared: &ReplayDeclared) -> Time {
    declared.ended.unwrap_or(declared.started) + limits::REPLAY_REMEMBERED_MILLIS
}

impl State {
    /// What the replays need next.
    pub(crate) fn next_replay_step(&mut self, now: Time) -> Option<ReplayStep> {
        while self.replaying.has_step() {
            let id = next_of(&self.replaying.to_look_at, self.replaying.turn, |_| true)?;
            self.replaying.turn = id;
            self.replaying.to_look_at.remove(&id);
            let Replaying { active, declared, busy, .. } = &mut self.replaying;
            let Some(active) = active.get_mut(&id) else { continue };
            let Some(replay) = declared.get(&active.key).filter(|declared| declared.id == id) else {
                continue;
            };
            let ended = |stage, reason| {
                let (last, ended) = (active.last, Some(now));
                let declared = ReplayDeclared { stage, reason, last, ended, ..replay.clone() };
                Some(ReplayStep::Ended(Box::new(declared)))
            };
            if replay.stage == Stage::Cancelling {
                return ended(Stage::Cancelled, None);
            }
            let Some(archive) = self.archiving.get(replay.archive) else {
                let reason = format!("Archive {} does not exist.", replay.archive_key.name);
                return ended(Stage::Failed, Some(reason));
            };
            let owed = (&self.archiving.owed, archive.series());
            match active.cursor.step(id.0, owed, archive.oldest(now), |entry| archive.keeps(entry.sent, now))
            {
                Step::Waits => {}
                Step::Page(read) => {
                    busy.insert(id);
                    return Some(ReplayStep::Page(read));
                }
                Step::Owed(extents) => {
                    busy.insert(id);
                    return Some(ReplayStep::Read(id, extents));
                }
                Step::End => return ended(Stage::Completed, None),
            }
        }
        None
    }

    /// Records of the log were read for a replay: as many as could be.
    pub(crate) fn replay_recalled(&mut self, id: ReplayId, records: Vec<Stored>, has_room: bool) {
        let Some(active) = self.replaying.active.get_mut(&id) else { return };
        if records.first().is_some_and(|first| !active.cursor.reads_owed(first.extent)) {
            return;
        }
        let archive = self.replaying.declared.get(&active.key).map(|declared| declared.archive.0);
        let kept = |record: Stored| {
            let parcel = ParcelSent::decode(&record.head).ok()?;
            let is_it =
                |it: &&kernel::parcel::Delivery| it.is_to_archive() && Some(it.form.recipient) == archive;
            let sequence = parcel.deliveries.iter().find(is_it)?.number;
            Some(Kept { sequence, time: parcel.at, head: bytes::Bytes::new(), tail: record.tail.into() })
        };
        if has_room {
            active.page.extend(records.into_iter().map_while(kept));
        }
        active.cursor.read_through(active.page.back().map(|last| last.sequence));
        if active.page.is_empty() {
            self.replaying.looks_again(id);
        }
    }

    /// The first of some records of the log cannot be read for a replay, since the bytes there are not those that were written.
    pub(crate) fn replay_passes(&mut self, id: ReplayId, at: Extent) {
        let Some(active) = self.replaying.active.get_mut(&id) else { return };
        let archive = self.replaying.declared.get(&active.key).map(|declared| declared.archive);
        let archive = archive.and_then(|id| self.archiving.get(id));
        let owed = archive.and_then(|archive| self.archiving.owed.owed(archive.series()));
        if active.cursor.passes(at, owed) {
            self.replaying.looks_again(id);
        }
    }

    /// A replay hands an event on to the rules that it is for; not if the event is not of its window, or has grown too old meanwhile.
    pub(crate) fn hand_on<'a>(&self, replayed: &Replayed, context: &mut Context<'a, '_>) -> Decision<'a> {
        let nothing = || Decision::silent(Vec::new());
        let Replayed { id, event: kept, is_last } = replayed;
        let now = context.setting.now;
        let active = self.replaying.active.get(id);
        let declared = active.and_then(|active| self.replaying.declared.get(&active.key));
        let Some(replay) = declared.filter(|it| it.id == *id && it.stage == Stage::Running) else {
            return nothing();
        };
        let archive = self.archiving.get(replay.archive).filter(|archive| archive.keeps(kept.time, now));
        let made = || Draft::of_document(&Notification::decode(&kept.tail).ok()?, replay.bus.clone());
        let (Some(_), Some((event_id, draft))) = (archive, made()) else { return nothing() };
        let came = kept.time.signed_millis();
        let seconds = draft.time.unwrap_or(came).div_euclid(1000);
        let (from, to) = replay.window;
        let mut targets = 0;
        let mut last = active.and_then(|active| active.last);
        if (from.div_euclid(1000)..=to.div_euclid(1000)).contains(&seconds) {
            last = Some(seconds);
            let draft = draft.replayed(&replay.key.name);
            let event = draft.accept(event_id.unwrap_or_default(), now);
            let bus = self.bus(&replay.bus);
            let mut rules = bus.map_or_else(Vec::new, |bus| bus.interests.matching(&event.event));
            rules.retain(|rule| {
                let rule = self.rules.get(rule);
                rule.is_some_and(|rule| replay.filters.is_empty() || replay.filters.contains(&rule.arn))
            });
            let mut route = Route::to_rules(Cow::Owned(draft), Cow::Owned(event), rules);
            loop {
                let went = self.go_on(&mut route, context);
                targets += went.targets;
                if !went.is_on_its_way {
                    break;
                }
            }
        }
        if targets > 0 || *is_last {
            // Behind what the targets get: should that be longer than a group, a crash keeps no more than a part before this.
            let millis = last.unwrap_or_default().saturating_mul(1000);
            let at = Time(u64::try_from(millis).unwrap_or(0));
            let body = context.body(ParcelSent::new(kept.sequence, id.0, at), &[][..]);
            context.keep(body);
        }
        nothing()
    }
}
