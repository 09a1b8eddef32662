//! The domain's own ideas: what a request may say, what an event is, what a target is handed.

pub mod archives;
pub mod connections;
pub mod constraints;
pub mod credentials;
pub mod endpoints;
pub mod entry;
pub mod input;
pub mod names;
pub mod pages;
pub mod pattern;
pub mod permissions;
pub mod retries;
pub mod tags;
pub mod targets;
pub mod timing;
