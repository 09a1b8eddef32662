//! Bytes to shapes and back: AWS's protocols, error bodies, routing.
//!
//! Nothing here knows what an operation does. [`decode`] turns an HTTP request into a typed one, and into an
//! [`Exchange`], which knows how the client wants to be answered.

mod scan;

mod http_date;

pub mod document;

pub mod json;

pub mod cbor;

pub mod form;

pub mod xml;

pub mod rest;

pub mod eventstream;

pub mod service;
pub use service::Service;

pub mod generated;

#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;

#[cfg(test)]
mod sample;
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

#[cfg(test)]
mod protocol_cases;

#[cfg(test)]
mod fixture_tests;
