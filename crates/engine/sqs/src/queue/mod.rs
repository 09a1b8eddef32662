//! One queue: its configuration and its messages, and how a message gets from one condition to another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::{Deadlines, Extent, Time};
use resources::Standing;
use resources::policy::Policy;

use crate::due::{Due, Waiter};
use crate::records::QueueDeclared;
use crate::rules::attempts::Attempts;
use crate::rules::group::{BY_ITSELF, Group, Groups, LOOSE, Turn};
use crate::rules::handle::GroupHint;
use crate::rules::settings::Settings;
use crate::rules::shares::Shares;
use crate::{QueueId, QueueKey, Seq};
use collections::dedup::Dedup;
use collections::{Entry, Lane};

mod deduplication;
mod delays;
mod emptying;
mod retention;
mod touched;
mod turns;

pub(crate) use emptying::Rest;
pub use touched::{Source, Touched};

/// Which delay a lane of delayed messages stands for: a message's own, or the queue's (which may change).
pub(crate) const QUEUE_DELAY: u32 = u32::MAX;

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its number.
    pub id: QueueId,
    /// Account, region and name.
    pub key: QueueKey,
    /// Its ARN, as text.
    pub arn: Box<str>,
    /// Its attributes.
    pub settings: Settings,
    /// Its access policy, compiled.
    pub(crate) policy: Option<Policy>,
    /// Its tags, sorted by key.
    pub tags: Vec<(String, String)>,
    /// When it was created.
    pub created: Time,
    /// When its attributes were last set.
    pub modified: Time,
    /// Messages up to this number were purged.
    pub purged_through: Seq,
    /// When it was last purged.
    pub purged: Option<Time>,
    pub(crate) standing: Standing,

    pub(crate) groups: Groups,
    /// Messages that were received or moved in, one by one: work in flight, not backlog.
    pub(crate) touched: BTreeMap<Seq, Box<Touched>>,
    /// Queues that dead letters came from lately, so that many letters share one text.
    sources: Vec<Arc<Source>>,
    /// Messages whose delay has not ended, by delay; within one, they fall due in order.
    delayed: BTreeMap<u32, Delayed>,
    /// Groups that have something to give.
    pub(crate) ready: BTreeSet<Turn>,

    /// Messages that can be received or wait behind others of their group.
    pub(crate) visible_count: u64,
    /// Messages that were received and not deleted, and are hidden.
    pub(crate) in_flight_count: u64,
    /// Messages whose delay has not ended.
    pub(crate) delayed_count: u64,

    pub(crate) dedup: Dedup,
    pub(crate) attempts: Attempts,
    /// Whether another service wishes to draw from it once it has something.
    pub(crate) is_watched: bool,
    /// Receives that wait for a message, longest first.
    pub(crate) waiters: BTreeMap<u64, Waiter>,
    /// Standard: whether the last message given was one that had been received before; the next should not be.
    pub(crate) gave_returned: bool,
    /// How many messages clients gave back: it tells the order of those of the same millisecond.
    returns: u32,
    /// Standard: what groups have taken of the consumers' time.
    shares: Shares,
    retention_due: Option<Time>,
    /// Received messages from this number on are still to hear that the retention period is another.
    swept_to: Option<Seq>,
    /// The oldest that may have been listed since the retention deadline was last looked at.
    oldest_listed: Option<Time>,
    dedup_due: Option<Time>,
}

#[derive(Clone, Debug, Default)]
struct Delayed {
    lane: Lane,
    due: Option<Time>,
}

/// How many of them a queue remembers, so that messages share them.
const SOURCES: usize = 16;

impl Queue {
    pub(crate) fn new(declared: &QueueDeclared, standing: Standing, seed: u64) -> Self {
        Queue {
            id: declared.id,
            key: declared.key.clone(),
            arn: declared.key.arn().to_string().into(),
            settings: declared.settings.clone(),
            policy: compiled(&declared.settings),
            tags: declared.tags.clone(),
            created: declared.created,
            modified: declared.modified,
            purged_through: declared.purged_through,
            purged: declared.purged,
            standing,
            groups: Groups::new(seed),
            touched: BTreeMap::new(),
            sources: Vec::new(),
            delayed: BTreeMap::new(),
            ready: BTreeSet::new(),
            visible_count: 0,
            in_flight_count: 0,
            delayed_count: 0,
            dedup: Dedup::default(),
            attempts: Attempts::default(),
            is_watched: false,
            waiters: BTreeMap::new(),
            gave_returned: false,
            returns: BY_ITSELF,
            shares: Shares::default(),
            retention_due: None,
            swept_to: None,
            oldest_listed: None,
            dedup_due: None,
        }
    }

    /// Whether it is FIFO.
    pub fn is_fifo(&self) -> bool {
        self.settings.is_fifo()
    }

    /// Sets the attributes. Compiles the policy only if its text changed.
    pub(crate) fn set(&mut self, settings: &Settings) {
        if self.settings.policy != settings.policy {
            self.policy = compiled(settings);
        }
        self.settings = settings.clone();
    }

    /// The declaration that would make it what it is.
    pub(crate) fn declaration(&self) -> QueueDeclared {
        QueueDeclared {
            id: self.id,
            key: self.key.clone(),
            settings: self.settings.clone(),
            tags: self.tags.clone(),
            created: self.created,
            modified: self.modified,
            purged_through: self.purged_through,
            purged: self.purged,
        }
    }

    /// The source of a dead letter, which many may share.
    pub(crate) fn source(&mut self, arn: &str) -> Arc<Source> {
        if let Some(known) = self.sources.iter().find(|known| *known.0 == *arn) {
            return known.clone();
        }
        if self.sources.len() == SOURCES {
            self.sources.remove(0);
        }
        let source = Arc::new(Source(arn.into()));
        self.sources.push(source.clone());
        source
    }

    /// How many messages are visible, in flight, delayed.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.visible_count, self.in_flight_count, self.delayed_count)
    }

    // --- how messages come ---

    /// A message has come that was never received. If it is already here, it only lies elsewhere now.
    /// Returns where it lay before, if it did. `forwarded`: it was written again; no other can wait for its delay already.
    pub(crate) fn arrive(
        &mut self,
        entry: Entry,
        group_name: Option<&str>,
        delay: Option<u32>,
        forwarded: bool,
        deadlines: &mut Deadlines<Due>,
    ) -> Option<Extent> {
        if let Some(touched) = self.touched.get_mut(&entry.seq) {
            touched.borrowed = false;
            touched.copy = touched.origin;
            return Some(std::mem::replace(&mut touched.extent, entry.extent));
        }
        let number = self.groups.find_or_add(group_name);
        let delayed = forwarded.then(|| self.delayed.values_mut());
        for delayed in delayed.into_iter().flatten() {
            if let Some(here) = delayed.lane.get(entry.seq) {
                delayed.lane.put(Entry { tag: here.tag, sent: here.sent, ..entry });
                return Some(here.extent);
            }
        }
        match delay {
            Some(delay) => {
                let group = self.groups.get_mut(number)?;
                group.delay_begins();
                group.sent(entry.sent);
                let delayed = self.delayed.entry(delay).or_default();
                delayed.lane.put(Entry { tag: number, ..entry });
                self.delayed_count += 1;
                self.watch_delay(delay, deadlines);
                None
            }
            None => self.enter_lane(number, entry),
        }
    }

    fn enter_lane(&mut self, number: u32, entry: Entry) -> Option<Extent> {
        let (group, cells) = self.groups.get_mut_with_cells(number)?;
        group.sent(entry.sent);
        let behind = group.lane.last().is_some_and(|last| last < entry.seq);
        let replaced = group.lane.put(Entry { tag: 0, ..entry }, cells);
        match replaced {
            Some(old) => Some(old.extent),
            None => {
                self.visible_count += 1;
                // Behind others of its group it changes nothing about when the group's turn comes.
                let first = !behind && group.lane.front(cells).is_none_or(|front| front.seq == entry.seq);
                if first || group.turn(number).is_none() {
                    self.list(number, entry.sent);
                }
                None
            }
        }
    }

    // --- one message, wherever it is ---

    /// Takes a message out of whatever condition it is in. What it lies on stays held.
    pub(crate) fn detach(
        &mut self,
        seq: Seq,
        group_name: Option<&str>,
        deadlines: &mut Deadlines<Due>,
    ) -> Option<Box<Touched>> {
        if let Some(touched) = self.touched.remove(&seq) {
            deadlines.clear(touched.due, Due::MessageDue(self.id, seq));
            let fifo = self.is_fifo();
            if touched.in_flight {
                self.in_flight_count -= 1;
            } else {
                self.visible_count -= 1;
            }
            if let Some(group) = self.groups.get_mut(touched.group) {
                if touched.in_flight {
                    group.flight_ends();
                }
                if let Some(returned) = touched.place_in_group(seq, fifo) {
                    group.take_returned(returned);
                }
            }
            return Some(touched);
        }
        let number = self.groups.find(group_name)?;
        let (group, cells) = self.groups.get_mut_with_cells(number)?;
        if let Some(entry) = group.lane.remove(seq, cells) {
            self.visible_count -= 1;
            return Some(Box::new(Touched::new(entry, number, seq)));
        }
        // Only after a restart, when time has not yet been told how far it has come.
        for delayed in self.delayed.values_mut() {
            if let Some(entry) = delayed.lane.remove(seq) {
                self.delayed_count -= 1;
                if let Some(group) = self.groups.get_mut(entry.tag) {
                    group.delay_ends();
                }
                return Some(Box::new(Touched::new(entry, entry.tag, seq)));
            }
        }
        None
    }

    /// Puts a message in, in the condition that it says.
    pub(crate) fn attach(&mut self, seq: Seq, mut touched: Box<Touched>, deadlines: &mut Deadlines<Due>) {
        let expires = touched.sent + self.retention_millis();
        touched.due = if touched.in_flight { touched.visible.min(expires) } else { expires };
        deadlines.set(touched.due, Due::MessageDue(self.id, seq));
        let fifo = self.is_fifo();
        if touched.in_flight {
            self.in_flight_count += 1;
        } else {
            self.visible_count += 1;
        }
        if let Some(group) = self.groups.get_mut(touched.group) {
            if touched.in_flight {
                group.flight_begins();
            }
            if let Some(returned) = touched.place_in_group(seq, fifo) {
                group.add_returned(returned);
            }
        }
        self.touched.insert(seq, touched);
    }

    /// A message that is in flight stays so, until the moment that `change` sets. Returns its group; nothing if it is not in
    /// flight, and then nothing has happened.
    pub(crate) fn stay_in_flight(
        &mut self,
        seq: Seq,
        change: &mut dyn FnMut(&mut Touched),
        deadlines: &mut Deadlines<Due>,
    ) -> Option<u32> {
        let millis = self.retention_millis();
        let touched = self.touched.get_mut(&seq).filter(|touched| touched.in_flight)?;
        change(touched);
        let due = touched.visible.min(touched.sent + millis);
        if due != touched.due {
            let key = Due::MessageDue(self.id, seq);
            deadlines.clear(touched.due, key);
            deadlines.set(due, key);
            touched.due = due;
        }
        Some(touched.group)
    }

    /// A client has given a message back, or received it without hiding it: how it came back.
    pub(crate) fn given_back(&mut self) -> u32 {
        self.returns = self.returns.checked_add(1).unwrap_or(BY_ITSELF + 1);
        self.returns
    }

    /// A message's own deadline has come: says whether it has expired; if not, it can be received again.
    pub(crate) fn message_due(&mut self, seq: Seq, now: Time, deadlines: &mut Deadlines<Due>) -> bool {
        let Some(touched) = self.touched.get(&seq) else { return false };
        if self.is_expired(touched.sent, now) {
            return true;
        }
        let number = touched.group;
        if let Some(mut touched) = self.detach(seq, None, deadlines) {
            if touched.in_flight && touched.visible <= now {
                touched.in_flight = false;
                touched.returned = BY_ITSELF;
            }
            self.attach(seq, touched, deadlines);
        }
        self.list(number, now);
        false
    }

    // --- whose turn it is ---

    // --- how messages expire ---

    // --- deduplication ---

    // --- the end ---

    /// Where a waiting message lies, if it waits here and was never received.
    pub(crate) fn waiting(&self, seq: Seq, group_name: Option<&str>) -> Option<(Entry, Option<u32>)> {
        let group = self.groups.find(group_name).and_then(|number| self.groups.get(number));
        if let Some(entry) = group.and_then(|group| group.lane.get(seq, self.groups.cells())) {
            return Some((entry, None));
        }
        self.delayed.iter().find_map(|(&delay, delayed)| Some((delayed.lane.get(seq)?, Some(delay))))
    }

    /// Where a waiting message lies whose receive was forgotten, and its group's number. Looks into every group if nothing is known of
    /// the message's: which is so of handles that an older version made, for twelve hours.
    pub(crate) fn find_waiting(&self, seq: Seq, group: GroupHint, now: Time) -> Option<(Entry, u32)> {
        let cells = self.groups.cells();
        let has = |group: &Group| group.lane.get(seq, cells);
        let number = match group {
            GroupHint::Without => Some(LOOSE),
            GroupHint::Hash(hash) => self.groups.find_by_hash(hash, |group| has(group).is_some()),
            GroupHint::Unknown => {
                self.groups.iter().find(|(_, group)| has(group).is_some()).map(|(number, _)| number)
            }
        };
        if let Some(number) = number
            && let Some(entry) = self.groups.get(number).and_then(has)
        {
            return Some((entry, number));
        }
        // It was received, so its delay has ended; but time may not have been told yet.
        let late = self.delayed.values().filter(|delayed| delayed.due.is_some_and(|due| due <= now));
        let entry = late.filter_map(|delayed| delayed.lane.get(seq)).next()?;
        Some((entry, entry.tag))
    }
}

fn compiled(settings: &Settings) -> Option<Policy> {
    settings.policy.as_deref().map(Policy::compile)
}
