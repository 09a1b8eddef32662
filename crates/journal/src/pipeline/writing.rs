//! The threads that write batches and sync them: what they take, and when.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Durability, Progress, SPENT, Shared, State};
use crate::appender::{Batch, Piece};
use crate::error::named;
use crate::index::IndexBuilder;
use crate::names;
use crate::storage::File;
use crate::writer::Current;

/// Maximum number of bytes for one write.
const WRITE_BYTES: usize = 4 << 20;

impl State {
    /// Whether a thread may begin now. A syncing thread may have work although no batch waits: data of the
    /// previous process may not be on the disk yet.
    pub fn may_write(&self, durability: Durability) -> bool {
        let waits = !self.queue.is_empty();
        !self.writing
            && match durability {
                Durability::Os => waits,
                Durability::Fsync { pace, .. } => {
                    let others = self.sync_time.as_nanos().checked_div(pace.as_nanos());
                    let is_timely = others.is_none_or(|others| self.syncing as u128 <= others);
                    is_timely && self.settled && (waits || self.begun < self.written)
                }
            }
    }

    fn synced_in(&mut self, time: Duration) {
        self.syncing -= 1;
        // A slow sync may only have waited for a processor, but a fast one was really fast.
        self.sync_time = time.min(self.sync_time + time.saturating_sub(self.sync_time) / 16);
    }

    /// Whether no batch will ever be left to write.
    pub fn is_over(&self) -> bool {
        self.closing && self.queue.is_empty() && !self.writing
    }

    /// Takes the batches for one write.
    fn take(&mut self, batches: &mut Vec<Batch>) {
        let mut bytes = 0;
        while bytes < WRITE_BYTES
            && let Some(batch) = self.queue.pop_front()
        {
            bytes += batch.bytes();
            batches.push(batch);
        }
    }

    /// Notes that these batches have been written, and empties the list.
    pub fn note_written(&mut self, batches: &mut Vec<Batch>) {
        let Some(last) = batches.last() else { return };
        self.written = last.end;
        self.since_attempt += batches.iter().map(Batch::bytes).sum::<usize>() as u64;
        let room = SPENT.saturating_sub(self.spent.len());
        self.spent.extend(batches.drain(..).take(room));
    }
}

/// Runs a thread that writes and, with [`Durability::Fsync`], syncs what it has written, with the `thread`th
/// descriptions.
pub fn write(shared: &Shared, thread: usize) {
    let syncs = shared.durability != Durability::Os;
    let mut batches = Vec::new();
    loop {
        let mut state = shared.state();
        while !state.may_write(shared.durability) && !state.failed {
            if state.is_over() && (!syncs || state.begun == state.written) {
                drop(state);
                return shared.wake_all();
            }
            state.idle_writers += 1;
            state = Shared::wait(&shared.for_writers, state);
            state.idle_writers -= 1;
            state.called = false;
        }
        if state.failed {
            return;
        }
        state.writing = true;
        state.take(&mut batches);
        drop(state);
        if let Err(error) = write_batches(shared, &mut shared.current(), &mut batches) {
            return shared.fail(error);
        }
        let mut state = shared.state();
        state.note_written(&mut batches);
        state.writing = false;
        let end = state.written;
        let files = if syncs { state.to_sync(end, thread) } else { Vec::new() };
        state.begun = end;
        state.syncing += usize::from(syncs);
        shared.wake_writer(&mut state);
        shared.written_news(&state);
        drop(state);
        shared.report(Progress::Written(end));
        if syncs {
            let begun = Instant::now();
            if let Err(error) = sync_files(shared, files) {
                return shared.fail(error);
            }
            let mut state = shared.state();
            state.synced_in(begun.elapsed());
            state.durable_up_to(end);
            if state.keeper_has_work() {
                shared.wake_keeper(&state);
            }
            drop(state);
            shared.report(Progress::Durable(end));
        }
    }
}

/// Syncs files, each with its segment's number.
pub fn sync_files(shared: &Shared, files: Vec<(u32, Arc<dyn File>)>) -> io::Result<()> {
    for (number, file) in files {
        named(file.sync(), "syncing", || shared.storage.describe(&names::segment(number)))?;
    }
    Ok(())
}

/// Writes batches, one after another, each piece to its segment.
pub fn write_batches(shared: &Shared, current: &mut Current, batches: &mut [Batch]) -> io::Result<()> {
    let mut pieces: Vec<&mut Piece> = batches.iter_mut().flat_map(|batch| &mut batch.pieces).collect();
    let mut slices = Vec::new();
    for run in pieces.chunk_by_mut(|one, next| one.segment == next.segment) {
        if run[0].segment != current.builder.segment() {
            roll(shared, current, run[0].segment)?;
        }
        for piece in &mut *run {
            current.seal(piece)?;
        }
        slices.clear();
        slices.extend(run.iter().map(|piece| &piece.bytes[..]));
        let written = current.file.write_at(&slices, u64::from(run[0].offset));
        named(written, "writing", || shared.storage.describe(&names::segment(run[0].segment)))?;
    }
    Ok(())
}

/// Continues with the next segment, which the keeper has prepared or is about to prepare.
fn roll(shared: &Shared, current: &mut Current, segment: u32) -> io::Result<()> {
    let mut state = shared.state();
    state.starved = state.ahead.is_empty();
    state.retry |= state.starved;
    let ahead = loop {
        if let Some(ahead) = state.ahead.pop_front() {
            break ahead;
        }
        if state.failed {
            return Err(io::Error::other("the log failed before"));
        }
        // Nothing of the batch has been written or reported: the batch waits for space. A caller that heeds
        // the reports about space meets this only if preparing a segment takes long.
        if state.low && !state.retry && state.closing {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space is left for the next segment"));
        }
        shared.for_keeper.notify_one();
        state = Shared::wait(&shared.for_segment, state);
    };
    if ahead.dirty.number != segment {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the batch skips a segment"));
    }
    state.starved = false;
    state.unreserved = None;
    state.dirty.push_back(ahead.dirty);
    let next = Current { builder: IndexBuilder::new(segment), file: ahead.file };
    state.sealed.push_back(std::mem::replace(current, next).builder);
    Ok(())
}
