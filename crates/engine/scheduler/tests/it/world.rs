//! A state with a log and with targets, without a machine: it decides, records and applies as the machine does.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use api::scheduler::{
    CreateScheduleInput, DeleteScheduleInput, FlexibleTimeWindow, GetScheduleInput, GetScheduleOutput,
    Request, Response, SqsParameters, Target,
};
use bytes::Bytes;
use kernel::parcel::StoredCopy;
use kernel::service::Record as _;
use kernel::{
    AttributeValue, Caller, Context, Decision, Demand, Extent, Handed, Ledger, NoTargets, Numbers, Offer,
    Outcome, Place, Refusal, Secret, Service, Setting, Survival, Taken, Targets, Time, Why,
};
use notification::Notification;
use scheduler::limits::Limits;
use scheduler::operations;
use scheduler::records::Record;
use scheduler::state::State;

pub const NOW: Time = Time(1_767_225_600_000);
pub const MINUTE: u64 = 60_000;
pub const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
pub const DEAD: &str = "arn:aws:sqs:us-east-1:000000000000:dead";

const SECRET: Secret = Secret([1; 32]);
const LIMITS: Limits = Limits::relaxed();
/// Records of a segment.
const SEGMENT: u32 = 8;

/// What a target got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub at: Time,
    pub to: String,
    pub text: String,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

/// The targets that exist, and what they got.
#[derive(Debug)]
struct Doors<'w> {
    existing: &'w BTreeSet<String>,
    taken: RefCell<Vec<String>>,
    numbers: &'w Numbers,
    now: Time,
}

impl Targets for Doors<'_> {
    fn offer(&self, offer: &Offer<'_>, handed: &mut Handed<'_>) -> Taken {
        let to = offer.to.to_string();
        if !self.existing.contains(&to) {
            return Taken::Refused(Why::Missing, "it does not exist");
        }
        let setting = setting(self.now, self.numbers, Demand::Growth);
        let mut taken = self.taken.borrow_mut();
        Context::new(setting, &NoTargets, handed).parcel(offer.body).copies.push(StoredCopy {
            holder: taken.len() as u64,
            seq: self.numbers.draw(),
            origin: 0,
            form: offer.form,
            deduplicates: None,
            delay_seconds: 0,
            sent_after: 0,
            without_group: false,
        });
        taken.push(to);
        Taken::Taken
    }
}

fn setting(now: Time, numbers: &Numbers, room: Demand) -> Setting<'_, Limits> {
    Setting { now, limits: &LIMITS, secret: &SECRET, ticket: 1, numbers, room, store_lags: false }
}

pub struct World {
    pub state: State,
    pub now: Time,
    pub existing: BTreeSet<String>,
    pub messages: Vec<Message>,
    /// What the disk has room for.
    pub room: Demand,
    ledger: Ledger,
    numbers: Numbers,
    /// Records that have not been dropped, with their places.
    log: Vec<(Extent, Vec<u8>)>,
    written: u32,
}

impl World {
    pub fn new() -> World {
        World {
            state: State::default(),
            now: NOW,
            existing: [QUEUE, DEAD].map(str::to_owned).into(),
            messages: Vec::new(),
            room: Demand::Growth,
            ledger: Ledger::default(),
            numbers: Numbers::new(1),
            log: Vec::new(),
            written: 0,
        }
    }

    fn record(&mut self, record: &Record) -> Extent {
        let mut head = Vec::new();
        record.encode(&mut head);
        let place = Place::new(1 + self.written / SEGMENT, self.written % SEGMENT * 1000);
        let at = Extent { place, len: head.len() as u32 };
        self.written += 1;
        self.ledger.open(place.segment());
        self.state.apply(record, at, &mut self.ledger);
        self.log.push((at, head));
        at
    }

    /// Asks a service, records and applies what it decides; returns its answer.
    fn follow(
        &mut self,
        ask: impl for<'a> FnOnce(&'a State, &mut Context<'a, '_, Limits>) -> Decision<'a, State>,
    ) -> Option<Result<operations::Reply, Refusal>> {
        let doors = Doors {
            existing: &self.existing,
            taken: RefCell::default(),
            numbers: &self.numbers,
            now: self.now,
        };
        let mut handed = Handed::default();
        let decision = ask(
            &self.state,
            &mut Context::new(setting(self.now, &self.numbers, self.room), &doors, &mut handed),
        );
        let records: Vec<Record> = decision.facts.into_iter().map(|fact| fact.record).collect();
        let answer = match decision.outcome {
            Outcome::Reply(answer) => Some(answer),
            _ => None,
        };
        let taken = doors.taken.take();
        let messages = handed.recorded().map(|(parcel, payload)| {
            let notification = Notification::decode(&Bytes::copy_from_slice(payload)).unwrap();
            let attributes = notification.attributes.into_iter().map(|attribute| {
                let AttributeValue::Text(text) = attribute.value else { panic!("no text") };
                (attribute.name.to_string(), text.to_string())
            });
            Message {
                at: self.now,
                to: taken[parcel.copies[0].holder as usize].clone(),
                text: notification.message.to_string(),
                group: parcel.group.as_deref().map(str::to_owned),
                deduplication_id: parcel.deduplication_id.as_deref().map(str::to_owned),
                attributes: attributes.collect(),
            }
        });
        let messages: Vec<Message> = messages.collect();
        self.messages.extend(messages);
        for record in &records {
            self.record(record);
        }
        answer
    }

    pub fn ask(&mut self, request: Request) -> Result<Response, Refusal> {
        let caller = Caller {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            principal: "000000000000".into(),
            signed: true,
        };
        let asker = kernel::Asker { caller: &caller, base: "http://localhost:4566", trace: None };
        let (command, plan) = operations::prepare(request, &asker)?;
        // The decision of a request borrows from the command alone.
        let command: &'static operations::Command = Box::leak(Box::new(command));
        let answer = self.follow(|state, context| command.decide(state, context)).unwrap()?;
        Ok(operations::present(answer, &plan, &()).unwrap())
    }

    pub fn create(&mut self, wanted: CreateScheduleInput) -> Result<(), Refusal> {
        self.ask(Request::CreateSchedule(wanted)).map(drop)
    }

    pub fn delete(&mut self, name: &str) -> Result<(), Refusal> {
        let input = DeleteScheduleInput { name: Some(name.into()), ..DeleteScheduleInput::default() };
        self.ask(Request::DeleteSchedule(input)).map(drop)
    }

    pub fn get(&mut self, name: &str) -> Result<GetScheduleOutput, Refusal> {
        let input = GetScheduleInput { name: Some(name.into()), ..GetScheduleInput::default() };
        match self.ask(Request::GetSchedule(input))? {
            Response::GetSchedule(output) => Ok(output),
            other => panic!("{other:?}"),
        }
    }

    /// Does what is due now.
    pub fn catch_up(&mut self) {
        let mut room = usize::MAX;
        Service::advance(&mut self.state, self.now, &mut room);
        let mut chores = 0..State::CHORES.len();
        while let Some(chore) = chores.next() {
            let due = Service::take_due(&mut self.state, chore, &setting(self.now, &self.numbers, self.room));
            if let Some(mut due) = due {
                // What is due was taken from the state and does not borrow from it.
                let due: &'static mut scheduler::Due = Box::leak(Box::new(std::mem::replace(
                    &mut due,
                    scheduler::Due::Fire(scheduler::ScheduleId(0)),
                )));
                self.follow(|state, context| Service::consequence(state, due, context));
                chores = 0..State::CHORES.len();
            }
        }
    }

    /// Lets time pass, each thing at its own time.
    pub fn advance(&mut self, millis: u64) {
        let to = self.now + millis;
        self.catch_up();
        while let Some(due) = Service::next_deadline(&self.state).filter(|&due| due <= to) {
            self.now = self.now.max(due);
            self.catch_up();
        }
        self.now = to;
    }

    /// A restart after `millis`: all that is remembered comes from the log.
    pub fn restart(&mut self, millis: u64) {
        self.check_replay();
        self.state = State::default();
        self.ledger = Ledger::default();
        for (at, head) in &self.log {
            self.ledger.open(at.place.segment());
            self.state.apply(&Record::decode(head).unwrap(), *at, &mut self.ledger);
        }
        self.now = self.now + millis;
        self.catch_up();
    }

    /// What a restart finds is what is remembered.
    pub fn check_replay(&self) {
        let (mut state, mut ledger) = (State::default(), Ledger::default());
        for (at, head) in &self.log {
            ledger.open(at.place.segment());
            state.apply(&Record::decode(head).unwrap(), *at, &mut ledger);
        }
        assert!(state.groups().eq(self.state.groups()));
        assert!(state.schedules().eq(self.state.schedules()));
        assert!(state.invocations().eq(self.state.invocations()));
        assert_eq!((state.bytes(), state.len()), (self.state.bytes(), self.state.len()));
    }

    /// Writes what still holds of the oldest segment forward, and drops all segments that nobody needs.
    pub fn clean(&mut self) {
        let Some(victim) = self.log.first().map(|(at, _)| at.place.segment()) else { return };
        if victim > self.written / SEGMENT {
            return;
        }
        let survivors: Vec<(Extent, Vec<u8>)> =
            self.log.iter().filter(|(at, _)| at.place.segment() == victim).cloned().collect();
        for (at, head) in survivors {
            let record = Record::decode(&head).unwrap();
            if Service::survival(&self.state, &record, at, &self.ledger) != Survival::Dead {
                let again = Service::write_again(&self.state, record, &[], at, &self.ledger);
                for record in again.into_iter().map(|fact| fact.record).collect::<Vec<_>>() {
                    let place = self.record(&record).place;
                    self.ledger.replace(place, victim);
                }
            }
        }
        self.ledger.facts_copied(victim);
        loop {
            let newest = self.written / SEGMENT + 1;
            let dead =
                self.ledger.segments().find(|(segment, used)| *segment != newest && used.is_dead(self.now));
            let Some(dead) = dead.map(|(segment, _)| segment) else { break };
            self.ledger.dropped(dead);
            self.log.retain(|(at, _)| at.place.segment() != dead);
        }
        assert!(self.log.iter().all(|(at, _)| at.place.segment() != victim), "the victim is still needed");
    }

    /// Deletes everything.
    pub fn reset(&mut self) {
        for record in self.state.reset() {
            self.record(&record);
        }
    }

    /// Whether something is due that can be done.
    pub fn is_behind(&self) -> bool {
        Service::is_behind(&self.state, &setting(self.now, &self.numbers, self.room))
    }

    /// Segments that exist.
    pub fn segments(&self) -> usize {
        self.ledger.segments().count()
    }
}

/// A schedule whose target is [`QUEUE`].
pub fn wanted(name: &str, expression: &str) -> CreateScheduleInput {
    CreateScheduleInput {
        name: Some(name.to_owned().into()),
        schedule_expression: Some(expression.to_owned().into()),
        target: Some(Box::new(target(QUEUE))),
        flexible_time_window: Some(FlexibleTimeWindow {
            mode: Some("OFF".into()),
            maximum_window_in_minutes: None,
        }),
        ..CreateScheduleInput::default()
    }
}

pub fn target(arn: &str) -> Target {
    Target {
        arn: Some(arn.to_owned().into()),
        role_arn: Some("arn:aws:iam::000000000000:role/r".into()),
        input: Some("<aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>".into()),
        sqs_parameters: Some(SqsParameters { message_group_id: Some("g".into()) }),
        ..Target::default()
    }
}
