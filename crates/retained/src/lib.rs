//! The store for retained data: archives, streams, histories, logs, metric blocks.
//!
//! [`Store::open`] recovers a directory. Its [`Writer`] appends groups of records to series, syncs them, and
//! drops segments that have passed their retention. A [`Reader`] reads a series from any position, on any
//! thread. [DESIGN.md](../DESIGN.md) describes the files and what a crash leaves.
//!
//! ```
//! # use std::sync::Arc;
//! # use posthaste_retained::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let storage = Arc::new(journal::engines::Memory::new());
//! let Store { mut writer, .. } = Store::open(storage, &Options::default())?;
//! let series = Series(7);
//! let record = New {
//!     series,
//!     sequence: 1,
//!     time: Time(1_700_000_000_000),
//!     retention: Retention::days(30),
//!     head: b"",
//!     tail: b"hello",
//! };
//! let group = writer.append(&mut [record])?.group;
//! assert!(writer.sync()? >= group);
//! let limits = Limits { records: 10, bytes: 1 << 20 };
//! let page = writer.reader().forwards(series, From::Sequence(1), limits)?;
//! assert_eq!(page.records[0].tail, "hello");
//! # Ok(())
//! # }
//! ```

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

mod mover;
pub use mover::{Kept, MoveError, Moved, Mover, read_page};

mod check;
pub use check::{CheckedSegment, Report, check, check_showing, check_storage};

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
