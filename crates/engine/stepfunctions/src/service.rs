//! Step Functions as one of the machine's services: what the machine may ask of it, in one place.

use std::ops::RangeInclusive;
use std::sync::Arc;

use kernel::request::{Answer, Request};
use kernel::service::{Never, Record as _};
use kernel::{
    Arn, Called, Demand, Drawn, Extent, Ledger, Offer, Rests, Secret, Service, Stored, Survival, Taken, Time,
};

use crate::activities::Poll;
use crate::executions::Doing;
use crate::limits::{self, Limits};
use crate::operations::{Command, Context, Decision, Fact, Reply, Setting};
use crate::records::{self, Record};
use crate::state::{REMOVED_AT_ONCE, State, WHOLE};
use crate::steps::{Loaded, Step, Task, timed_out};
use crate::{ExecutionId, MachineId, StatusChange};

/// What it is told from outside.
#[derive(Debug)]
pub enum Event {
    /// What [`Effect::Read`] asked for; what lies elsewhere by now is left out. Each must be told, or the flow never goes on.
    Read(ExecutionId, u32, Vec<Stored>),
    /// It cannot be read, since the bytes there are not those that were written.
    Unreadable(ExecutionId, u32),
    /// What came of [`Effect::Request`]. Each must be told, or it counts as under way for ever.
    Answered(Task, Answer),
}

/// What it wants done outside.
#[derive(Debug)]
pub enum Effect {
    /// Read records of the log, and say what came of it with [`Event::Read`].
    Read(Wanted),
    /// Send the request of a task, and say what came of it with [`Event::Answered`].
    Request(Task, Box<Request>),
}

/// Records that a flow needs to go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Of which execution.
    pub execution: ExecutionId,
    /// For which flow.
    pub flow: u32,
    /// Where they lie.
    pub extents: Vec<Extent>,
}

/// A request that waits.
#[derive(Debug)]
pub enum Waiter {
    /// For a task of an activity.
    Poll(Poll),
    /// For the end of an execution.
    Sync(u64, ExecutionId),
    /// The request of a task is sent: it is waited for the answer.
    Asked(Task),
}

/// What follows without a request.
#[derive(Debug)]
pub enum Due {
    /// A flow goes on.
    Step(Box<Step>),
    /// What a flow needs is to be read.
    Read(Option<Wanted>),
    /// An execution takes too long.
    TimeOut(ExecutionId),
    /// A worker gets a task.
    Hand(Poll),
    /// An execution has ended whose end a request waits for.
    Synced(u64, ExecutionId),
    /// A worker has waited for long enough.
    NoTask(u64),
    /// A server elsewhere has answered.
    Answered(Task, Answer),
    /// The default bus is told of a change.
    Tell(Box<StatusChange>),
    /// A fact.
    Fact(Option<Record>),
}

/// What [`Service::take_due`] returns: flows that go on.
const STEPS: usize = 0;
/// Executions that take too long.
const TIMEOUTS: usize = 1;
/// Requests that waited: workers that get a task or none, and those who are told how an execution ended.
const WAITERS: usize = 2;
/// What is not needed any more.
const UPKEEP: usize = 3;
/// Changes of which the default bus is told.
const STATUS_CHANGES: usize = 4;

/// Flows whose data are being read at the same time, and bytes that are read for one of them at once.
const READS: usize = 64;
const READ_BYTES: u64 = 4 << 20;

/// A flow whose data on disk are damaged is tried again after so long: somebody may have put back the file.
const UNREADABLE_MILLIS: u64 = 3_600_000;

impl Service for State {
    const NAME: &'static str = "states";
    const KINDS: RangeInclusive<u8> = records::KINDS;
    const OVERLONG: &'static str = "ValidationException";
    const CHORES: &'static [usize] = &[40, 20, 20, 200, 40];

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
        "state machines and executions"
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

    fn replaying(&mut self, _: Time) {
        State::replaying(self);
    }

    fn replayed(&mut self, _: u64, _: &mut Ledger) {
        State::replayed(self);
    }

    fn wait(&mut self, waiter: Waiter) {
        match waiter {
            Waiter::Poll(poll) => self.activities.poll(poll),
            Waiter::Sync(ticket, execution) => {
                self.syncing.insert(execution, ticket);
            }
            Waiter::Asked(task) => {
                if let Some(execution) = self.executions.get(&task.execution) {
                    self.asks.asked(task, execution.machine);
                }
            }
        }
    }

    fn gone(&mut self, ticket: u64) -> Option<Reply> {
        let waiting = self.syncing.len();
        self.syncing.retain(|_, known| *known != ticket);
        let has_waited = self.syncing.len() < waiting || self.activities.gone(ticket);
        has_waited.then_some(Reply::NoTask)
    }

    fn stop(&mut self) {
        self.activities.end_all();
        let waiting = std::mem::take(&mut self.syncing);
        self.synced.extend(waiting.into_iter().map(|(execution, ticket)| (ticket, execution)));
    }

    fn owes_answers(&self) -> bool {
        self.activities.owes(Time(0)) || !self.synced.is_empty()
    }

    fn reset(&mut self, _: Time) -> Vec<Fact<'static>> {
        self.status_changes.clear();
        State::reset(self).into_iter().map(Fact::from).collect()
    }

    fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        State::offer(self, offer, context)
    }

    fn place_of(&self, from: &Arn, drawn: Drawn) -> Option<Extent> {
        State::place_of(self, from, drawn)
    }

    fn show(&self, from: &Arn, drawn: Drawn, record: &Stored, _: &Secret) -> Option<String> {
        State::show(self, from, drawn, record)
    }

    fn watch(&mut self, source: &Arn) {
        State::watch(self, source);
    }

    fn next_filled(&mut self) -> Option<Arn> {
        State::next_filled(self)
    }

    fn advance(&mut self, now: Time, room: &mut usize) {
        self.timetable.advance(now, room);
        while let Some((id, flow)) = self.timetable.take() {
            match flow {
                WHOLE => self.overdue.push_back(id),
                flow => self.ready.push_back((id, flow)),
            }
        }
        self.forgetting.advance(now, room);
        self.activities.advance(now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        [self.timetable.next(), self.forgetting.next(), self.activities.next_end()]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        let now = setting.now;
        let goes_on = (!self.ready.is_empty() || self.asks.is_able()) && self.reading.len() < READS;
        self.timetable.falls_due(now)
            || self.forgetting.falls_due(now)
            || self.activities.owes(now)
            || !self.synced.is_empty()
            || self.ended.owes()
            || !self.status_changes.is_empty()
            || setting.room >= Demand::Change && self.activities.is_behind(now)
            || setting.room >= Demand::Growth
                && (goes_on || self.asks.has_answers() || !self.overdue.is_empty())
            || setting.room >= Demand::Delete
                && (!self.unneeded.is_empty()
                    || !self.deletable.is_empty()
                    || self.forgetting.is_behind(now)
                    || self.closed_bytes > limits::CLOSED_BYTES)
    }

    fn take_due(&mut self, chore: usize, setting: &Setting<'_>) -> Option<Due> {
        match chore {
            STEPS if setting.room >= Demand::Growth => {
                let answered = self.asks.next_answer().map(|(task, answer)| Due::Answered(task, answer));
                let can_read = self.reading.len() < READS;
                answered.or_else(|| if can_read { self.next_step(setting.now) } else { None })
            }
            TIMEOUTS if setting.room >= Demand::Growth => self.overdue.pop_front().map(Due::TimeOut),
            // Who waits for an execution is told before it is forgotten.
            UPKEEP if setting.room >= Demand::Delete && self.synced.is_empty() => {
                self.next_upkeep().map(|record| Due::Fact(Some(record)))
            }
            WAITERS => {
                if let Some((ticket, execution)) = self.synced.pop_front() {
                    return Some(Due::Synced(ticket, execution));
                }
                let ended = self.activities.next_ended().map(Due::NoTask);
                ended.or_else(|| match setting.room >= Demand::Change {
                    true => self.activities.next_met().map(Due::Hand),
                    false => None,
                })
            }
            STATUS_CHANGES => self.status_changes.pop_front().map(|change| Due::Tell(Box::new(change))),
            _ => None,
        }
    }

    fn consequence<'a>(&self, due: &'a mut Due, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Step(step) => self.step(step, None, context),
            Due::Read(wanted) => {
                let latest =
                    wanted.iter().flat_map(|wanted| &wanted.extents).max_by_key(|extent| extent.place);
                let rests = latest.map_or(Rests::OnNothing, |&latest| Rests::OnRecord(latest));
                let effects = wanted.take().map(|wanted| (rests, Effect::Read(wanted)));
                Decision { effects: effects.into_iter().collect(), ..Decision::silent(Vec::new()) }
            }
            Due::TimeOut(id) => {
                let known = self.executions.get(id).filter(|execution| execution.is_open());
                let fact = known.map(|execution| timed_out(*id, execution, context.setting.now));
                Decision::silent(fact.into_iter().collect())
            }
            Due::Hand(poll) => Decision { ticket: Some(poll.ticket), ..self.hand(poll, &context.setting) },
            Due::Synced(ticket, id) => Decision { ticket: Some(*ticket), ..self.tell_end(*id) },
            Due::Answered(task, answer) => self.answered(task, answer),
            Due::NoTask(ticket) => Decision { ticket: Some(*ticket), ..Decision::answer(Reply::NoTask) },
            Due::Tell(change) => self.tell(change, &context.setting),
            Due::Fact(record) => Decision::silent(record.take().into_iter().map(Fact::from).collect()),
        }
    }

    fn called<'a>(&self, due: &'a mut Due, called: Called, context: &mut Context<'a, '_>) -> Decision<'a> {
        match due {
            Due::Step(step) => self.step(step, Some(called), context),
            // The others call nobody, and nothing depends on what the bus says.
            _ => Decision::silent(Vec::new()),
        }
    }

    fn hear(&mut self, event: Event, setting: &Setting<'_>) -> Option<Due> {
        match event {
            Event::Read(execution, flow, _) if setting.room < Demand::Growth => {
                // It is read again when the step can be recorded.
                self.reading.remove(&(execution, flow))?;
                self.ready.push_back((execution, flow));
                None
            }
            Event::Read(execution, flow, records) => self.was_read((execution, flow), &records, setting.now),
            Event::Unreadable(execution, flow) => {
                if self.reading.remove(&(execution, flow)).is_some() {
                    self.timetable.set(setting.now + UNREADABLE_MILLIS, (execution, flow));
                }
                None
            }
            Event::Answered(task, answer) => {
                self.asks.answered(task, answer);
                None
            }
        }
    }

    fn survival(&self, record: &Record, at: Extent, ledger: &Ledger) -> Survival {
        match State::write_again(self, record, at, ledger) {
            Some(record) if record.tail().is_some() => Survival::Payload,
            Some(_) => Survival::Fact,
            None => Survival::Dead,
        }
    }

    fn write_again<'a>(&self, record: Record, tail: &'a [u8], at: Extent, ledger: &Ledger) -> Vec<Fact<'a>> {
        let again = State::write_again(self, &record, at, ledger);
        again.map(|record| Fact { record, tail: tail.into() }).into_iter().collect()
    }
}

impl State {
    /// The next flow that can go on, with its data or with what is to be read for it.
    fn next_step(&mut self, now: Time) -> Option<Due> {
        while let Some(key) = self.asks.next().or_else(|| self.ready.pop_front()) {
            let Some(needs) = self.needs(key, now).filter(|_| !self.reading.contains_key(&key)) else {
                // It went on, or is given up, or is looked at again when its data have been read.
                continue;
            };
            let warm = needs.iter().map(|at| Some((at.place, self.warm.get(at.place)?.clone())));
            if let Some(loaded) = warm.collect::<Option<Loaded>>() {
                return Some(Due::Step(Box::new(Step::new(key, loaded))));
            }
            self.reading.insert(key, Loaded::new());
            return Some(Due::Read(Some(wanted(key, &needs, &Loaded::new()))));
        }
        None
    }

    /// What a flow needs that can go on; nothing if it cannot.
    fn needs(&self, (id, flow): (ExecutionId, u32), now: Time) -> Option<Vec<Extent>> {
        let execution = self.executions.get(&id)?;
        let doing = &execution.flow(flow)?.doing;
        let nested = self.nested_that_ended(doing);
        let is_to_ask = || match doing {
            Doing::Tasks { wait, .. } if wait.asks => {
                !self.asks.has_asked(&Task { execution: id, flow, since: wait.since })
            }
            _ => false,
        };
        if nested.is_none() && !doing.is_ready(now) && !is_to_ask() {
            return None;
        }
        let definition = self.definitions.get(&execution.definition);
        let asks_for_input = definition.is_some_and(|definition| definition.asks_for_input());
        let mut needs = execution.needs(flow, asks_for_input);
        needs.extend(nested.into_iter().flat_map(|nested| self.needs_of_nested(nested)));
        Some(needs)
    }

    /// Records have been read for a flow. If they were all, it goes on; what has moved meanwhile is read where it lies now.
    fn was_read(&mut self, key: (ExecutionId, u32), records: &[Stored], now: Time) -> Option<Due> {
        let mut loaded = self.reading.remove(&key)?;
        for stored in records {
            let record = Record::decode(&stored.head).ok();
            let split = record.as_ref().and_then(Record::tail).map_or(0, |tail| tail.split as usize);
            let data: Arc<[u8]> = stored.tail.get(split..).unwrap_or_default().into();
            loaded.insert(stored.extent.place, data);
        }
        let needs = self.needs(key, now)?;
        if needs.iter().all(|at| loaded.contains_key(&at.place)) {
            return Some(Due::Step(Box::new(Step::new(key, loaded))));
        }
        let wanted = wanted(key, &needs, &loaded);
        self.reading.insert(key, loaded);
        Some(Due::Read(Some(wanted)))
    }

    /// The next fact about what is not needed any more.
    fn next_upkeep(&mut self) -> Option<Record> {
        if let Some(id) = self.unneeded.pop_first() {
            return Some(Record::DefinitionDropped(self.dropping_of(id)));
        }
        let mut closed: Vec<ExecutionId> =
            std::iter::from_fn(|| self.forgetting.take()).take(REMOVED_AT_ONCE).collect();
        if closed.is_empty() && self.closed_bytes > limits::CLOSED_BYTES {
            closed.extend(std::iter::from_fn(|| self.forgetting.take_first()).take(REMOVED_AT_ONCE));
        }
        if !closed.is_empty() {
            return Some(Record::ExecutionsRemoved(self.removal_of(closed)));
        }
        let machine: MachineId = self.deletable.first().copied()?;
        self.deletion_step(machine)
    }
}

/// What is to be read next of what a flow needs: a bounded part of what is not there yet.
fn wanted((execution, flow): (ExecutionId, u32), needs: &[Extent], loaded: &Loaded) -> Wanted {
    let (mut extents, mut bytes) = (Vec::new(), 0);
    for &at in needs.iter().filter(|at| !loaded.contains_key(&at.place)) {
        bytes += u64::from(at.len);
        if bytes > READ_BYTES && !extents.is_empty() {
            break;
        }
        extents.push(at);
    }
    Wanted { execution, flow, extents }
}
