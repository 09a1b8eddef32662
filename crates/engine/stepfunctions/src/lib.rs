//! AWS Step Functions: state machines, and executions that continue after a crash where the log left them.
//!
//! In reading order: [`ids`] names things, [`records`] are the facts that the log keeps, [`history`] are the events of executions,
//! [`machines`], [`executions`] and [`state`] are what is remembered, [`steps`] is how an execution goes on, [`operations`] what can be
//! asked. The language of definitions is another crate's (`states_language`).

pub mod ids;
pub use ids::{ActivityId, DefinitionId, ExecutionId, MachineId, MachineKey};

pub mod rules;

pub mod history;

pub mod records;

pub mod machines;

pub mod executions;

pub mod activities;

mod asks;

mod data;
mod versions;
mod warm;

pub mod state;

mod applying;
mod redrives;

pub mod steps;

mod survival;

pub mod limits;

pub mod refusals;

pub mod operations;

mod status_changes;
pub use status_changes::StatusChange;

mod ended;

mod target;

mod service;
pub use service::{Due, Effect, Event, Waiter, Wanted};
