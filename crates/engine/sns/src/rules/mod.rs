//! The domain's own ideas.

pub mod arns;

pub mod post;

pub mod retries;
