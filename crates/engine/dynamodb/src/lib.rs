//! DynamoDB as a state store of messaging applications: tables, their items and indexes, transactions, time to live.
//!
//! In reading order: [`ids`] names a table, [`rules`] are the domain's own ideas, [`records`] are the facts that the log keeps,
//! [`contents`] are the items of a table in memory, [`state`] is all that is remembered, [`write`](mod@write) is what becomes of one item,
//! [`page`] what a query or a scan looks at, [`operations`] what can be asked.

pub mod ids;
pub use ids::TableKey;

pub mod rules;

pub mod records;

pub mod contents;

pub mod state;

pub mod write;

pub mod page;

pub mod capacity;

pub mod tokens;

pub mod operations;

pub mod survival;

pub mod limits;

pub mod refusals;

mod service;
pub use service::Due;
