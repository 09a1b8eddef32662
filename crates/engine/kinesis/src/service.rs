//! Streams as one of the machine's services: what the machine may ask of them, in one place.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use kernel::retained::Order;
use kernel::service::Never;
use kernel::{Demand, Extent, Ledger, Offer, Outcome, Rests, Series, Service, Survival, Taken, Time};

use crate::ids::SERVICE;
use crate::limits::Limits;
use crate::operations::put_records::Progress;
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting};
use crate::records::{self, Record};
use crate::state::State;
use crate::subscriptions::{Answered, Cursor};

/// A request that waits.
#[derive(Debug)]
pub enum Waiter {
    /// A consumer has subscribed to a shard.
    Opens(u64, Box<Cursor>, Time),
    /// A subscriber waits for what comes next, until a moment.
    ReadsOn(u64, Box<Cursor>, Time),
}

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// Orders to the store for retained data.
    Orders(Vec<(Rests, Order)>),
    /// A new subscription is answered.
    Opened(u64, Box<Cursor>),
    /// A subscriber is told what comes next.
    ReadOn(u64, Box<Cursor>),
    /// Something is forgotten.
    Facts(Vec<Record>),
}

/// What [`State::take_due`](Service::take_due) returns: orders to the store.
const ORDERS: usize = 0;
/// Answers to subscribers.
const ANSWERS: usize = 1;
/// What is to be forgotten.
const LEAVERS: usize = 2;

impl Service for State {
    const NAME: &'static str = SERVICE;
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "InvalidArgumentException";
    const CHORES: &'static [usize] = &[20, 10, 100];

    type Limits = Limits;
    type Command = Command;
    type Reply = Reply;
    type Record<'a> = Record;
    type Step<'a> = Box<Progress>;
    type Waiter = Waiter;
    type Event = Never;
    type Due = Due;
    type Effect = Never;

    fn subject(kind: u8) -> &'static str {
        if kind < 160 { "streams and their shards" } else { "records of streams" }
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
        step: Box<Progress>,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        command.decide_again(step, self, context)
    }

    /// Records leave when they are durable themselves, and not when everything is.
    fn rests(&self, reply: &Reply) -> Rests {
        match reply {
            Reply::Reading(reading) => {
                let latest = reading.extents.iter().map(|&(extent, _)| extent).max_by_key(|it| it.place);
                // What the store has was decided long ago. That a shard is closed is what the caller may act on.
                match latest {
                    _ if reading.children.is_some() => Rests::OnEverything,
                    Some(latest) => Rests::OnRecord(latest),
                    None => Rests::OnNothing,
                }
            }
            _ => Rests::OnEverything,
        }
    }

    fn wait(&mut self, waiter: Waiter) {
        match waiter {
            Waiter::Opens(ticket, cursor, now) => self.subscriptions.open(ticket, *cursor, now),
            Waiter::ReadsOn(ticket, cursor, until) => self.subscriptions.wait(ticket, *cursor, until),
        }
    }

    fn gone(&mut self, ticket: u64) -> Option<Reply> {
        self.subscriptions.gone(ticket).then_some(Reply::Done)
    }

    fn stop(&mut self) {
        self.subscriptions.stop();
    }

    fn owes_answers(&self) -> bool {
        self.subscriptions.owes_answers()
    }

    fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        State::apply(self, record, at, ledger);
    }

    fn replaying(&mut self, _: Time) {
        State::replaying(self);
    }

    fn replayed(&mut self, _: u64, _: &mut Ledger) {
        State::replayed(self);
    }

    fn reset(&mut self, _: Time) -> Vec<Fact<'static>> {
        State::reset(self).into_iter().map(Fact::from).collect()
    }

    fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        State::offer(self, offer, context)
    }

    fn advance(&mut self, now: Time, room: &mut usize) {
        self.subscriptions.advance(now, room);
        self.ends.advance(now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        [self.subscriptions.next_deadline(), self.ends.next()].into_iter().flatten().min()
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        self.owed.has_orders()
            || self.subscriptions.is_behind(setting.now)
            || setting.room >= Demand::Purge && self.has_leavers(setting.now)
    }

    fn take_due(&mut self, chore: usize, setting: &Setting<'_>) -> Option<Due> {
        match chore {
            ORDERS => self.owed.next_orders().map(Due::Orders),
            ANSWERS => self.subscriptions.next_answered().map(|answered| match answered {
                Answered::Opened(ticket, cursor) => Due::Opened(ticket, Box::new(cursor)),
                Answered::ReadOn(ticket, cursor) => Due::ReadOn(ticket, Box::new(cursor)),
            }),
            LEAVERS if setting.room >= Demand::Purge => self.next_leavers().map(Due::Facts),
            _ => None,
        }
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Orders(orders) => {
                Decision { orders: std::mem::take(orders), ..Decision::silent(Vec::new()) }
            }
            Due::Opened(ticket, cursor) => {
                let reply = Reply::Subscribed(cursor.clone());
                Decision { ticket: Some(*ticket), ..Decision::answer(reply) }
            }
            Due::ReadOn(ticket, cursor) => {
                let reply = self.read_on(cursor, &context.setting).unwrap_or_else(Reply::Reading);
                Decision { ticket: Some(*ticket), ..Decision::with(Vec::new(), Outcome::Reply(Ok(reply))) }
            }
            Due::Facts(facts) => {
                Decision::silent(std::mem::take(facts).into_iter().map(Fact::from).collect())
            }
        }
    }

    fn hear(&mut self, event: Never, _: &Setting<'_>) -> Option<Due> {
        match event {}
    }

    fn each_series(&self, each: &mut dyn FnMut(Series)) {
        self.owed.series().for_each(each);
    }

    fn has_series(&self, series: Series) -> bool {
        self.owed.contains(series)
    }

    fn kept(&mut self, series: Series, through: Option<u64>, ledger: &mut Ledger) {
        State::kept(self, series, through, ledger);
    }

    fn has_background_work(&self) -> bool {
        self.owed.has_given_up()
    }

    fn work_in_background(&mut self, _: Time, ledger: &mut Ledger) {
        self.owed.forget(ledger);
    }

    fn survival(&self, record: &Record, at: Extent, ledger: &Ledger) -> Survival {
        match (State::write_again(self, record, at, ledger), record) {
            (None, _) => Survival::Dead,
            (Some(_), Record::RecordsPut(_)) => Survival::Payload,
            (Some(_), _) => Survival::Fact,
        }
    }

    fn write_again<'a>(&self, record: Record, tail: &'a [u8], at: Extent, ledger: &Ledger) -> Vec<Fact<'a>> {
        let again = State::write_again(self, &record, at, ledger);
        let tail = if matches!(record, Record::RecordsPut(_)) { tail } else { &[] };
        again.map(|record| Fact { record, tail: Cow::Borrowed(tail) }).into_iter().collect()
    }
}
