//! Topics as one of the machine's services: what the machine may ask of them, in one place.

use std::ops::RangeInclusive;

use bytes::Bytes;
use deliveries::ended_again;
use kernel::codec::Malformed;
use kernel::parcel::{Ended, Form};
use kernel::retained::{Order, Page};
use kernel::{
    Arn, Demand, Extent, IdsRemembered, Ledger, Offer, ParcelSent, RememberedId, Rests, Series, Service,
    Stored, Survival, Taken, Time,
};
use notification::Notification;

use crate::SubscriptionId;
use crate::deliveries::{Attempt, Consequence, Outcome};
use crate::fanout::sender;
use crate::limits::Limits;
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting, Step, facts};
use crate::records::{self, DeliveriesEnded, Record};
use crate::replay::ReplayStep;
use crate::state::{self, State};

/// What topics are told from outside.
#[derive(Debug)]
pub enum Event {
    /// An attempt that [`Effect::Deliver`] asked for has ended. Each must be told, or it counts as under way for ever.
    Delivered {
        /// The delivery's number.
        number: u64,
        /// How.
        outcome: Outcome,
        /// The parcel, head and tail, unless it arrived: its dead letter is made of it. Without it a delivery that is to be given
        /// up is tried once more a minute later.
        parcel: Option<(Bytes, Bytes)>,
    },
    /// Records, as [`Effect::Recall`] asked for: as many of them, from the first on, as could be read.
    Recalled {
        /// For what.
        purpose: RecalledFor,
        /// What was read.
        records: Vec<Stored>,
    },
    /// The first of the records that [`Effect::Recall`] asked for cannot be read.
    RecallFailed {
        /// For what.
        purpose: RecalledFor,
        /// Where the record lies.
        extent: Extent,
    },
}

/// What topics want done outside.
#[derive(Debug)]
pub enum Effect {
    /// Try to deliver something, and say how it went with [`Event::Delivered`].
    Deliver(Box<Attempt>),
    /// Read these records, in this order, and hand them in with [`Event::Recalled`].
    Recall {
        /// For what.
        purpose: RecalledFor,
        /// Which.
        extents: Vec<Extent>,
    },
}

/// For what records are read from the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecalledFor {
    /// For the replay of a subscription.
    Replay(SubscriptionId),
    /// For the next subscriptions that are to get a message for many: the number of the delivery that stands for them.
    Takers(u64),
}

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// These facts.
    Facts(Vec<Record>),
    /// An attempt to deliver something, or the reading of records for a replay.
    Effects(Vec<(Rests, Effect)>),
    /// Orders to the store for retained data.
    Orders(Vec<(Rests, Order)>),
    /// Records that were read for a replay are handed to its subscription.
    Replayed(SubscriptionId, Vec<(Bytes, Bytes)>),
    /// A delivery is given up.
    DeadLetter(Box<DeadLetter>),
    /// A message for many was read, and is handed to the next of its subscriptions.
    NextTakers(u64, Extent, (Vec<u8>, Bytes)),
}

/// A delivery that is given up, and where its letter goes.
#[derive(Debug)]
pub struct DeadLetter {
    /// Its end.
    ended: Ended,
    /// The ARN of the dead-letter queue.
    queue: Arn,
    /// The topic's.
    topic: String,
    /// In which form the letter is read.
    form: Form,
    /// The parcel, head and tail.
    parcel: (Bytes, Bytes),
}

/// What [`State::take_due`](Service::take_due) returns: subscriptions that end unconfirmed, steps of replays.
const TOPICS: usize = 0;
/// Deliveries that are tried.
const DELIVERIES: usize = 1;

/// A delivery whose end cannot be dealt with, since its text cannot be read or the disk is full, is tried again after so long.
const PUT_OFF_MILLIS: u64 = 60_000;
/// A delivery whose bytes on disk are damaged is tried again after so long: somebody may have put back the file.
const UNREADABLE_MILLIS: u64 = 3_600_000;

impl kernel::service::Record<'_> for Record {
    fn is_configuration(&self) -> bool {
        Record::is_configuration(self)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        Record::encode(self, out);
    }

    fn decode(head: &[u8]) -> Result<Self, Malformed> {
        Record::decode(head)
    }
}

impl Service for State {
    const NAME: &'static str = "sns";
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "InvalidParameterException";
    const CHORES: &'static [usize] = &[10, 2];

    type Limits = Limits;
    type Command = Command;
    type Reply = Reply;
    type Record<'a> = Record;
    type Step<'a> = Step<'a>;
    type Waiter = kernel::service::Never;
    type Event = Event;
    type Due = Due;
    type Effect = Effect;

    fn subject(_: u8) -> &'static str {
        "topics, subscriptions and deliveries"
    }

    fn demand(command: &Command) -> Demand {
        command.demand()
    }

    fn decide<'a>(&self, command: &'a Command, context: &mut Context<'a, '_>) -> Decision<'a> {
        command.decide(self, context)
    }

    fn decide_again<'a>(
        &self,
        command: &'a Command,
        step: Step<'a>,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        match step {
            Step::Tell(notices, reply) => {
                for notice in &notices {
                    self.say(notice, context);
                }
                Decision::answer(reply)
            }
            step => command.decide_again(step, self, context),
        }
    }

    fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        State::apply(self, record, at, ledger);
    }

    fn take(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        self.parcel_sent(parcel, at, ledger);
    }

    fn remember(&mut self, record: &IdsRemembered, at: Extent, ledger: &mut Ledger) {
        self.ids_remembered(record, at, ledger);
    }

    fn replaying(&mut self, now: Time) {
        State::replaying(self, now);
    }

    fn replayed(&mut self, _: u64, _: &mut Ledger) {
        State::replayed(self);
    }

    fn reset(&mut self, _: Time) -> Vec<Fact<'static>> {
        facts(State::reset(self))
    }

    fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        State::offer(self, offer, context)
    }

    fn advance(&mut self, now: Time, room: &mut usize) {
        self.advance_some(now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        State::next_deadline(self)
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        State::is_behind(self, setting.now, setting.room, setting.limits.attempts)
    }

    fn take_due(&mut self, chore: usize, setting: &Setting<'_>) -> Option<Due> {
        match chore {
            TOPICS => {
                if let Some(orders) = self.archives.next_orders() {
                    return Some(Due::Orders(orders));
                }
                if setting.room >= Demand::Delete
                    && let Some(records) = self.follow_up(setting.now)
                {
                    return Some(Due::Facts(records));
                }
                if setting.room < Demand::Growth {
                    return None;
                }
                if let Some((number, extent)) = self.wide.next() {
                    return Some(recall(RecalledFor::Takers(number), vec![extent]));
                }
                Some(match self.next_replay_step(setting.now)? {
                    ReplayStep::Read(subscription, extents) => {
                        recall(RecalledFor::Replay(subscription), extents)
                    }
                    // What the store has was decided long ago.
                    ReplayStep::Page(read) => Due::Orders(vec![(Rests::OnNothing, Order::Read(read))]),
                    ReplayStep::Completed(declared) => {
                        Due::Facts(vec![Record::SubscriptionDeclared(declared)])
                    }
                })
            }
            DELIVERIES => {
                let attempt = self.next_attempt(setting.now, setting.limits.attempts)?;
                // It leaves once its parcel is durable.
                let rests = Rests::OnRecord(attempt.parcel);
                Some(Due::Effects(vec![(rests, Effect::Deliver(Box::new(attempt)))]))
            }
            _ => None,
        }
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Facts(records) => Decision::silent(facts(std::mem::take(records))),
            Due::Effects(effects) => {
                Decision { effects: std::mem::take(effects), ..Decision::silent(Vec::new()) }
            }
            Due::Orders(orders) => {
                Decision { orders: std::mem::take(orders), ..Decision::silent(Vec::new()) }
            }
            Due::Replayed(subscription, records) => {
                for (head, tail) in records {
                    let (Ok(parcel), Ok(notification)) =
                        (ParcelSent::decode(head), Notification::decode(tail))
                    else {
                        break;
                    };
                    self.replay(*subscription, parcel, &notification, tail, context);
                }
                Decision::silent(Vec::new())
            }
            Due::DeadLetter(letter) => dead_letter(letter, context),
            Due::NextTakers(number, at, (head, tail)) => {
                self.hand_to_next(*number, (*at, head, tail), context)
            }
        }
    }

    fn hear(&mut self, event: Event, setting: &Setting<'_>) -> Option<Due> {
        match event {
            Event::Delivered { number, outcome, parcel } => self.delivered(number, outcome, parcel, setting),
            Event::Recalled { purpose: RecalledFor::Replay(subscription), records } => {
                self.recalled(subscription, records, setting)
            }
            Event::Recalled { purpose: RecalledFor::Takers(number), records } => {
                self.wide.was_read(number);
                let stored = records.into_iter().next().filter(|_| setting.room >= Demand::Growth);
                match stored.filter(|_| self.wide.contains(number)) {
                    Some(Stored { extent, head, tail }) => {
                        Some(Due::NextTakers(number, extent, (head, tail.into())))
                    }
                    None => {
                        // It lies elsewhere by now, or the disk is full: it is read again.
                        self.wide.look_at(number);
                        None
                    }
                }
            }
            Event::RecallFailed { purpose: RecalledFor::Replay(subscription), extent } => {
                self.replay_passes(subscription, extent);
                None
            }
            Event::RecallFailed { purpose: RecalledFor::Takers(number), .. } => {
                // It does not end, so that its segment stays; and it is not in the way of others.
                self.wide.was_read(number);
                self.deadlines.set(setting.now + UNREADABLE_MILLIS, state::Due::TakersWait(number));
                None
            }
        }
    }

    fn has_background_work(&self) -> bool {
        State::has_background_work(self)
    }

    fn work_in_background(&mut self, _: Time, ledger: &mut Ledger) {
        State::work_in_background(self, ledger);
    }

    fn each_series(&self, each: &mut dyn FnMut(Series)) {
        self.archives.series().for_each(each);
    }

    fn has_series(&self, series: Series) -> bool {
        self.archives.contains(series)
    }

    fn kept(&mut self, series: Series, through: Option<u64>, ledger: &mut Ledger) {
        self.archives.kept(series, through, ledger);
    }

    fn page_read(&mut self, page: Page, setting: &Setting<'_>) -> Option<Due> {
        let (subscription, records) = self.replay_page(page, setting.room >= Demand::Growth)?;
        let records = records.into_iter().map(|record| (record.head, record.tail));
        Some(Due::Replayed(subscription, records.collect()))
    }

    fn survival(&self, record: &Record, at: Extent, ledger: &Ledger) -> Survival {
        match State::write_again(self, record, at, ledger) {
            Some(_) => Survival::Fact,
            None => Survival::Dead,
        }
    }

    fn write_again<'a>(&self, record: Record, _: &'a [u8], at: Extent, ledger: &Ledger) -> Vec<Fact<'a>> {
        State::write_again(self, &record, at, ledger).map(Fact::from).into_iter().collect()
    }

    fn take_again<'a>(&self, parcel: &ParcelSent<'a>, at: Extent, again: &mut ParcelSent<'a>) {
        again.deliveries.extend(self.deliveries.take_again(parcel, at));
        again.deliveries.extend(self.wide.take_again(parcel, at));
        again.archived_millis = if self.is_owed(parcel, at) { parcel.archived_millis } else { 0 };
    }

    fn told_besides(&self, parcel: &ParcelSent<'_>, at: Extent, ledger: &Ledger) -> Vec<Fact<'static>> {
        let ended = ended_again(&parcel.ends, at, ledger);
        let ended = (!ended.is_empty()).then_some(Record::DeliveriesEnded(DeliveriesEnded { ended }));
        let advanced = self.replay_advanced_again(at).map(Record::ReplayAdvanced);
        ended.into_iter().chain(advanced).map(Fact::from).collect()
    }

    fn ids_in_parcel(&self, parcel: &ParcelSent<'_>, now: Time, ids: &mut Vec<RememberedId>) {
        ids.extend(self.id_to_remember(parcel, now));
    }

    fn still_counts(&self, id: &RememberedId, now: Time) -> bool {
        State::still_counts(self, id, now)
    }
}

impl State {
    /// An attempt has ended.
    fn delivered(
        &mut self,
        number: u64,
        outcome: Outcome,
        parcel: Option<(Bytes, Bytes)>,
        setting: &Setting<'_>,
    ) -> Option<Due> {
        self.deliveries.returned(number, outcome);
        if outcome == Outcome::NotMade {
            self.deliveries.try_again(number);
            return None;
        }
        if outcome == Outcome::Unreadable {
            // It does not end, so that its segment stays; and it is not in the way of others.
            self.deliveries.put_off(number, setting.now + UNREADABLE_MILLIS);
            return None;
        }
        let consequence = self.attempt_ended(number, outcome, setting.now)?;
        let demand = match &consequence {
            Consequence::Record(Record::DeliveriesEnded(_)) => Demand::Delete,
            Consequence::Record(_) => Demand::Change,
            Consequence::DeadLetter { .. } => Demand::Growth,
        };
        if demand > setting.room {
            self.deliveries.put_off(number, setting.now + PUT_OFF_MILLIS);
            return None;
        }
        match consequence {
            Consequence::Record(record) => Some(Due::Facts(vec![record])),
            Consequence::DeadLetter { ended, queue, topic, form } => {
                let Some(parcel) = parcel else {
                    // A delivery does not end without its letter, which needs its text.
                    self.deliveries.put_off(number, setting.now + PUT_OFF_MILLIS);
                    return None;
                };
                Some(Due::DeadLetter(Box::new(DeadLetter { ended, queue, topic, form, parcel })))
            }
        }
    }

    /// What was read for a replay is to be handed on, if it is still wanted.
    fn recalled(
        &mut self,
        subscription: SubscriptionId,
        records: Vec<Stored>,
        setting: &Setting<'_>,
    ) -> Option<Due> {
        if records.first().is_some_and(|first| !self.is_read_for(subscription, first.extent)) {
            return None;
        }
        if setting.room < Demand::Growth {
            // It is read again when there is room.
            self.replay_read(subscription, None);
            return None;
        }
        let number = |record: &Stored| {
            Notification::decode(&Bytes::copy_from_slice(&record.tail)).ok()?;
            Some(ParcelSent::decode(&record.head).ok()?.number)
        };
        let through = records.iter().map_while(number).last();
        self.replay_read(subscription, through);
        let records = records.into_iter().map(|record| (record.head.into(), record.tail.into()));
        Some(Due::Replayed(subscription, records.collect()))
    }
}

/// Records are to be read, once all of them are durable.
fn recall(purpose: RecalledFor, extents: Vec<Extent>) -> Due {
    let latest = extents.iter().copied().max_by_key(|extent| extent.place);
    let rests = latest.map_or(Rests::OnEverything, Rests::OnRecord);
    Due::Effects(vec![(rests, Effect::Recall { purpose, extents })])
}

/// The letter of a delivery that is given up goes to its dead-letter queue, if that takes it; and with it the delivery ends.
fn dead_letter<'a>(letter: &'a DeadLetter, context: &mut Context<'a, '_>) -> Decision<'a> {
    let (head, tail) = &letter.parcel;
    let parcel = match (Notification::decode(tail), ParcelSent::decode_label(head)) {
        (Ok(_), Ok(parcel)) => parcel,
        // It never will be a letter either.
        _ => {
            let record = Record::DeliveriesEnded(DeliveriesEnded { ended: vec![letter.ended] });
            return Decision::silent(vec![record.into()]);
        }
    };
    let body = context.body(ParcelSent { ends: vec![letter.ended], ..parcel.handed_on() }, &tail[..]);
    // The delivery ends, whether there is a letter or not.
    context.keep(body);
    context.offer(&Offer {
        to: &letter.queue,
        body,
        must_be_allowed: context.setting.limits.queue_policies.then_some(sender(&letter.topic)),
        size: tail.len(),
        attributes: 0,
        form: letter.form,
        deduplicates_by_content: false,
        is_dead_letter: true,
    });
    Decision::silent(Vec::new())
}
