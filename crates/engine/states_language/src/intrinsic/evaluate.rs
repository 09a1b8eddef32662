//! Evaluates a call: its arguments first, then the function.

use serde_json::Value;

use super::{Argument, Call, Function, arrays, encoding, maths, texts};
use crate::failure::{Failure, names};
use crate::jsonpath::NoResult;
use crate::scope::Scope;

/// Why a function refuses its arguments.
pub(super) struct Refused(pub(super) String);

impl From<&str> for Refused {
    fn from(text: &str) -> Refused {
        Refused(text.to_owned())
    }
}

pub(super) type Outcome = Result<Value, Refused>;

impl Call {
    /// What the call returns. Errors: `States.IntrinsicFailure` if the function refuses its arguments; `States.Runtime` if the path of an
    /// argument leads nowhere.
    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        scope.work.take(1).map_err(Failure::from)?;
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            arguments.push(match argument {
                // The template of a format keeps its escapes, because `\{` is a brace there and `{` is not.
                Argument::Text(text) if self.function == Function::Format && arguments.is_empty() => {
                    Value::String(text.clone())
                }
                Argument::Text(text) => Value::String(texts::unescape(text)),
                Argument::Literal(value) => value.clone(),
                Argument::Path(path) => path.evaluate(scope).map_err(|none| match none {
                    NoResult::Exhausted | NoResult::NullInput => none.into(),
                    NoResult::Missing(_) => self.failure(
                        names::RUNTIME,
                        &format!(
                            "The JsonPath argument for the field '{}' could not be found in the input '{}'",
                            path.as_str(),
                            scope.input
                        ),
                    ),
                })?,
                Argument::Call(call) => call.evaluate(scope)?,
            });
        }
        for argument in &arguments {
            scope.work.copy(argument).map_err(Failure::from)?;
        }
        self.apply(&arguments, scope).map_err(|Refused(text)| self.failure(names::INTRINSIC_FAILURE, &text))
    }

    fn failure(&self, error: &str, text: &str) -> Failure {
        Failure::new(error, format!("The function '{}' had the following error: {text}", self.text))
    }

    fn apply(&self, arguments: &[Value], scope: &Scope<'_>) -> Outcome {
        match (self.function, arguments) {
            (Function::Array, items) => Ok(Value::Array(items.to_vec())),
            (Function::ArrayContains, [array, value]) => arrays::contains(array, value),
            (Function::ArrayGetItem, [array, index]) => arrays::item(array, index),
            (Function::ArrayLength, [array]) => arrays::length(array),
            (Function::ArrayPartition, [array, size]) => arrays::partition(array, size),
            (Function::ArrayRange, [start, end, step]) => arrays::range(start, end, step),
            (Function::ArrayUnique, [array]) => arrays::unique(array, scope.work),
            (Function::Base64Decode, [text]) => encoding::base64_decode(text),
            (Function::Base64Encode, [text]) => encoding::base64_encode(text),
            (Function::Format, [template, values @ ..]) => texts::format(template, values),
            (Function::Hash, [data, algorithm]) => encoding::hash(data, algorithm),
            (Function::JsonMerge, [one, two, deep]) => texts::merge(one, two, deep),
            (Function::JsonToString, [value]) => Ok(Value::String(value.to_string())),
            (Function::MathAdd, [one, two]) => maths::add(one, two),
            (Function::MathRandom, [start, end]) => maths::random(start, end, None, scope.random),
            (Function::MathRandom, [start, end, seed]) => maths::random(start, end, Some(seed), scope.random),
            (Function::StringSplit, [text, delimiters]) => texts::split(text, delimiters),
            (Function::StringToJson, [text]) => texts::to_json(text),
            (Function::Uuid, []) => Ok(Value::String(scope.random.uuid())),
            _ => Err("Invalid number of arguments.".into()),
        }
    }
}
