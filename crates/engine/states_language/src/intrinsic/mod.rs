//! Intrinsic functions of JSONPath states: `States.Format('{} items', States.ArrayLength($.items))`.

mod arrays;
mod encoding;
mod evaluate;
mod maths;
mod parse;
mod texts;

#[cfg(test)]
mod tests;

pub(crate) use encoding::digest;
pub(crate) use maths::round;

use crate::jsonpath::Path;

/// A parsed call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The call as it was written, for errors.
    text: String,
    function: Function,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    /// A text in quotes; its escapes are still in it.
    Text(String),
    /// A number, a truth value or null.
    Literal(serde_json::Value),
    Path(Path),
    Call(Call),
}

/// The functions of the language (states-language.net, appendix B).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Array,
    ArrayContains,
    ArrayGetItem,
    ArrayLength,
    ArrayPartition,
    ArrayRange,
    ArrayUnique,
    Base64Decode,
    Base64Encode,
    Format,
    Hash,
    JsonMerge,
    JsonToString,
    MathAdd,
    MathRandom,
    StringSplit,
    StringToJson,
    Uuid,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("Array", Function::Array),
    ("ArrayContains", Function::ArrayContains),
    ("ArrayGetItem", Function::ArrayGetItem),
    ("ArrayLength", Function::ArrayLength),
    ("ArrayPartition", Function::ArrayPartition),
    ("ArrayRange", Function::ArrayRange),
    ("ArrayUnique", Function::ArrayUnique),
    ("Base64Decode", Function::Base64Decode),
    ("Base64Encode", Function::Base64Encode),
    ("Format", Function::Format),
    ("Hash", Function::Hash),
    ("JsonMerge", Function::JsonMerge),
    ("JsonToString", Function::JsonToString),
    ("MathAdd", Function::MathAdd),
    ("MathRandom", Function::MathRandom),
    ("StringSplit", Function::StringSplit),
    ("StringToJson", Function::StringToJson),
    ("UUID", Function::Uuid),
];

impl Call {
    /// Whether the text can only be a call.
    pub(crate) fn looks_like(text: &str) -> bool {
        text.starts_with("States.")
    }

    /// Adds the variables that the call reads.
    pub(crate) fn variables<'a>(&'a self, into: &mut Vec<&'a str>) {
        for argument in &self.arguments {
            match argument {
                Argument::Path(path) => into.extend(path.variable()),
                Argument::Call(call) => call.variables(into),
                Argument::Text(_) | Argument::Literal(_) => {}
            }
        }
    }
}
