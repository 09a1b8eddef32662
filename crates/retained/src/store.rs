//! Opening a store: its options, and what recovery found.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use journal::{Damage, Error, Place, Storage};

use crate::recovery::Opening;
use crate::writer::Writer;

/// Options of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Length of a segment in bytes. It may differ from the one with which the store was written.
    pub segment_bytes: u32,
    /// Random number of a new store, which distinguishes its frames from all other bytes. It must not be
    /// guessable.
    pub id: u64,
    /// Whether [`Writer::sync`] makes durable (`fsync`), or counts what is written (`os`).
    pub durable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            id: std::hash::RandomState::new().build_hasher().finish(),
            durable: true,
        }
    }
}

/// A place where recovery cut off groups that were never durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The file.
    pub file: String,
    /// The new end of the class.
    pub at: Place,
    /// The reason.
    pub why: String,
    /// Number of valid frames that were cut off.
    pub frames: u64,
    /// Number of records in them.
    pub records: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, offset {}: an unfinished write was cut off ({}), with {} whole frames and {} records",
            self.file,
            self.at.offset(),
            self.why,
            self.frames,
            self.records
        )
    }
}

/// The result of recovery.
#[derive(Clone, Default, Debug)]
pub struct Recovered {
    /// Whether there was no store: a new one has been made.
    pub is_new: bool,
    /// The number of the last group.
    pub group: u64,
    /// The unfinished writes that were cut off.
    pub cuts: Vec<Cut>,
    /// Durable data that is missing or damaged. The rest can be read.
    pub damage: Vec<Damage>,
    /// What recovery rebuilt, as texts for the operator.
    pub warnings: Vec<String>,
}

/// An open store.
pub struct Store {
    /// The writing end. [`Writer::reader`] makes readers.
    pub writer: Writer,
    /// The result of recovery.
    pub recovered: Recovered,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store, or creates a new one in an empty directory. Damage does not prevent this:
    /// [`Recovered::damage`] lists it.
    ///
    /// Errors: the storage failed, or a newer version wrote the directory.
    pub fn open(storage: Arc<dyn Storage>, options: &Options) -> Result<Store, Error> {
        Opening::new(storage, options).run()
    }
}
