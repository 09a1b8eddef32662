//! Bytes to shapes and back: AWS's protocols, error bodies, routing.
//!
//! Nothing here knows what an operation does. [`decode`] turns an HTTP request into a typed one, and into an
//! [`Exchange`], which knows how the client wants to be answered.
//!
//! | protocol | how an operation is named | its input and output |
//! |---|---|---|
//! | awsJson 1.0 and 1.1 | the header `X-Amz-Target` | a [`json`] document |
//! | the old CBOR | the same, with `Content-Type: application/x-amz-cbor-1.1` | a [`cbor`] document |
//! | Smithy's RPC v2 | the path, with `smithy-protocol: rpc-v2-cbor` | a [`cbor`] document |
//! | awsQuery | the parameter `Action` | parameters ([`form`]), and [`xml`] |
//! | restJson1 | the method and the path ([`rest`]) | path, query string, headers, and a [`json`] document or a payload |
//!
//! An answer that goes on is an [`eventstream`]. A service's models say which of these it speaks; the generator does the rest.

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
pub use generated::{Operation, Request, Response};

#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;

pub mod signature;
pub use signature::Credential;

mod request;
pub use request::{Decoded, decode, exchange_of};

pub mod call;

mod exchange;
pub use exchange::{Exchange, Failure, Protocol};

#[cfg(test)]
mod sample;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod round_trips;

#[cfg(test)]
mod protocol_cases;

#[cfg(test)]
mod fixture_tests;
