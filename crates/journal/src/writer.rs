//! The write side as plain functions, which the simulator and the tests call step by step.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use kernel::{Place, Position};

use crate::appender::{Batch, Piece};
use crate::discipline::is_full;
use crate::error::named;
use crate::format;
use crate::index::IndexBuilder;
use crate::journal::Journal;
use crate::keeper::{Keeper, READY};
use crate::names;
use crate::reader::Reader;
use crate::storage::File;

/// The segment that is being written, and its growing index.
pub(crate) struct Current {
    pub builder: IndexBuilder,
    pub file: Arc<dyn File>,
}

impl Current {
    /// Fills in a piece's checksums and adds its records to the index.
    pub fn seal(&mut self, piece: &mut Piece) -> io::Result<()> {
        let mut first = None;
        let place = Place::new(piece.segment, piece.offset);
        debug_assert_eq!(self.builder.end(), place, "a piece begins where the one before ended");
        let builder = &mut self.builder;
        let last = format::seal(
            place,
            &mut piece.bytes,
            |header| first = first.or(Some(header.sequence)),
            |place, header, record| {
                builder.record(place, header, record);
            },
        );
        match (first, last) {
            (Some(first), Some(last)) => {
                builder.frames(first, &last, piece.offset + piece.bytes.len() as u32);
                Ok(())
            }
            _ => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the batch does not consist of whole frames"))
            }
        }
    }
}

/// Whether there is space for more segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// The next segments are ready, or there is space for them.
    Ok,
    /// There is no space for another segment or an index. The log can be written up to this place, and the
    /// rest is reserved for records that free space. A batch beyond this place waits for space.
    Low(Position),
}

/// Writes batches, one call after another.
///
/// After a failed call all others fail, because the content of the disk is unknown.
pub struct Writer {
    keeper: Keeper,
    reader: Reader,
    current: Current,
    /// Full segments that are not synced yet.
    unsynced: Vec<Current>,
    /// Full and synced segments without an index.
    sealed: Vec<IndexBuilder>,
    ahead: VecDeque<(u32, Arc<dyn File>)>,
    written: Position,
    durable: Position,
    recycled: usize,
    /// How much of the current segment can be written, if its space could not be allocated.
    unreserved: Option<u32>,
    /// Whether the last allocation failed for lack of space.
    low: bool,
    failed: bool,
}

impl Journal {
    /// Creates a writer that continues a log, call by call.
    pub fn into_writer(self) -> Writer {
        Writer {
            reader: self.reader(),
            keeper: self.keeper,
            current: Current { builder: self.open, file: self.file },
            unsynced: Vec::new(),
            sealed: self.unindexed,
            ahead: self.ahead.into(),
            written: self.recovered.end,
            durable: self.recovered.durable,
            recycled: self.recycled,
            unreserved: self.unreserved,
            low: self.low,
            failed: false,
        }
    }
}

impl Writer {
    /// Writes a batch without syncing it. Returns the new end of the log.
    pub fn write(&mut self, batch: &mut Batch) -> io::Result<Position> {
        self.guarded(|writer| {
            for piece in &mut batch.pieces {
                if piece.segment != writer.current.builder.segment() {
                    writer.roll(piece.segment)?;
                }
                writer.current.seal(piece)?;
                let written = writer.current.file.write_at(&[&piece.bytes], u64::from(piece.offset));
                named(written, "writing", || writer.keeper.storage.describe(&names::segment(piece.segment)))?;
                writer.keeper.newest = piece.segment;
            }
            writer.written = batch.end;
            Ok(writer.written)
        })
    }

    /// Syncs everything that was written. Returns the position up to which the log is durable.
    pub fn sync(&mut self) -> io::Result<Position> {
        self.guarded(|writer| {
            writer.keeper.settle()?;
            while !writer.unsynced.is_empty() {
                writer.sync_file(&writer.unsynced[0])?;
                writer.sealed.push(writer.unsynced.remove(0).builder);
            }
            if writer.written > writer.durable {
                writer.sync_file(&writer.current)?;
            }
            writer.durable = writer.written;
            Ok(writer.durable)
        })
    }

    /// Writes the indexes of full segments and prepares the next segments. Returns whether there was space
    /// for this.
    pub fn tidy(&mut self) -> io::Result<Space> {
        self.guarded(|writer| {
            let outcome = writer.try_tidy();
            writer.low = outcome.as_ref().is_err_and(is_full);
            if writer.low { Ok(()) } else { outcome }
        })?;
        Ok(self.space())
    }

    /// Returns whether there is space for more segments, as far as it is known.
    pub fn space(&self) -> Space {
        if !self.low {
            return Space::Ok;
        }
        let segment = self.current.builder.segment();
        Space::Low(last_reserved(
            self.ahead.back().map(|&(number, _)| number),
            segment,
            self.unreserved,
            self.keeper.segment_bytes,
        ))
    }

    /// Drops a segment permanently. It must not be the newest. Returns `false` if the disk is too full to
    /// note it.
    pub fn discard(&mut self, segment: u32) -> io::Result<bool> {
        self.guarded(|writer| {
            loop {
                let recycle = writer.ahead.len() <= writer.recycled;
                match writer.keeper.discard(segment, recycle) {
                    Ok(recycled) => {
                        writer.sealed.retain(|sealed| sealed.segment() != segment);
                        writer.ahead.extend(recycled);
                        return Ok(true);
                    }
                    Err(error) if is_full(&error) => {
                        if writer.ahead.len() < 2 {
                            return Ok(false);
                        }
                        writer.ahead.pop_back();
                        writer.keeper.give_back()?;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// Notes, durably, that a store for retained data belongs to the log. Returns `false` if the disk is too full to note it.
    pub fn note_store(&mut self) -> io::Result<bool> {
        self.guarded(|writer| match writer.keeper.note_store() {
            Err(error) if is_full(&error) => Ok(false),
            noted => noted.map(|()| true),
        })
    }

    /// Syncs everything and notes the end of the log: the last call before an orderly stop.
    pub fn note_end(&mut self) -> io::Result<()> {
        self.sync()?;
        self.guarded(|writer| writer.keeper.note_end(writer.written))
    }

    /// Returns the position up to which the log is written.
    pub fn written(&self) -> Position {
        self.written
    }

    /// Returns the position up to which the log is durable.
    pub fn durable(&self) -> Position {
        self.durable
    }

    /// Returns a reader of records by place.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.failed {
            return Err(io::Error::other("the log failed before"));
        }
        let outcome = act(self);
        if let Err(error) = &outcome {
            // An invalid request fails without an effect.
            self.failed = error.kind() != io::ErrorKind::InvalidInput;
        }
        outcome
    }

    fn sync_file(&self, current: &Current) -> io::Result<()> {
        let name = names::segment(current.builder.segment());
        named(current.file.sync(), "syncing", || self.keeper.storage.describe(&name))
    }

    fn roll(&mut self, segment: u32) -> io::Result<()> {
        let (number, file) = match self.ahead.pop_front() {
            Some(ahead) => ahead,
            None => self.keeper.prepare()?,
        };
        if number != segment {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the batch skips a segment"));
        }
        self.unreserved = None;
        let next = Current { builder: IndexBuilder::new(segment), file };
        self.unsynced.push(std::mem::replace(&mut self.current, next));
        Ok(())
    }

    fn try_tidy(&mut self) -> io::Result<()> {
        if self.unreserved.is_some() {
            self.keeper.reserve(self.current.builder.segment())?;
            self.unreserved = None;
        }
        while !self.sealed.is_empty() {
            match self.keeper.index(&self.sealed[0]) {
                Err(error) if is_full(&error) && self.ahead.len() > READY => {
                    self.ahead.pop_back();
                    self.keeper.give_back()?;
                }
                other => {
                    other?;
                    self.sealed.remove(0);
                }
            }
        }
        while self.ahead.len() < READY {
            let prepared = self.keeper.prepare()?;
            self.ahead.push_back(prepared);
        }
        Ok(())
    }
}

/// Returns the place up to which a log can be written without allocating more space.
pub(crate) fn last_reserved(
    ahead: Option<u32>,
    current: u32,
    unreserved: Option<u32>,
    segment_bytes: u32,
) -> Position {
    match ahead {
        Some(last) => Place::new(last, segment_bytes),
        None => Place::new(current, unreserved.unwrap_or(segment_bytes)),
    }
}
