//! Evaluates an expression in the scope of a state.

use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions};
use jsonata_core::value::JValue;
use serde_json::{Map, Value};

use super::Expression;
use super::functions::{Host, MEMORY, MEMORY_EXCEEDED, TIME_EXCEEDED};
use super::plain::Found;
use super::values::{size, to_json};
use crate::failure::{Failure, names};
use crate::random::Random;
use crate::scope::{Scope, weight};

/// Levels of the evaluation. AWS allows 100 (recorded: github.com/floci-io/floci/pull/2783); the counters take some of ours.
pub(super) const DEPTH: usize = 100;
const DEPTH_WITH_COUNTERS: usize = 200;
/// Items of one sequence: a payload of 256 KiB has at most 131,072.
const SEQUENCE: usize = 150_000;
/// The last resort against what the counters miss. An evaluation that ends within its steps takes a small part of this. In our tests the
/// counters have to do alone.
const MILLISECONDS: u64 = if cfg!(test) { 3_600_000 } else { 2_000 };

const TOO_DEEP: &str = "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive";

impl Expression {
    /// The value of the expression. `field` names it in errors: `Output/total`. Errors: `States.QueryEvaluationError`, also if the
    /// expression gives nothing.
    pub(crate) fn evaluate(&self, field: &str, scope: &Scope<'_>) -> Result<Value, Failure> {
        match self.plain.as_ref().map_or(Found::Unknown, |plain| plain.find(scope)) {
            Found::Value(value) => {
                scope.work.copy(value)?;
                return Ok(value.clone());
            }
            Found::Nothing => return Err(self.nothing(field)),
            Found::Unknown => {}
        }
        let value = self.run(scope).map_err(|error| self.failure(field, &message(&error)))?;
        if size(&value, MEMORY).is_none() {
            return Err(self.failure(field, &format!(": {MEMORY_EXCEEDED}")));
        }
        to_json(&value).ok_or_else(|| self.nothing(field))
    }

    /// The failure of an expression that gave nothing.
    fn nothing(&self, field: &str) -> Failure {
        let source = &self.source;
        let text = format!(
            "The JSONata expression '{source}' specified for the field '{field}' returned nothing (undefined)."
        );
        Failure::new(names::QUERY_EVALUATION_ERROR, text).at(field)
    }

    /// The failure of an expression that gave a value of another type than its field takes.
    pub(crate) fn unexpected(&self, field: &str, expected: &str, value: &Value) -> Failure {
        let text = format!(
            "The JSONata expression '{}' specified for the field '{field}' returned an unexpected result type. \
             Expected '{expected}', but was '{}' for value: {value}",
            self.source,
            type_of(value)
        );
        Failure::new(names::QUERY_EVALUATION_ERROR, text).at(field)
    }

    fn failure(&self, field: &str, ending: &str) -> Failure {
        let source = &self.source;
        let text = format!(
            "The JSONata expression '{source}' specified for the field '{field}' threw an error during evaluation{ending}"
        );
        Failure::new(names::QUERY_EVALUATION_ERROR, text).at(field)
    }

    fn run(&self, scope: &Scope<'_>) -> Result<JValue, EvaluatorError> {
        if self.too_deep {
            return Err(EvaluatorError::EvaluationError(TOO_DEEP.to_owned()));
        }
        let mut context = Context::new();
        if self.names.contains("states") {
            context.bind("states".to_owned(), Expression::convert(&self.states(scope), scope)?);
        }
        for name in &self.names {
            if let Some(value) = scope.variables.get(name) {
                context.bind(name.clone(), Expression::convert(value, scope)?);
            }
        }
        let options = EvaluatorOptions {
            timeout_ms: Some(MILLISECONDS),
            max_stack_depth: Some(DEPTH_WITH_COUNTERS),
            max_sequence_length: Some(SEQUENCE),
            ..EvaluatorOptions::default()
        };
        let mut evaluator = Evaluator::with_options(context, options);
        // The functions live as long as the evaluator, so they get a generator of their own.
        let host = Host::new(scope.now, Random::new(scope.random.bits()), scope.work.left());
        let before = host.steps();
        host.register(&self.functions, &mut evaluator)?;
        let value = evaluator.evaluate(&self.tree, &JValue::Undefined);
        let taken = scope.work.take(before - host.steps());
        taken.map_err(|_| EvaluatorError::EvaluationError(TIME_EXCEEDED.to_owned()))?;
        value
    }

    /// A value for the evaluator. Converting is cheaper than evaluating.
    fn convert(value: &Value, scope: &Scope<'_>) -> Result<JValue, EvaluatorError> {
        let taken = scope.work.take(weight(value) / 8);
        taken.map_err(|_| EvaluatorError::EvaluationError(TIME_EXCEEDED.to_owned()))?;
        Ok(JValue::from(value.clone()))
    }

    /// `$states`, with the members that the expression may read.
    fn states(&self, scope: &Scope<'_>) -> Value {
        let all = [
            ("input", Some(scope.input)),
            ("result", scope.result),
            ("errorOutput", scope.error_output),
            ("context", Some(scope.context)),
        ];
        let read = |name: &str| self.members.as_ref().is_none_or(|members| members.contains(name));
        let members = all.into_iter().filter(|(name, _)| read(name));
        let members = members.filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

/// How the sentence about an error ends: a message with a code is a sentence of its own (recorded: github.com/floci-io/floci/pull/2783).
fn message(error: &EvaluatorError) -> String {
    let text = error.message();
    match error.code() {
        Some("D1011" | "U1001") => format!(": {TOO_DEEP}"),
        Some("D1012") => format!(": {TIME_EXCEEDED}"),
        Some("D2014" | "D2015") => format!(": {MEMORY_EXCEEDED}"),
        // The evaluator adds the name of the function, which JSONata does not.
        Some("T1006") => ". T1006: Attempted to invoke a non-function".to_owned(),
        Some(_) => format!(". {text}"),
        None => format!(": {text}"),
    }
}

/// JSON's name of a value's type.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
