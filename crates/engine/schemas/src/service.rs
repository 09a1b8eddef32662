//! Schemas as one of the machine's services: what the machine may ask of them, in one place.

use std::ops::RangeInclusive;

use kernel::service::Never;
use kernel::{Called, Demand, Extent, Ledger, Offer, Service, Survival, Taken, Time};

use crate::discovery::{Announcement, Change, Task};
use crate::ids::SERVICE;
use crate::limits::Limits;
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting};
use crate::records::{self, Record};
use crate::state::State;

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// A change of a discoverer goes on with its bus.
    Change(Box<Task>),
    /// The default bus is told of a version.
    Announce(Box<Announcement>),
}

/// A request that waits until its bus has been asked.
#[derive(Debug)]
pub struct Waiter {
    /// The request.
    pub ticket: u64,
    /// What it changes.
    pub change: Change,
}

/// What [`State::take_due`](Service::take_due) returns: changes of discoverers.
const CHANGES: usize = 0;
/// Announcements.
const ANNOUNCEMENTS: usize = 1;

impl Service for State {
    const NAME: &'static str = SERVICE;
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "BadRequestException";
    const CHORES: &'static [usize] = &[50, 50];

    type Limits = Limits;
    type Command = Command;
    type Reply = Reply;
    type Record<'a> = Record;
    type Step<'a> = Never;
    type Waiter = Waiter;
    type Event = Never;
    type Due = Due;
    type Effect = Never;

    fn subject(_: u8) -> &'static str {
        "schemas and discoverers"
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
        self.waiting.push_back(waiter);
    }

    fn gone(&mut self, ticket: u64) -> Option<Reply> {
        let at = self.waiting.iter().position(|waiter| waiter.ticket == ticket)?;
        self.waiting.remove(at).map(|_| Reply::Done)
    }

    fn owes_answers(&self) -> bool {
        !self.waiting.is_empty()
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
        self.announcements.clear();
        State::reset(self).into_iter().map(Fact::from).collect()
    }

    fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        State::offer(self, offer, context)
    }

    fn is_behind(&self, _: &Setting<'_>) -> bool {
        !self.waiting.is_empty() || !self.announcements.is_empty()
    }

    fn take_due(&mut self, chore: usize, _: &Setting<'_>) -> Option<Due> {
        match chore {
            CHANGES => self.waiting.pop_front().map(|waiter| Due::Change(Box::new(Task::new(waiter)))),
            ANNOUNCEMENTS => {
                self.next_announcement().map(|announcement| Due::Announce(Box::new(announcement)))
            }
            _ => None,
        }
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Change(task) => self.begin(task),
            Due::Announce(announcement) => announcement.call(&context.setting),
        }
    }

    fn called<'a>(&self, due: &'a mut Due, called: Called, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Change(task) => self.go_on(task, called, &context.setting),
            // Nobody depends on it.
            Due::Announce(_) => Decision::silent(Vec::new()),
        }
    }

    fn hear(&mut self, event: Never, _: &Setting<'_>) -> Option<Due> {
        match event {}
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
