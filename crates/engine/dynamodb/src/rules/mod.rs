//! The domain's own ideas: how a table is declared, and what of a request is checked.

pub mod definition;

pub mod declaring;

pub mod checking;
