//! Kinesis Data Streams: what it remembers, decides and answers, and how records go into shards and are read again.
//!
//! In reading order: [`ids`] names streams and what belongs to them, [`rules`] are the domain's own ideas, [`records`] are the facts that
//! the log keeps, [`chunk`] is how records lie in it, [`state`] is what is remembered, [`operations`] what can be asked, [`reading`] how
//! records are read, [`subscriptions`] who waits for them.

pub mod ids;
pub use ids::{ConsumerKey, ShardKey, StreamKey};

pub mod rules;

pub mod records;

pub mod chunk;

pub mod state;

pub mod operations;

pub mod reading;

pub mod subscriptions;

pub mod survival;

mod offers;

pub mod limits;

pub mod refusals;

mod service;
pub use service::{Due, Waiter};
