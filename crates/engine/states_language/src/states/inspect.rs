//! What a state makes of its data on the way from its input to its output, for those who test it.

use serde_json::Value;

use super::PAYLOAD_BYTES;
use crate::definition::{Kind, QueryLanguage, State};
use crate::failure::Failure;
use crate::scope::Scope;
use crate::size::fits;

/// The data of a state, from one of its fields to the next. What comes behind a field that fails is missing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inspection {
    /// After `InputPath`.
    pub after_input_path: Option<Value>,
    /// After `Parameters`.
    pub after_parameters: Option<Value>,
    /// After `Arguments`.
    pub after_arguments: Option<Value>,
    /// After `ItemsPath`, or `Items`.
    pub after_items_path: Option<Value>,
    /// How many iterations may run side by side, if the state says so.
    pub max_concurrency: Option<u64>,
    /// What the task, the branches or the iterations have returned.
    pub result: Option<Value>,
    /// After `ResultSelector`.
    pub after_result_selector: Option<Value>,
    /// After `ResultPath`.
    pub after_result_path: Option<Value>,
}

impl State {
    /// The state's data with this result, if it has one; `scope.input` is the state's input.
    pub fn inspect(&self, result: Option<&Value>, scope: &Scope<'_>) -> Inspection {
        let mut seen = Inspection::default();
        // What fails is told where the state is entered and finished.
        let _ = self.inspect_fields(result, scope, &mut seen);
        seen
    }

    fn inspect_fields(
        &self,
        result: Option<&Value>,
        scope: &Scope<'_>,
        seen: &mut Inspection,
    ) -> Result<(), Failure> {
        let has_paths = self.query_language == QueryLanguage::JsonPath;
        let input = self.effective_input(scope)?;
        let (parameters, selector, result_path) = match &self.kind {
            Kind::Pass(pass) => (pass.parameters.as_ref(), None, Some(&pass.result_path)),
            Kind::Task(task) => {
                (task.parameters.as_ref(), task.result_selector.as_ref(), Some(&task.result_path))
            }
            Kind::Parallel(parallel) => {
                let selector = parallel.result_selector.as_ref();
                (parallel.parameters.as_ref(), selector, Some(&parallel.result_path))
            }
            Kind::Map(map) => (None, map.result_selector.as_ref(), Some(&map.result_path)),
            _ => (None, None, None),
        };
        if has_paths {
            seen.after_input_path = Some(input.clone());
        }
        if let Kind::Map(map) = &self.kind {
            let iterations = map.iterations(&scope.with_input(&input))?;
            seen.after_items_path = iterations.items;
            seen.max_concurrency = Some(iterations.max_concurrency).filter(|&most| most > 0);
        }
        let made = State::made(parameters, self.payload_field(), input, scope)?;
        if parameters.is_some() || matches!(self.kind, Kind::Task(_) | Kind::Parallel(_) | Kind::Pass(_)) {
            let after = if has_paths { &mut seen.after_parameters } else { &mut seen.after_arguments };
            *after = Some(made.clone());
        }
        let result = match &self.kind {
            Kind::Pass(pass) => Some(pass.result.clone().unwrap_or(made)),
            _ => result.cloned(),
        };
        let (Some(result), Some(result_path)) = (result, result_path) else { return Ok(()) };
        seen.result = Some(result.clone()).filter(|result| fits(result, PAYLOAD_BYTES));
        if has_paths {
            let result = State::made(selector, "ResultSelector", result, scope)?;
            seen.after_result_selector = Some(result.clone());
            seen.after_result_path = Some(result_path.combine(scope.input, result)?);
        }
        Ok(())
    }
}
