//! The domain's own ideas.

pub mod faults;

pub mod target;

pub mod timing;

pub mod retries;

pub mod input;

pub mod pages;
