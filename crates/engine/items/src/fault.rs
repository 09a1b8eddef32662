//! Why a request's values or expressions are refused.

use std::borrow::Cow;

/// What is wrong, in AWS's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// JSON of another type was expected: a `SerializationException`.
    Serialization(Cow<'static, str>),
    /// A `ValidationException`.
    Validation(Cow<'static, str>),
}

impl Fault {
    /// A value or an expression is not valid.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Fault {
        Fault::Validation(text.into())
    }

    /// The text.
    pub fn text(&self) -> &str {
        match self {
            Fault::Serialization(text) | Fault::Validation(text) => text,
        }
    }
}
