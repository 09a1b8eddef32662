//! Topics: what SNS remembers, decides and answers.
//!
//! In reading order: [`ids`] names things, [`rules`] are the domain's own ideas, [`records`] are the facts that the log
//! keeps, [`topic`] and [`state`] are what is remembered, [`operations`] what can be asked.

pub mod ids;
pub use ids::{ApplicationId, ApplicationKey, EndpointId, SubscriptionId, TopicId, TopicKey};

pub mod rules;

pub mod records;

pub mod interests;

mod body_readers;
pub use body_readers::BodyReaders;

pub mod topic;

pub mod platforms;

pub mod state;

pub mod deliveries;

pub mod fanout;

mod inbox;

mod wide;

mod archive;

pub mod replay;

pub mod notices;

pub mod consequences;

pub mod survival;

pub mod views;

pub mod limits;

pub mod refusals;

pub mod operations;

mod service;
pub use service::{Effect, Event, RecalledFor};
