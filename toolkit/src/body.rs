//! Steps that transform a body in transit, such as encryption, signatures and claim checks, and undo that at
//! the other end.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A step between the envelope and the wire. A publisher applies its steps in order, a consumer in reverse
/// order.
#[async_trait]
pub trait BodyStep: Send + Sync + 'static {
    /// Transforms a body and its attributes before they are sent.
    ///
    /// # Errors
    /// After an error nothing of the call is sent.
    async fn outgoing(&self, body: String, attributes: &mut Attributes) -> Result<String, BodyError>;

    /// Undoes [`outgoing`](Self::outgoing).
    ///
    /// # Errors
    /// A temporary error is retried like a handler's failure. Any other error makes the message a dead
    /// letter.
    async fn incoming(&self, body: String, attributes: &Attributes) -> Result<String, BodyError>;

    /// Called after the message was handled and deleted. The step can delete data that it stored for the
    /// message.
    async fn handled(&self, attributes: &Attributes) {
        let _ = attributes;
    }
}

/// Message attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// The value of a message attribute.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Attribute {
    /// `String`.
    Text(String),
    /// `Number`, as written.
    Number(String),
    /// `Binary`.
    Binary(Vec<u8>),
    /// `String.Array`: a JSON array, for SNS's filter policies.
    List(String),
}

impl Attribute {
    /// Returns the text of a `String` attribute.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Attribute::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns AWS's name of the data type.
    pub fn data_type(&self) -> &'static str {
        match self {
            Attribute::Text(_) => "String",
            Attribute::Number(_) => "Number",
            Attribute::Binary(_) => "Binary",
            Attribute::List(_) => "String.Array",
        }
    }

    /// Returns the bytes that count towards the size of a message, without the name.
    pub fn size(&self) -> usize {
        let value = match self {
            Attribute::Text(text) | Attribute::Number(text) | Attribute::List(text) => text.len(),
            Attribute::Binary(bytes) => bytes.len(),
        };
        self.data_type().len() + value
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Attribute {
        Attribute::Text(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Attribute {
        Attribute::Text(text)
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Attribute {
        Attribute::Number(number.to_string())
    }
}

impl From<f64> for Attribute {
    fn from(number: f64) -> Attribute {
        Attribute::Number(number.to_string())
    }
}

/// Why a [`BodyStep`] failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct BodyError {
    /// Description of the failure.
    pub why: String,
    /// Whether a retry may succeed.
    pub retryable: bool,
}

impl BodyError {
    /// Creates a permanent error.
    pub fn permanent(why: impl Into<String>) -> BodyError {
        BodyError { why: why.into(), retryable: false }
    }

    /// Creates a temporary error.
    pub fn passing(why: impl Into<String>) -> BodyError {
        BodyError { why: why.into(), retryable: true }
    }
}
