//! Why a request was refused, in the words that the caller will read.

use std::borrow::Cow;

/// A refusal: the name of an error shape and its text.
///
/// The shape's HTTP status and its code in the query protocol are not known here: `wire` has them from the model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The error's shape name, as in AWS's model (`ResourceNotFoundException`), or, for errors that AWS sends without
    /// modelling them, the name in its JSON `__type` (`InvalidParameterValueException`).
    pub shape: &'static str,
    /// The text for the caller.
    pub message: Cow<'static, str>,
    /// Further members of the error's shape: the inside of a JSON object, with the names of AWS's model. For services that are spoken
    /// in JSON alone.
    pub details: Option<Box<str>>,
}

impl Refusal {
    /// A refusal of this shape with this text.
    pub fn new(shape: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Refusal { shape, message: message.into(), details: None }
    }

    /// The same with further members of its shape, if there are any.
    pub fn with_details(self, details: String) -> Self {
        let details = (!details.is_empty()).then(|| details.into_boxed_str());
        Refusal { details, ..self }
    }
}
