//! Deliveries that leave the building: which wait, which are due, which are under way, and what follows from a failure.
//!
//! A delivery is a fact of the log from the moment its parcel is: until it has arrived or was given up, every start of the
//! server finds it. What is under way at this moment is not in the log; after a crash it is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use kernel::parcel::{Delivery, Ended, Form};
use kernel::{Extent, Ledger, ParcelSent, Time};

use crate::records::{DeliveriesEnded, DeliveryFailed, Record};
use crate::rules::retries;
use crate::state::{Due, State};
use crate::topic::Subscription;
use crate::{EndpointId, SubscriptionId};

/// A delivery that is not over.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Where its parcel lies.
    pub parcel: Extent,
    /// When the parcel was sent.
    pub at: Time,
    /// For whom, and in which form.
    pub form: Form,
    /// How often it was tried.
    pub attempts: u32,
    /// Where the latest fact about it lies, if that is not the parcel.
    pub(crate) fact: Option<Extent>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Until its time comes.
    Waits(Time),
    /// Until its lane has room.
    Ready,
    /// It is being tried.
    UnderWay,
}

/// All deliveries of one subscription. Those that go to no subscriber share a lane.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// All that are not over.
    members: BTreeSet<u64>,
    ready: BTreeSet<u64>,
    under_way: u32,
    /// Not before this moment, since the endpoint wants only so many a second.
    free_at: Time,
    /// Whether the latest attempt failed. Known in this life of the server only.
    is_troubled: bool,
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
struct Queue {
    lanes: BTreeSet<SubscriptionId>,
    /// The lane whose turn it was last.
    latest: SubscriptionId,
}

impl Queue {
    fn next(&mut self) -> Option<SubscriptionId> {
        let after = self.lanes.range((Excluded(self.latest), Unbounded)).next();
        let next = *after.or_else(|| self.lanes.first())?;
        self.lanes.remove(&next);
        self.latest = next;
        Some(next)
    }
}

/// Deliveries, by number, and their lanes.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    pending: BTreeMap<u64, Pending>,
    lanes: BTreeMap<SubscriptionId, Lane>,
    /// Lanes that wait for their turn, by [`Waiting`].
    waiting: [Queue; 4],
    /// The attempts that are being made, also those whose deliveries are over meanwhile, and whether their lanes were troubled.
    trying: BTreeMap<u64, bool>,
    /// How many of them were of troubled lanes.
    troubled: usize,
}

/// Attempts of one subscription that are under way at once.
const UNDER_WAY: u32 = 32;
/// Attempts to no subscriber that are under way at once.
const UNDER_WAY_DIRECT: u32 = 256;

/// An attempt that is to be made now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The delivery's number.
    pub number: u64,
    /// Where its parcel lies.
    pub parcel: Extent,
    /// In which form.
    pub form: Form,
    /// How often it was tried before.
    pub attempts: u32,
    /// To whom: of a subscriber, what is known of it; of others the parcel itself says it.
    pub subscriber: Option<Subscriber>,
    /// The device, of a mobile push.
    pub device: Option<Device>,
}

/// What a deliverer must know of a mobile device.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Device {
    /// The platform of its application: `GCM`, `APNS`, …
    pub platform: String,
    /// Its token there.
    pub token: String,
    /// What was stored with it.
    pub custom_user_data: Option<String>,
}

/// What a deliverer must know of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscriber {
    /// Its protocol's name.
    pub protocol: String,
    /// Where to.
    pub endpoint: String,
    /// Its ARN.
    pub arn: String,
    /// The content type that its policy, or its topic's, wants; absent: the usual one.
    pub content_type: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It did not; another attempt may help.
    Failed,
    /// It did not, and never will.
    Refused,
    /// It was not made: what was to be delivered had been written elsewhere meanwhile.
    NotMade,
    /// It was not made: the bytes on disk of what was to be delivered are not those that were written.
    Unreadable,
}

/// What follows from an attempt's end.
#[derive(Debug)]
pub enum Consequence {
    /// A fact.
    Record(Record),
    /// The delivery is given up: its dead letter goes to this queue, and with it the delivery ends.
    DeadLetter {
        /// The delivery's end.
        ended: Ended,
        /// The queue's ARN.
        queue: kernel::Arn,
        /// The topic's ARN.
        topic: String,
        /// In which form the letter is read: as it would have been delivered.
        form: Form,
    },
}

impl State {
    /// A parcel was sent: the deliveries among its takers are pending, and those that it ends are over.
    pub fn parcel_sent(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        self.message_accepted(parcel, at, ledger);
        self.archive(parcel, at, ledger);
        for delivery in &parcel.deliveries {
            self.delivery_pending(parcel, delivery, at, ledger);
        }
        self.deliveries_ended(&parcel.ends, at, ledger);
    }

    fn delivery_pending(
        &mut self,
        parcel: &ParcelSent<'_>,
        delivery: &Delivery,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let subscription = SubscriptionId(delivery.form.recipient);
        let is_known = subscription.0 == 0
            || self.subscriptions.contains_key(&subscription)
            || self.platforms.endpoints.contains_key(&EndpointId(subscription.0));
        if !is_known {
            return;
        }
        ledger.hold(at);
        if let Some(pending) = self.deliveries.pending.get_mut(&delivery.number) {
            // It lies here now. Its history is told in the parcel, too.
            ledger.release(pending.parcel);
            ledger.replace(at.place, pending.parcel.place.segment());
            pending.parcel = at;
            if let Some(fact) = pending.fact.take() {
                ledger.release(fact);
            }
            // Live, this is what is known already. When a log is read, the latest fact may have gone with its segment.
            pending.attempts = delivery.attempts;
            let due = parcel.at + delivery.due_after;
            if let Step::Waits(before) = pending.step
                && before != due
            {
                pending.step = Step::Waits(due);
                self.deadlines.clear(before, Due::DeliveryDue(delivery.number));
                self.deadlines.set(due, Due::DeliveryDue(delivery.number));
            }
            return;
        }
        let due = parcel.at + delivery.due_after;
        let step = Step::Waits(due);
        let pending = Pending {
            parcel: at,
            at: parcel.at,
            form: delivery.form,
            attempts: delivery.attempts,
            fact: None,
            step,
        };
        self.deliveries.pending.insert(delivery.number, pending);
        self.deliveries.lanes.entry(subscription).or_default().members.insert(delivery.number);
        self.deadlines.set(due, Due::DeliveryDue(delivery.number));
    }

    pub(crate) fn delivery_failed(&mut self, record: &DeliveryFailed, at: Extent, ledger: &mut Ledger) {
        let Some(pending) = self.deliveries.pending.get_mut(&record.number) else { return };
        ledger.hold(at);
        if let Some(old) = pending.fact.replace(at) {
            ledger.release(old);
        }
        if pending.attempts == record.attempts {
            // It was only written elsewhere. The next attempt may be under way.
            return;
        }
        pending.attempts = record.attempts;
        let lane = SubscriptionId(pending.form.recipient);
        match std::mem::replace(&mut pending.step, Step::Waits(record.due)) {
            Step::Waits(due) => self.deadlines.clear(due, Due::DeliveryDue(record.number)),
            Step::Ready => self.deliveries.leave(lane, record.number),
            Step::UnderWay => self.deliveries.came_back(lane),
        }
        self.deadlines.set(record.due, Due::DeliveryDue(record.number));
    }

    pub(crate) fn deliveries_ended(&mut self, ended: &[Ended], at: Extent, ledger: &mut Ledger) {
        for ended in ended {
            ledger.bury(at.place, ended.segment);
            self.forget_delivery(ended.number, ledger);
        }
    }

    fn forget_delivery(&mut self, number: u64, ledger: &mut Ledger) {
        let Some(pending) = self.deliveries.pending.remove(&number) else { return };
        ledger.release(pending.parcel);
        if let Some(fact) = pending.fact {
            ledger.release(fact);
        }
        let lane = SubscriptionId(pending.form.recipient);
        match pending.step {
            Step::Waits(due) => self.deadlines.clear(due, Due::DeliveryDue(number)),
            Step::Ready => self.deliveries.leave(lane, number),
            Step::UnderWay => self.deliveries.came_back(lane),
        }
        if let Some(lane_of) = self.deliveries.lanes.get_mut(&lane) {
            lane_of.members.remove(&number);
            if lane_of.members.is_empty() && lane_of.under_way == 0 && lane_of.free_at == Time(0) {
                self.deliveries.remove_lane(lane);
            }
        }
    }

    /// A subscription is gone, and what was still to be delivered to it.
    pub(crate) fn forget_deliveries_of(&mut self, subscription: SubscriptionId, ledger: &mut Ledger) {
        let members = self.deliveries.lanes.get(&subscription).map(|lane| lane.members.clone());
        for number in members.unwrap_or_default() {
            self.forget_delivery(number, ledger);
        }
        self.deliveries.remove_lane(subscription);
    }

    pub(crate) fn delivery_due(&mut self, number: u64) {
        let Some(pending) = self.deliveries.pending.get_mut(&number) else { return };
        pending.step = Step::Ready;
        let lane = SubscriptionId(pending.form.recipient);
        self.deliveries.lanes.entry(lane).or_default().ready.insert(number);
        self.deliveries.look_at(lane);
    }

    pub(crate) fn lane_free(&mut self, lane: SubscriptionId) {
        self.deliveries.look_at(lane);
    }

    /// The next attempt that is to be made, while fewer than `at_most` are; it is under way from then on. Oldest first within a
    /// subscription, and each subscription in its turn.
    pub fn next_attempt(&mut self, now: Time, at_most: usize) -> Option<Attempt> {
        while let Some(id) = self.deliveries.next_lane(at_most) {
            let Some(lane) = self.deliveries.lanes.get_mut(&id) else { continue };
            if lane.free_at > now {
                self.deadlines.set(lane.free_at, Due::LaneFree(id));
                continue;
            }
            let Some(number) = lane.ready.pop_first() else { continue };
            lane.under_way += 1;
            let is_troubled = lane.is_troubled;
            let subscription = self.subscriptions.get(&id);
            if let Some(millis) = subscription.and_then(|subscription| {
                let topic = self.topics.get(&subscription.declared.topic)?;
                retries::millis_between(topic, subscription)
            }) {
                lane.free_at = now + millis;
            }
            self.deliveries.look_at(id);
            let Some(pending) = self.deliveries.pending.get_mut(&number) else { continue };
            pending.step = Step::UnderWay;
            if self.deliveries.trying.insert(number, is_troubled).is_none() {
                self.deliveries.troubled += usize::from(is_troubled);
            }
            let (parcel, form, attempts) = (pending.parcel, pending.form, pending.attempts);
            let subscription = self.subscriptions.get(&id);
            let subscriber = subscription.map(|subscription| Subscriber {
                protocol: subscription.declared.protocol.clone(),
                endpoint: subscription.declared.endpoint.clone(),
                arn: subscription.arn.clone(),
                content_type: self
                    .topics
                    .get(&subscription.declared.topic)
                    .and_then(|topic| retries::content_type(topic, subscription)),
            });
            return Some(Attempt {
                number,
                parcel,
                form,
                attempts,
                subscriber,
                device: self.device(&form, subscription),
            });
        }
        None
    }

    /// The device that a mobile push goes to; none if it cannot have it any more.
    fn device(&self, form: &Form, subscription: Option<&Subscription>) -> Option<Device> {
        let endpoint = match subscription {
            Some(subscription) => self.platforms.endpoint(&subscription.declared.endpoint),
            None => self.platforms.endpoints.get(&EndpointId(form.recipient)),
        };
        let endpoint = endpoint.filter(|endpoint| endpoint.is_enabled())?;
        let application =
            self.platforms.application_of(endpoint).filter(|application| application.is_enabled())?;
        Some(Device {
            platform: application.declared.key.platform.clone(),
            token: endpoint.token().to_owned(),
            custom_user_data: endpoint.declared.attributes.get("CustomUserData").cloned(),
        })
    }

    /// An attempt has ended: another may be made. Call it before anything else is made of the end.
    pub fn attempt_returned(&mut self, number: u64, outcome: Outcome) {
        if self.deliveries.trying.remove(&number) == Some(true) {
            self.deliveries.troubled -= 1;
        }
        let Some(pending) = self.deliveries.pending.get(&number) else { return };
        let lane = SubscriptionId(pending.form.recipient);
        if let Some(lane) = self.deliveries.lanes.get_mut(&lane) {
            match outcome {
                Outcome::Failed => lane.is_troubled = true,
                Outcome::Delivered | Outcome::Refused => lane.is_troubled = false,
                Outcome::NotMade | Outcome::Unreadable => {}
            }
        }
        self.deliveries.look_at(lane);
    }

    /// An attempt that was not made is made again.
    pub fn try_again(&mut self, number: u64) {
        let Some(pending) = self.deliveries.pending.get_mut(&number) else { return };
        if pending.step == Step::UnderWay {
            let lane = SubscriptionId(pending.form.recipient);
            self.deliveries.came_back(lane);
            self.delivery_due(number);
        }
    }

    /// An attempt's end could not be dealt with, since what was to be delivered cannot be read now: it is made again at `due`.
    /// Nothing is recorded: after a crash it is made at once.
    pub fn put_off(&mut self, number: u64, due: Time) {
        let Some(pending) = self.deliveries.pending.get_mut(&number) else { return };
        if pending.step == Step::UnderWay {
            pending.step = Step::Waits(due);
            let lane = SubscriptionId(pending.form.recipient);
            self.deliveries.came_back(lane);
            self.deadlines.set(due, Due::DeliveryDue(number));
        }
    }

    /// What follows from an attempt's end; nothing if the delivery is over already.
    pub fn attempt_ended(&self, number: u64, outcome: Outcome, now: Time) -> Option<Consequence> {
        let pending = self.deliveries.pending.get(&number)?;
        let ended = Ended { number, segment: pending.parcel.place.segment() };
        let over = || Consequence::Record(Record::DeliveriesEnded(DeliveriesEnded { ended: vec![ended] }));
        if outcome == Outcome::Delivered {
            return Some(over());
        }
        let attempts = pending.attempts + 1;
        let subscription = self.subscriptions.get(&SubscriptionId(pending.form.recipient));
        let topic = subscription.and_then(|subscription| self.topics.get(&subscription.declared.topic));
        let retry = match outcome {
            Outcome::Failed => retries::retry_after(topic, subscription, pending.form.protocol, attempts),
            _ => None,
        };
        if let Some(millis) = retry {
            let failed = DeliveryFailed { number, attempts, at: now, due: now + millis };
            return Some(Consequence::Record(Record::DeliveryFailed(failed)));
        }
        // What a topic asks somebody who has not subscribed yet is no message that could be lost.
        let subscriber = subscription.filter(|subscription| subscription.is_confirmed());
        match (topic, subscriber.and_then(|subscription| subscription.dead_letters())) {
            (Some(topic), Some(queue)) => {
                let topic = topic.arn.clone();
                Some(Consequence::DeadLetter { ended, queue, topic, form: pending.form })
            }
            _ => Some(over()),
        }
    }

    /// The deliveries whose payload still lies in the record at `at`, as they are to be written now.
    pub fn deliveries_again(&self, parcel: &ParcelSent<'_>, at: Extent) -> Vec<Delivery> {
        let again = |delivery: &Delivery| {
            let pending =
                self.deliveries.pending.get(&delivery.number).filter(|pending| pending.parcel == at)?;
            let due_after = match pending.step {
                Step::Waits(due) => due - parcel.at,
                Step::Ready | Step::UnderWay => 0,
            };
            Some(Delivery { attempts: pending.attempts, due_after, ..*delivery })
        };
        parcel.deliveries.iter().filter_map(again).collect()
    }

    /// All deliveries that are not over, by number.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.deliveries.pending.iter().map(|(&number, pending)| (number, pending))
    }

    /// How many deliveries are not over.
    pub fn deliveries_pending(&self) -> usize {
        self.deliveries.pending.len()
    }

    /// Whether this delivery is not over.
    pub fn is_pending(&self, number: u64) -> bool {
        self.deliveries.pending.contains_key(&number)
    }

    /// The latest fact about a delivery, if it stands in the record at `at`.
    pub(crate) fn delivery_fact_again(&self, record: &DeliveryFailed, at: Extent) -> Option<DeliveryFailed> {
        let pending = self.deliveries.pending.get(&record.number)?;
        (pending.fact == Some(at)).then(|| record.clone())
    }
}

impl Deliveries {
    /// How many of a subscription are not over.
    pub(crate) fn pending_of(&self, id: SubscriptionId) -> usize {
        self.lanes.get(&id).map_or(0, |lane| lane.members.len())
    }

    /// Whether some can be tried now, while `at_most` may be under way.
    pub(crate) fn has_open(&self, at_most: usize) -> bool {
        self.open_for(at_most).is_some()
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

    /// The lane whose turn it is, if an attempt may begin while `at_most` may be under way. It waits no more.
    fn next_lane(&mut self, at_most: usize) -> Option<SubscriptionId> {
        let waiting = self.open_for(at_most)?;
        let id = self.waiting[waiting as usize].next()?;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.waits = None;
        }
        Some(id)
    }

    /// Puts a lane where it waits for its turn, or takes it away from there: whenever anything about it has changed.
    fn look_at(&mut self, id: SubscriptionId) {
        let most = if id.0 == 0 { UNDER_WAY_DIRECT } else { UNDER_WAY };
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

    fn remove_lane(&mut self, id: SubscriptionId) {
        let waits = self.lanes.remove(&id).and_then(|lane| lane.waits);
        if let Some(waits) = waits {
            self.waiting[waits as usize].lanes.remove(&id);
        }
    }

    fn leave(&mut self, id: SubscriptionId, number: u64) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.ready.remove(&number);
        }
        self.look_at(id);
    }

    fn came_back(&mut self, id: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.under_way = lane.under_way.saturating_sub(1);
        }
        self.look_at(id);
    }
}
