//! What is remembered of all topics, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use archives::Archives;
use collections::{Dedup, DedupKey, dedup};
use deliveries::Deliveries;
use kernel::parcel::Deduplicates;
use kernel::{Deadlines, Demand, Extent, IdsRemembered, Ledger, ParcelSent, RememberedId, Seq, Time};
use resources::Standing;
use resources::policy::Policy;

use crate::interests::Interests;
use crate::platforms::Platforms;
use crate::records::{
    Record, SubscriptionDeclared, SubscriptionDeleted, TextMessagingDeclared, TopicDeclared, TopicDeleted,
};
use crate::replay::Replay;
use crate::rules::delivery_policy::Level;
use crate::topic::{Subscription, Topic, delivery_policy};
use crate::wide::Wide;
use crate::{BodyReaders, SubscriptionId, TopicId, TopicKey};

/// What falls due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Due {
    /// Nobody has confirmed this subscription in time.
    ConfirmationEnds(SubscriptionId),
    /// Deduplication ids stop counting.
    DedupEnds(TopicId),
    /// A replay need not wait for more.
    ReplayEnds(SubscriptionId),
    /// A message for many, which could not be read, is tried again.
    TakersWait(u64),
}

/// Subscriptions of a deleted topic that are forgotten in one go.
const FORGOTTEN_AT_ONCE: usize = 100;

/// What a deleted topic has left behind. It is out of sight, and is forgotten between requests.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    topic: TopicId,
    subscriptions: BTreeSet<SubscriptionId>,
}

/// Deduplication ids that are forgotten in one go.
const EXPIRED_AT_ONCE: usize = 1000;

/// A subscription that is not one of its topic's: its topic is not declared yet, or it has ended.
#[derive(Clone, Debug)]
pub(crate) struct Apart {
    pub(crate) declared: SubscriptionDeclared,
    pub(crate) standing: Standing,
}

impl Apart {
    /// Until when one that has ended can be restored.
    pub(crate) fn until(&self) -> Option<Time> {
        Some(self.declared.ended? + crate::limits::PENDING_MILLIS)
    }

    /// The fact that it is gone.
    pub(crate) fn deletion(&self) -> SubscriptionDeleted {
        SubscriptionDeleted { id: self.declared.id, declared_in: self.standing.declared_in().collect() }
    }
}

/// What an account has subscribed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Subscribed {
    /// Subscriptions that are pending.
    pub pending: usize,
    /// Subscriptions with a filter policy.
    pub filtered: usize,
}

/// All topics.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) topics: BTreeMap<TopicId, Topic>,
    pub(crate) names: BTreeMap<TopicKey, TopicId>,
    /// How many topics there are by account, region and whether they are FIFO.
    topic_counts: BTreeMap<(String, String, bool), usize>,
    pub(crate) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// What accounts have subscribed.
    accounts: BTreeMap<String, Subscribed>,
    /// Subscriptions by topic, protocol and endpoint.
    pub(crate) endpoints: BTreeMap<(TopicId, String, String), SubscriptionId>,
    /// Subscriptions by the last word of their ARNs.
    pub(crate) uuids: BTreeMap<String, SubscriptionId>,
    /// Subscriptions whose topic is not declared yet: where a log was cleaned, its declaration can come after theirs.
    orphans: BTreeMap<TopicId, BTreeMap<SubscriptionId, Apart>>,
    /// Of which topics they are.
    orphans_topics: BTreeMap<SubscriptionId, TopicId>,
    /// Subscriptions that have ended but can be restored.
    pub(crate) parted: BTreeMap<SubscriptionId, Apart>,
    /// The same by topic.
    parted_of: BTreeSet<(TopicId, SubscriptionId)>,
    pub(crate) platforms: Platforms,
    pub(crate) deliveries: Deliveries,
    /// What the archives of topics owe to the store.
    pub(crate) archives: Archives,
    pub(crate) replays: BTreeMap<SubscriptionId, Replay>,
    /// Messages that some of their subscriptions are still to get, by the number of the delivery that stands for these.
    pub(crate) wide: Wide,
    pub(crate) deadlines: Deadlines<Due>,
    /// While a log is read: the moment before which nothing will be asked.
    pub(crate) reading_until: Option<Time>,

    // What follows is not in the log: it is about what is to be looked at next.
    /// Replays that may go on.
    pub(crate) replays_to_look_at: BTreeSet<SubscriptionId>,
    /// What requests are prepared by. Shared with those who prepare them.
    pub(crate) body_readers: BodyReaders,
    /// What deleted topics have left behind.
    pub(crate) leaving: VecDeque<Leaving>,
    /// Subscriptions that were not confirmed in time.
    pub(crate) unconfirmed: BTreeSet<SubscriptionId>,
}

impl State {
    /// The topic that an account, region and name denote.
    pub fn topic(&self, key: &TopicKey) -> Option<&Topic> {
        self.topics.get(self.names.get(key)?)
    }

    /// The topic of this number.
    pub fn topic_of(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(&id)
    }

    /// How many standard or FIFO topics an account has in a region.
    pub fn topics_of(&self, account: &str, region: &str, fifo: bool) -> usize {
        let of = (account.to_owned(), region.to_owned(), fifo);
        self.topic_counts.get(&of).copied().unwrap_or_default()
    }

    fn count_topic(&mut self, key: &TopicKey) -> &mut usize {
        self.topic_counts.entry((key.account.clone(), key.region.clone(), key.is_fifo())).or_default()
    }

    /// What an account has subscribed.
    pub fn subscribed_by(&self, account: &str) -> Subscribed {
        self.accounts.get(account).copied().unwrap_or_default()
    }

    /// The subscription of this number, unless its topic has been deleted.
    pub fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(&id).filter(|subscription| self.has_topic(subscription))
    }

    /// Whether a subscription's topic has not been deleted.
    pub(crate) fn has_topic(&self, subscription: &Subscription) -> bool {
        self.topics.contains_key(&subscription.declared.topic)
    }

    /// The subscription whose ARN this is.
    pub fn subscription_by_arn(&self, arn: &str) -> Option<&Subscription> {
        let (_, uuid) = arn.rsplit_once(':')?;
        let subscription = self.subscription(*self.uuids.get(uuid)?)?;
        (subscription.arn == arn).then_some(subscription)
    }

    /// The subscription of a topic with this protocol and endpoint.
    pub fn subscription_to(&self, topic: TopicId, protocol: &str, endpoint: &str) -> Option<&Subscription> {
        let key = (topic, protocol.to_owned(), endpoint.to_owned());
        self.subscriptions.get(self.endpoints.get(&key)?)
    }

    /// Applications on mobile platforms, and text messages.
    pub fn platforms(&self) -> &Platforms {
        &self.platforms
    }

    /// What it learns of topics whose messages are taken apart: for those who prepare requests.
    pub fn body_readers(&self) -> BodyReaders {
        self.body_readers.clone()
    }

    /// A log is about to be read, all of it before anything is asked, at `now` or later. What no such moment needs to know is
    /// not looked at. Ends with [`State::replayed`].
    pub fn replaying(&mut self, now: Time) {
        self.reading_until = Some(now);
    }

    /// After a log has been read whole.
    pub fn replayed(&mut self) {
        self.reading_until = None;
        self.archives.rule_all();
        for (&id, topic) in &mut self.topics {
            topic.dedup.loaded();
            if topic.dedup_due.is_none()
                && let Some(oldest) = topic.dedup.oldest_at()
            {
                let due = oldest + dedup::WINDOW_MILLIS;
                topic.dedup_due = Some(due);
                self.deadlines.set(due, Due::DedupEnds(id));
            }
        }
    }

    /// A fact becomes true. `at` is where its record lies. Applied live and when a log is read, in the order of the log.
    pub fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::TopicDeclared(record) => self.topic_declared(record, at, ledger),
            Record::TopicDeleted(record) => self.topic_deleted(record, at, ledger),
            Record::SubscriptionDeclared(record) => self.subscription_declared(record, at, ledger),
            Record::SubscriptionDeleted(record) => self.subscription_deleted(record, at, ledger),
            Record::PlatformApplicationDeclared(record) => {
                self.platforms.application_declared(record, at, ledger);
            }
            Record::PlatformApplicationDeleted(record) => {
                self.platforms.application_deleted(record, at, ledger);
            }
            Record::PlatformEndpointDeclared(record) => {
                self.platforms.endpoint_declared(record, at, ledger);
            }
            Record::PlatformEndpointDeleted(record) => {
                self.platforms.endpoint_deleted(record, at, ledger);
                // What was still on its way to it has nowhere to go.
                self.deliveries.forget_recipient(record.id.0, ledger);
            }
            Record::TextMessagingDeclared(record) => {
                self.platforms.texting_declared(record, at, ledger);
            }
            Record::DeliveryFailed(record) => self.deliveries.failed(record, at, ledger),
            Record::DeliveriesEnded(record) => {
                self.deliveries.ended(&record.ended, at, ledger);
                self.wide.ended(&record.ended, ledger);
            }
            Record::ReplayAdvanced(record) => self.replay_advanced(record, at, ledger),
        }
    }

    /// A FIFO topic remembers what it was given.
    pub(crate) fn message_accepted(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        let Some(deduplicates) = parcel.deduplicates.filter(|_| !parcel.forwarded) else { return };
        let Some(topic) = self.topics.get_mut(&TopicId(parcel.source)) else { return };
        let (Some(id), Some(group)) = (&parcel.deduplication_id, &parcel.group) else { return };
        if self.reading_until.is_some_and(|until| parcel.at + dedup::WINDOW_MILLIS <= until) {
            return;
        }
        let key = DedupKey::new(id, (deduplicates == Deduplicates::InGroup).then_some(&**group));
        match self.reading_until {
            Some(_) => topic.dedup.load(key, Seq(parcel.number), parcel.at),
            None => topic.dedup.accept(key, Seq(parcel.number), parcel.at),
        }
        ledger.remember(at.place.segment(), parcel.at + dedup::WINDOW_MILLIS);
        if topic.dedup_due.is_none() {
            let due = parcel.at + dedup::WINDOW_MILLIS;
            topic.dedup_due = Some(due);
            self.deadlines.set(due, Due::DedupEnds(topic.declared.id));
        }
    }

    /// Deduplication ids are told in a record at `at`, too: those that are of topics.
    pub fn ids_remembered(&mut self, record: &IdsRemembered, at: Extent, ledger: &mut Ledger) {
        for id in &record.ids {
            let Some(topic) = self.topics.get_mut(&TopicId(id.owner)) else { continue };
            let until = id.at + dedup::WINDOW_MILLIS;
            if self.reading_until.is_some_and(|now| until <= now) {
                continue;
            }
            ledger.remember(at.place.segment(), until);
            if self.reading_until.is_some() {
                topic.dedup.load_late(DedupKey::from_bytes(id.key), Seq(id.message), id.at);
            }
        }
    }

    /// What a parcel is remembered for, if its topic must still know its deduplication id at `now`.
    pub fn id_to_remember(&self, parcel: &ParcelSent<'_>, now: Time) -> Option<RememberedId> {
        let deduplicates = parcel.deduplicates.filter(|_| !parcel.forwarded)?;
        let (id, group) = (parcel.deduplication_id.as_deref()?, parcel.group.as_deref()?);
        let remembered =
            RememberedId { owner: parcel.source, message: parcel.number, at: parcel.at, key: [0; 10] };
        let key = || DedupKey::new(id, (deduplicates == Deduplicates::InGroup).then_some(group)).to_bytes();
        self.still_counts(&remembered, now).then(|| RememberedId { key: key(), ..remembered })
    }

    /// Whether an id that a topic has accepted still counts at `now`.
    pub fn still_counts(&self, id: &RememberedId, now: Time) -> bool {
        self.topics.contains_key(&TopicId(id.owner)) && now < id.at + dedup::WINDOW_MILLIS
    }

    fn topic_declared(&mut self, record: &TopicDeclared, at: Extent, ledger: &mut Ledger) {
        if let Some(topic) = self.topics.get_mut(&record.id) {
            topic.standing.declare(at, ledger);
            topic.delivery_policy = delivery_policy(&record.attributes, Level::Topic);
            topic.policy = policy(record);
            topic.declared = record.clone();
            return self.archive_declared(record.id);
        }
        self.names.insert(record.key.clone(), record.id);
        *self.count_topic(&record.key) += 1;
        let topic = Topic {
            arn: record.key.arn().to_string(),
            subscriptions: BTreeSet::new(),
            interests: Interests::default(),
            archive: None,
            dedup: Dedup::default(),
            dedup_due: None,
            subscriptions_pending: 0,
            filter_policies: 0,
            delivery_policy: delivery_policy(&record.attributes, Level::Topic),
            policy: policy(record),
            declared: record.clone(),
            standing: Standing::declared(at, None, ledger),
            subscribed_in: BTreeMap::new(),
        };
        self.topics.insert(record.id, topic);
        self.archive_declared(record.id);
        for orphan in self.take_orphans(record.id) {
            self.insert_subscription(orphan, ledger);
        }
    }

    fn topic_deleted(&mut self, record: &TopicDeleted, at: Extent, ledger: &mut Ledger) {
        for &segment in &record.declared_in {
            ledger.bury(at.place, segment);
        }
        for orphan in self.take_orphans(record.id) {
            orphan.standing.end(ledger);
        }
        let Some(topic) = self.topics.remove(&record.id) else { return };
        topic.standing.end(ledger);
        if let Some(due) = topic.dedup_due {
            self.deadlines.clear(due, Due::DedupEnds(record.id));
        }
        *self.count_topic(topic.key()) -= 1;
        if self.names.get(topic.key()) == Some(&record.id) {
            self.names.remove(topic.key());
        }
        let Topic { subscriptions, archive, .. } = topic;
        self.archive_ended(archive);
        self.leaving.push_back(Leaving { topic: record.id, subscriptions });
        if self.reading_until.is_some() {
            // Nobody waits meanwhile.
            while !self.leaving.is_empty() {
                self.take_leave(ledger);
            }
        }
    }

    /// Forgets a little of what a deleted topic has left behind.
    pub(crate) fn take_leave(&mut self, ledger: &mut Ledger) {
        let Some(mut leaving) = self.leaving.pop_front() else { return };
        for _ in 0..FORGOTTEN_AT_ONCE {
            if let Some(id) = leaving.subscriptions.pop_first() {
                self.forget_replay(id, ledger);
                if let Some(subscription) = self.take_subscription(id) {
                    subscription.standing.end(ledger);
                    self.deliveries.forget_recipient(id.0, ledger);
                }
            } else if let Some(id) = self.first_parted_of(leaving.topic) {
                if let Some(parted) = self.take_parted(id) {
                    parted.standing.end(ledger);
                }
            } else {
                return;
            }
        }
        self.leaving.push_front(leaving);
    }

    fn subscription_declared(&mut self, record: &SubscriptionDeclared, at: Extent, ledger: &mut Ledger) {
        let before = match self.take_subscription(record.id) {
            Some(old) => Some(old.standing),
            None => self.take_apart(record.id).map(|old| old.standing),
        };
        if record.ended.is_some() {
            self.deliveries.forget_recipient(record.id.0, ledger);
            self.forget_replay(record.id, ledger);
        }
        let standing = Standing::declared(at, before, ledger);
        let latest = Apart { declared: record.clone(), standing };
        if self.topics.contains_key(&record.topic) {
            self.insert_subscription(latest, ledger);
        } else {
            self.orphans_topics.insert(record.id, record.topic);
            self.orphans.entry(record.topic).or_default().insert(record.id, latest);
        }
    }

    fn subscription_deleted(&mut self, record: &SubscriptionDeleted, at: Extent, ledger: &mut Ledger) {
        for &segment in &record.declared_in {
            ledger.bury(at.place, segment);
        }
        self.forget_replay(record.id, ledger);
        if let Some(subscription) = self.take_subscription(record.id) {
            subscription.standing.end(ledger);
            self.deliveries.forget_recipient(record.id.0, ledger);
        } else if let Some(apart) = self.take_apart(record.id) {
            apart.standing.end(ledger);
        }
    }

    fn take_apart(&mut self, id: SubscriptionId) -> Option<Apart> {
        match self.orphans_topics.remove(&id) {
            Some(topic) => self.orphans.get_mut(&topic)?.remove(&id),
            None => self.take_parted(id),
        }
    }

    fn take_parted(&mut self, id: SubscriptionId) -> Option<Apart> {
        let parted = self.parted.remove(&id)?;
        self.parted_of.remove(&(parted.declared.topic, id));
        if let Some(topic) = self.topics.get_mut(&parted.declared.topic) {
            topic.count_out(&parted.standing);
        }
        if let Some(until) = parted.until() {
            self.deadlines.clear(until, Due::ConfirmationEnds(id));
        }
        self.unconfirmed.remove(&id);
        Some(parted)
    }

    fn first_parted_of(&self, topic: TopicId) -> Option<SubscriptionId> {
        let all = (topic, SubscriptionId(0))..=(topic, SubscriptionId(u64::MAX));
        self.parted_of.range(all).next().map(|&(_, id)| id)
    }

    fn take_orphans(&mut self, topic: TopicId) -> impl Iterator<Item = Apart> + use<> {
        let orphans = self.orphans.remove(&topic).unwrap_or_default();
        for id in orphans.keys() {
            self.orphans_topics.remove(id);
        }
        orphans.into_values()
    }

    /// A subscription is one of its topic's from now on, unless it has ended.
    fn insert_subscription(&mut self, latest: Apart, ledger: &mut Ledger) {
        if let Some(topic) = self.topics.get_mut(&latest.declared.topic) {
            topic.count_in(&latest.standing);
        }
        if let Some(until) = latest.until() {
            let id = latest.declared.id;
            self.deadlines.set(until, Due::ConfirmationEnds(id));
            self.parted_of.insert((latest.declared.topic, id));
            self.parted.insert(id, latest);
            return;
        }
        let Apart { declared, standing } = latest;
        let Some(topic) = self.topics.get_mut(&declared.topic) else { return };
        let account = self.accounts.entry(declared.owner.clone()).or_default();
        account.filtered += usize::from(declared.attributes.contains_key("FilterPolicy"));
        account.pending += usize::from(declared.confirmed.is_none());
        let id = declared.id;
        topic.subscriptions.insert(id);
        topic.filter_policies += usize::from(declared.attributes.contains_key("FilterPolicy"));
        self.endpoints.insert((declared.topic, declared.protocol.clone(), declared.endpoint.clone()), id);
        self.uuids.insert(declared.uuid.clone(), id);
        let subscription = Subscription {
            arn: format!("{}:{}", topic.arn, declared.uuid),
            queue: if declared.protocol == "sqs" { declared.endpoint.parse().ok() } else { None },
            delivery_policy: delivery_policy(&declared.attributes, Level::Subscription),
            declared,
            standing,
        };
        match subscription.pending_until() {
            None if subscription.gets_new_messages() => topic.interests.add(&subscription),
            None => {}
            Some(until) => {
                topic.subscriptions_pending += 1;
                self.deadlines.set(until, Due::ConfirmationEnds(id));
            }
        }
        self.subscriptions.insert(id, subscription);
        self.watch_replay(id, ledger);
    }

    /// Undoes what [`State::insert_subscription`] did.
    fn take_subscription(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let subscription = self.subscriptions.remove(&id)?;
        let declared = &subscription.declared;
        let pending_until = subscription.pending_until();
        let account = self.accounts.entry(declared.owner.clone()).or_default();
        account.filtered -= usize::from(declared.attributes.contains_key("FilterPolicy"));
        account.pending -= usize::from(pending_until.is_some());
        if let Some(topic) = self.topics.get_mut(&declared.topic) {
            topic.subscriptions.remove(&id);
            topic.count_out(&subscription.standing);
            topic.interests.remove(id);
            topic.filter_policies -= usize::from(declared.attributes.contains_key("FilterPolicy"));
            topic.subscriptions_pending -= u64::from(pending_until.is_some());
        }
        if let Some(until) = pending_until {
            self.deadlines.clear(until, Due::ConfirmationEnds(id));
        }
        self.unconfirmed.remove(&id);
        let key = (declared.topic, declared.protocol.clone(), declared.endpoint.clone());
        if self.endpoints.get(&key) == Some(&id) {
            self.endpoints.remove(&key);
        }
        self.uuids.remove(&declared.uuid);
        Some(subscription)
    }

    /// Whether there is more to do than was done in one go.
    pub fn has_background_work(&self) -> bool {
        !self.leaving.is_empty() || self.archives.has_given_up()
    }

    /// What deleted topics have left behind, and what archives that were given up have owed, goes, a little at a time.
    pub fn work_in_background(&mut self, ledger: &mut Ledger) {
        if !self.archives.forget(ledger) {
            self.take_leave(ledger);
        }
    }

    /// Time has come to `now`: what follows from that alone, and needs no record, happens.
    pub fn advance(&mut self, now: Time) {
        let mut room = usize::MAX;
        self.advance_some(now, &mut room);
    }

    /// The same, but no more than there is room for, which it takes up.
    pub fn advance_some(&mut self, now: Time, room: &mut usize) {
        self.deliveries.advance(now, room);
        while *room > 0 {
            let Some((_, due)) = self.deadlines.take_due(now) else { return };
            *room -= 1;
            match due {
                Due::ConfirmationEnds(id) => {
                    self.unconfirmed.insert(id);
                }
                Due::ReplayEnds(id) => {
                    self.replays_to_look_at.insert(id);
                }
                Due::TakersWait(number) => self.wide.look_at(number),
                Due::DedupEnds(id) => {
                    if let Some(topic) = self.topics.get_mut(&id) {
                        topic.dedup_due = topic.dedup.expire(now, EXPIRED_AT_ONCE);
                        *room = room.saturating_sub(EXPIRED_AT_ONCE / 8);
                        if let Some(due) = topic.dedup_due {
                            self.deadlines.set(due, Due::DedupEnds(id));
                        }
                    }
                }
            }
        }
    }

    /// Whether something follows from the time `now`, which was told, and has not happened yet, though the disk has `room` for
    /// it. Deliveries are tried now only while fewer than `attempts` are under way.
    pub fn is_behind(&self, now: Time, room: Demand, attempts: usize) -> bool {
        self.deadlines.next().is_some_and(|due| due <= now)
            || self.deliveries.is_behind(now, attempts)
            || self.archives.has_orders()
            || room >= Demand::Delete && !self.unconfirmed.is_empty()
            || room >= Demand::Growth && (!self.replays_to_look_at.is_empty() || self.wide.has_next())
    }

    /// When time must be told again at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        [self.deadlines.next(), self.deliveries.next_deadline()].into_iter().flatten().min()
    }

    /// The facts after which nothing is left: everything is deleted.
    pub fn reset(&mut self) -> Vec<Record> {
        let topics = self.topics.values().map(|topic| Record::TopicDeleted(self.deletion_of(topic)));
        let applications = self.platforms.applications.values();
        let applications = applications.map(|application| self.platforms.deletion_of(application));
        let texting = self.platforms.texting.keys().map(|(account, region)| {
            let (account, region) = (account.clone(), region.clone());
            TextMessagingDeclared { account, region, ..TextMessagingDeclared::default() }
        });
        topics
            .chain(applications.map(Record::PlatformApplicationDeleted))
            .chain(texting.map(|declared| Record::TextMessagingDeclared(Box::new(declared))))
            .collect()
    }

    /// The deletion of a topic with its subscriptions.
    pub(crate) fn deletion_of(&self, topic: &Topic) -> TopicDeleted {
        let mut declared_in: BTreeSet<u32> = topic.standing.declared_in().collect();
        declared_in.extend(topic.subscribed_in.keys());
        TopicDeleted { id: topic.id(), declared_in: declared_in.into_iter().collect() }
    }

    /// The facts of a subscription's end. How many have ended is its topic's to remember. One whose endpoint can undo it is
    /// remembered for a while.
    pub(crate) fn end_of(&self, subscription: &Subscription, undo_from: Option<Time>) -> Vec<Record> {
        let mut records = vec![match undo_from {
            None => Record::SubscriptionDeleted(subscription.deletion()),
            ended => Record::SubscriptionDeclared(Box::new(SubscriptionDeclared {
                ended,
                ..subscription.declared.clone()
            })),
        }];
        if let Some(topic) = self.topic_of(subscription.declared.topic) {
            let subscriptions_deleted = topic.declared.subscriptions_deleted + 1;
            let declared = TopicDeclared { subscriptions_deleted, ..topic.declared.clone() };
            records.push(Record::TopicDeclared(Box::new(declared)));
        }
        records
    }
}

fn policy(declared: &TopicDeclared) -> Option<Policy> {
    declared.attributes.get("Policy").map(|text| Policy::compile(text))
}
