//! Buses as one of the machine's services: what the machine may ask of them, in one place.

use std::ops::RangeInclusive;

use bytes::Bytes;
use deliveries::ended_again;
use kernel::parcel::Ended;
use kernel::{Demand, Extent, Ledger, Offer, ParcelSent, Rests, Service, Survival, Taken, Time};
use notification::Notification;

use crate::connections::Resource as _;
use crate::deliveries::{Attempt, Consequence, End, Outcome};
use crate::invocation::TokenRequest;
use crate::letters::Failure;
pub use crate::letters::Undelivered;
use crate::limits::Limits;
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting, Step};
use crate::records::{self, DeliveriesEnded, Record};
use crate::records::{ConnectionDeclared, ConnectionState};
use crate::rules::credentials::Credentials;
use crate::state::{State, demand_of};
use crate::{ResourceKey, RuleId};

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
}

/// What buses want done outside.
#[derive(Debug)]
pub enum Effect {
    /// Try to deliver something, and say how it went with [`Event::Delivered`].
    Deliver(Box<Attempt>),
    /// Fetch the first token of a connection, and say how it went with [`Event::Authorized`].
    Authorize(Box<Authorize>),
    /// Tell the operator that a target does not get an event, if he asks.
    Undelivered(Box<Undelivered>),
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
    const CHORES: &'static [usize] = &[2, 30, 10];

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

    fn advance(&mut self, now: Time, room: &mut usize) {
        self.deliveries.advance(now, room);
        self.due.advance(now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        [self.deliveries.next_deadline(), self.due.next()].into_iter().flatten().min()
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
        let attempt = self.next_attempt(setting.now, setting.limits.attempts)?;
        // It leaves once its parcel is durable.
        let rests = Rests::OnRecord(attempt.parcel);
        Some(Due::Outside(Some((rests, Effect::Deliver(Box::new(attempt))))))
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Fact(record) => Decision::silent(record.take().into_iter().map(Fact::from).collect()),
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
    }

    fn told_besides(&self, parcel: &ParcelSent<'_>, at: Extent, ledger: &Ledger) -> Vec<Fact<'static>> {
        let ended = ended_again(&parcel.ends, at, ledger);
        let ended = (!ended.is_empty()).then_some(Record::DeliveriesEnded(DeliveriesEnded { ended }));
        ended.into_iter().map(Fact::from).collect()
    }
}

impl State {
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
            Some(undelivered) => Decision {
                effects: vec![(Rests::OnEverything, Effect::Undelivered(Box::new(undelivered)))],
                ..Decision::silent(Vec::new())
            },
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
            let request = TokenRequest::of(oauth, (connection.id(), connection.version));
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
