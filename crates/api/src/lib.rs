//! The shape of every request and answer: plain structs, generated from AWS's models.
//!
//! Every member may be absent, also those that AWS requires: what is said about a missing one is the service's to say.
//! Texts and blobs share the buffer that they were read from.

mod services;
pub use services::*;

/// A text of a request or an answer.
pub type Text = bytestring::ByteString;

/// A map, in the order in which it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<T>(pub Vec<(Text, T)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Map(Vec::new())
    }
}

/// A JSON value as it was written or is to be written: for shapes of which a service has a form of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Json(pub Text);

/// A moment: milliseconds since 1970-01-01T00:00Z. How it is written is the protocol's to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);
