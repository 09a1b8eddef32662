//! The domain's own ideas: hash keys, sequence numbers, iterators, and what of a request violates AWS's model.

pub mod checking;

pub mod hash_keys;

pub mod iterator;

pub mod permissions;

pub mod sequence;
