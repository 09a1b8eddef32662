//! Buses as one of the machine's services: what the machine may ask of them, in one place.

use std::ops::RangeInclusive;

use bytes::Bytes;
use deliveries::ended_again;
use kernel::parcel::Ended;
use kernel::request::{Request, TokenRequest};
use kernel::retained::{Order, Page};
use kernel::{
    Asking, Demand, Extent, Ledger, Offer, ParcelSent, Rests, Series, Service, Stored, Survival, Taken, Time,
};
use notification::Notification;

use crate::deliveries::{Attempt, Consequence, End, Outcome};
use crate::invocation::token_request;
use crate::letters::Failure;
use crate::limits::Limits;
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting, Step};
use crate::records::{self, DeliveriesEnded, Record};
use crate::records::{ConnectionDeclared, ConnectionState};
use crate::replay::{ReplayStep, Replayed};
use crate::rules::credentials::Credentials;
use crate::state::{State, demand_of};
use crate::{ReplayId, ResourceKey, RuleId};
use resources::Declared as _;

/// What buses are told from outside.
#[derive(Debug)]
pub enum Event {
    /// An attempt that [`Effect::Deliver`] asked for has ended. Each must be told, or it counts as under way for ever.
    Delivered {
        /// The delivery's number.
        number: u64,
        /// How.
        end: End,
        /// The parcel, head and tail, unless it arrived: its dead letter is made of it. Without it a delivery that is to be given
        /// up is tried once more a minute later.
        parcel: Option<(Bytes, Bytes)>,
    },
    /// What [`Effect::Authorize`] asked for has ended.
    Authorized {
        /// Of which connection.
        connection: ResourceKey,
        /// With which of its credentials.
        version: u64,
        /// Why there is no token, if there is none.
        result: Result<(), String>,
    },
    /// Records, as [`Effect::Recall`] asked for: as many of them, from the first on, as could be read.
    Recalled {
        /// For which replay.
        replay: ReplayId,
        /// What was read.
        records: Vec<Stored>,
    },
    /// The first of the records that [`Effect::Recall`] asked for cannot be read.
    RecallFailed {
        /// For which replay.
        replay: ReplayId,
        /// Where the record lies.
        extent: Extent,
    },
}

/// What buses want done outside.
#[derive(Debug)]
pub enum Effect {
    /// Try to deliver something, and say how it went with [`Event::Delivered`].
    Deliver(Box<Attempt>),
    /// Fetch the first token of a connection, and say how it went with [`Event::Authorized`].
    Authorize(Box<Authorize>),
    /// Read these records, in this order, and hand them in with [`Event::Recalled`].
    Recall {
        /// For which replay.
        replay: ReplayId,
        /// Which.
        extents: Vec<Extent>,
    },
}

/// A connection's first token.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorize {
    /// Of which connection.
    pub connection: ResourceKey,
    /// How it is fetched.
    pub request: TokenRequest,
}

impl std::fmt::Debug for Authorize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorize").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// A fact.
    Fact(Option<Record>),
    /// These facts.
    Facts(Vec<Record>),
    /// Orders to the store for retained data.
    Orders(Vec<(Rests, Order)>),
    /// A replay hands on an event.
    Replayed(Box<Replayed>),
    /// Something to be done outside.
    Outside(Option<(Rests, Effect)>),
    /// A delivery is given up.
    DeadLetter(Box<DeadLetter>),
    /// A rule runs, since its schedule says so.
    Run(RuleId),
}

/// What [`Service::take_due`] returns besides attempts: rules that run.
const RUNS: usize = 1;
/// And connections for which a first token is to be fetched.
const AUTHORIZATIONS: usize = 2;
/// And what archives and replays need next.
const ARCHIVES: usize = 3;
/// And events that replays hand on.
const REPLAYED: usize = 4;

/// A delivery that is given up.
#[derive(Debug)]
pub struct DeadLetter {
    number: u64,
    ended: Ended,
    failure: Failure,
    /// The parcel, head and tail.
    parcel: (Bytes, Bytes),
}

/// A delivery whose end cannot be dealt with, since its text cannot be read or the disk is full, is tried again after so long.
const PUT_OFF_MILLIS: u64 = 60_000;
/// A delivery whose bytes on disk are damaged is tried again after so long: somebody may have put back the file.
const UNREADABLE_MILLIS: u64 = 3_600_000;

impl Service for State {
    const NAME: &'static str = "events";
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "ValidationException";
    const CHORES: &'static [usize] = &[2, 30, 10, 20, 50];

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
        "buses, rules and deliveries"
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
        command.decide_again(step, self, context)
    }

    fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        State::apply(self, record, at, ledger);
    }

    fn take(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        self.parcel_sent(parcel, at, ledger);
    }

    fn reset(&mut self, _: Time) -> Vec<Fact<'static>> {
        State::reset(self).into_iter().map(Fact::from).collect()
    }

    fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        State::offer(self, offer, context)
    }

    fn request(&self, asking: &Asking<'_>) -> Result<Request, String> {
        State::request(self, asking)
    }

    fn advance(&mut self, now: Time, room: &mut usize) {
        self.deliveries.advance(now, room);
        self.due.advance(now, room);
        self.replaying.ends.advance(now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        let next = [self.deliveries.next_deadline(), self.due.next(), self.replaying.ends.next()];
        next.into_iter().flatten().min()
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        State::is_behind(self, setting.now, setting.limits.attempts, setting.room)
    }

    fn take_due(&mut self, chore: usize, setting: &Setting<'_>) -> Option<Due> {
        if chore == RUNS {
            let has_room = setting.room >= Demand::Growth;
            return if has_room { self.due.take().map(Due::Run) } else { None };
        }
        if chore == AUTHORIZATIONS {
            return if setting.room >= Demand::Change { self.next_authorization() } else { None };
        }
        if chore == ARCHIVES {
            return self.next_of_archives(setting);
        }
        if chore == REPLAYED {
            let has_room = setting.room >= Demand::Growth;
            return if has_room {
                self.replaying.next_event().map(Box::new).map(Due::Replayed)
            } else {
                None
            };
        }
        let attempt = self.next_attempt(setting.now, setting.limits.attempts)?;
        // It leaves once its parcel is durable.
        let rests = Rests::OnRecord(attempt.parcel);
        Some(Due::Outside(Some((rests, Effect::Deliver(Box::new(attempt))))))
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Fact(record) => Decision::silent(record.take().into_iter().map(Fact::from).collect()),
            Due::Facts(records) => {
                Decision::silent(std::mem::take(records).into_iter().map(Fact::from).collect())
            }
            Due::Orders(orders) => {
                Decision { orders: std::mem::take(orders), ..Decision::silent(Vec::new()) }
            }
            Due::Replayed(replayed) => self.hand_on(replayed, context),
            Due::Outside(effect) => {
                Decision { effects: effect.take().into_iter().collect(), ..Decision::silent(Vec::new()) }
            }
            Due::DeadLetter(letter) => self.dead_letter(letter, context),
            Due::Run(rule) => self.run(*rule, context),
        }
    }

    fn hear(&mut self, event: Event, setting: &Setting<'_>) -> Option<Due> {
        let (number, end, parcel) = match event {
            Event::Delivered { number, end, parcel } => (number, end, parcel),
            Event::Authorized { connection, version, result } => {
                return self.authorized(connection, version, result, setting);
            }
            Event::Recalled { replay, records } => {
                self.replay_recalled(replay, records, setting.room >= Demand::Growth);
                return None;
            }
            Event::RecallFailed { replay, extent } => {
                self.replay_passes(replay, extent);
                return None;
            }
        };
        let outcome = end.outcome;
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
        let consequence = self.attempt_ended(number, &end, setting.now)?;
        let demand = match &consequence {
            Consequence::Record(record) => demand_of(record),
            Consequence::DeadLetter(..) => Demand::Growth,
        };
        match (consequence, parcel) {
            (Consequence::Record(record), _) if demand <= setting.room => Some(Due::Fact(Some(record))),
            (Consequence::DeadLetter(ended, failure), Some(parcel)) if demand <= setting.room => {
                Some(Due::DeadLetter(Box::new(DeadLetter { number, ended, failure, parcel })))
            }
            _ => {
                // A delivery does not end without its letter, which needs its text and room on the disk.
                self.deliveries.put_off(number, setting.now + PUT_OFF_MILLIS);
                None
            }
        }
    }

    fn replaying(&mut self, _: Time) {
        self.archiving.replaying();
    }

    fn replayed(&mut self, _: u64, ledger: &mut Ledger) {
        self.archiving.replayed(ledger);
    }

    fn has_background_work(&self) -> bool {
        self.archiving.owed.has_given_up()
    }

    fn work_in_background(&mut self, _: Time, ledger: &mut Ledger) {
        self.archiving.owed.forget(ledger);
    }

    fn each_series(&self, each: &mut dyn FnMut(Series)) {
        self.archiving.owed.series().for_each(each);
    }

    fn has_series(&self, series: Series) -> bool {
        self.archiving.owed.contains(series)
    }

    fn kept(&mut self, series: Series, through: Option<u64>, ledger: &mut Ledger) {
        self.archiving.kept(series, through, ledger);
    }

    fn page_read(&mut self, page: Page, setting: &Setting<'_>) -> Option<Due> {
        self.replaying.page_read(page, setting.room >= Demand::Growth);
        None
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
        again.deliveries.extend(self.archiving.take_again(parcel, at));
    }

    fn told_besides(&self, parcel: &ParcelSent<'_>, at: Extent, ledger: &Ledger) -> Vec<Fact<'static>> {
        let ended = ended_again(&parcel.ends, at, ledger);
        let ended = (!ended.is_empty()).then_some(Record::DeliveriesEnded(DeliveriesEnded { ended }));
        let advanced = self.replaying.advanced_again(ReplayId(parcel.source), at).map(Record::ReplayAdvanced);
        ended.into_iter().chain(advanced).map(Fact::from).collect()
    }
}

impl State {
    /// What archives and replays need next.
    fn next_of_archives(&mut self, setting: &Setting<'_>) -> Option<Due> {
        if let Some(orders) = self.archiving.owed.next_orders() {
            return Some(Due::Orders(orders));
        }
        // With these facts the log can let go of events, which gives it room.
        if setting.room >= Demand::Purge
            && let Some(counts) = self.archiving.next_counts()
        {
            return Some(Due::Facts(counts));
        }
        if setting.room < Demand::Delete {
            return None;
        }
        if let Some(forgotten) = self.replaying.next_forgotten() {
            return Some(Due::Fact(Some(forgotten)));
        }
        if setting.room < Demand::Growth {
            return None;
        }
        Some(match self.next_replay_step(setting.now)? {
            // What the store has was decided long ago.
            ReplayStep::Page(read) => Due::Orders(vec![(Rests::OnNothing, Order::Read(read))]),
            ReplayStep::Read(replay, extents) => {
                let latest = extents.iter().copied().max_by_key(|extent| extent.place);
                let rests = latest.map_or(Rests::OnEverything, Rests::OnRecord);
                Due::Outside(Some((rests, Effect::Recall { replay, extents })))
            }
            ReplayStep::Ended(declared) => Due::Fact(Some(Record::ReplayDeclared(declared))),
        })
    }

    /// The letter of a delivery that is given up goes to the target's dead-letter queue, if that takes it; and with it the delivery
    /// ends.
    fn dead_letter<'a>(&self, letter: &DeadLetter, context: &mut Context<'a, '_>) -> Decision<'a> {
        let (head, tail) = &letter.parcel;
        let made = match (Notification::decode(tail), ParcelSent::decode_label(head)) {
            (Ok(stored), Ok(parcel)) => {
                let parcel = ParcelSent::new(parcel.number, parcel.source, parcel.at);
                let delivery = (letter.number, letter.ended);
                self.give_up_delivery(delivery, &letter.failure, parcel, stored, context)
            }
            // It never will be a letter.
            _ => None,
        };
        match made {
            Some(undelivered) => {
                context.undelivered(undelivered);
                Decision::silent(Vec::new())
            }
            None => {
                let record = Record::DeliveriesEnded(DeliveriesEnded { ended: vec![letter.ended] });
                Decision::silent(vec![record.into()])
            }
        }
    }

    /// The next connection for which a first token is to be fetched. A restart finds it again, unless it is recorded how that went.
    fn next_authorization(&mut self) -> Option<Due> {
        while let Some(key) = self.authorizing.pop_first() {
            let Some(connection) = self.connections.get(&key) else { continue };
            let Some(Credentials::OAuth(oauth)) = &connection.credentials else { continue };
            let request = token_request(oauth, (connection.id(), connection.version));
            let authorize = Effect::Authorize(Box::new(Authorize { connection: key, request }));
            return Some(Due::Outside(Some((Rests::OnEverything, authorize))));
        }
        None
    }

    /// A connection has got its first token, or none.
    fn authorized(
        &mut self,
        key: ResourceKey,
        version: u64,
        result: Result<(), String>,
        setting: &Setting<'_>,
    ) -> Option<Due> {
        let connection = self.connections.get(&key)?;
        if connection.version != version || connection.state != ConnectionState::Authorizing {
            return None;
        }
        if setting.room < Demand::Change {
            // It is asked for again when the result can be recorded.
            self.authorizing.insert(key);
            return None;
        }
        let state = match result {
            Ok(()) => ConnectionState::Authorized,
            Err(_) => ConnectionState::Deauthorized,
        };
        let reason = result.err().map(|reason| reason.chars().take(REASON_CHARACTERS).collect());
        let authorized = Some(setting.now).filter(|_| state == ConnectionState::Authorized);
        let declared = ConnectionDeclared {
            state,
            reason,
            authorized: authorized.or(connection.authorized),
            ..connection.clone()
        };
        Some(Due::Fact(Some(Record::ConnectionDeclared(Box::new(declared)))))
    }
}

/// AWS's model: `ConnectionStateReason`.
const REASON_CHARACTERS: usize = 512;
