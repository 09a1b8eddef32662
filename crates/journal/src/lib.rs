//! The log on disk: format, recovery, group commit; its storage engines.
//!
//! [`Journal::open`] finds the end of a log and shows its records. The engine pushes records to an
//! [`Appender`], which gives each a place at once, and takes them out as a [`Batch`]. A [`Pipeline`] (or,
//! call by call, a [`Writer`]) writes the batches to the [`Storage`]. A [`Reader`] reads records by place.

pub mod format;
pub use format::Class;

mod appender;
pub use appender::{Appender, Batch, Group, Overlong, Piece};

mod storage;
pub use storage::{File, Storage};

pub mod engines;

mod journal;
pub use journal::{Cut, Journal, Options, Recovered, SegmentInfo};

mod index;
pub use index::Entry;

mod writer;
pub use writer::{Space, Writer};

mod pipeline;
pub use pipeline::{Durability, Pipeline, Progress};

mod reader;
pub use reader::{ReadError, Reader, Record, WouldBlock};

mod check;
pub use check::{CheckError, CheckedSegment, Report, check, check_showing, check_storage};

mod error;
pub use error::{Beyond, Damage, Effect, Error};

mod repair;
pub use repair::{Hole, Repaired, repair};

/// What the log shares with the store of retained data: how frames are found in files, how files are replaced,
/// and how errors name them.
pub mod common {
    pub use crate::cache::Cache;
    pub use crate::discipline::{is_broken, is_full, replace, rewrite, wipe};
    pub use crate::error::{Doing, named};
    pub use crate::manifest::{Manifest, Unusable};
    pub use crate::names::MANIFEST;
    pub use crate::scan::{Fault, Frames, read_exactly, search, search_any};
}

mod cache;
mod discipline;
mod keeper;
mod manifest;
mod names;
mod recovery;
mod scan;
mod scrub;

pub use kernel::{Extent, Place, Position, Time};
