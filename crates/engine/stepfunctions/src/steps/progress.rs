//! One step of a flow: from its data through a few states, until it must wait, or has had its turn.

use std::sync::Arc;

use kernel::{Call, Dice, Secret, Time};
use serde_json::Value;
use states_language::{
    Departure, Failure, Kind, QueryLanguage, Random, Reaction, Scope, State, StateMachine, Step, Transition,
    Work, names,
};

use super::Seen;
use super::context::About;
use super::ends;
use super::tasks::Asked;
use super::token::Task;
use crate::data::{self, Data, Phase};
use crate::history::{Field, Type, Written};
use crate::machines::state_of;
use crate::records::{After, Again, InState, Status, TaskWait};
use crate::{ExecutionId, limits};

/// States that a step goes through at the most, and bytes of events after which it goes no further: others have their turn. A state with
/// JSONata counts as several.
const STATES: u32 = 16;
const JSONATA: u32 = 4;
const BYTES: usize = 64 << 10;

/// Events that one state has at the most, apart from those of its iterations.
const EVENTS_OF_STATE: u32 = 8;

/// A flow on its way.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) execution: ExecutionId,
    pub(super) flow: u32,
    pub(super) definition: Arc<StateMachine>,
    pub(super) about: About,
    pub(super) now: Time,
    pub(super) secret: Secret,
    pub(super) random: Random,
    /// For the delay of a retry.
    pub(super) jitter: u64,
    pub(super) dice: Dice,
    pub(super) work: Work,
    pub(super) written: Written,
    /// The flow's last event.
    pub(super) last: u32,
    /// What the event came from with which it entered its state.
    pub(super) before: u32,
    pub(super) next_flow: u32,
    pub(super) states: u32,
    /// What was asked for.
    pub(super) asked: Option<Asked>,
    pub(super) data: Data,
}

/// What a step begins with.
#[derive(Debug)]
pub(super) enum Begins {
    /// The flow goes on where it is.
    GoesOn,
    /// The flow begins to run for another one, whose data it has.
    Branch,
    /// What was waited for has this result.
    Result(Value),
    /// The outputs of the flows that ran for this one are longer together than a result may be.
    TooLong,
    /// What was waited for has failed.
    Failed(Failure),
    /// Nothing was heard of the task in time.
    TimedOut(TaskWait),
    /// A server elsewhere is asked.
    Asks(TaskWait),
}

/// What a step comes to.
#[derive(Debug)]
pub(super) enum Turn {
    /// This is to be called first.
    Calls(Box<Call>),
    /// It is over.
    Went(Went),
}

/// What a flow does after a step, and its data then.
#[derive(Debug)]
pub(super) struct Went {
    pub(super) after: After,
    pub(super) data: Vec<u8>,
}

/// What happens next within a step.
pub(super) enum Next {
    /// The next state.
    On,
    /// Nothing.
    Stop(Turn),
}

impl Progress {
    /// Begins a step.
    pub(super) fn begin(&mut self, begins: Begins, execution: &Seen<'_>) -> Turn {
        let next = match begins {
            Begins::Branch => self.begin_branch(execution),
            Begins::GoesOn => Next::On,
            Begins::Result(result) => self.waited_for(Ok(result), execution),
            Begins::TooLong => self.outputs_too_long(execution),
            Begins::Failed(failure) => self.waited_for(Err(failure), execution),
            Begins::TimedOut(wait) => self.timed_out(&wait, execution),
            // Its request is made before anything goes on.
            Begins::Asks(_) => self.stops(After::Goes),
        };
        self.go_on(next, execution)
    }

    /// Goes through states until something stops it.
    pub(super) fn go_on(&mut self, mut next: Next, execution: &Seen<'_>) -> Turn {
        loop {
            next = match next {
                Next::Stop(turn) => return turn,
                Next::On => self.next_state(execution),
            };
        }
    }

    fn next_state(&mut self, execution: &Seen<'_>) -> Next {
        self.work = Work::default();
        let definition = self.definition.clone();
        let Some(state) = state_of(&definition.flow, &self.data.state) else {
            let text = format!("The definition has no state '{}'.", self.data.state);
            return self.ends_badly(&Failure::new(names::RUNTIME, text), execution);
        };
        match self.data.phase {
            Phase::Enters => {
                let is_first = self.states == 0;
                if !is_first && (self.states >= STATES || self.written.said > BYTES) {
                    return self.stops(After::Goes);
                }
                if let Some(failure) = self.too_long(execution) {
                    return Next::Stop(Turn::Went(self.over(&failure, Again::Kept)));
                }
                self.states += if state.query_language == QueryLanguage::Jsonata { JSONATA } else { 1 };
                self.enters(state);
                self.attempt(state, execution)
            }
            Phase::TriesAgain => {
                if let Some(failure) = self.too_long(execution) {
                    return Next::Stop(Turn::Went(self.over(&failure, Again::Kept)));
                }
                self.states += 1;
                self.attempt(state, execution)
            }
            Phase::Waits => self.finish(state, Value::Null, execution),
            // What is under way says how it ended before the flow goes on.
            Phase::Tasks | Phase::Branches => {
                let text = "The execution's data say that a task is under way, and there is none.";
                self.ends_badly(&Failure::new(names::RUNTIME, text), execution)
            }
        }
    }

    /// Why the execution cannot have more events (facts/stepfunctions.md § 3). A retry need not have one, but it has a record.
    fn too_long(&self, execution: &Seen<'_>) -> Option<Failure> {
        let is_full = self.written.next() + EVENTS_OF_STATE > limits::EVENTS;
        (is_full || execution.next_record() > 2 * limits::EVENTS).then(|| {
            let text =
                format!("The execution reached the maximum number of history events ({}).", limits::EVENTS);
            Failure::new(names::RUNTIME, text)
        })
    }

    /// The flow enters a state.
    fn enters(&mut self, state: &State) {
        let kind = match &state.kind {
            Kind::Pass(_) => Type::PassStateEntered,
            Kind::Task(_) => Type::TaskStateEntered,
            Kind::Choice(_) => Type::ChoiceStateEntered,
            Kind::Wait(_) => Type::WaitStateEntered,
            Kind::Succeed => Type::SucceedStateEntered,
            Kind::Fail(_) => Type::FailStateEntered,
            Kind::Parallel(_) => Type::ParallelStateEntered,
            Kind::Map(_) => Type::MapStateEntered,
        };
        let input = self.data.input.to_string();
        self.before = self.last;
        self.last = self.written.push(
            kind,
            self.before,
            [(Field::Name, Some(&*state.name)), (Field::Input, Some(&*input))],
        );
        (self.data.entered, self.data.entered_at) = (self.last, self.now);
        self.data.retries.clear();
    }

    /// The flow does what its state says.
    fn attempt(&mut self, state: &State, execution: &Seen<'_>) -> Next {
        let token = self.token_of(state);
        let context = self.about.context(&self.data, self.data.item.as_ref(), token.as_deref());
        let entered = state.enter(&self.scope(&context));
        match entered {
            Ok(Step::Leave(departure)) => self.leave(state, departure, execution),
            Ok(Step::Fail(failure)) => self.ends_badly(&failure, execution),
            Ok(Step::Wait(until)) => {
                let until = Time(u64::try_from(until).unwrap_or(0));
                self.data.phase = Phase::Waits;
                if until <= self.now { Next::On } else { self.stops(After::Waits(until)) }
            }
            Ok(Step::Run(run)) => self.run(state, run, execution),
            Ok(Step::Branches(input)) => self.branch(state, input, execution),
            Ok(Step::Iterate(iterations)) => self.iterate(state, *iterations, execution),
            Err(failure) => self.failed_here(state, failure, execution),
        }
    }

    /// The token of the task that the state begins, if it is one that somebody returns.
    fn token_of(&self, state: &State) -> Option<String> {
        let Kind::Task(task) = &state.kind else { return None };
        super::tasks::has_token(&task.resource).then(|| self.task().token(&self.secret))
    }

    /// The task that is scheduled next.
    pub(super) fn task(&self) -> Task {
        Task { execution: self.execution, flow: self.flow, since: self.written.next() }
    }

    pub(super) fn scope<'s>(&'s self, context: &'s Value) -> Scope<'s> {
        let now = self.now.signed_millis();
        Scope::new(&self.data.input, context, &self.data.variables, now, &self.random, &self.work)
    }

    /// What the state has waited for is there.
    pub(super) fn finish(&mut self, state: &State, result: Value, execution: &Seen<'_>) -> Next {
        let context = self.about.context(&self.data, self.data.item.as_ref(), None);
        match state.finish(result, &self.scope(&context)) {
            Ok(departure) => self.leave(state, departure, execution),
            Err(failure) => self.failed_here(state, failure, execution),
        }
    }

    /// The state has failed because of what its own fields say.
    pub(super) fn failed_here(&mut self, state: &State, failure: Failure, execution: &Seen<'_>) -> Next {
        let failure = self.explain(state, failure);
        self.recover(state, &failure, execution)
    }

    /// The failure in AWS's words; with an event if an expression has failed.
    fn explain(&mut self, state: &State, failure: Failure) -> Failure {
        let location = failure.location.clone();
        let failure = failure.in_state(&state.name, self.data.entered.into());
        if let Some(location) = location {
            // It comes from what the state came from (facts/stepfunctions.md § 18).
            self.last = self.written.push(
                Type::EvaluationFailed,
                self.before,
                [
                    (Field::Error, failure.error.as_deref()),
                    (Field::Cause, failure.cause.as_deref()),
                    (Field::Location, Some(&*location)),
                    (Field::State, Some(&*state.name)),
                ],
            );
        }
        failure
    }

    /// The state has failed: it is tried again, or a catcher leads on, or the flow fails.
    pub(super) fn recover(&mut self, state: &State, failure: &Failure, execution: &Seen<'_>) -> Next {
        let context = self.about.context(&self.data, self.data.item.as_ref(), None);
        let jitter = (self.jitter >> 11) as f64 / (1u64 << 53) as f64;
        let reaction = state.recover(failure, &self.data.retries, jitter, &self.scope(&context));
        match reaction {
            Ok(Reaction::Retry { retrier, delay_millis }) => {
                if self.data.retries.len() <= retrier {
                    self.data.retries.resize(retrier + 1, 0);
                }
                self.data.retries[retrier] += 1;
                self.data.phase = Phase::TriesAgain;
                self.data.forget_task();
                self.stops(After::Waits(self.now + delay_millis))
            }
            Ok(Reaction::Caught { departure, .. }) => {
                self.branches_failed(state);
                self.leave(state, departure, execution)
            }
            Ok(Reaction::Fails(mut failure)) => {
                if failure.name() == names::HEARTBEAT_TIMEOUT {
                    failure.error = Some(names::TIMEOUT.to_owned());
                }
                self.branches_failed(state);
                self.ends_badly(&failure, execution)
            }
            Err(failure) => {
                self.branches_failed(state);
                let failure = self.explain(state, failure);
                self.ends_badly(&failure, execution)
            }
        }
    }

    /// The flow leaves its state.
    fn leave(&mut self, state: &State, departure: Departure, execution: &Seen<'_>) -> Next {
        let kind = match &state.kind {
            Kind::Pass(_) => Type::PassStateExited,
            Kind::Task(_) => Type::TaskStateExited,
            Kind::Choice(_) => Type::ChoiceStateExited,
            Kind::Wait(_) => Type::WaitStateExited,
            Kind::Succeed | Kind::Fail(_) => Type::SucceedStateExited,
            Kind::Parallel(_) => Type::ParallelStateExited,
            Kind::Map(_) => Type::MapStateExited,
        };
        let output = departure.output.to_string();
        let assigned = (!departure.assigned.is_empty())
            .then(|| Value::Object(departure.assigned.clone().into_iter().collect()).to_string());
        self.data.variables.extend(departure.assigned);
        if assigned.is_some() && !self.variables_fit() {
            let text = format!("The variables take more than {} bytes together.", limits::VARIABLE_BYTES);
            let failure = Failure::new(names::DATA_LIMIT_EXCEEDED, text);
            return self.ends_badly(&failure, execution);
        }
        let fields = [
            (Field::Name, Some(&*state.name)),
            (Field::Output, Some(&*output)),
            (Field::Assigned, assigned.as_deref()),
        ];
        self.last = self.written.push(kind, self.last, fields);
        self.data.forget_task();
        match departure.to {
            Transition::Next(next) => {
                self.data.phase = Phase::Enters;
                (self.data.state, self.data.input) = (next, departure.output);
                Next::On
            }
            Transition::End => self.ends_well(&output, execution),
        }
    }

    fn variables_fit(&self) -> bool {
        let bytes = self.data.variables.iter().map(|(name, value)| name.len() + value.to_string().len());
        bytes.sum::<usize>() <= limits::VARIABLE_BYTES
    }

    /// The flow has come to its end.
    fn ends_well(&mut self, output: &str, execution: &Seen<'_>) -> Next {
        let data = output.as_bytes().to_vec();
        if self.flow > 0 {
            let after = self.branch_succeeds(execution);
            return Next::Stop(Turn::Went(Went { after, data }));
        }
        let fields = [(Field::Output, Some(output))];
        self.last = self.written.push(Type::ExecutionSucceeded, self.last, fields);
        Next::Stop(Turn::Went(Went { after: After::Over(Status::Succeeded, Again::Kept), data }))
    }

    /// The flow fails.
    pub(super) fn ends_badly(&mut self, failure: &Failure, execution: &Seen<'_>) -> Next {
        // Its branches go on if it is redriven, unless they have returned too much (developer guide, "Redrive behavior of individual states").
        let keeps = self.data.branches.is_some() && failure.name() != names::DATA_LIMIT_EXCEEDED;
        if !keeps {
            let state = state_of(&self.definition.flow, &self.data.state).map(|state| &state.kind);
            self.data.phase =
                if matches!(state, Some(Kind::Fail(_))) { Phase::Enters } else { Phase::TriesAgain };
            self.data.forget_task();
        }
        self.fails(failure, if keeps { Again::Kept } else { Again::Here }, execution)
    }

    /// The flow fails, and goes on so if it is redriven.
    pub(super) fn fails(&mut self, failure: &Failure, again: Again, execution: &Seen<'_>) -> Next {
        let mut went = match self.flow {
            0 => self.over(failure, again),
            _ => {
                self.branch_fails(execution);
                Went { after: After::Failed(again), data: data::encode_failure(failure) }
            }
        };
        if again == Again::Here {
            went.data.extend(self.data.encode());
        }
        Next::Stop(Turn::Went(went))
    }

    /// The whole execution fails.
    fn over(&mut self, failure: &Failure, again: Again) -> Went {
        self.last = ends::write_failed(&mut self.written, self.last, failure);
        Went { after: After::Over(Status::Failed, again), data: data::encode_failure(failure) }
    }

    /// The flow waits, or others have their turn.
    pub(super) fn stops(&mut self, after: After) -> Next {
        Next::Stop(Turn::Went(Went { after, data: self.data.encode() }))
    }

    /// The kind of state that the flow is in.
    pub(super) fn in_state(&self) -> InState {
        match state_of(&self.definition.flow, &self.data.state).map(|state| &state.kind) {
            _ if self.data.phase == Phase::Enters => InState::Other,
            Some(Kind::Task(_)) => InState::Task,
            Some(Kind::Wait(_)) => InState::Wait,
            Some(Kind::Parallel(_)) => InState::Parallel,
            Some(Kind::Map(_)) => InState::Map,
            _ => InState::Other,
        }
    }
}
