//! One queue: its configuration and its messages, and how a message gets from one condition to another.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use kernel::{Deadlines, Extent, Ledger, Time};
use resources::Standing;
use resources::policy::Policy;

use crate::borrowed::Borrowed;
use crate::records::QueueDeclared;
use crate::rules::attempts::Attempts;
use crate::rules::group::{BY_ITSELF, Group, Groups, LOOSE, NEVER, Returned, Turn};
use crate::rules::handle::GroupHint;
use crate::rules::settings::Settings;
use crate::rules::shares::Shares;
use crate::state::{Due, Waiter};
use crate::{QueueId, QueueKey, Seq};
use collections::dedup::Dedup;
use collections::{Entry, Lane};

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

/// The ARN of a queue that a message was moved out of as a dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source(Box<str>);

impl Deref for Source {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// How many of them a queue remembers, so that messages share them.
const SOURCES: usize = 16;

/// What is known of a message that was received or moved in. There may be 120,000 of each queue in flight, and millions that were
/// moved: every byte counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Touched {
    /// Where its payload lies.
    pub extent: Extent,
    /// From when its retention counts.
    pub sent: Time,
    /// The number from which its message id is made.
    pub origin: Seq,
    /// The number that names it in the parcel that holds its payload, if one does.
    pub copy: Seq,
    /// Its group.
    pub group: u32,
    /// How often it was received, here and in the queues that it was moved out of as a dead letter.
    pub receives: u32,
    /// How often of that in those other queues.
    pub receives_elsewhere: u32,
    /// When first.
    pub first_received: Time,
    /// When last.
    pub received: Time,
    /// From when it can be received.
    pub visible: Time,
    /// Whether it is hidden until then.
    pub in_flight: bool,
    /// If it is not: how it came back, as [`Returned`] has it.
    pub(crate) returned: u32,
    /// Whether its deduplication id is its message id.
    pub deduplicates_by_id: bool,
    /// Whether its payload lies in a record that names another message.
    pub borrowed: bool,
    /// The queue that it was moved out of as a dead letter.
    pub dead_letter_source: Option<Arc<Source>>,
    /// Where the latest fact about it lies.
    pub fact: Option<Extent>,
    /// Where it lies what only the record says that put it here; a later receive does not repeat that.
    pub(crate) placed: Option<Extent>,
    /// When something happens to it next: its visibility or its retention ends.
    due: Time,
}

impl Touched {
    /// A message as it is when it is first touched.
    pub(crate) fn new(entry: Entry, group: u32, origin: Seq) -> Self {
        Touched {
            extent: entry.extent,
            sent: entry.sent,
            origin,
            copy: origin,
            group,
            receives: 0,
            receives_elsewhere: 0,
            first_received: Time(0),
            received: Time(0),
            visible: entry.sent,
            in_flight: false,
            returned: NEVER,
            deduplicates_by_id: false,
            borrowed: false,
            dead_letter_source: None,
            fact: None,
            placed: None,
            due: Time(0),
        }
    }

    /// How often it was received in this queue.
    pub(crate) fn receives_here(&self) -> u32 {
        self.receives.saturating_sub(self.receives_elsewhere)
    }

    /// Its place among the returned messages of its group, if it has one now.
    fn place_in_group(&self, seq: Seq, fifo: bool) -> Option<Returned> {
        match (fifo, self.in_flight) {
            (true, _) => Some((Time(0), 0, seq)),
            (false, true) => None,
            (false, false) => Some((self.visible, self.returned, seq)),
        }
    }
}

/// A message that was received is this, sixteen bytes of the map of all such, and a deadline.
const _: () = assert!(size_of::<Touched>() <= 128);

/// More than this many in flight of one group, and more than a tenth of all, make a group noisy (facts/sqs.md § 14).
const NOISY_IN_FLIGHT: u32 = 30;
/// A noisy group that sent nothing for so long is quiet again.
const NOISY_SECONDS: u32 = 5 * 60;

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

    /// Takes over other attributes.
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

    pub(crate) fn retention_millis(&self) -> u64 {
        u64::from(self.settings.retention_seconds) * 1000
    }

    /// Whether a message sent then is to be kept no longer.
    pub(crate) fn is_expired(&self, sent: Time, now: Time) -> bool {
        sent + self.retention_millis() <= now
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

    /// The lanes of messages whose delay has not ended, by delay, from this one on.
    pub(crate) fn delayed_from(&self, delay: u32) -> impl Iterator<Item = (u32, &Lane)> {
        self.delayed.range(delay..).map(|(&delay, delayed)| (delay, &delayed.lane))
    }

    /// Whether a FIFO message that comes now has to wait for the queue's delay.
    pub(crate) fn has_delayed(&self) -> bool {
        self.delayed_count > 0
    }

    /// Lets the messages in whose delay has ended by `now`, `most` at a time; how many they were.
    pub(crate) fn delay_ends(
        &mut self,
        delay: u32,
        now: Time,
        most: usize,
        deadlines: &mut Deadlines<Due>,
    ) -> usize {
        if let Some(delayed) = self.delayed.get_mut(&delay) {
            delayed.due = None;
        }
        let millis = self.delay_millis(delay);
        let mut moved = 0;
        while moved < most {
            let Some(delayed) = self.delayed.get_mut(&delay) else { break };
            match delayed.lane.front() {
                Some(front) if front.sent + millis <= now => {
                    delayed.lane.pop_front();
                    self.delayed_count -= 1;
                    if let Some(group) = self.groups.get_mut(front.tag) {
                        group.delay_ends();
                    }
                    self.enter_lane(front.tag, front);
                    moved += 1;
                }
                Some(_) => break,
                None => {
                    self.delayed.remove(&delay);
                    break;
                }
            }
        }
        self.watch_delay(delay, deadlines);
        moved
    }

    fn delay_millis(&self, delay: u32) -> u64 {
        let seconds = if delay == QUEUE_DELAY { self.settings.delay_seconds } else { delay };
        u64::from(seconds) * 1000
    }

    fn watch_delay(&mut self, delay: u32, deadlines: &mut Deadlines<Due>) {
        let millis = self.delay_millis(delay);
        let Some(delayed) = self.delayed.get_mut(&delay) else { return };
        let due = delayed.lane.front().map(|front| front.sent + millis);
        if due != delayed.due {
            let key = Due::DelayEnds(self.id, delay);
            if let Some(old) = delayed.due {
                deadlines.clear(old, key);
            }
            if let Some(due) = due {
                deadlines.set(due, key);
            }
            delayed.due = due;
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

    /// Everything that the retention period determines is to be determined anew: what was received by [`Queue::sweep`].
    pub(crate) fn retention_changed(&mut self, deadlines: &mut Deadlines<Due>) {
        self.swept_to = Some(Seq(0));
        self.retention_looked_at(deadlines);
    }

    /// Lets `most` received messages hear that the retention period is another; says whether all have. One that has not yet
    /// is not given to anybody if its time is over, and is looked at again if it falls due too soon.
    pub(crate) fn sweep(&mut self, most: usize, deadlines: &mut Deadlines<Due>) -> bool {
        let Some(from) = self.swept_to.take() else { return true };
        let millis = self.retention_millis();
        for (swept, (&seq, touched)) in self.touched.range_mut(from..).enumerate() {
            if swept == most {
                self.swept_to = Some(seq);
                return false;
            }
            let expires = touched.sent + millis;
            let due = if touched.in_flight { touched.visible.min(expires) } else { expires };
            if due != touched.due {
                deadlines.clear(touched.due, Due::MessageDue(self.id, seq));
                deadlines.set(due, Due::MessageDue(self.id, seq));
                touched.due = due;
            }
        }
        true
    }

    /// The queue's own delay may have changed: FIFO messages that wait for it fall due at another time.
    pub(crate) fn delay_changed(&mut self, deadlines: &mut Deadlines<Due>) {
        self.watch_delay(QUEUE_DELAY, deadlines);
    }

    // --- whose turn it is ---

    /// Lists a group under what it has to give, or not at all; forgets it if it is empty.
    pub(crate) fn list(&mut self, number: u32, now: Time) {
        let fifo = self.is_fifo();
        let total = self.in_flight_count;
        let Some((group, cells)) = self.groups.get_mut_with_cells(number) else { return };
        let waiting = group.lane.front(cells);
        let turn = if fifo {
            fifo_turn(waiting, group, number, &self.touched)
        } else {
            let in_flight = group.in_flight();
            let too_many = in_flight >= NOISY_IN_FLIGHT && u64::from(in_flight) * 10 > total;
            let named = (number != LOOSE).then_some((number, in_flight));
            self.shares.note(now, total, named);
            let noisy = number != LOOSE
                && group.sent_within(NOISY_SECONDS, now)
                && (group.is_noisy() || too_many || self.shares.is_large(number));
            standard_turn(waiting, group, number, if noisy { in_flight + 1 } else { 0 })
        };
        let before = group.turn(number);
        if turn != before {
            if let Some(before) = before {
                self.ready.remove(&before);
            }
            if let Some(turn) = turn {
                self.ready.insert(turn);
                let since = turn.since(fifo);
                self.oldest_listed = Some(self.oldest_listed.map_or(since, |oldest| oldest.min(since)));
            }
            group.set_turn(turn);
        }
        if turn.is_none() {
            self.groups.remove_if_empty(number);
            if self.groups.get(number).is_none() {
                self.shares.forget(number);
            }
        }
    }

    /// Whether a receive would find something.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    // --- how messages expire ---

    /// No message that was never received and could be is older than this; nothing if there is none.
    ///
    /// A group may wait since a message came back that was sent before. By the time that message has expired since it came back,
    /// it is gone by its own deadline, and the group stands elsewhere. What waits behind the first message of a FIFO group is
    /// younger than that one.
    fn oldest(&self) -> Option<Time> {
        let fifo = self.is_fifo();
        self.ready.first().into_iter().chain(self.noisy()).map(|turn| turn.since(fifo)).min()
    }

    /// Noisy groups are few and stand at the end, in another order than by age. If they are more, those with the most in flight.
    fn noisy(&self) -> impl Iterator<Item = &Turn> {
        let fifo = self.is_fifo();
        self.ready.iter().rev().take_while(move |turn| !fifo && turn.burden() > 0).take(16)
    }

    /// One deadline a queue is enough: when it comes, the next oldest message says when to look again. Only a group that is
    /// listed can make it come sooner: what was delayed, or waited behind others of its group, may be older than all else.
    pub(crate) fn watch_retention(&mut self, deadlines: &mut Deadlines<Due>) {
        let Some(oldest) = self.oldest_listed.take() else { return };
        let due = oldest + self.retention_millis();
        if self.retention_due.is_none_or(|set| due < set) {
            self.forget_retention(deadlines);
            deadlines.set(due, Due::RetentionEnds(self.id));
            self.retention_due = Some(due);
        }
    }

    /// What has expired is gone, or the period is another: the deadline is found anew.
    pub(crate) fn retention_looked_at(&mut self, deadlines: &mut Deadlines<Due>) {
        self.forget_retention(deadlines);
        self.oldest_listed = self.oldest();
        self.watch_retention(deadlines);
    }

    pub(crate) fn forget_retention(&mut self, deadlines: &mut Deadlines<Due>) {
        if let Some(due) = self.retention_due.take() {
            deadlines.clear(due, Due::RetentionEnds(self.id));
        }
    }

    /// The messages at the front of the groups' lanes that have expired, at most `most`.
    pub(crate) fn expired(&self, now: Time, most: usize) -> Vec<(Seq, Extent, u32)> {
        let fifo = self.is_fifo();
        let mut found = Vec::new();
        let look = |number: u32, found: &mut Vec<_>| {
            let Some(group) = self.groups.get(number) else { return };
            let waiting = group.lane.iter(self.groups.cells());
            for entry in waiting.take_while(|entry| self.is_expired(entry.sent, now)) {
                if found.len() >= most {
                    break;
                }
                found.push((entry.seq, entry.extent, number));
            }
        };
        // FIFO groups and quiet ones are listed by the moment since when they wait: behind one that waits since a moment that is
        // too young are only such.
        for turn in self.ready.iter().take_while(|turn| fifo || turn.burden() == 0) {
            if !self.is_expired(turn.since(fifo), now) || found.len() >= most {
                break;
            }
            look(turn.group, &mut found);
        }
        for turn in self.noisy() {
            look(turn.group, &mut found);
        }
        found
    }

    // --- deduplication ---

    pub(crate) fn watch_dedup(&mut self, deadlines: &mut Deadlines<Due>) {
        if self.dedup_due.is_none()
            && let Some(at) = self.dedup.oldest_at()
        {
            self.set_dedup_due(at + collections::dedup::WINDOW_MILLIS, deadlines);
        }
    }

    pub(crate) fn dedup_ends(&mut self, now: Time, most: usize, deadlines: &mut Deadlines<Due>) {
        self.dedup_due = None;
        if let Some(due) = self.dedup.expire(now, most) {
            // If there is more to forget now, it is forgotten a little later, between other work.
            self.set_dedup_due(due.max(now + 1), deadlines);
        }
    }

    fn set_dedup_due(&mut self, due: Time, deadlines: &mut Deadlines<Due>) {
        deadlines.set(due, Due::DedupEnds(self.id));
        self.dedup_due = Some(due);
    }

    // --- the end ---

    /// Forgets all messages; what they lie on is released by whoever dismantles the rest that is returned.
    pub(crate) fn empty(&mut self, seed: u64, deadlines: &mut Deadlines<Due>) -> Rest {
        for (&delay, delayed) in &self.delayed {
            if let Some(due) = delayed.due {
                deadlines.clear(due, Due::DelayEnds(self.id, delay));
            }
        }
        self.forget_retention(deadlines);
        self.swept_to = None;
        self.oldest_listed = None;
        if let Some(due) = self.dedup_due.take() {
            deadlines.clear(due, Due::DedupEnds(self.id));
        }
        self.dedup = Dedup::default();
        self.attempts = Attempts::default();
        self.shares = Shares::default();
        self.ready.clear();
        self.visible_count = 0;
        self.in_flight_count = 0;
        self.delayed_count = 0;
        Rest {
            queue: self.id,
            touched: std::mem::take(&mut self.touched),
            groups: std::mem::replace(&mut self.groups, Groups::new(seed)),
            delayed: std::mem::take(&mut self.delayed).into_values().map(|delayed| delayed.lane).collect(),
        }
    }

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

/// Messages of a queue that was emptied, whose records are still to be released, a few at a time.
#[derive(Clone, Debug)]
pub struct Rest {
    queue: QueueId,
    touched: BTreeMap<Seq, Box<Touched>>,
    groups: Groups,
    delayed: Vec<Lane>,
}

impl Rest {
    /// Releases about `most`; says whether all is done.
    pub(crate) fn dismantle(
        &mut self,
        most: usize,
        ledger: &mut Ledger,
        deadlines: &mut Deadlines<Due>,
        borrowed: &mut Borrowed,
    ) -> bool {
        for _ in 0..most {
            let Some((seq, touched)) = self.touched.pop_first() else { break };
            deadlines.clear(touched.due, Due::MessageDue(self.queue, seq));
            if touched.borrowed {
                borrowed.remove(touched.extent, self.queue, seq);
            }
            ledger.release(touched.extent);
            for fact in [touched.fact, touched.placed].into_iter().flatten() {
                ledger.release(fact);
            }
        }
        if !self.touched.is_empty() {
            return false;
        }
        if !self.groups.dismantle(most, |entry| ledger.release(entry.extent)) {
            return false;
        }
        for _ in 0..most {
            let Some(lane) = self.delayed.last_mut() else { return true };
            match lane.pop_front() {
                Some(entry) => ledger.release(entry.extent),
                None => {
                    self.delayed.pop();
                }
            }
        }
        false
    }
}

/// FIFO: the group's turn, if its first message can be received now (facts/sqs.md § 7). `waiting` is the first that was never
/// received.
fn fifo_turn(
    waiting: Option<Entry>,
    group: &Group,
    number: u32,
    touched: &BTreeMap<Seq, Box<Touched>>,
) -> Option<Turn> {
    let member = group.first_returned().map(|(_, _, seq)| seq);
    match (waiting, member) {
        (Some(entry), member) if member.is_none_or(|member| entry.seq < member) => {
            Some(Turn::fifo((entry.sent, NEVER, entry.seq), number))
        }
        (_, Some(member)) => {
            let head = touched.get(&member).filter(|head| !head.in_flight)?;
            Some(Turn::fifo((head.visible, head.returned, member), number))
        }
        (_, None) => None,
    }
}

/// Standard: the group's turn, if it has a message that can be received.
fn standard_turn(waiting: Option<Entry>, group: &Group, number: u32, burden: u32) -> Option<Turn> {
    let waiting = waiting.map(|entry| (entry.sent, NEVER, entry.seq));
    let first = waiting.into_iter().chain(group.first_returned()).min()?;
    Some(Turn::standard(burden, first, number))
}
