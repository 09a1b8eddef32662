//! DynamoDB as one of the machine's services: what the machine may ask of it, in one place.

use std::ops::RangeInclusive;

use kernel::service::Never;
use kernel::{Demand, Extent, Ledger, Service, Survival, Time};

use crate::ids::SERVICE;
use crate::limits::{EXPIRED, Limits};
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting};
use crate::records::{self, Record};
use crate::state::State;
use crate::write;

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// Items of a table have expired.
    Expire(u64),
}

impl Service for State {
    const NAME: &'static str = SERVICE;
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "ValidationException";
    const CHORES: &'static [usize] = &[5];

    type Limits = Limits;
    type Command = Command;
    type Reply = Reply;
    type Record<'a> = Record<'a>;
    type Step<'a> = Never;
    type Waiter = Never;
    type Event = Never;
    type Due = Due;
    type Effect = Never;

    fn subject(kind: u8) -> &'static str {
        match kind {
            168 | 169 => "tables",
            170 | 171 => "items",
            _ => "transactions' tokens",
        }
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

    fn apply(&mut self, record: &Record<'_>, at: Extent, ledger: &mut Ledger) {
        State::apply(self, record, at, ledger);
    }

    fn replaying(&mut self, now: Time) {
        State::advance(self, now);
    }

    fn reset(&mut self, _: Time) -> Vec<Fact<'static>> {
        State::reset(self).into_iter().map(Fact::from).collect()
    }

    fn advance(&mut self, now: Time, _: &mut usize) {
        State::advance(self, now);
    }

    fn next_deadline(&self) -> Option<Time> {
        State::next_deadline(self)
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        setting.room >= Demand::Delete && self.has_expired(setting.now)
    }

    fn take_due(&mut self, _: usize, setting: &Setting<'_>) -> Option<Due> {
        match setting.room >= Demand::Delete {
            true => self.next_expired(setting.now).map(Due::Expire),
            false => None,
        }
    }

    fn cost(_: &Due) -> usize {
        EXPIRED
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Due::Expire(table) = due;
        write::expire(self, *table, &context.setting)
    }

    fn hear(&mut self, event: Never, _: &Setting<'_>) -> Option<Due> {
        match event {}
    }

    fn has_background_work(&self) -> bool {
        State::has_background_work(self)
    }

    fn work_in_background(&mut self, now: Time, ledger: &mut Ledger) {
        State::work_in_background(self, now, ledger);
    }

    fn survival(&self, record: &Record<'_>, at: Extent, ledger: &Ledger) -> Survival {
        match State::write_again(self, record.clone(), at, ledger) {
            Some(_) => Survival::Fact,
            None => Survival::Dead,
        }
    }

    fn write_again<'a>(
        &self,
        record: Record<'a>,
        _: &'a [u8],
        at: Extent,
        ledger: &Ledger,
    ) -> Vec<kernel::Fact<'a, Record<'a>>> {
        State::write_again(self, record, at, ledger).map(kernel::Fact::from).into_iter().collect()
    }
}
