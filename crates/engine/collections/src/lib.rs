//! Compact data structures: a backlog is millions of messages, and each may take only a few bytes.
//!
//! None of them depends on a service. Their order is a function of the inserted values, never of addresses or
//! random numbers.

pub mod index;
pub use index::Index;

pub mod slab;
pub use slab::Slab;

pub mod entry;
pub use entry::Entry;

pub mod lane;
pub use lane::Lane;

pub mod owed;
pub use owed::Owed;

pub mod short_lane;
pub use short_lane::{Cells, ShortLane};

pub mod dedup;
pub use dedup::{Dedup, DedupKey};

pub mod work;
