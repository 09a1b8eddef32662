//! A state with a log and with a service that tasks call, without a machine: it decides, records and applies as the machine does.

use std::collections::VecDeque;

use api::stepfunctions::{
    CreateStateMachineInput, DescribeExecutionInput, DescribeExecutionOutput, GetExecutionHistoryInput,
    HistoryEvent, Request, Response, StartExecutionInput,
};
use bytes::Bytes;
use kernel::service::Record as _;
use kernel::{
    Call, Called, Caller, Context, Demand, Extent, Handed, Ledger, NoTargets, Numbers, Outcome, Place,
    Refusal, Secret, Service, Setting, Stored, Survival, Time,
};
use serde_json::{Value, json};
use stepfunctions::limits::Limits;
use stepfunctions::operations::{self, Materials};
use stepfunctions::records::Record;
use stepfunctions::state::State;
use stepfunctions::{Due, Effect, Event};

pub const NOW: Time = Time(1_767_225_600_000);

const SECRET: Secret = Secret([1; 32]);
const LIMITS: Limits = Limits::relaxed();
/// Records of a segment.
const SEGMENT: u32 = 8;
const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn setting(now: Time, numbers: &Numbers, room: Demand) -> Setting<'_, Limits> {
    Setting { now, limits: &LIMITS, secret: &SECRET, ticket: 0, numbers, room, store_lags: false }
}

/// Whether what was written is read from the log as soon as it is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Warm,
    Cold,
}

/// Answers a call, given how many there were before.
pub type Answer = Box<dyn Fn(&Call, usize) -> Called>;

pub struct World {
    pub state: State,
    pub ledger: Ledger,
    pub now: Time,
    pub memory: Memory,
    /// What the disk has room for.
    pub room: Demand,
    /// Whether the bytes of the log are damaged.
    pub is_damaged: bool,
    /// Whether each step is followed by a look at what a restart would find.
    pub is_checked: bool,
    numbers: Numbers,
    log: Vec<(Extent, Vec<u8>, Vec<u8>)>,
    written: u32,
    effects: VecDeque<Effect>,
    /// Answers to requests that waited, with their tickets.
    pub answers: Vec<(u64, Result<operations::Reply, Refusal>)>,
    /// What tasks have called.
    pub calls: Vec<Call>,
    /// What they are answered.
    pub answer: Answer,
    /// The details of the events that the default bus was told of.
    pub told: Vec<serde_json::Value>,
}

impl World {
    pub fn new(memory: Memory) -> Self {
        World {
            state: State::default(),
            ledger: Ledger::default(),
            now: NOW,
            memory,
            room: Demand::Growth,
            is_damaged: false,
            is_checked: true,
            numbers: Numbers::new(1),
            log: Vec::new(),
            written: 0,
            effects: VecDeque::new(),
            answers: Vec::new(),
            calls: Vec::new(),
            told: Vec::new(),
            answer: Box::new(|call, _| Called::Answered(call.input.clone())),
        }
    }

    fn record(&mut self, record: &Record, tail: &[u8]) -> Extent {
        let place = Place::new(self.written / SEGMENT + 1, self.written % SEGMENT);
        self.written += 1;
        let mut head = Vec::new();
        record.encode(&mut head);
        // A group of the log has 4 MiB, and what a task has called is in it, too.
        assert!(tail.len() < 7 << 19, "{} bytes: {record:?}", tail.len());
        let at = Extent { place, len: (head.len() + tail.len()) as u32 };
        self.ledger.open(place.segment());
        // What is warm is no part of the record.
        match self.memory {
            Memory::Warm => self.state.apply(record, at, &mut self.ledger),
            Memory::Cold => self.state.apply(&Record::decode(&head).unwrap(), at, &mut self.ledger),
        }
        self.log.push((at, head, tail.to_vec()));
        at
    }

    /// Asks the operation, and records what it decides.
    pub fn ask(&mut self, request: Request) -> Result<Response, Refusal> {
        let caller = Caller {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            principal: "000000000000".into(),
            signed: true,
        };
        let asker = kernel::Asker { caller: &caller, base: "http://localhost:4566", trace: None };
        let (command, plan) = operations::prepare(request, &asker)?;
        let mut handed = Handed::default();
        let mut context = Context::new(setting(self.now, &self.numbers, self.room), &NoTargets, &mut handed);
        let decision = command.decide(&self.state, &mut context);
        let facts: Vec<(Record, Vec<u8>)> =
            decision.facts.into_iter().map(|fact| (fact.record, fact.tail.into_owned())).collect();
        let answer = match decision.outcome {
            Outcome::Reply(answer) => answer,
            Outcome::Wait(waiter) => {
                Service::wait(&mut self.state, waiter);
                return Err(Refusal::new("Waits", ""));
            }
            _ => panic!("no answer"),
        };
        for (record, tail) in facts {
            self.record(&record, &tail);
        }
        Ok(self.present(answer?, &plan))
    }

    fn present(&self, reply: operations::Reply, plan: &operations::Plan) -> Response {
        let records = operations::needs(&reply).iter().map(|at| self.read(*at));
        let records: Vec<(Bytes, Bytes)> = records.map(|(head, tail)| (head.into(), tail.into())).collect();
        operations::present(reply, plan, &Materials { records: &records }).unwrap()
    }

    /// The token and the input of a task that a worker was given.
    pub fn task(&mut self, reply: operations::Reply) -> Option<(String, Value)> {
        match self.present(reply, &operations::Plan::GetActivityTask(())) {
            Response::GetActivityTask(output) => {
                Some((output.task_token?.to_string(), serde_json::from_str(&output.input?).unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    fn read(&self, at: Extent) -> (Vec<u8>, Vec<u8>) {
        let found = self.log.iter().find(|entry| entry.0 == at);
        let (_, head, tail) = found.unwrap_or_else(|| panic!("{at:?} is not in the log"));
        (head.clone(), tail.clone())
    }

    pub fn create(&mut self, name: &str, definition: &Value) -> String {
        let input = CreateStateMachineInput {
            name: Some(name.to_owned().into()),
            definition: Some(definition.to_string().into()),
            role_arn: Some(ROLE.into()),
            ..CreateStateMachineInput::default()
        };
        match self.ask(Request::CreateStateMachine(input)) {
            Ok(Response::CreateStateMachine(output)) => output.state_machine_arn.unwrap().to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub fn start(&mut self, machine: &str, name: &str, input: &Value) -> Result<String, Refusal> {
        let input = StartExecutionInput {
            state_machine_arn: Some(machine.to_owned().into()),
            name: Some(name.to_owned().into()),
            input: Some(input.to_string().into()),
            ..StartExecutionInput::default()
        };
        match self.ask(Request::StartExecution(input))? {
            Response::StartExecution(output) => Ok(output.execution_arn.unwrap().to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// Creates a state machine, and starts an execution of it.
    pub fn run(&mut self, definition: &Value, input: &Value) -> String {
        let machine = self.create("m", definition);
        self.start(&machine, "e", input).unwrap()
    }

    pub fn describe(&mut self, execution: &str) -> DescribeExecutionOutput {
        let input = DescribeExecutionInput {
            execution_arn: Some(execution.to_owned().into()),
            ..DescribeExecutionInput::default()
        };
        match self.ask(Request::DescribeExecution(input)) {
            Ok(Response::DescribeExecution(output)) => output,
            other => panic!("{other:?}"),
        }
    }

    /// The status of an execution, and its output or its error and cause.
    pub fn end(&mut self, execution: &str) -> (String, Value) {
        let described = self.describe(execution);
        let value = match &described.output {
            Some(output) => serde_json::from_str(output).unwrap(),
            None => json!([described.error.as_deref(), described.cause.as_deref()]),
        };
        (described.status.unwrap().to_string(), value)
    }

    pub fn history(&mut self, execution: &str) -> Vec<HistoryEvent> {
        let (mut events, mut next_token) = (Vec::new(), None);
        loop {
            let input = GetExecutionHistoryInput {
                execution_arn: Some(execution.to_owned().into()),
                max_results: Some(7),
                next_token,
                ..GetExecutionHistoryInput::default()
            };
            let Ok(Response::GetExecutionHistory(output)) = self.ask(Request::GetExecutionHistory(input))
            else {
                panic!("no history")
            };
            events.extend(output.events.unwrap());
            match output.next_token {
                Some(token) => next_token = Some(token),
                None => return events,
            }
        }
    }

    /// The history as a graph: `TaskStateEntered 2<0`.
    pub fn graph(&mut self, execution: &str) -> Vec<String> {
        let events = self.history(execution);
        let line = |event: HistoryEvent| {
            format!("{} {}<{}", event.r#type.unwrap(), event.id.unwrap(), event.previous_event_id.unwrap())
        };
        events.into_iter().map(line).collect()
    }

    /// Follows up something due; the facts of the calls that it makes are none.
    fn follow(&mut self, mut due: Due) {
        let mut called = None;
        loop {
            let mut handed = Handed::default();
            let mut context =
                Context::new(setting(self.now, &self.numbers, self.room), &NoTargets, &mut handed);
            let decision = match called.take() {
                None => self.state.consequence(&mut due, &mut context),
                Some(called) => self.state.called(&mut due, called, &mut context),
            };
            let facts: Vec<(Record, Vec<u8>)> =
                decision.facts.into_iter().map(|fact| (fact.record, fact.tail.into_owned())).collect();
            self.effects.extend(decision.effects.into_iter().map(|effect| effect.1));
            let answer = match decision.outcome {
                Outcome::Call(call) if call.caller.as_service().is_some() => {
                    let request: serde_json::Value = serde_json::from_str(&call.input).unwrap();
                    let detail = request["Entries"][0]["Detail"].as_str().unwrap();
                    self.told.push(serde_json::from_str(detail).unwrap());
                    called = Some(Called::Answered("{}".to_owned()));
                    continue;
                }
                Outcome::Call(call) => {
                    assert!(facts.is_empty());
                    called = Some((self.answer)(&call, self.calls.len()));
                    self.calls.push(*call);
                    continue;
                }
                Outcome::Reply(answer) => decision.ticket.map(|ticket| (ticket, answer)),
                _ => None,
            };
            assert!(facts.len() <= 1);
            for (record, tail) in facts {
                self.record(&record, &tail);
                if self.is_checked {
                    self.check_replay();
                }
            }
            self.answers.extend(answer);
            return;
        }
    }

    /// Does one thing that is due now. Returns whether there was one.
    pub fn step(&mut self) -> bool {
        let mut room = usize::MAX;
        Service::advance(&mut self.state, self.now, &mut room);
        if let Some(Effect::Read(wanted)) = self.effects.pop_front() {
            // What lies elsewhere by now is left out.
            let found = |extent: &Extent| self.log.iter().find(|entry| entry.0 == *extent);
            let records = wanted.extents.iter().filter_map(found).map(|(extent, head, tail)| Stored {
                extent: *extent,
                head: head.clone(),
                tail: tail.clone(),
            });
            let event = match self.is_damaged {
                false => Event::Read(wanted.execution, wanted.flow, records.collect()),
                true => Event::Unreadable(wanted.execution, wanted.flow),
            };
            if let Some(due) = self.state.hear(event, &setting(self.now, &self.numbers, self.room)) {
                self.follow(due);
            }
            return true;
        }
        for chore in 0..State::CHORES.len() {
            if let Some(due) = self.state.take_due(chore, &setting(self.now, &self.numbers, self.room)) {
                self.follow(due);
                return true;
            }
        }
        assert!(!self.state.is_behind(&setting(self.now, &self.numbers, self.room)));
        false
    }

    /// Does what is due now.
    pub fn catch_up(&mut self) {
        while self.step() {}
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

    fn replayed(&self) -> (State, Ledger) {
        let (mut state, mut ledger) = (State::default(), Ledger::default());
        Service::replaying(&mut state, self.now);
        // First the configuration, then the rest, as the machine reads a log.
        for is_configuration in [true, false] {
            for (at, head, _) in &self.log {
                let record = Record::decode(head).unwrap();
                if record.is_configuration() == is_configuration {
                    ledger.open(at.place.segment());
                    state.apply(&record, *at, &mut ledger);
                }
            }
        }
        Service::replayed(&mut state, self.numbers.next(), &mut ledger);
        (state, ledger)
    }

    /// A restart: all that is remembered comes from the log.
    pub fn restart(&mut self) {
        self.check_replay();
        (self.state, self.ledger) = self.replayed();
        self.effects.clear();
    }

    /// What a restart finds is what is remembered.
    pub fn check_replay(&self) {
        let (state, ledger) = self.replayed();
        assert!(state.machines().eq(self.state.machines()));
        assert!(state.definitions().eq(self.state.definitions()));
        let (found, remembered): (Vec<_>, Vec<_>) =
            (state.executions().collect(), self.state.executions().collect());
        assert_eq!(found, remembered);
        for (number, used) in self.ledger.segments() {
            let found = ledger.get(number).map_or(0, |used| used.references);
            assert_eq!(found, used.references, "segment {number}");
        }
    }

    /// Writes what still holds of the oldest segment forward, and drops all segments that nobody needs.
    pub fn clean(&mut self) {
        let Some(victim) = self.log.first().map(|entry| entry.0.place.segment()) else { return };
        if victim > self.written / SEGMENT {
            return;
        }
        let survivors: Vec<_> =
            self.log.iter().filter(|entry| entry.0.place.segment() == victim).cloned().collect();
        for (at, head, tail) in survivors {
            let record = Record::decode(&head).unwrap();
            if Service::survival(&self.state, &record, at, &self.ledger) != Survival::Dead {
                let again = Service::write_again(&self.state, record, &tail, at, &self.ledger);
                let again: Vec<_> =
                    again.into_iter().map(|fact| (fact.record, fact.tail.into_owned())).collect();
                for (record, tail) in again {
                    let place = self.record(&record, &tail).place;
                    self.ledger.replace(place, victim);
                }
            }
        }
        self.check_replay();
        self.ledger.facts_copied(victim);
        loop {
            let newest = self.written / SEGMENT + 1;
            let dead =
                self.ledger.segments().find(|(segment, used)| *segment != newest && used.is_dead(self.now));
            let Some(dead) = dead.map(|(segment, _)| segment) else { break };
            self.ledger.dropped(dead);
            self.log.retain(|entry| entry.0.place.segment() != dead);
        }
        assert!(self.log.iter().all(|entry| entry.0.place.segment() != victim), "the victim is still needed");
        self.check_replay();
    }

    /// Deletes everything.
    pub fn reset(&mut self) {
        for fact in Service::reset(&mut self.state, self.now) {
            self.record(&fact.record, &[]);
        }
    }

    /// Segments that exist.
    pub fn segments(&self) -> usize {
        self.ledger.segments().count()
    }
}
