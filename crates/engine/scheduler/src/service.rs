//! Schedules as one of the machine's services: what the machine may ask of them, in one place.

use std::ops::RangeInclusive;

use kernel::service::Never;
use kernel::{Called, Demand, Extent, Ledger, Service, Survival, Time};

use crate::limits::Limits;
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting};
use crate::records::{self, Record};
use crate::state::State;
use crate::{GroupId, InvocationId, ScheduleId};

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// A schedule runs.
    Fire(ScheduleId),
    /// An invocation is tried again.
    TryAgain(InvocationId),
    /// Some schedules of a group are deleted, or the group.
    Delete(GroupId),
}

/// What [`State::take_due`](Service::take_due) returns: schedules that run.
const RUNS: usize = 0;
/// Invocations that are tried again.
const RETRIES: usize = 1;
/// Groups that are being deleted.
const DELETIONS: usize = 2;

impl Service for State {
    const NAME: &'static str = "scheduler";
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "ValidationException";
    const CHORES: &'static [usize] = &[10, 10, 200];

    type Limits = Limits;
    type Command = Command;
    type Reply = Reply;
    type Record<'a> = Record;
    type Step<'a> = Never;
    type Waiter = Never;
    type Event = Never;
    type Due = Due;
    type Effect = Never;

    fn subject(_: u8) -> &'static str {
        "schedules and their groups"
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

    fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        State::apply(self, record, at, ledger);
    }

    fn reset(&mut self, _: Time) -> Vec<Fact<'static>> {
        State::reset(self).into_iter().map(Fact::from).collect()
    }

    fn advance(&mut self, now: Time, room: &mut usize) {
        State::advance(self, now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        State::next_deadline(self)
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        let now = setting.now;
        self.due.falls_due(now)
            || self.invocations.due.falls_due(now)
            || setting.room >= Demand::Growth
                && (self.due.is_behind(now) || self.invocations.due.is_behind(now))
            || setting.room >= Demand::Delete && !self.deleting.is_empty()
    }

    fn take_due(&mut self, chore: usize, setting: &Setting<'_>) -> Option<Due> {
        match chore {
            RUNS if setting.room >= Demand::Growth => self.due.take().map(Due::Fire),
            RETRIES if setting.room >= Demand::Growth => self.invocations.due.take().map(Due::TryAgain),
            DELETIONS if setting.room >= Demand::Delete => self.deleting.first().copied().map(Due::Delete),
            _ => None,
        }
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match *due {
            Due::Fire(id) => self.fire(id, None, context),
            Due::TryAgain(id) => self.try_again(id, None, context),
            Due::Delete(group) => self.delete_some(group),
        }
    }

    fn called<'a>(&self, due: &'a mut Due, called: Called, context: &mut Context<'a, '_>) -> Decision<'a> {
        match *due {
            Due::Fire(id) => self.fire(id, Some(called), context),
            Due::TryAgain(id) => self.try_again(id, Some(called), context),
            // It calls nobody.
            Due::Delete(_) => Decision::silent(Vec::new()),
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
