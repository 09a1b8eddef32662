//! Each pattern against a running server, and at its worst moment.

mod bus;
mod claim_check;
mod clients;
mod common;
mod consumer;
mod crypto;
mod databases;
mod dead_letters;
mod direct;
mod event_store;
mod health;
mod inbox;
#[cfg(feature = "kms")]
mod kms;
mod observability;
mod outbox;
mod publisher;
mod request_reply;
mod router;
mod saga;
mod sql;
mod stopping;
mod topic;
mod workflow;
