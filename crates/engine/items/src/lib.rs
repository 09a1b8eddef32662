//! Items of DynamoDB as pure data: values in bytes, exact numbers, sizes, keys, and expressions over them.
//!
//! In reading order: [`number`] is exact arithmetic with 38 digits, [`value`] the form of a value in bytes, [`json`] the same on the wire,
//! [`keys`] the order in which a table holds its items. [`expression`] reads and evaluates expressions; [`legacy`] turns the parameters that
//! are older than expressions into the same trees; [`update`] changes an item.
//!
//! Equal values have equal bytes: members of maps and of sets are sorted, and numbers have one form.

pub mod number;

pub mod value;

pub mod json;

pub mod keys;

pub mod fault;
pub use fault::Fault;

pub mod expression;

pub mod update;

pub mod legacy;
