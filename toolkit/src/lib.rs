//! Messaging patterns for applications on Amazon SQS and SNS, or anything that speaks their protocols.
#![doc = include_str!("../README.md")]

mod backoff;
pub mod body;
pub mod breaker;
#[cfg(feature = "claim-check")]
pub mod claim_check;
mod clients;
pub mod consumer;
#[cfg(feature = "crypto")]
pub mod crypto;
pub mod dead_letters;
mod envelope;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod event_store;
mod fault;
pub mod inbox;
mod message;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod outbox;
pub mod publisher;
mod queue;
pub mod request_reply;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod saga;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
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
