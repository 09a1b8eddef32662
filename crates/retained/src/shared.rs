//! What the writer and the readers share: which segments hold which series, and where in them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use journal::common::{Cache, is_broken, read_exactly};
use journal::{Damage, Effect, ReadError, Storage};
use kernel::Time;

use crate::directory::Directory;
use crate::index::{self, Entry, Header, PAGE};
use crate::series::{RetentionClass, Rule, Series, names};
use crate::spans::{Bounds, Spans, Stretch};

/// Number of segments, and of indexes, that are kept open for reading.
const OPEN: usize = 8;

/// A sealed segment, in memory.
#[derive(Debug)]
pub struct Sealed {
    pub header: Header,
    /// The first series of each page of the index.
    pub fences: Box<[Series]>,
}

/// A rule in effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub rule: Rule,
    /// The segment with its record.
    pub segment: u32,
}

#[derive(Default, Debug)]
pub struct Inner {
    pub directory: Directory,
    /// The segments without an index: those that are being written, and full ones.
    pub open: BTreeMap<u32, Spans>,
    pub sealed: BTreeMap<u32, Sealed>,
    pub rules: BTreeMap<Series, Standing>,
}

impl Inner {
    pub fn is_deleted(&self, series: Series) -> bool {
        self.rules.get(&series).is_some_and(|standing| standing.rule == Rule::Delete)
    }

    /// Returns whether any segment holds a record of the series, deleted or not.
    pub fn has(&self, series: Series) -> bool {
        self.directory.runs(series).next().is_some()
            || self.open.values().any(|spans| spans.series.contains_key(&series))
    }

    /// Returns when a span has passed.
    pub fn passes(&self, series: Series, bounds: &Bounds) -> Time {
        match self.rules.get(&series).map(|standing| standing.rule) {
            None => bounds.passes,
            Some(Rule::Keep(retention)) => retention.passes(bounds.last_time),
            Some(Rule::Delete) => Time(0),
        }
    }
}

pub struct Shared {
    inner: RwLock<Inner>,
    pub segments: Cache,
    pub indexes: Cache,
    pub id: u64,
}

/// A place in a segment's index or content that cannot be read.
pub fn damage(storage: &dyn Storage, name: &str, offset: u64, what: &str) -> Damage {
    Damage { file: storage.describe(name), offset, what: what.to_owned(), effect: Effect::Unreadable }
}

impl Shared {
    pub fn new(storage: Arc<dyn Storage>, id: u64, inner: Inner) -> Shared {
        Shared {
            inner: RwLock::new(inner),
            segments: Cache::new(storage.clone(), names::segment, OPEN),
            indexes: Cache::new(storage, names::index, OPEN),
            id,
        }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Only the writer's thread changes the content. If it panics, the store is over, and readers see a
        // part of its last change.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the segments of a series, in its order.
    pub fn segments(&self, series: Series) -> Result<Vec<u32>, ReadError> {
        let inner = self.read();
        if inner.is_deleted(series) {
            return Ok(Vec::new());
        }
        let mut segments: Vec<u32> = inner.directory.runs(series).flatten().collect();
        let open = inner.open.iter().filter(|(_, spans)| spans.series.contains_key(&series));
        segments.extend(open.map(|(&segment, _)| segment));
        drop(inner);
        // Segments of one class are in order. After a change of its retention, a series has several classes.
        let class = segments.first().map(|&first| RetentionClass::of(first));
        if segments.iter().any(|&segment| Some(RetentionClass::of(segment)) != class) {
            let mut keyed = Vec::with_capacity(segments.len());
            for segment in segments {
                if let Some(bounds) = self.bounds(segment, series)? {
                    keyed.push((bounds.first_sequence, segment));
                }
            }
            keyed.sort_unstable();
            // A segment that is being sealed is in both lists.
            keyed.dedup();
            return Ok(keyed.into_iter().map(|(_, segment)| segment).collect());
        }
        segments.sort_unstable();
        segments.dedup();
        Ok(segments)
    }

    /// Returns what a segment holds of a series; `None` if it holds nothing, or has been dropped.
    pub fn bounds(&self, segment: u32, series: Series) -> Result<Option<Bounds>, ReadError> {
        if let Some(spans) = self.read().open.get(&segment) {
            return Ok(spans.series.get(&series).map(|span| span.bounds));
        }
        Ok(self.entry(segment, series)?.map(|entry| entry.bounds))
    }

    /// Returns the stretches of a series in a segment.
    pub fn stretches(&self, segment: u32, series: Series) -> Result<Vec<Stretch>, ReadError> {
        if let Some(spans) = self.read().open.get(&segment) {
            let span = spans.series.get(&series);
            return Ok(span.map_or(Vec::new(), |span| span.stretches().copied().collect()));
        }
        let Some(entry) = self.entry(segment, series)? else { return Ok(Vec::new()) };
        let mut stretches = vec![entry.first];
        let (at, len) = entry.more;
        if len > 0 {
            let bytes = self.read_index(segment, u64::from(at), len as usize)?;
            let Some(bytes) = bytes else { return Ok(Vec::new()) };
            match index::stretches(segment, &entry, &bytes) {
                Some(more) => stretches.extend(more),
                None => return Err(self.damaged_index(segment, at.into(), "a list of stretches is damaged")),
            }
        }
        Ok(stretches)
    }

    /// Returns the number of the last record of a series, and its segment, if the store has one.
    pub fn last(&self, series: Series) -> Result<Option<(u64, u32)>, ReadError> {
        // The last record is in the last segment of one of its classes.
        let inner = self.read();
        if inner.is_deleted(series) {
            return Ok(None);
        }
        let mut last: BTreeMap<RetentionClass, u32> = BTreeMap::new();
        let open = inner.open.iter().filter(|(_, spans)| spans.series.contains_key(&series));
        let open = open.map(|(&segment, _)| segment);
        for segment in inner.directory.runs(series).map(|run| *run.end()).chain(open) {
            last.insert(RetentionClass::of(segment), segment);
        }
        drop(inner);
        let mut found = None;
        for segment in last.into_values() {
            let bounds = self.bounds(segment, series)?;
            found = found.max(bounds.map(|bounds| (bounds.last_sequence, segment)));
        }
        Ok(found)
    }

    fn entry(&self, segment: u32, series: Series) -> Result<Option<Entry>, ReadError> {
        let (at, page) = {
            let inner = self.read();
            let Some(sealed) = inner.sealed.get(&segment) else { return Ok(None) };
            let page = sealed.fences.partition_point(|&first| first <= series);
            let Some(page) = page.checked_sub(1) else { return Ok(None) };
            (sealed.header.page(page as u32), page as u32)
        };
        let Some(entries) = self.page(segment, page, at)? else { return Ok(None) };
        let found = entries.binary_search_by_key(&series, |entry| entry.series);
        Ok(found.ok().map(|found| entries[found]))
    }

    /// Returns the spans of a page of an index, which lies at `at`; `None` if the segment has been dropped.
    pub fn page(&self, segment: u32, page: u32, at: u64) -> Result<Option<Vec<Entry>>, ReadError> {
        let Some(bytes) = self.read_index(segment, at, PAGE)? else { return Ok(None) };
        match index::page(segment, page, &bytes) {
            Some(entries) => Ok(Some(entries)),
            None => Err(self.damaged_index(segment, at, "a page of the index is damaged")),
        }
    }

    fn read_index(&self, segment: u32, at: u64, len: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(file) = self.indexes.get(segment).map_err(ReadError::Io)? else { return Ok(None) };
        match read_exactly(&*file, at, len) {
            Err(error) if is_broken(&error) => Err(self.damaged_index(segment, at, &error.to_string())),
            read => read.map(Some).map_err(ReadError::Io),
        }
    }

    pub fn damaged_index(&self, segment: u32, offset: u64, what: &str) -> ReadError {
        ReadError::Damaged(damage(&**self.segments.storage(), &names::index(segment), offset, what))
    }
}

/// A reader's error as one of the writer's.
pub fn to_io(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
