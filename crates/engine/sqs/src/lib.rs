//! Queues: what SQS remembers, decides and answers.
//!
//! In reading order: [`ids`] names things, [`rules`] are the domain's own ideas, [`records`] are the facts that the log
//! keeps, [`queue`] and [`state`] are what is remembered, [`operations`] what can be asked.

pub mod ids;
pub use ids::{QueueId, QueueKey, Seq, TaskId, message_id, sequence_number};

pub mod rules;

pub mod records;

pub mod due;

pub mod queue;

pub mod state;

mod borrowed;
mod reading;
mod recently;

pub mod limits;

pub mod refusals;

pub mod operations;

pub mod inbox;

mod drawing;

pub mod consequences;

mod damage;

pub mod survival;

pub mod views;

mod service;
pub use service::Event;
