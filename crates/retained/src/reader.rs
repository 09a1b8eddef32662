//! Reads series, on any thread, while the store is written.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use journal::common::is_broken;
use journal::{Damage, ReadError};
use kernel::{Place, Time};

use crate::index;
use crate::series::{Series, names};
use crate::shared::{Shared, damage};
use crate::spans::{Bounds, NEAR, Stretch};
use crate::walk::{self, Walk};

/// Stretches that lie near each other are read together, up to this many bytes.
const TOGETHER: u32 = 1 << 20;

/// Reads records. Cheap to clone; all clones share the open files.
///
/// A reader sees what was appended, durable or not, and also records that have passed their retention, until
/// their segment is dropped.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    /// Whether what it has read leaves the page cache.
    passing: bool,
}

pub use kernel::retained::{From, Limits};

/// A record of a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its number in the series.
    pub sequence: u64,
    /// Its time.
    pub time: Time,
    /// Where it lies.
    pub place: Place,
    /// The owner's head.
    pub head: Bytes,
    /// The payload.
    pub tail: Bytes,
}

/// A part of a series.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Page {
    /// The records, in the order of reading.
    pub records: Vec<Record>,
    /// What could not be read between them.
    pub damage: Vec<Damage>,
    /// What to continue with: for [`Reader::forwards`] a number from which, for [`Reader::backwards`] one
    /// before which. `None` if there is nothing more now.
    pub next: Option<u64>,
}

/// How far [`Reader::between`] has come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cursor {
    segment: u32,
    page: u32,
}

impl Cursor {
    fn at(segment: u32) -> Cursor {
        Cursor { segment, page: 0 }
    }

    /// Passes over the rest of a segment whose index is damaged.
    pub fn skip(self) -> Cursor {
        Cursor::at(self.segment + 1)
    }
}

/// A series in a range of times, and the times of its records in one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The series.
    pub series: Series,
    /// The time of its first record there.
    pub first_time: Time,
    /// The time of its last record there.
    pub last_time: Time,
}

impl Page {
    /// Adds a record unless the page is full. Returns whether it was added.
    fn push(&mut self, record: Record, limits: Limits, bytes: &mut usize) -> bool {
        let len = record.head.len() + record.tail.len();
        let has_room = self.records.len() < limits.records && *bytes + len <= limits.bytes;
        if !has_room && !self.records.is_empty() {
            return false;
        }
        *bytes += len;
        self.records.push(record);
        true
    }
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Reader { shared, passing: false }
    }

    /// Returns a reader for long reads of old records, such as replays: what it has read leaves the page cache,
    /// so that it does not displace what others need.
    pub fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    /// Reads a series forwards.
    ///
    /// Errors: the storage failed. Damage is in the page.
    pub fn forwards(&self, series: Series, from: From, limits: Limits) -> io::Result<Page> {
        let (mut page, mut bytes) = (Page::default(), 0);
        let Some(segments) = kept(&mut page, self.shared.segments(series))? else { return Ok(page) };
        let begin = self.seek(&segments, series, false, |bounds| match from {
            From::Sequence(sequence) => bounds.last_sequence < sequence,
            From::Time(time) => bounds.last_time < time,
        })?;
        let counts = |record: &Record| match from {
            From::Sequence(sequence) => record.sequence >= sequence,
            From::Time(time) => record.time >= time,
        };
        for &segment in &segments[begin..] {
            let Some(stretches) = kept(&mut page, self.shared.stretches(segment, series))? else { continue };
            let passed = stretches.partition_point(|stretch| match from {
                From::Sequence(sequence) => stretch.sequence <= sequence,
                // Several records can have the same time.
                From::Time(time) => stretch.time < time,
            });
            let mut rest: VecDeque<Stretch> = stretches[passed.saturating_sub(1)..].iter().copied().collect();
            while let Some(stretch) = together(&mut rest, limits.bytes) {
                let records = self.read(segment, series, stretch, &mut page)?;
                for record in records.into_iter().filter(counts) {
                    let sequence = record.sequence;
                    if !page.push(record, limits, &mut bytes) {
                        page.next = Some(sequence);
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// Reads a series backwards: the records before a number, or from the end, the newest first.
    ///
    /// Errors: the storage failed. Damage is in the page.
    pub fn backwards(&self, series: Series, before: Option<u64>, limits: Limits) -> io::Result<Page> {
        let (mut page, mut bytes) = (Page::default(), 0);
        let Some(segments) = kept(&mut page, self.shared.segments(series))? else { return Ok(page) };
        let before = before.unwrap_or(u64::MAX);
        let end = self.seek(&segments, series, true, |bounds| bounds.first_sequence < before)?;
        for &segment in segments[..end].iter().rev() {
            let Some(stretches) = kept(&mut page, self.shared.stretches(segment, series))? else { continue };
            let end = stretches.partition_point(|stretch| stretch.sequence < before);
            for &stretch in stretches[..end].iter().rev() {
                let records = self.read(segment, series, stretch, &mut page)?;
                for record in records.into_iter().rev().filter(|record| record.sequence < before) {
                    let sequence = record.sequence;
                    if !page.push(record, limits, &mut bytes) {
                        page.next = Some(sequence + 1);
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// Returns the number of the last record of a series, deleted series excluded.
    ///
    /// Errors: the storage failed, or the index that has it is damaged.
    pub fn last_sequence(&self, series: Series) -> Result<Option<u64>, ReadError> {
        Ok(self.shared.last(series)?.map(|(sequence, _)| sequence))
    }

    /// Returns up to `most` series from `from` on that have records, in their order, deleted ones excluded.
    pub fn series(&self, from: Series, most: usize) -> Vec<Series> {
        let inner = self.shared.read();
        let mut found = Vec::new();
        let mut next = Some(from);
        while let Some(from) = next.filter(|_| found.len() < most) {
            let open = inner.open.values();
            let open = open.filter_map(|spans| spans.series.range(from..).next().map(|(&series, _)| series));
            let Some(series) = open.chain(inner.directory.next_series(from)).min() else { break };
            if !inner.is_deleted(series) {
                found.push(series);
            }
            next = series.0.checked_add(1).map(Series);
        }
        found
    }

    /// Returns series with records whose times overlap a range, both ends included, segment by segment. Begin
    /// with the default cursor; the range may not change in between. Reads the index pages of segments that
    /// overlap, at most one page a call, and nothing of others.
    ///
    /// A series that has several segments can be found in each. Deleted series are left out. An empty list is
    /// not the end: that is when there is no next cursor.
    ///
    /// Errors: the storage failed, or the page is damaged; then go on with [`Cursor::skip`].
    pub fn between(
        &self,
        from: Time,
        to: Time,
        cursor: Cursor,
    ) -> Result<(Vec<Found>, Option<Cursor>), ReadError> {
        let Cursor { segment, page } = cursor;
        let overlaps = |times: (Time, Time)| times.0 <= to && from <= times.1;
        let inner = self.shared.read();
        let sealed = inner.sealed.range(segment..).find(|(_, sealed)| overlaps(sealed.header.times));
        let open = inner.open.range(segment..).find(|(_, spans)| overlaps(spans.times));
        let is_found = |series: Series, bounds: &Bounds| {
            overlaps((bounds.first_time, bounds.last_time)) && !inner.is_deleted(series)
        };
        let found = |series, bounds: &Bounds| Found {
            series,
            first_time: bounds.first_time,
            last_time: bounds.last_time,
        };
        match (sealed, open) {
            (Some((&number, sealed)), open) if open.is_none_or(|(&other, _)| number < other) => {
                let header = sealed.header;
                drop(inner);
                let page = if number == segment { page } else { 0 };
                let entries = self.shared.page(number, page, header.page(page))?.unwrap_or_default();
                let inner = self.shared.read();
                let listed = entries
                    .iter()
                    .filter(|entry| overlaps((entry.bounds.first_time, entry.bounds.last_time)))
                    .filter(|entry| !inner.is_deleted(entry.series))
                    .map(|entry| found(entry.series, &entry.bounds))
                    .collect();
                let has_more = page + 1 < header.pages();
                let next = if has_more {
                    Cursor { segment: number, page: page + 1 }
                } else {
                    Cursor::at(number + 1)
                };
                Ok((listed, Some(next)))
            }
            (_, Some((&number, spans))) => {
                let begin = if number == segment { page as usize } else { 0 };
                let some = spans.series.iter().skip(begin * index::ENTRIES).take(index::ENTRIES);
                let listed = some
                    .filter(|(series, span)| is_found(**series, &span.bounds))
                    .map(|(&series, span)| found(series, &span.bounds))
                    .collect();
                let has_more = (begin + 1) * index::ENTRIES < spans.series.len();
                let next = Cursor { segment: number, page: begin as u32 + 1 };
                Ok((listed, Some(if has_more { next } else { Cursor::at(number + 1) })))
            }
            _ => Ok((Vec::new(), None)),
        }
    }

    /// Returns the first segment that does not satisfy `passed`, which holds for a beginning of them. A segment
    /// with a damaged index counts as the caller needs it, so that nothing behind it is missed.
    fn seek(
        &self,
        segments: &[u32],
        series: Series,
        passes_damage: bool,
        passed: impl Fn(&Bounds) -> bool,
    ) -> io::Result<usize> {
        let (mut low, mut high) = (0, segments.len());
        // A series that lies in one segment is looked up there once, when it is read.
        if high == 1 {
            return Ok(usize::from(passes_damage));
        }
        while low < high {
            let middle = low + (high - low) / 2;
            // A segment that has been dropped meanwhile was before all others. A damaged one is met again.
            let is_passed = match self.shared.bounds(segments[middle], series) {
                Ok(bounds) => bounds.is_none_or(|bounds| passed(&bounds)),
                Err(ReadError::Io(error)) => return Err(error),
                Err(_) => passes_damage,
            };
            if is_passed {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Reads the records of a series in a part of a segment.
    fn read(&self, segment: u32, series: Series, part: Stretch, page: &mut Page) -> io::Result<Vec<Record>> {
        let Some(file) = self.shared.segments.get(segment)? else { return Ok(Vec::new()) };
        let mut buffer = BytesMut::zeroed(part.len as usize);
        let read = match file.read_at(&mut buffer, u64::from(part.offset)) {
            Err(error) if is_broken(&error) => {
                let storage = &**self.shared.segments.storage();
                let name = names::segment(segment);
                page.damage.push(damage(storage, &name, part.offset.into(), &error.to_string()));
                return Ok(Vec::new());
            }
            read => read?,
        };
        if self.passing {
            file.forget(u64::from(part.offset), u64::from(part.len));
        }
        buffer.truncate(read);
        let bytes: Bytes = buffer.freeze();
        let mut records = Vec::new();
        let mut damaged = Vec::new();
        for found in Walk::new(self.shared.id, series, segment, part.offset, &bytes) {
            match found {
                walk::Found::Record { place, stamp, head, tail } => {
                    records.push(Record { sequence: stamp.sequence, time: stamp.time, place, head, tail });
                }
                walk::Found::Damage { offset } => damaged.push((offset, "the record's checksum is wrong")),
            }
        }
        if read < part.len as usize {
            damaged.push((part.offset + read as u32, "the file ends here"));
        }
        let storage = &**self.shared.segments.storage();
        let name = names::segment(segment);
        let damaged = damaged.into_iter().map(|(at, what)| damage(storage, &name, at.into(), what));
        // A segment that was dropped during the read is not damaged.
        if !self.shared.segments.is_dropped(segment) {
            page.damage.extend(damaged);
        }
        Ok(records)
    }
}

/// Puts damage into the page, and returns what else was read.
fn kept<T>(page: &mut Page, read: Result<T, ReadError>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(ReadError::Io(error)) => Err(error),
        Err(ReadError::Gone) => Ok(None),
        Err(ReadError::Damaged(damage)) => {
            page.damage.push(damage);
            Ok(None)
        }
    }
}

/// Takes the next stretches that are worth reading at once.
fn together(rest: &mut VecDeque<Stretch>, wanted: usize) -> Option<Stretch> {
    let mut part = rest.pop_front()?;
    let most = TOGETHER.min(u32::try_from(wanted).unwrap_or(TOGETHER));
    while let Some(next) = rest.front()
        && next.offset - part.end() <= NEAR
        && next.end() - part.offset <= most
    {
        part.len = next.end() - part.offset;
        rest.pop_front();
    }
    Some(part)
}
