//! Bytes to shapes and back: AWS's protocols, error bodies, routing.
//!
//! Nothing here knows what an operation does. [`decode`] turns an HTTP request into a typed one, and into an
//! [`Exchange`], which knows how the client wants to be answered.

mod scan;

pub mod json;

pub mod form;

pub mod xml;

pub mod service;
pub use service::Service;

pub mod generated;
pub use generated::{Operation, Request, Response};

pub mod signature;
pub use signature::Credential;

mod request;
pub use request::{Decoded, decode, exchange_of};

mod exchange;
pub use exchange::{Exchange, Failure, Protocol};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod round_trips;
