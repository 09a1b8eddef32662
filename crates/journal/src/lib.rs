//! The log on disk: format, recovery, group commit; its storage engines.
//!
//! The engine pushes records to an [`Appender`], which gives each its place at once, and takes them out as a [`Batch`].

pub mod format;
pub use format::Class;

mod appender;
pub use appender::{Appender, Batch, Piece};

mod storage;
pub use storage::{File, Storage};

pub mod engines;

pub use kernel::{Extent, Place, Position, Time};
