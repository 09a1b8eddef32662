//! What happens when what a state has waited for is there.

use serde_json::Value;

use super::dataflow::assigned;
use super::{Departure, within_limit};
use crate::definition::{Kind, QueryLanguage, ResultPath, State};
use crate::failure::Failure;
use crate::scope::Scope;
use crate::template::Template;

impl State {
    /// Finishes the state with the result of its task, branches or iterations, or after its wait; `scope.input` is the state's input.
    ///
    /// Errors: the result is too large, or what the definition does with it fails.
    pub fn finish(&self, result: Value, scope: &Scope<'_>) -> Result<Departure, Failure> {
        let (selector, result_path) = match &self.kind {
            Kind::Task(task) => (&task.result_selector, &task.result_path),
            Kind::Parallel(parallel) => (&parallel.result_selector, &parallel.result_path),
            Kind::Map(map) => (&map.result_selector, &map.result_path),
            // The other states have no result.
            _ => return self.pass_on(self.to(), scope),
        };
        within_limit(&result, &self.name)?;
        match self.query_language {
            QueryLanguage::JsonPath => self.with_paths(result, selector.as_ref(), result_path, scope),
            QueryLanguage::Jsonata => self.with_expressions(&result, scope),
        }
    }

    fn with_paths(
        &self,
        result: Value,
        selector: Option<&Template>,
        result_path: &ResultPath,
        scope: &Scope<'_>,
    ) -> Result<Departure, Failure> {
        let result = State::made(selector, "ResultSelector", result, scope)?;
        let assigned = assigned(self.assign.as_ref(), "Assign", &self.name, &scope.with_input(&result))?;
        let output = result_path.combine(scope.input, result)?;
        let output = self.output_path.select(output, scope)?;
        Ok(Departure { to: self.to(), output: self.checked_output(output)?, assigned })
    }

    fn with_expressions(&self, result: &Value, scope: &Scope<'_>) -> Result<Departure, Failure> {
        let scope = Scope { result: Some(result), ..*scope };
        let assigned = assigned(self.assign.as_ref(), "Assign", &self.name, &scope)?;
        let output = match &self.output {
            Some(output) => output.evaluate("Output", &scope)?,
            None => result.clone(),
        };
        Ok(Departure { to: self.to(), output: self.checked_output(output)?, assigned })
    }
}
