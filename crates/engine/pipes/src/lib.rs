//! EventBridge Pipes: what it remembers, decides and answers, and how messages go from a source through a pipe to its target.
//!
//! In reading order: [`ids`] names a pipe, [`rules`] are the domain's own ideas, [`records`] are the facts that the log keeps,
//! [`state`] is what is remembered, [`operations`] what can be asked, [`runs`] what pipes are doing at the moment, [`handing`] what
//! becomes of a message, [`asking`] and [`requests`] what others are asked on the way.

pub mod ids;
pub use ids::{BatchId, PipeKey};

pub mod rules;

pub mod records;

pub mod state;

pub mod operations;

pub mod batch;

pub mod runs;

pub mod handing;

pub mod asking;

pub mod requests;

pub mod survival;

pub mod limits;

pub mod refusals;

mod service;
pub use service::{Due, Effect, Event, Waiter};
