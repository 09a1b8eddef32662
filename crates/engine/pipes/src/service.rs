//! Pipes as one of the machine's services: what the machine may ask of them, in one place.

use std::ops::RangeInclusive;
use std::sync::Arc;

use kernel::request::{Answer, Request};
use kernel::service::Never;
use kernel::{Arn, Called, Demand, Drawn, Extent, Ledger, Service, Stored, Survival, Time};

use crate::BatchId;
use crate::batch::{Asked, Gathered, Hand, Handed};
use crate::ids::SERVICE;
use crate::limits::Limits;
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting};
use crate::records::{self, Record};
use crate::rules::pipe::Pipe;
use crate::state::State;
use crate::{asking, handing};

/// What it is told from outside.
#[derive(Debug)]
pub enum Event {
    /// What [`Effect::Read`] asked for; what lies elsewhere by now is left out. Each must be told, or the batch never goes on.
    Read(BatchId, Vec<Stored>),
    /// It cannot be read, since the bytes of the first record are not those that were written.
    Unreadable(BatchId, Extent),
    /// What came of [`Effect::Request`]. Each must be told, or the batch waits for minutes.
    Answered(BatchId, Answer),
}

/// What it wants done outside.
#[derive(Debug)]
pub enum Effect {
    /// Read records of the log, and say what came of it with [`Event::Read`].
    Read(BatchId, Vec<Extent>),
    /// Send a request, and say what came of it with [`Event::Answered`].
    Request(BatchId, Box<Request>),
}

/// Messages that wait for what comes next.
#[derive(Debug)]
pub enum Waiter {
    /// A pipe has drawn messages; none, if it has no source.
    Drawn(u64, Option<Vec<Drawn>>, Time),
    /// Messages of a batch are being read, and others are to be read later.
    Reading(BatchId, Vec<(Drawn, Extent)>, Vec<Drawn>),
    /// What became of messages of a batch.
    Handed(BatchId, Handed, Time),
    /// Messages that wait for others of the batch, with which they are handed on, and what became of some.
    Gathered(BatchId, Gathered, Handed),
    /// What became of some, and an execution that is asked for others.
    Asking(BatchId, Box<Asked>, Handed, Time),
    /// The output of that execution is being read; none, if there is none.
    Fetching(BatchId, Option<Extent>),
    /// That execution could not be started.
    NotStarted(BatchId),
}

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// A pipe draws up to so many messages.
    Draw(Arc<Pipe>, usize),
    /// Messages of a batch are to be read.
    Read(BatchId, Arc<Pipe>, Vec<Drawn>),
    /// Messages are handed on.
    Hand(Hand),
    /// An execution is started, once its state machine is known to be an express one.
    Start(BatchId, Arc<Pipe>, Box<Asked>, bool),
    /// The output of an execution is to be read.
    Fetch(BatchId, Arn),
    /// An execution has answered.
    Answer(BatchId, Arc<Pipe>, Box<Asked>),
    /// A pipe goes on to its next state.
    Settle(u64),
}

/// What [`State::take_due`](Service::take_due) returns: pipes that draw, and reads.
const DRAWS: usize = 0;
/// Messages that are handed on.
const HANDS: usize = 1;
/// So many bytes of a message take about as long as a message.
const COST_BYTES: usize = 16 << 10;
/// Pipes that change.
const CHANGES: usize = 2;

impl Service for State {
    const NAME: &'static str = SERVICE;
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "ValidationException";
    const CHORES: &'static [usize] = &[20, 40, 50];

    type Limits = Limits;
    type Command = Command;
    type Reply = Reply;
    type Record<'a> = Record;
    type Step<'a> = Never;
    type Waiter = Waiter;
    type Event = Event;
    type Due = Due;
    type Effect = Effect;

    fn subject(_: u8) -> &'static str {
        "pipes"
    }

    fn demand(command: &Command) -> Demand {
        command.demand()
    }

    fn decide<'a>(&self, command: &'a Command, context: &mut Context<'a, '_>) -> Decision<'a> {
        command.decide(self, context)
    }

    fn decide_again<'a>(&self, _: &'a Command, step: Never, _: &mut Context<'a, '_>) -> Decision<'a> {
        match step {}
    }

    fn wait(&mut self, waiter: Waiter) {
        match waiter {
            Waiter::Drawn(pipe, drawn, now) => self.runs.drawn(pipe, drawn, now),
            Waiter::Reading(batch, reading, later) => self.runs.reading(batch, reading, later),
            Waiter::Handed(batch, handed, now) => self.runs.handed(batch, handed, now),
            Waiter::Gathered(batch, gathered, handed) => self.runs.gathered(batch, gathered, handed),
            Waiter::Asking(batch, asked, handed, now) => self.runs.ask(batch, *asked, handed, now),
            Waiter::Fetching(batch, extent) => self.runs.fetching(batch, extent),
            Waiter::NotStarted(batch) => self.runs.give_up(batch),
        }
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

    fn next_wish(&mut self) -> Option<Arn> {
        self.runs.next_wish()
    }

    fn filled(&mut self, source: &Arn) {
        self.runs.filled(source);
    }

    fn advance(&mut self, now: Time, room: &mut usize) {
        self.runs.advance(now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        self.runs.next_deadline()
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        self.runs.falls_due(setting.now)
            || self.runs.has_wishes()
            || setting.room >= Demand::Growth && self.runs.goes_on()
            || setting.room >= Demand::Change && self.runs.has_settled()
    }

    fn take_due(&mut self, chore: usize, setting: &Setting<'_>) -> Option<Due> {
        match chore {
            DRAWS if setting.room >= Demand::Growth => {
                let read = self.runs.next_read().map(|(batch, pipe, drawn)| Due::Read(batch, pipe, drawn));
                read.or_else(|| self.runs.next_draw().map(|(pipe, most)| Due::Draw(pipe, most)))
            }
            HANDS if setting.room >= Demand::Growth => self.next_hand(),
            CHANGES if setting.room >= Demand::Change => self.runs.next_settled().map(Due::Settle),
            _ => None,
        }
    }

    fn cost(due: &Due) -> usize {
        match due {
            Due::Hand(hand) => {
                let bytes: usize = hand.messages.iter().map(|(_, stored)| stored.tail.len()).sum();
                1 + hand.messages.len() + bytes / COST_BYTES
            }
            Due::Answer(_, _, asked) => 1 + asked.messages.len() + asked.bytes() / COST_BYTES,
            Due::Draw(..) | Due::Read(..) | Due::Start(..) | Due::Fetch(..) | Due::Settle(_) => 1,
        }
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Draw(pipe, most) => handing::draw(pipe, *most, context),
            Due::Read(batch, pipe, messages) => handing::read(*batch, pipe, messages, context),
            Due::Hand(hand) => handing::hand(hand, context),
            Due::Start(_, pipe, asked, _) => asking::check(pipe, asked),
            Due::Fetch(batch, source) => asking::fetch(*batch, source, context),
            Due::Answer(batch, pipe, asked) => asking::answer(*batch, pipe, asked, context),
            Due::Settle(pipe) => Decision::silent(self.settled(*pipe).map(Fact::from).into_iter().collect()),
        }
    }

    fn called<'a>(&self, due: &'a mut Due, called: Called, _: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Start(batch, pipe, asked, is_checked) => {
                asking::go_on(*batch, pipe, asked, is_checked, &called)
            }
            // The others call nobody.
            _ => Decision::silent(Vec::new()),
        }
    }

    fn hear(&mut self, event: Event, _: &Setting<'_>) -> Option<Due> {
        match event {
            Event::Read(batch, records) => self.runs.was_read(batch, records),
            Event::Unreadable(batch, extent) => self.runs.unreadable(batch, extent),
            Event::Answered(batch, answer) => self.runs.answered(batch, answer),
        }
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
}

impl State {
    /// The next messages that go on: those that an execution has answered first.
    fn next_hand(&mut self) -> Option<Due> {
        if let Some((batch, pipe, asked)) = self.runs.next_answer() {
            return Some(Due::Answer(batch, pipe, Box::new(asked)));
        }
        if let Some((batch, source)) = self.runs.next_fetch() {
            return Some(Due::Fetch(batch, source));
        }
        if let Some((batch, pipe, asked)) = self.runs.next_start() {
            return Some(Due::Start(batch, pipe, Box::new(asked), false));
        }
        self.runs.next_hand().map(Due::Hand)
    }
}
