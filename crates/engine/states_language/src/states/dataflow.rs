//! `InputPath`, `Parameters`, `ResultSelector`, `ResultPath`, `OutputPath`, `Output` and `Assign`.

use serde_json::{Map, Value};

use super::{PAYLOAD_BYTES, within_limit};
use crate::definition::{PathField, QueryLanguage, ResultPath, State};
use crate::failure::{Failure, names};
use crate::scope::{Scope, Variables};
use crate::size::fits;
use crate::template::Template;

impl PathField {
    /// What the path selects: an empty object for null.
    pub(super) fn select(&self, value: Value, scope: &Scope<'_>) -> Result<Value, Failure> {
        match self {
            PathField::Whole => Ok(value),
            PathField::Nothing => Ok(Value::Object(Map::new())),
            PathField::Path(path) => {
                path.evaluate(&scope.with_input(&value)).map_err(|none| none.in_path(path))
            }
        }
    }
}

impl ResultPath {
    /// The input combined with the result.
    pub(super) fn combine(&self, input: &Value, result: Value) -> Result<Value, Failure> {
        match self {
            ResultPath::Replaces => Ok(result),
            ResultPath::Discarded => Ok(input.clone()),
            ResultPath::Into(path) => path.put(input.clone(), result).map_err(|_| {
                let text = format!("Unable to apply ReferencePath {} to input {input}", path.as_str());
                Failure::new(names::RESULT_PATH_MATCH_FAILURE, text)
            }),
        }
    }
}

impl State {
    /// The input after `InputPath`.
    pub(super) fn effective_input(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        self.input_path.select(scope.input.clone(), scope)
    }

    /// What a template makes of the input; the input itself if there is no template.
    pub(super) fn made(
        template: Option<&Template>,
        field: &str,
        input: Value,
        scope: &Scope<'_>,
    ) -> Result<Value, Failure> {
        match template {
            Some(template) => template.evaluate(field, &scope.with_input(&input)),
            None => Ok(input),
        }
    }

    /// The name of the field with what is sent to a task or to branches.
    pub(super) fn payload_field(&self) -> &'static str {
        match self.query_language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::Jsonata => "Arguments",
        }
    }

    pub(super) fn checked_output(&self, output: Value) -> Result<Value, Failure> {
        within_limit(&output, &self.name)?;
        Ok(output)
    }
}

/// The variables that `Assign` gives values. All see the variables as they were before.
pub(super) fn assigned(
    assign: Option<&Template>,
    field: &str,
    state: &str,
    scope: &Scope<'_>,
) -> Result<Variables, Failure> {
    let Some(assign) = assign else { return Ok(Variables::new()) };
    let value = assign.evaluate(field, scope)?;
    // One variable, and all of one `Assign`, may have 256 KiB (facts/stepfunctions.md § 3).
    if !fits(&value, PAYLOAD_BYTES) {
        let text = format!(
            "The state/task '{state}' assigned variables with a size exceeding the maximum number of bytes service limit."
        );
        return Err(Failure::new(names::DATA_LIMIT_EXCEEDED, text));
    }
    match value {
        Value::Object(members) => Ok(members.into_iter().collect()),
        // The definition's check accepts objects only.
        _ => Ok(Variables::new()),
    }
}
