//! What happens when an execution comes to a state.

use serde_json::Value;

use super::dataflow::assigned;
use super::{Departure, Run, Step, amounts, within_limit};
use crate::definition::{
    Choice, Fail, Kind, Pass, QueryLanguage, RuleCondition, State, Task, Transition, Until, Wait,
};
use crate::failure::{Failure, names};
use crate::scope::Scope;
use crate::template::Template;
use crate::timestamp;

/// The longest wait: a year, in milliseconds.
const LONGEST_WAIT: i64 = 31_622_400_000;

impl State {
    /// Enters the state; `scope.input` is the state's input.
    ///
    /// Errors: what the definition does with this input fails, such as a path that leads nowhere.
    pub fn enter<'a>(&'a self, scope: &Scope<'_>) -> Result<Step<'a>, Failure> {
        match &self.kind {
            Kind::Pass(pass) => self.pass(pass, scope).map(Step::Leave),
            Kind::Succeed => self.pass_on(Transition::End, scope).map(Step::Leave),
            Kind::Choice(choice) => self.choose(choice, scope).map(Step::Leave),
            Kind::Wait(wait) => self.wait(wait, scope).map(Step::Wait),
            Kind::Fail(fail) => self.fail(fail, scope).map(Step::Fail),
            Kind::Task(task) => self.run(task, scope).map(Step::Run),
            Kind::Parallel(parallel) => {
                let input = self.effective_input(scope)?;
                let input = State::made(parallel.parameters.as_ref(), self.payload_field(), input, scope)?;
                self.checked_output(input).map(Step::Branches)
            }
            Kind::Map(map) => {
                let input = self.effective_input(scope)?;
                let iterations = map.iterations(&scope.with_input(&input))?;
                Ok(Step::Iterate(Box::new(iterations)))
            }
        }
    }

    fn pass(&self, pass: &Pass, scope: &Scope<'_>) -> Result<Departure, Failure> {
        let to = self.to();
        if self.query_language == QueryLanguage::Jsonata {
            return self.pass_on(to, scope);
        }
        let input = self.effective_input(scope)?;
        let result = match (&pass.result, &pass.parameters) {
            (Some(result), _) => result.clone(),
            (None, parameters) => State::made(parameters.as_ref(), "Parameters", input, scope)?,
        };
        let assigned = assigned(self.assign.as_ref(), "Assign", &self.name, &scope.with_input(&result))?;
        let output = pass.result_path.combine(scope.input, result)?;
        let output = self.output_path.select(output, scope)?;
        Ok(Departure { to, output: self.checked_output(output)?, assigned })
    }

    /// Leaves with the input, after the state's paths or its `Output`.
    pub(super) fn pass_on(&self, to: Transition, scope: &Scope<'_>) -> Result<Departure, Failure> {
        let input = self.effective_input(scope)?;
        let scope = scope.with_input(&input);
        let assigned = assigned(self.assign.as_ref(), "Assign", &self.name, &scope)?;
        let output = match &self.output {
            Some(output) => output.evaluate("Output", &scope)?,
            None => self.output_path.select(input.clone(), &scope)?,
        };
        Ok(Departure { to, output: self.checked_output(output)?, assigned })
    }

    fn choose(&self, choice: &Choice, scope: &Scope<'_>) -> Result<Departure, Failure> {
        let input = self.effective_input(scope)?;
        let scope = scope.with_input(&input);
        for (at, rule) in choice.rules.iter().enumerate() {
            let field = format!("Choices[{at}]");
            if !rule.condition.holds(&format!("{field}/Condition"), &scope)? {
                continue;
            }
            let assigned = assigned(rule.assign.as_ref(), &format!("{field}/Assign"), &self.name, &scope)?;
            let output = match &rule.output {
                Some(output) => output.evaluate(&format!("{field}/Output"), &scope)?,
                None => self.output_path.select(input.clone(), &scope)?,
            };
            let to = Transition::Next(rule.next.clone());
            return Ok(Departure { to, output: self.checked_output(output)?, assigned });
        }
        let Some(default) = &choice.default else {
            let text = "Failed to transition out of the state. The state does not point to a next state.";
            return Err(Failure::new(names::NO_CHOICE_MATCHED, text));
        };
        let assigned = assigned(self.assign.as_ref(), "Assign", &self.name, &scope)?;
        let output = match &self.output {
            Some(output) => output.evaluate("Output", &scope)?,
            None => self.output_path.select(input.clone(), &scope)?,
        };
        Ok(Departure {
            to: Transition::Next(default.clone()),
            output: self.checked_output(output)?,
            assigned,
        })
    }

    fn wait(&self, wait: &Wait, scope: &Scope<'_>) -> Result<i64, Failure> {
        let input = self.effective_input(scope)?;
        let scope = scope.with_input(&input);
        let until = match &wait.until {
            Until::Seconds(seconds) => {
                let seconds = amounts::whole(seconds, "Seconds", &scope)?;
                i64::try_from(seconds)
                    .ok()
                    .and_then(|seconds| scope.now.checked_add(seconds.checked_mul(1000)?))
            }
            Until::Timestamp(moment) => Some(self.moment(moment, &scope)?),
        };
        until
            .filter(|until| until.saturating_sub(scope.now) <= LONGEST_WAIT)
            .ok_or_else(|| Failure::runtime("Wait state delay is too long."))
    }

    fn moment(&self, moment: &Template, scope: &Scope<'_>) -> Result<i64, Failure> {
        let value = match moment {
            Template::Path(path) => amounts::at_path(path, scope)?,
            moment => moment.evaluate("Timestamp", scope)?,
        };
        let read = value.as_str().and_then(timestamp::read_millis);
        read.ok_or_else(|| match moment {
            Template::Expression(expression) if !value.is_string() => expression.unexpected("Timestamp", "string", &value),
            Template::Path(path) => Failure::runtime(format!(
                "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {} == {}",
                path.as_str(),
                amounts::plain(&value)
            )),
            _ => Failure::runtime(format!(
                "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {}",
                amounts::plain(&value)
            )),
        })
    }

    fn fail(&self, fail: &Fail, scope: &Scope<'_>) -> Result<Failure, Failure> {
        let text = |template: &Option<Template>, name| {
            template.as_ref().map(|template| amounts::text(template, name, scope)).transpose()
        };
        Ok(Failure { error: text(&fail.error, "Error")?, cause: text(&fail.cause, "Cause")?, location: None })
    }

    fn run<'a>(&self, task: &'a Task, scope: &Scope<'_>) -> Result<Run<'a>, Failure> {
        let input = self.effective_input(scope)?;
        let scope = scope.with_input(&input);
        let seconds = |template: &Option<Template>, name| {
            template.as_ref().map(|template| amounts::whole(template, name, &scope)).transpose()
        };
        let timeout_seconds = seconds(&task.timeout, "TimeoutSeconds")?;
        let heartbeat_seconds = seconds(&task.heartbeat, "HeartbeatSeconds")?;
        let credentials = task.credentials.as_ref();
        let credentials = credentials.map(|template| template.evaluate("Credentials", &scope)).transpose()?;
        let payload = State::made(task.parameters.as_ref(), self.payload_field(), input.clone(), &scope)?;
        within_limit(&payload, &self.name)?;
        Ok(Run { resource: &task.resource, payload, timeout_seconds, heartbeat_seconds, credentials })
    }

    /// Where the state leads if nothing chooses otherwise. The definition's check makes sure that there is such a place.
    pub(super) fn to(&self) -> Transition {
        self.transition.clone().unwrap_or(Transition::End)
    }
}

impl RuleCondition {
    fn holds(&self, field: &str, scope: &Scope<'_>) -> Result<bool, Failure> {
        match self {
            RuleCondition::Paths(condition) => condition.holds(scope),
            RuleCondition::Constant(truth) => Ok(*truth),
            RuleCondition::Expression(expression) => match expression.evaluate(field, scope)? {
                Value::Bool(truth) => Ok(truth),
                value => Err(expression.unexpected(field, "boolean", &value)),
            },
        }
    }
}
