//! The store for retained data: archives, streams, histories, logs, metric blocks.
//!
//! [`Store::open`] recovers a directory. Its [`Writer`] appends groups of records to series, syncs them, and
//! drops segments that have passed their retention. A [`Reader`] reads a series from any position, on any
//! thread. [DESIGN.md](../DESIGN.md) describes the files and what a crash leaves.

mod series;
pub use series::{Retention, RetentionClass, Rule, Series};

mod record;
pub use record::New;

mod store;
pub use store::{Cut, Options, Recovered, Store};

mod writer;
pub use writer::{Appended, Writer};

mod reader;
pub use reader::{Cursor, Found, From, Limits, Page, Reader, Record};

mod check;
pub use check::{CheckedSegment, Report, check, check_storage};

mod class_scan;
mod directory;
mod index;
mod lane;
mod recovery;
mod scanning;
mod shared;
mod spans;
mod tidying;
mod walk;

pub use journal::{Damage, Effect, Error, Extent, File, Place, ReadError, Storage, Time};
