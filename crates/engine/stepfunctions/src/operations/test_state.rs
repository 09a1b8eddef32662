//! TestState: one state with an input, and with a mock of what it asks for (facts/stepfunctions.md § 9).

use api::stepfunctions::{
    InspectionData, InspectionErrorDetails, MockInput, TestStateInput, TestStateOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time, iso8601};
use resources::Faults;
use serde_json::{Map, Value, json};
use states_language::{
    Departure, Failure, Inspection, Kind, Random, Reaction, Scope, State as Tested, StateMachine, Step,
    Transition, Variables, Work,
};

use super::common::decided;
use super::{Context, Decision, Materials, Reply, Setting};
use crate::machines::state_of;
use crate::refusals;
use crate::rules::definitions;
use crate::state::State;

/// The name of a state that was sent without one.
const NAMELESS: &str = "TestState";

/// TestState.
#[derive(Clone, Debug)]
pub struct TestState {
    machine: StateMachine,
    state: String,
    input: Value,
    variables: Variables,
    context: Option<Value>,
    mock: Option<Result<Value, Failure>>,
    role: Option<String>,
    /// How often each retrier has tried again.
    retried: u64,
}

/// How a test ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    status: &'static str,
    output: Option<Value>,
    next: Option<String>,
    failure: Option<Failure>,
    /// The catcher that has caught it; the retrier that would try again, and after how many seconds.
    caught: Option<usize>,
    retry: Option<(usize, u64)>,
    input: Value,
    variables: Option<Variables>,
    inspection: Inspection,
}

impl Operation<State> for TestState {
    type Input = TestStateInput;
    type Output = TestStateOutput;
    /// Whether the data between the fields are told.
    type Plan = bool;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: TestStateInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(Self::prepare_with_plan(input, asker)?.0)
    }

    fn prepare_with_plan(input: TestStateInput, _: &Asker<'_>) -> Result<(Self, bool), Refusal> {
        let mut faults = Faults::default();
        let definition = definitions::of_request(input.definition.as_deref(), &mut faults);
        let level = input.inspection_level.as_deref().unwrap_or("INFO");
        faults.one_of(level, "inspectionLevel", &["INFO", "DEBUG", "TRACE"]);
        if let Some(name) = &input.state_name {
            faults.length(name, "stateName", 1, 80);
        }
        faults.refusal()?;
        let (machine, state) = read(&definition, input.state_name.as_deref())?;
        let object = |text: Option<&str>, field: &str| -> Result<Option<Value>, Refusal> {
            let Some(text) = text else { return Ok(None) };
            let value = serde_json::from_str(text).ok().filter(Value::is_object);
            value.map(Some).ok_or_else(|| refusals::invalid(format!("The {field} must be a JSON object.")))
        };
        let variables = match object(input.variables.as_deref(), "variables")? {
            Some(Value::Object(members)) => members.into_iter().collect(),
            _ => Variables::new(),
        };
        let context = object(input.context.as_deref(), "context")?;
        let configuration = input.state_configuration.unwrap_or_default();
        if configuration.error_caused_by_state.is_some()
            || configuration.map_iteration_failure_count.is_some()
            || configuration.map_item_reader_data.is_some()
        {
            return Err(refusals::invalid("Of stateConfiguration only retrierRetryCount is served here."));
        }
        let tested = TestState {
            input: super::start_execution::read_input(input.input.as_deref().unwrap_or("{}"))?,
            mock: input.mock.map(mocked).transpose()?.flatten(),
            role: input.role_arn.map(String::from),
            retried: configuration.retrier_retry_count.and_then(|count| count.try_into().ok()).unwrap_or(0),
            machine,
            state,
            variables,
            context,
        };
        tested.check()?;
        Ok((tested, level != "INFO"))
    }

    fn decide<'a>(&'a self, _: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.run(&context.setting).map(|outcome| Decision::answer(Reply::Tested(Box::new(outcome)))))
    }

    fn present(reply: Reply, inspects: &bool, _: &Materials<'_>) -> Result<TestStateOutput, Malformed> {
        let Reply::Tested(outcome) = reply else { return Err(Malformed) };
        let outcome = *outcome;
        let data = inspects.then(|| outcome.inspected());
        let failure = outcome.failure.unwrap_or(Failure { error: None, cause: None, location: None });
        Ok(TestStateOutput {
            output: outcome.output.map(|output| output.to_string().into()),
            error: failure.error.map(Into::into),
            cause: failure.cause.map(Into::into),
            inspection_data: data.map(Box::new),
            next_state: outcome.next.map(Into::into),
            status: Some(outcome.status.into()),
        })
    }
}

/// Reads the definition of a state, or of a state machine with the name of one of its states.
fn read(text: &str, name: Option<&str>) -> Result<(StateMachine, String), Refusal> {
    let whole: Value = serde_json::from_str(text).unwrap_or_default();
    let (text, name) = match (whole.get("States").is_some(), name) {
        (true, Some(name)) => (text.to_owned(), name.to_owned()),
        (true, None) => {
            return Err(refusals::invalid(
                "stateName must be specified when the definition is a state machine",
            ));
        }
        // A text that is no JSON object is refused as a definition is.
        (false, _) if !whole.is_object() => (text.to_owned(), NAMELESS.to_owned()),
        (false, name) => {
            let name = name.unwrap_or(NAMELESS);
            (alone(whole, name).to_string(), name.to_owned())
        }
    };
    let (machine, found) = definitions::read(&text, false);
    let machine = machine.ok_or_else(|| refusals::invalid_definition(found.to_string()))?;
    if state_of(&machine.flow, &name).is_none() {
        return Err(refusals::invalid(format!("The definition has no state '{name}'.")));
    }
    Ok((machine, name))
}

/// A state machine of one state, and of empty states where it leads to.
fn alone(state: Value, name: &str) -> Value {
    let mut states = Map::new();
    let rules = ["Catch", "Choices"].iter().filter_map(|field| state.get(field)?.as_array()).flatten();
    let targets = rules.filter_map(|rule| rule.get("Next"));
    for target in targets.chain(state.get("Next")).chain(state.get("Default")).filter_map(Value::as_str) {
        states.insert(target.to_owned(), json!({"Type": "Succeed"}));
    }
    states.insert(name.to_owned(), state);
    json!({"StartAt": name, "States": states})
}

/// What a mock says of the task, the branches or the iterations.
fn mocked(mock: MockInput) -> Result<Option<Result<Value, Failure>>, Refusal> {
    match (mock.result, mock.error_output) {
        (Some(_), Some(_)) => {
            let text = "A test mock should have only one of the following fields: [result, errorOutput].";
            Err(refusals::invalid(text))
        }
        (Some(result), None) => match serde_json::from_str(&result) {
            Ok(result) => Ok(Some(Ok(result))),
            Err(_) => Err(refusals::invalid("Mocked result must be a valid JSON.")),
        },
        (None, Some(error)) => {
            let (error, cause) = (error.error.map(String::from), error.cause.map(String::from));
            Ok(Some(Err(Failure { error, cause, location: None })))
        }
        (None, None) => Ok(None),
    }
}

impl TestState {
    fn tested(&self) -> Result<&Tested, Refusal> {
        let known = state_of(&self.machine.flow, &self.state);
        known.ok_or_else(|| refusals::invalid(format!("The definition has no state '{}'.", self.state)))
    }

    /// Errors: the mock does not fit the state, or the state needs one.
    fn check(&self) -> Result<(), Refusal> {
        let (kind, branches) = match &self.tested()?.kind {
            Kind::Task(_) => ("Task", None),
            Kind::Parallel(parallel) => ("Parallel", Some(parallel.branches.len())),
            Kind::Map(_) => ("Map", Some(0)),
            Kind::Pass(_) => ("Pass", None),
            Kind::Choice(_) => ("Choice", None),
            Kind::Wait(_) => ("Wait", None),
            Kind::Succeed => ("Succeed", None),
            Kind::Fail(_) => ("Fail", None),
        };
        let asks = matches!(kind, "Task" | "Parallel" | "Map");
        let text = match (&self.mock, branches) {
            (Some(_), _) if !asks => {
                format!("State type '{kind}' is not supported when a mock is specified")
            }
            (None, _) if kind == "Task" && self.role.is_none() => {
                "RoleArn must be specified when testing a Task state".to_owned()
            }
            // AWS calls the service of a Task state. Here a test changes nothing.
            (None, _) if asks => format!("State type '{kind}' is tested with a mock only"),
            (Some(Ok(result)), Some(branches)) => match result.as_array() {
                None => "Mocked result must be an array.".to_owned(),
                Some(outputs) if kind == "Parallel" && outputs.len() != branches => {
                    "Mocked result must contain the same number of items as number of Parallel branches."
                        .to_owned()
                }
                Some(_) => return Ok(()),
            },
            _ => return Ok(()),
        };
        Err(refusals::invalid(text))
    }

    /// Goes through the state once.
    fn run(&self, setting: &Setting<'_>) -> Result<Outcome, Refusal> {
        let state = self.tested()?;
        let seed = setting.secret.derive_number("test", setting.numbers.draw());
        let context = self.context.clone().unwrap_or_else(|| self.context_at(setting.now));
        let now = setting.now.signed_millis();
        let (random, work) = (Random::new(seed), Work::default());
        let scope = Scope::new(&self.input, &context, &self.variables, now, &random, &work);
        let finish = |result: Value| state.finish(result, &scope);
        let failed_here = |failure: Failure| failure.in_state(&state.name, 0);
        let went = match state.enter(&scope) {
            Ok(Step::Leave(departure)) => Ok(departure),
            Ok(Step::Fail(failure)) => return Ok(self.failed(failure, setting)),
            Ok(Step::Wait(_)) => finish(Value::Null).map_err(failed_here),
            Ok(Step::Run(_) | Step::Branches(_) | Step::Iterate(_)) => match self.mock.clone() {
                Some(Ok(result)) => finish(result).map_err(failed_here),
                Some(Err(failure)) => Err(failure),
                None => Err(Failure::new("States.Runtime", "There is no mock.")),
            },
            Err(failure) => Err(failed_here(failure)),
        };
        let failure = match went {
            Ok(departure) => return Ok(self.left("SUCCEEDED", departure, setting, seed)),
            Err(failure) => failure,
        };
        // Of many retriers only the one that matches looks at its count.
        let retries = vec![self.retried; state.retriers()];
        let jitter = (seed >> 11) as f64 / (1u64 << 53) as f64;
        Ok(match state.recover(&failure, &retries, jitter, &scope) {
            Ok(Reaction::Retry { retrier, delay_millis }) => Outcome {
                status: "RETRIABLE",
                retry: Some((retrier, delay_millis.div_ceil(1000))),
                ..self.failed(failure, setting)
            },
            Ok(Reaction::Caught { catcher, departure }) => Outcome {
                failure: Some(failure),
                caught: Some(catcher),
                ..self.left("CAUGHT_ERROR", departure, setting, seed)
            },
            Ok(Reaction::Fails(failure)) => self.failed(failure, setting),
            Err(failure) => self.failed(failed_here(failure), setting),
        })
    }

    fn left(&self, status: &'static str, departure: Departure, setting: &Setting<'_>, seed: u64) -> Outcome {
        let mut variables = self.variables.clone();
        variables.extend(departure.assigned);
        let next = match departure.to {
            Transition::Next(next) => Some(next),
            Transition::End => None,
        };
        Outcome {
            status,
            output: Some(departure.output),
            next,
            failure: None,
            caught: None,
            retry: None,
            input: self.input.clone(),
            variables: Some(variables),
            inspection: self.inspection(setting, seed),
        }
    }

    fn failed(&self, failure: Failure, setting: &Setting<'_>) -> Outcome {
        Outcome {
            status: "FAILED",
            output: None,
            next: None,
            failure: Some(failure),
            caught: None,
            retry: None,
            input: self.input.clone(),
            variables: None,
            inspection: self.inspection(setting, 0),
        }
    }

    /// The data between the fields. The same random numbers are drawn for them as before.
    fn inspection(&self, setting: &Setting<'_>, seed: u64) -> Inspection {
        let context = self.context.clone().unwrap_or_else(|| self.context_at(setting.now));
        let now = setting.now.signed_millis();
        let (random, work) = (Random::new(seed), Work::default());
        let scope = Scope::new(&self.input, &context, &self.variables, now, &random, &work);
        let result = self.mock.as_ref().and_then(|mock| mock.as_ref().ok());
        self.tested().map(|state| state.inspect(result, &scope)).unwrap_or_default()
    }

    /// The context object of a state whose test does not bring one.
    fn context_at(&self, now: Time) -> Value {
        let shown = iso8601::write_exactly(now.signed_millis());
        json!({
            "Execution": {"Input": self.input, "RedriveCount": 0, "RoleArn": self.role, "StartTime": shown},
            "State": {"Name": self.state, "EnteredTime": shown, "RetryCount": self.retried},
            "StateMachine": {},
        })
    }
}

impl Outcome {
    fn inspected(&self) -> InspectionData {
        let text = |value: &Option<Value>| value.as_ref().map(|value| value.to_string().into());
        let index = |at: usize| i32::try_from(at).ok();
        let seen = &self.inspection;
        let variables = self
            .variables
            .as_ref()
            .map(|variables| Value::Object(variables.clone().into_iter().collect()).to_string().into());
        let details = (self.caught.is_some() || self.retry.is_some()).then(|| InspectionErrorDetails {
            catch_index: self.caught.and_then(index),
            retry_index: self.retry.and_then(|retry| index(retry.0)),
            retry_backoff_interval_seconds: self.retry.and_then(|retry| i32::try_from(retry.1).ok()),
        });
        InspectionData {
            input: Some(self.input.to_string().into()),
            after_input_path: text(&seen.after_input_path),
            after_parameters: text(&seen.after_parameters),
            after_arguments: text(&seen.after_arguments),
            after_items_path: text(&seen.after_items_path),
            result: text(&seen.result),
            after_result_selector: text(&seen.after_result_selector),
            after_result_path: text(&seen.after_result_path),
            max_concurrency: seen.max_concurrency.and_then(|most| most.try_into().ok()),
            variables,
            error_details: details,
            ..InspectionData::default()
        }
    }
}
