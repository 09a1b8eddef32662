//! Where a journal can be kept.

mod files;
pub use files::{DirectoryError, Files, LOCK};

mod memory;
pub use memory::Memory;

#[cfg(test)]
mod contract;
