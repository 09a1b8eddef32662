//! The domain's own ideas: what a request may say, what a pipe does, what a target is handed.

pub mod checking;
pub mod definition;
pub mod http;
pub mod pages;
pub mod pipe;
pub mod record;
pub mod template;
