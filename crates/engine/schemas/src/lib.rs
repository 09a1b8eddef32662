//! EventBridge Schemas: registries, schemas with their versions, and discoverers that infer schemas from the events of a bus.
//!
//! [`ids`] name things, [`inference`] is how a schema follows from events, [`rules`] are the domain's own ideas, [`records`] are the
//! facts that the log keeps, [`state`] is what is remembered, [`operations`] what can be asked, [`discovery`] what discoverers do. A
//! discoverer is a target of a rule of its bus: buses are asked by calls and hand over events by offers.

pub mod ids;
pub use ids::{DiscovererKey, RegistryKey, SchemaKey, VersionKey};

pub mod inference;

pub mod rules;

pub mod records;

pub mod state;

pub mod discovery;

pub mod survival;

pub mod limits;

pub mod refusals;

pub mod operations;

mod service;
pub use service::{Due, Waiter};
