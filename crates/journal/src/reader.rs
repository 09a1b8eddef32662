//! Reads records by place, from any thread, while the log is written.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kernel::{Extent, Place};

use crate::cache::Cache;
use crate::discipline::is_broken;
use crate::error::{Damage, Effect, Error};
use crate::format::{Class, FRAME_HEADER, FrameHeader, RECORD_HEADER, RecordHeader};
use crate::index::{Entry, INDEX_HEADER, IndexHeader};
use crate::names;
use crate::scan::{self, Fault, Frames};
use crate::storage::{File, Storage};

/// Records that lie at most this far apart are read together.
const GAP: u32 = 4 << 10;
/// Maximum number of bytes per read, unless one record is longer.
const TOGETHER: u32 = 4 << 20;

/// Reads records by place. Cheap to clone; all clones share the open files.
#[derive(Clone)]
pub struct Reader {
    cache: Arc<Cache>,
    log_id: u64,
}

/// A record of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The record's class.
    pub class: Class,
    /// The record's head: the part from which the engine rebuilds its state.
    pub head: Bytes,
    /// The record's tail: the payload.
    pub tail: Bytes,
}

/// A record cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// Its segment was dropped.
    Gone,
    /// Its bytes are damaged.
    Damaged(Damage),
    /// The storage failed.
    Io(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Gone => f.write_str("the record's segment was dropped"),
            ReadError::Damaged(damage) => write!(f, "{damage}"),
            ReadError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Io(error) => Some(error),
            ReadError::Gone | ReadError::Damaged(_) => None,
        }
    }
}

/// Reading would wait for the disk: read again on a thread that may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WouldBlock;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Wait,
    Try,
}

impl Reader {
    pub(crate) fn new(cache: Arc<Cache>, log_id: u64) -> Self {
        Reader { cache, log_id }
    }

    /// Reads one record, which must have been written.
    pub fn read(&self, extent: Extent) -> Result<Record, ReadError> {
        match self.span(extent.place, extent.len, Patience::Wait) {
            Err(Interrupted::WouldBlock) => Err(ReadError::Io(io::ErrorKind::WouldBlock.into())),
            Err(Interrupted::Error(error)) => Err(self.refusal(extent.place, error)),
            Ok(bytes) => self.record(extent, &bytes, 0),
        }
    }

    /// Reads several records, adjacent ones together. The results are in the order of the extents.
    pub fn read_many(&self, extents: &[Extent]) -> Vec<Result<Record, ReadError>> {
        self.many(extents, Patience::Wait).unwrap_or_else(|WouldBlock| {
            extents.iter().map(|_| Err(ReadError::Io(io::ErrorKind::WouldBlock.into()))).collect()
        })
    }

    /// Does the same if everything is in memory; otherwise reads nothing and returns [`WouldBlock`].
    pub fn try_read_many(&self, extents: &[Extent]) -> Result<Vec<Result<Record, ReadError>>, WouldBlock> {
        self.many(extents, Patience::Try)
    }

    fn many(
        &self,
        extents: &[Extent],
        patience: Patience,
    ) -> Result<Vec<Result<Record, ReadError>>, WouldBlock> {
        let mut order: Vec<usize> = (0..extents.len()).collect();
        order.sort_unstable_by_key(|&i| extents[i].place);
        let mut records: Vec<Option<Result<Record, ReadError>>> = extents.iter().map(|_| None).collect();
        let mut rest = &order[..];
        while let Some(&first) = rest.first() {
            let start = extents[first].place;
            let mut end = start.offset().saturating_add(extents[first].len);
            let mut together = 1;
            for &next in &rest[1..] {
                let Extent { place, len } = extents[next];
                let near = place.segment() == start.segment() && place.offset() <= end.saturating_add(GAP);
                let next_end = end.max(place.offset().saturating_add(len));
                if !near || next_end - start.offset() > TOGETHER {
                    break;
                }
                end = next_end;
                together += 1;
            }
            let (now, later) = rest.split_at(together);
            rest = later;
            match self.span(start, end - start.offset(), patience) {
                Err(Interrupted::WouldBlock) => return Err(WouldBlock),
                // The part that the disk cannot read may belong to only one of them.
                Err(Interrupted::Error(Failure::Broken(_))) if now.len() > 1 => {
                    for &i in now {
                        records[i] = Some(self.read(extents[i]));
                    }
                }
                Err(Interrupted::Error(error)) => {
                    for &i in now {
                        records[i] = Some(Err(self.refusal(extents[i].place, error.clone())));
                    }
                }
                Ok(bytes) => {
                    for &i in now {
                        let from = (extents[i].place.offset() - start.offset()) as usize;
                        records[i] = Some(self.record(extents[i], &bytes, from));
                    }
                }
            }
        }
        Ok(records.into_iter().map(|record| record.unwrap_or(Err(ReadError::Gone))).collect())
    }

    /// Returns the bytes from `place` on; fewer if the file ends.
    fn span(&self, place: Place, len: u32, patience: Patience) -> Result<Bytes, Interrupted> {
        let file = self.cache.get(place.segment()).map_err(Interrupted::from)?;
        let file = file.ok_or(Interrupted::Error(Failure::Gone))?;
        let mut buffer = BytesMut::zeroed(len as usize);
        let offset = u64::from(place.offset());
        let read = match patience {
            Patience::Wait => file.read_at(&mut buffer, offset),
            Patience::Try => file.try_read_at(&mut buffer, offset),
        };
        buffer.truncate(read.map_err(Interrupted::from)?);
        Ok(buffer.freeze())
    }

    /// Returns the record that begins at `from`. The bytes may end before the record.
    fn record(&self, extent: Extent, bytes: &Bytes, from: usize) -> Result<Record, ReadError> {
        let whole = bytes.get(from..from + extent.len as usize);
        match whole.and_then(|whole| RecordHeader::verify(extent.place, whole)) {
            Some(header) => {
                let head_end = from + RECORD_HEADER + header.head as usize;
                let head = bytes.slice(from + RECORD_HEADER..head_end);
                let tail = bytes.slice(head_end..from + extent.len as usize);
                Ok(Record { class: header.class, head, tail })
            }
            // The file may have been recycled during the read.
            _ if self.cache.is_dropped(extent.place.segment()) => Err(ReadError::Gone),
            _ => Err(ReadError::Damaged(
                self.damage(extent.place, "the record's checksum is wrong".to_owned()),
            )),
        }
    }

    fn refusal(&self, at: Place, failure: Failure) -> ReadError {
        match failure {
            Failure::Gone => ReadError::Gone,
            Failure::Broken(text) => {
                ReadError::Damaged(self.damage(at, format!("the disk cannot read these bytes: {text}")))
            }
            Failure::Io(kind, text) => ReadError::Io(io::Error::new(kind, text)),
        }
    }

    /// Returns whether a segment that existed has been dropped.
    pub fn is_dropped(&self, segment: u32) -> bool {
        self.cache.is_dropped(segment)
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        self.cache.storage()
    }

    pub(crate) fn log_id(&self) -> u64 {
        self.log_id
    }

    pub(crate) fn damage(&self, at: Place, what: String) -> Damage {
        let file = self.cache.storage().describe(&names::segment(at.segment()));
        Damage { file, offset: u64::from(at.offset()), what, effect: Effect::Unreadable }
    }

    /// Shows every record of a full segment, without tails: first those of [`Class::Configuration`], then the
    /// others, each in order. Reads the segment's index, or the whole segment if it has none.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not certain that all records were shown.
    pub fn survey(&self, segment: u32, mut seen: impl FnMut(Entry<'_>)) -> Result<(), Error> {
        let storage = self.cache.storage();
        let refused =
            |name: String, error| Error::Io { file: storage.describe(&name), doing: "reading", error };
        match storage.open(&names::index(segment)) {
            Ok(file) => {
                let index =
                    self.survey_index(segment, &*file).map_err(|e| refused(names::index(segment), e))?;
                if let Some((header, sections)) = index {
                    for (class, section) in [Class::Configuration, Class::Flow].into_iter().zip(&sections) {
                        // The whole segment was walked before.
                        let _ = header.entries(class, section, &mut seen);
                    }
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(names::index(segment), error)),
        }
        let file = storage.open(&names::segment(segment)).map_err(|e| refused(names::segment(segment), e))?;
        for class in [Class::Configuration, Class::Flow] {
            let fault = self.survey_frames(segment, &*file, |entry| {
                if entry.class == class {
                    seen(entry);
                }
            });
            if let Some((at, fault)) = fault.map_err(|error| refused(names::segment(segment), error))? {
                return Err(Error::Damaged(self.damage(at, fault.to_string())));
            }
        }
        Ok(())
    }

    /// Shows every record of a full segment. Returns the damage if its frames do not reach those of the next
    /// segment. The caller drops a segment because of a survey, so the survey must be complete.
    fn survey_frames(
        &self,
        segment: u32,
        file: &dyn File,
        mut seen: impl FnMut(Entry<'_>),
    ) -> io::Result<Option<(Place, Fault)>> {
        let mut frames = Frames::new(file, self.log_id, segment, None);
        let mut next = None;
        let fault = loop {
            let frame = frames.next(|place, record, bytes| {
                let extent = Extent { place, len: bytes.len() as u32 };
                let head = &bytes[RECORD_HEADER..RECORD_HEADER + record.head as usize];
                seen(Entry { extent, class: record.class, head, tail_len: record.tail });
            })?;
            match frame {
                Ok(header) => next = Some(header.sequence + 1),
                Err(fault) => break fault,
            }
        };
        let mut behind = next.is_none();
        scan::search(file, self.log_id, segment, frames.offset(), |_, _| {
            behind = true;
            ControlFlow::Break(())
        })?;
        let at = Place::new(segment, frames.offset());
        if behind {
            return Ok(Some((at, fault)));
        }
        if let (Some(expected), Some(file)) = (next, self.cache.get(segment + 1)?) {
            let header = scan::read_exactly(&*file, 0, FRAME_HEADER)?;
            let found = FrameHeader::decode(self.log_id, segment + 1, &header).map(|header| header.sequence);
            if let Some(found) = found.filter(|&found| found != expected) {
                return Ok(Some((at, Fault::Sequence { expected, found })));
            }
        }
        Ok(None)
    }

    /// Returns an index and its two sections, if all of it is valid.
    fn survey_index(&self, segment: u32, file: &dyn File) -> io::Result<Option<(IndexHeader, [Vec<u8>; 2])>> {
        let header = scan::read_exactly(file, 0, INDEX_HEADER)?;
        let Some(header) = IndexHeader::decode(self.log_id, segment, &header) else { return Ok(None) };
        let mut sections = [Vec::new(), Vec::new()];
        for (class, section) in [Class::Configuration, Class::Flow].into_iter().zip(&mut sections) {
            let (at, len) = header.section(class);
            if at + len as u64 > file.len()? {
                return Ok(None);
            }
            *section = scan::read_exactly(file, at, len)?;
            if !header.is_sound(class, section) || header.entries(class, section, |_| {}).is_err() {
                return Ok(None);
            }
        }
        Ok(Some((header, sections)))
    }
}

enum Interrupted {
    WouldBlock,
    Error(Failure),
}

/// Copies an error, because several records share it.
#[derive(Clone)]
enum Failure {
    Gone,
    /// A bad sector, or another reason for which a disk reports that it cannot read.
    Broken(String),
    Io(io::ErrorKind, String),
}

impl From<io::Error> for Interrupted {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Interrupted::WouldBlock,
            _ if is_broken(&error) => Interrupted::Error(Failure::Broken(error.to_string())),
            kind => Interrupted::Error(Failure::Io(kind, error.to_string())),
        }
    }
}
