//! A record that was read from the log.

use crate::Extent;

/// A record, and where it lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Where it lies.
    pub extent: Extent,
    /// What the engine knows of it.
    pub head: Vec<u8>,
    /// What is stored with it; empty if only the head is needed.
    pub tail: Vec<u8>,
}
