//! Messaging patterns for applications on Amazon SQS and SNS, or anything that speaks their protocols.
#![doc = include_str!("../README.md")]

mod backoff;
pub mod body;
pub mod breaker;
mod clients;
pub mod consumer;
mod envelope;
mod fault;
mod message;
pub mod publisher;
mod queue;
#[cfg(feature = "testing")]
pub mod testing;
mod trace_context;

pub use backoff::Backoff;
pub use clients::Clients;
pub use consumer::Consumer;
pub use envelope::{Envelope, EnvelopeError, Metadata};
pub use fault::Fault;
pub use message::{Message, SchemaVersion, UpcastError};
pub use publisher::Publisher;
pub use queue::{Queue, QueueSpec};
pub use trace_context::{TraceContext, TraceContextError};
