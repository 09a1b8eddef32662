//! The storage engines of a journal.

mod files;
pub use files::{DirectoryError, Files, LOCK};

mod memory;
pub use memory::Memory;

#[cfg(feature = "faulty")]
mod faulty;
#[cfg(feature = "faulty")]
pub use faulty::FaultyDisk;

#[cfg(test)]
mod contract;
