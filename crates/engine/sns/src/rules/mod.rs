//! The domain's own ideas.

pub mod arns;
