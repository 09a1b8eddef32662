//! Messaging patterns for applications on Amazon SQS and SNS, or any server with their protocols.
//!
#![doc = include_str!("../README.md")]

// Messages.
mod message;

mod envelope;

mod trace_context;

pub mod body;

// Destinations.
#[cfg(feature = "events")]
mod bus;

mod clients;

mod direct;

mod queue;

mod topic;

// Sending and receiving.
pub mod publisher;

pub mod consumer;

pub mod dead_letters;

pub mod request_reply;

// Idempotency and transactions.
pub mod inbox;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod outbox;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod saga;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod event_store;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

// Workflows that a server runs.
#[cfg(feature = "workflows")]
pub mod workflow;

// Steps in transit.
#[cfg(feature = "claim-check")]
pub mod claim_check;

#[cfg(feature = "crypto")]
pub mod crypto;

// Monitoring.
pub mod health;

// Used by all of them.
pub mod breaker;

mod backoff;

mod fault;

mod shutdown;

#[cfg(feature = "testing")]
pub mod testing;

pub use backoff::Backoff;
#[cfg(feature = "events")]
pub use bus::{Bus, RuleSpec};
pub use clients::Clients;
pub use consumer::{Consumer, Router};
pub use envelope::{Envelope, EnvelopeError, Metadata};
pub use fault::Fault;
pub use message::{Message, SchemaVersion, Untyped, UpcastError};
pub use publisher::Publisher;
pub use queue::{Queue, QueueSpec};
pub use shutdown::shutdown_signal;
pub use topic::{Subscription, Topic, TopicSpec};
pub use trace_context::{TraceContext, TraceContextError};

/// The programs in `docs/patterns`, compiled as doc tests.
#[cfg(doctest)]
mod pages {
    macro_rules! pages {
        ($($(#[$condition:meta])? $name:ident $file:literal)*) => {
            $($(#[$condition])? #[doc = include_str!(concat!("../../docs/patterns/", $file))] struct $name;)*
        };
    }
    pages! {
        Envelope "envelope.md"
        Publisher "publisher.md"
        Consumer "consumer.md"
        #[cfg(feature = "events")] EventBus "event-bus.md"
        #[cfg(feature = "sqlite")] Idempotency "idempotency.md"
        #[cfg(feature = "sqlite")] Outbox "outbox.md"
        RequestReply "request-reply.md"
        #[cfg(feature = "claim-check")] ClaimCheck "claim-check.md"
        #[cfg(feature = "sqlite")] Saga "saga.md"
        #[cfg(feature = "workflows")] Workflow "workflow.md"
        #[cfg(feature = "sqlite")] EventSourcing "event-sourcing.md"
        DeadLetters "dead-letters.md"
        #[cfg(feature = "crypto")] Encryption "encryption.md"
        Observability "observability.md"
        CircuitBreaker "circuit-breaker.md"
    }
}
