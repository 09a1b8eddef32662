//! EventBridge Scheduler: what it remembers, decides and answers, and what its schedules hand to their targets.
//!
//! In reading order: [`ids`] names things, [`rules`] are the domain's own ideas, [`records`] are the facts that the log
//! keeps, [`schedule`] and [`state`] are what is remembered, [`operations`] what can be asked, [`firing`] what happens when a
//! schedule is due.

pub mod ids;
pub use ids::{GroupId, GroupKey, InvocationId, ScheduleId};

pub mod rules;

pub mod records;

pub mod schedule;

pub mod invocations;

pub mod state;

pub mod firing;

pub mod survival;

pub mod limits;

pub mod refusals;

pub mod operations;

mod service;
pub use service::Due;
