//! Structures that hold much in little: a backlog is millions of messages, and what is known of each must be a few bytes.
//!
//! None of them knows a service. Their order is a function of what was put in, never of addresses or of chance.

pub mod index;
pub use index::Index;

pub mod slab;
pub use slab::Slab;

pub mod entry;
pub use entry::Entry;

pub mod lane;
pub use lane::Lane;

pub mod short_lane;
pub use short_lane::{Cells, ShortLane};

pub mod dedup;
pub use dedup::{Dedup, DedupKey};

pub mod work;
