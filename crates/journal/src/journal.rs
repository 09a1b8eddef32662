//! An open log: how it is kept, what was found, and what it holds.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use kernel::{Place, Position, Time};

use crate::appender::Appender;
use crate::error::{Beyond, Doing, Error};
use crate::format::Class;
use crate::index::{Entry, IndexBuilder, IndexHeader};
use crate::keeper::{Keeper, is_full};
use crate::names;
use crate::reader::Reader;
use crate::recovery::{Opening, damaged, scan_segment};
use crate::storage::{File, Storage};
use crate::writer::{Space, last_reserved};

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a segment gets, in bytes. A log can be opened with another number than it was written with.
    pub segment_bytes: u32,
    /// The number that a new log gets, to tell its frames from everything else. It should not be guessable.
    pub log_id: u64,
    /// Whether what is recovered must be durable before the log is open: with [`Durability::Fsync`](crate::Durability).
    pub durable: bool,
    /// How many dropped segments are kept to be written again, beside the one that is always ready. That is cheaper than
    /// to take new ones from the file system, whose pages must be found first, and which must note what has been written.
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

/// What was found when a log was opened.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Where the log ends: the next frame begins here.
    pub end: Position,
    /// How far it is known to be durable: `end`, if [`Options::durable`] was set.
    pub durable: Position,
    /// The number of the last frame; 0 in an empty log.
    pub last_sequence: u64,
    /// The engine's time in the last frame.
    pub now: Time,
    /// The caller's number in the last frame.
    pub counter: u64,
    /// Every segment that holds something, in order.
    pub segments: Vec<SegmentInfo>,
    /// Where an unfinished write was cut off, if there was one.
    pub cut: Option<Cut>,
    /// What was repaired, in words for the operator.
    pub warnings: Vec<String>,
}

/// One segment of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u32,
    /// Bytes of its frames.
    pub bytes: u32,
}

/// What was cut off behind the end of a log: a write that was not finished, which was never acknowledged. If the log was written
/// with [`Durability::Os`](crate::Durability), it can be damage to the last frame, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The file.
    pub file: String,
    /// Where the log ends now.
    pub at: Place,
    /// What was wrong with the bytes there.
    pub why: String,
    /// What sound frames there were behind that. They were written with [`Durability::Fsync`](crate::Durability), and no sync that
    /// covered them has ended.
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
            Beyond { frames: 0, .. } => f.write_str("; no whole frame was behind it"),
            Beyond { frames, records, bytes, .. } => write!(
                f,
                "; {frames} whole frames with {records} records, {bytes} bytes in all, went with it: no sync had \
                 covered them, so nothing of it was acknowledged"
            ),
        }
    }
}

/// An open log.
///
/// Read it with [`configuration`](Journal::configuration) and then [`flow`](Journal::flow), and turn it into a
/// [`Writer`](crate::Writer) or a [`Pipeline`](crate::Pipeline) to go on.
pub struct Journal {
    pub(crate) keeper: Keeper,
    pub(crate) recovered: Recovered,
    pub(crate) indexed: BTreeMap<u32, IndexHeader>,
    /// The segment that is written next.
    pub(crate) open: IndexBuilder,
    pub(crate) file: Arc<dyn File>,
    pub(crate) recycled: usize,
    /// Whether it is to be durable: [`Options::durable`].
    pub(crate) durable: bool,
    /// Full and synced segments whose index could not be written yet, because the disk was full.
    pub(crate) unindexed: Vec<IndexBuilder>,
    /// Segments that are ready to be written after that.
    pub(crate) ahead: Vec<(u32, Arc<dyn File>)>,
    /// How much of the segment that is written next has its space, if that could not be reserved.
    pub(crate) unreserved: Option<u32>,
    /// Whether the disk had no space for something that was to be made ready.
    pub(crate) low: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens a log, or makes a new one in an empty directory.
    ///
    /// # Errors
    /// [`Error::Damaged`] if something that was durable is missing or changed; nothing is written then.
    pub fn open(storage: Arc<dyn Storage>, options: &Options) -> Result<Journal, Error> {
        Opening::new(&*storage).run(storage.clone(), options)
    }

    /// What was found.
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
                // It was walked whole just now.
                let _ = index.entries(class, section, &mut seen);
                continue;
            }
            self.rebuild(index)?.entries(class, &mut seen);
            self.recovered.warnings.push(format!("{} was damaged; made again from its segment", describe()));
        }
        unindexed.for_each(|builder| builder.entries(class, &mut seen));
        self.open.entries(class, &mut seen);
        Ok(())
    }

    /// Makes a damaged index again from its segment.
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
            return Err(damaged(storage, at, format!("{fault}, and the segment's index is damaged, too")));
        }
        match self.keeper.index(&scanned.builder) {
            // It will be found damaged, and made again, at the next start.
            Err(error) if is_full(&error) => {}
            other => other.doing("writing", || storage.describe(&names::index(segment)))?,
        }
        Ok(scanned.builder)
    }

    /// Whether there is room for what comes.
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

    /// An appender that goes on where the log ends.
    pub fn appender(&self) -> Appender {
        let sequence = self.recovered.last_sequence + 1;
        let keeper = &self.keeper;
        Appender::new(keeper.manifest.log_id, keeper.segment_bytes, self.recovered.end, sequence)
            .vouches(self.durable)
    }

    /// Reads records by place, from any thread.
    pub fn reader(&self) -> Reader {
        Reader::new(self.keeper.cache.clone(), self.keeper.manifest.log_id)
    }
}
