//! Replays of archives to subscriptions that ask for them (facts/sns.md § 10).
//!
//! A replay goes through the archive in order, first what the store has and then what the log owes it, and hands each message to
//! the subscription's queue again. How far it has come is told by the latest copy itself, which keeps its record until the next, so
//! that no crash makes it skip or repeat one. Until it has caught up, the subscription gets nothing else: what is published
//! meanwhile is archived, and comes in its turn. What it reads may move from the log to the store at any time; then it is read again
//! there, since its number is what counts.

use archives::{Cursor, Step};
use collections::Entry;
use kernel::parcel::Form;
use kernel::retained::{Page, Read, Record};
use kernel::{Extent, Ledger, Offer, ParcelSent, Seq, Taken, Time, iso8601};
use notification::Notification;
use patterns::{Event, FilterPolicy, Scope};
use serde_json::Value;

use crate::fanout::sender;
use crate::operations::{Context, Setting};
use crate::records::{ReplayAdvanced, SubscriptionDeclared};
use crate::state::{Due, State};
use crate::topic::Subscription;
use crate::{SubscriptionId, TopicId};

/// A replay that has not come to its end.
#[derive(Clone, Debug)]
pub struct Replay {
    topic: TopicId,
    /// Numbers from this one on were given since it was asked for: copies below it are of a replay before.
    began: u64,
    cursor: Cursor,
}

/// What a replay needs next.
#[derive(Debug)]
pub enum ReplayStep {
    /// These records of the log are to be read, in this order.
    Read(SubscriptionId, Vec<Extent>),
    /// A page of the store is to be read.
    Page(Read),
    /// It has come to its end: the subscription as it is from now on.
    Completed(Box<SubscriptionDeclared>),
}

/// The attribute that tells one replay of a subscription from another; users do not see it.
pub(crate) const REPLAY_BEGAN: &str = "ReplayBegan";

impl State {
    /// A message was published, or lies here now: a replay has handed it on if a copy says so.
    pub(crate) fn note_replayed(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        for copy in parcel.copies.iter().filter(|copy| copy.form.replayed && !parcel.forwarded) {
            let replay = self.replays.get_mut(&SubscriptionId(copy.form.recipient));
            if let Some(replay) = replay.filter(|replay| copy.seq >= replay.began) {
                replay.cursor.advance(parcel.number, at, ledger);
            }
        }
    }

    /// A topic's archive has something new.
    pub(crate) fn wake_replays(&mut self, topic: TopicId) {
        let waiting = self.replays.iter().filter(|(_, replay)| replay.topic == topic).map(|(&id, _)| id);
        self.replays_to_look_at.extend(waiting);
    }

    /// A subscription has been declared: a replay that it asks for begins, or goes on.
    pub(crate) fn watch_replay(&mut self, id: SubscriptionId, ledger: &mut Ledger) {
        let Some(subscription) = self.subscriptions.get(&id) else { return };
        let Some((from, to)) = subscription.unfinished_replay() else {
            return self.forget_replay(id, ledger);
        };
        let began = subscription.replay_began();
        if self.replays.get(&id).is_none_or(|known| known.began != began) {
            let topic = subscription.declared.topic;
            self.forget_replay(id, ledger);
            let cursor = Cursor::new(from, to, u64::MAX);
            self.replays.insert(id, Replay { topic, began, cursor });
        }
        self.replays_to_look_at.insert(id);
    }

    /// A subscription's replay is over, or is replaced by another.
    pub(crate) fn forget_replay(&mut self, id: SubscriptionId, ledger: &mut Ledger) {
        if let Some(replay) = self.replays.remove(&id) {
            replay.cursor.end(ledger);
        }
    }

    pub(crate) fn replay_advanced(&mut self, record: &ReplayAdvanced, at: Extent, ledger: &mut Ledger) {
        let replay = self.replays.get_mut(&record.subscription);
        if let Some(replay) = replay.filter(|replay| replay.began == record.began) {
            replay.cursor.advance(record.through, at, ledger);
        }
    }

    /// What is to be said again of a replay, if the record at `at` says how far it has come.
    pub fn replay_advanced_again(&self, at: Extent) -> Option<ReplayAdvanced> {
        self.replays.iter().find_map(|(&subscription, replay)| {
            let through = replay.cursor.advanced_at(at)?;
            Some(ReplayAdvanced { subscription, began: replay.began, through })
        })
    }

    /// Whether a subscription's replay has handed over anything yet, and has not come to its end.
    pub fn replay_has_begun(&self, id: SubscriptionId) -> bool {
        self.replays.get(&id).is_some_and(|replay| replay.cursor.has_begun())
    }

    /// What the replays need next.
    pub fn next_replay_step(&mut self, now: Time) -> Option<ReplayStep> {
        while let Some(id) = self.replays_to_look_at.pop_first() {
            let Some(replay) = self.replays.get_mut(&id) else { continue };
            let Some(topic) = self.topics.get(&replay.topic) else { continue };
            let step = topic.archive.map_or(Step::End, |keeping| {
                let archive = (&self.archives, keeping.series);
                let keeps = |entry: &Entry| keeping.keeps(entry.seq, entry.sent, now);
                replay.cursor.step(id.0, archive, keeping.oldest(now), keeps)
            });
            match step {
                Step::Waits => continue,
                Step::Page(read) => return Some(ReplayStep::Page(read)),
                Step::Owed(extents) => return Some(ReplayStep::Read(id, extents)),
                Step::End => {}
            }
            if let Some(to) = replay.cursor.to().filter(|&to| to >= now) {
                // What is yet to be published until then belongs to it.
                self.deadlines.set(to + 1, Due::ReplayEnds(id));
                continue;
            }
            let Some(subscription) = self.subscriptions.get(&id) else { continue };
            let mut declared = subscription.declared.clone();
            declared.attributes.insert("ReplayStatus".into(), "Completed".into());
            return Some(ReplayStep::Completed(Box::new(declared)));
        }
        None
    }

    /// Hands a message that was read for a replay to the subscription's queue; not if its filter does not want it, or if it has
    /// grown too old meanwhile or is not in the window of a replay that was asked for since.
    pub(crate) fn replay<'a>(
        &self,
        id: SubscriptionId,
        parcel: ParcelSent<'a>,
        notification: &Notification,
        payload: &'a [u8],
        context: &mut Context<'a, '_>,
    ) -> Option<Taken> {
        let Setting { now, limits, .. } = context.setting;
        let subscription = self.subscriptions.get(&id)?;
        let topic = self.topics.get(&subscription.declared.topic)?;
        let keeping = topic.archive?;
        let is_due = self.replays.get(&id)?.cursor.covers(parcel.at)
            && keeping.keeps(Seq(parcel.number), parcel.at, now);
        if !is_due || !subscription.wants(notification) {
            return None;
        }
        let body = context.body(parcel.handed_on(), payload);
        let offer = |to, is_dead_letter| Offer {
            to,
            body,
            must_be_allowed: limits.queue_policies.then_some(sender(&topic.arn)),
            size: notification.message.len(),
            attributes: notification.attributes.len(),
            form: Form { recipient: id.0, raw: subscription.is_raw(), protocol: 0, replayed: true },
            deduplicates_by_content: false,
            is_dead_letter,
        };
        match context.offer(&offer(subscription.queue.as_ref()?, false)) {
            Taken::Refused(..) => Some(context.offer(&offer(&subscription.dead_letters()?, true))),
            taken => Some(taken),
        }
    }

    /// Whether this is what is being read for a replay. What was read for one that was replaced meanwhile is not.
    pub fn is_read_for(&self, id: SubscriptionId, first: Extent) -> bool {
        self.replays.get(&id).is_some_and(|replay| replay.cursor.reads_owed(first))
    }

    /// Whether this page is being read for a replay. One that was ordered for a replay that was replaced meanwhile is not.
    pub fn is_page_for(&self, id: SubscriptionId, page: &Read) -> bool {
        self.replays.get(&id).is_some_and(|replay| replay.cursor.reads_page(page))
    }

    /// A page of the store was read: its records in the window are to be handed on.
    pub(crate) fn replay_page(
        &mut self,
        page: Page,
        has_room: bool,
    ) -> Option<(SubscriptionId, Vec<Record>)> {
        let id = SubscriptionId(page.read.reader);
        let replay = self.replays.get_mut(&id)?;
        if replay.cursor.reads_page(&page.read) {
            self.replays_to_look_at.insert(id);
        }
        Some((id, replay.cursor.page_read(page, has_room)?))
    }

    /// What was asked for cannot be read from `at` on, since the bytes there are not those that were written: the replay goes on
    /// behind it.
    pub fn replay_passes(&mut self, id: SubscriptionId, at: Extent) {
        let Some(replay) = self.replays.get_mut(&id) else { return };
        let archive = self.topics.get(&replay.topic).and_then(|topic| topic.archive);
        let owed = archive.and_then(|keeping| self.archives.owed(keeping.series));
        if replay.cursor.passes(at, owed) {
            self.replays_to_look_at.insert(id);
        }
    }

    /// What was asked for has been read and handed on, up to this message; absent: nothing could be read, since it lies
    /// elsewhere by now.
    pub fn replay_read(&mut self, id: SubscriptionId, through: Option<u64>) {
        let Some(replay) = self.replays.get_mut(&id) else { return };
        replay.cursor.read_through(through);
        self.replays_to_look_at.insert(id);
    }
}

impl SubscriptionDeclared {
    /// The number of the replay that was asked for last, unless the subscription was made for it. Nothing else has this number.
    pub(crate) fn replay_began(&self) -> Option<u64> {
        self.attributes.get(REPLAY_BEGAN)?.parse().ok()
    }
}

impl Subscription {
    /// The replay that it asks for and that has not ended: from when, until when.
    fn unfinished_replay(&self) -> Option<(Time, Option<Time>)> {
        if self.replay_has_ended() {
            return None;
        }
        let policy = self.attribute("ReplayPolicy")?;
        let document: Value = serde_json::from_str(policy).ok()?;
        let moment = |name: &str| {
            let millis = iso8601::read(document.get(name)?.as_str()?)?;
            u64::try_from(millis).ok().map(Time)
        };
        Some((moment("StartingPoint")?, moment("EndingPoint")))
    }

    /// The number that its replay began with; one that it asked for from the beginning began with itself.
    fn replay_began(&self) -> u64 {
        self.declared.replay_began().unwrap_or(self.declared.id.0)
    }

    fn replay_has_ended(&self) -> bool {
        matches!(self.attribute("ReplayStatus"), Some("Completed" | "Failed"))
    }

    /// Whether it gets what is published now: not while it replays, and not after a replay that was to end.
    pub fn gets_new_messages(&self) -> bool {
        match self.attribute("ReplayPolicy") {
            None => true,
            Some(policy) => self.replay_has_ended() && !policy.contains("EndingPoint"),
        }
    }

    /// Whether its filter policy lets a message through.
    fn wants(&self, notification: &Notification) -> bool {
        let Some(text) = self.attribute("FilterPolicy") else { return true };
        let Ok(policy) = FilterPolicy::parse(text, self.filter_scope()) else { return false };
        match self.filter_scope() {
            Scope::MessageBody => policy.matches(&Event::from_json(&notification.message)),
            _ => policy.matches(&crate::interests::event_of(&notification.attributes)),
        }
    }
}
