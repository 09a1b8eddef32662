//! The domain's own ideas.

pub mod definitions;

pub mod names;

pub mod pages;
