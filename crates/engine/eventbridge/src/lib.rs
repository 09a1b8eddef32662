//! Event buses: what EventBridge remembers, decides and answers.
//!
//! In reading order: [`ids`] names things, [`rules`] are the domain's own ideas, [`records`] are the facts that the log
//! keeps, [`bus`] and [`state`] are what is remembered, [`operations`] what can be asked, [`routing`] the way of an event.

pub mod ids;
pub use ids::{
    ArchiveId, BusId, BusKey, ConnectionId, DestinationId, ReplayId, ResourceKey, RuleId, RuleKey,
};

pub mod rules;

pub mod records;

pub mod bus;

pub mod connections;

pub mod state;

pub mod archive;

mod tally;

pub mod replay;

pub mod routing;

mod runs;

mod inbox;

mod letters;

pub mod deliveries;

pub mod invocation;

pub mod survival;

pub mod views;

pub mod limits;

pub mod refusals;

pub mod operations;

mod service;
pub use service::{Authorize, Effect, Event};
