//! The domain's own ideas.

pub mod content;

pub mod names;

pub mod pages;
