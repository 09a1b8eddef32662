//! Bytes to shapes and back: AWS's protocols, error bodies, routing.
//!
//! Nothing here knows what an operation does. [`decode`] turns an HTTP request into a typed one, and into an
//! [`Exchange`], which knows how the client wants to be answered.

pub mod json;

pub mod form;

pub mod xml;

pub mod errors;

pub mod generated {
    //! Readers and writers of each service's shapes, and its errors.

    pub mod sqs;
}

pub mod signature;
pub use signature::Credential;

mod request;
pub use request::{Decoded, decode};

mod exchange;
pub use exchange::{Exchange, Failure, Protocol};

use api::sqs;

/// A request to any service.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// To SQS.
    Sqs(sqs::Request),
}

/// An answer from any service.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// From SQS.
    Sqs(sqs::Response),
}

/// An operation of any service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Of SQS.
    Sqs(sqs::Operation),
}

impl Operation {
    /// AWS's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Sqs(operation) => operation.name(),
        }
    }
}

#[cfg(test)]
mod tests;
