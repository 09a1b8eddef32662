//! An open log: its options, the result of recovery, and its records.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use kernel::{Place, Position, Time};

use crate::appender::Appender;
use crate::discipline::is_full;
use crate::error::{Beyond, Doing, Error};
use crate::format::Class;
use crate::index::{Entry, IndexBuilder, IndexHeader};
use crate::keeper::Keeper;
use crate::names;
use crate::reader::Reader;
use crate::recovery::{Opening, damaged, scan_segment};
use crate::storage::{File, Storage};
use crate::writer::{Space, last_reserved};

/// Options of a log.
#[derive(Clone, Debug)]
pub struct Options {
    /// Length of a segment in bytes. It may differ from the one with which the log was written.
    pub segment_bytes: u32,
    /// Random number of a new log, which distinguishes its frames from all other bytes. It must not be
    /// guessable.
    pub log_id: u64,
    /// Whether the recovered log must be durable before it is open: with
    /// [`Durability::Fsync`](crate::Durability).
    pub durable: bool,
    /// Number of dropped segments to keep for reuse, besides the segment that is always ready. Reuse is
    /// cheaper than new files, for which the file system must find pages and record what was written.
    pub recycled: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            log_id: std::hash::RandomState::new().build_hasher().finish(),
            durable: true,
            recycled: 4,
        }
    }
}

/// The result of recovery.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The end of the log: the next frame begins here.
    pub end: Position,
    /// The place up to which the log is known to be durable: `end` if [`Options::durable`] was set.
    pub durable: Position,
    /// The number of the last frame; 0 in an empty log.
    pub last_sequence: u64,
    /// The engine's time in the last frame.
    pub now: Time,
    /// The caller's number in the last frame.
    pub counter: u64,
    /// Every segment with content, in order.
    pub segments: Vec<SegmentInfo>,
    /// The place where an unfinished write was cut off, if there was one.
    pub cut: Option<Cut>,
    /// What recovery rebuilt, as texts for the operator.
    pub warnings: Vec<String>,
}

/// A segment of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// The segment's number.
    pub number: u32,
    /// Length of its frames, in bytes.
    pub bytes: u32,
}

/// The bytes that recovery cut off at the end of a log: an unfinished write, which was never acknowledged. If
/// the log was written with [`Durability::Os`](crate::Durability), it can also be damage to the last frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The file.
    pub file: String,
    /// The new end of the log.
    pub at: Place,
    /// Description of the fault at that place.
    pub why: String,
    /// The valid frames behind that place. They were written with [`Durability::Fsync`](crate::Durability),
    /// and no sync that covered them completed.
    pub beyond: Beyond,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}, offset {}: an unfinished write was cut off ({})",
            self.file,
            self.at.offset(),
            self.why
        )?;
        match self.beyond {
            Beyond { frames: 0, .. } => f.write_str("; no whole frame followed"),
            Beyond { frames, records, bytes, .. } => write!(
                f,
                "; {frames} whole frames with {records} records, {bytes} bytes in all, were cut off, too: no sync had \
                 covered them, so none of them was acknowledged"
            ),
        }
    }
}

/// An open log.
///
/// Read it with [`configuration`](Journal::configuration) and then [`flow`](Journal::flow). Then turn it into
/// a [`Writer`](crate::Writer) or a [`Pipeline`](crate::Pipeline) to continue it.
pub struct Journal {
    pub(crate) keeper: Keeper,
    pub(crate) recovered: Recovered,
    pub(crate) indexed: BTreeMap<u32, IndexHeader>,
    /// The segment to write next.
    pub(crate) open: IndexBuilder,
    pub(crate) file: Arc<dyn File>,
    pub(crate) recycled: usize,
    /// Whether writes must be durable: [`Options::durable`].
    pub(crate) durable: bool,
    /// Full and synced segments without an index, because the disk was full.
    pub(crate) unindexed: Vec<IndexBuilder>,
    /// Segments that are ready for use after that.
    pub(crate) ahead: Vec<(u32, Arc<dyn File>)>,
    /// How much of the next segment exists on disk, if its space could not be allocated.
    pub(crate) unreserved: Option<u32>,
    /// Whether the disk had no space for a prepared file.
    pub(crate) low: bool,
}

impl Journal {
    /// Returns whether records may be in a store for retained data, and no longer in the log.
    pub fn has_store(&self) -> bool {
        self.keeper.manifest.has_store
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens a log, or creates a new one in an empty directory.
    ///
    /// # Errors
    /// [`Error::Damaged`] if durable data is missing or damaged; nothing is written then.
    pub fn open(storage: Arc<dyn Storage>, options: &Options) -> Result<Journal, Error> {
        Opening::new(&*storage).run(storage.clone(), options)
    }

    /// Returns the result of recovery.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Shows all records of [`Class::Configuration`], in order.
    pub fn configuration(&mut self, seen: impl FnMut(Entry<'_>)) -> Result<(), Error> {
        self.pass(Class::Configuration, seen)
    }

    /// Shows all records of [`Class::Flow`], in order.
    pub fn flow(&mut self, seen: impl FnMut(Entry<'_>)) -> Result<(), Error> {
        self.pass(Class::Flow, seen)
    }

    fn pass(&mut self, class: Class, mut seen: impl FnMut(Entry<'_>)) -> Result<(), Error> {
        let mut buffer = Vec::new();
        let mut unindexed = self.unindexed.iter().peekable();
        for index in self.indexed.values() {
            let segment = index.summary.segment;
            while let Some(earlier) = unindexed.next_if(|builder| builder.segment() < segment) {
                earlier.entries(class, &mut seen);
            }
            if index.records(class) == 0 {
                continue;
            }
            let storage = &*self.keeper.storage;
            let describe = || storage.describe(&names::index(segment));
            let (at, len) = index.section(class);
            buffer.clear();
            buffer.resize(len, 0);
            let file = storage.open(&names::index(segment)).doing("opening", describe)?;
            let read = file.read_at(&mut buffer, at).doing("reading", describe)?;
            let section = &buffer[..read];
            if index.is_sound(class, section) && index.entries(class, section, |_| {}).is_ok() {
                // Recovery has just walked the whole segment.
                let _ = index.entries(class, section, &mut seen);
                continue;
            }
            self.rebuild(index)?.entries(class, &mut seen);
            self.recovered
                .warnings
                .push(format!("{} was damaged and has been rebuilt from its segment", describe()));
        }
        unindexed.for_each(|builder| builder.entries(class, &mut seen));
        self.open.entries(class, &mut seen);
        Ok(())
    }

    /// Rebuilds a damaged index from its segment.
    fn rebuild(&self, index: &IndexHeader) -> Result<IndexBuilder, Error> {
        let storage = &*self.keeper.storage;
        let segment = index.summary.segment;
        let describe = || storage.describe(&names::segment(segment));
        let file = storage.open(&names::segment(segment)).doing("opening", describe)?;
        let first = Some(index.summary.first_sequence);
        let scanned =
            scan_segment(file, self.keeper.manifest.log_id, segment, first).doing("reading", describe)?;
        if scanned.builder.summary() != Some(index.summary) {
            let (at, fault) = (scanned.builder.end(), scanned.fault);
            return Err(damaged(storage, at, format!("{fault}; the segment's index is damaged, too")));
        }
        match self.keeper.index(&scanned.builder) {
            // The next start finds the index damaged and rebuilds it.
            Err(error) if is_full(&error) => {}
            other => other.doing("writing", || storage.describe(&names::index(segment)))?,
        }
        Ok(scanned.builder)
    }

    /// Returns whether there is space for more segments.
    pub fn space(&self) -> Space {
        if !self.low {
            return Space::Ok;
        }
        Space::Low(last_reserved(
            self.ahead.last().map(|&(number, _)| number),
            self.recovered.end.segment(),
            self.unreserved,
            self.keeper.segment_bytes,
        ))
    }

    /// Returns an appender that continues at the end of the log.
    pub fn appender(&self) -> Appender {
        let sequence = self.recovered.last_sequence + 1;
        let keeper = &self.keeper;
        Appender::new(keeper.manifest.log_id, keeper.segment_bytes, self.recovered.end, sequence)
            .vouches(self.durable)
    }

    /// Returns a reader of records by place, for any thread.
    pub fn reader(&self) -> Reader {
        Reader::new(self.keeper.cache.clone(), self.keeper.manifest.log_id)
    }
}
