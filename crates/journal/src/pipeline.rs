//! The write side with threads: while the disk syncs one batch, the next is written and the engine works on a third.
//!
//! One thread writes what waits, as one write. In [`Durability::Fsync`] a few threads sync, and overlap: as soon as
//! something is written and one of them is free it begins, even if others are not done. In [`Durability::Os`] a batch is
//! written by whoever hands it in, if nothing else is being written: that takes less time than to wake a thread. One more
//! thread, the keeper, does what nobody should wait for: makes the next segment ready, writes indexes, drops segments. All
//! of them block when there is nothing to do; there is no timer.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use kernel::Position;

use crate::appender::{Batch, Piece};
use crate::error::named;
use crate::index::IndexBuilder;
use crate::journal::Journal;
use crate::names;
use crate::reader::Reader;
use crate::storage::{File, Storage};
use crate::writer::{Current, Space};

mod keeping;
use keeping::keep;

/// When a write counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// When the operating system has it: it survives the death of the process, not of the machine.
    Os,
    /// When it is on the disk.
    Fsync {
        /// How many syncs may be under way at once.
        threads: usize,
    },
}

/// What the threads report. Positions only grow; after [`Progress::Failed`] nothing is reported any more.
#[derive(Debug)]
pub enum Progress {
    /// The operating system has everything before this: it can be read by place.
    Written(Position),
    /// Everything before this is on the disk, and written, even if that was not reported.
    Durable(Position),
    /// There is, or is no longer, room for what comes.
    Space(Space),
    /// This segment was dropped.
    Discarded(u32),
    /// A write or a sync failed: what the disk holds is not known any more, and nothing else will be written.
    Failed(io::Error),
}

/// More than this is not gathered into one write.
const WRITE_BYTES: usize = 4 << 20;
/// More than this is not written on the thread of whoever hands it in: the copy takes that long.
const WRITE_AT_ONCE_BYTES: usize = 1 << 20;
/// How many written batches are held for [`Pipeline::spent`].
const SPENT: usize = 8;

/// Writes batches in threads of its own. Dropping it finishes what was submitted, as [`Pipeline::close`] does.
pub struct Pipeline {
    shared: Arc<Shared>,
    reader: Reader,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Taken for the time of a write, never while `state` is held.
    current: Mutex<Current>,
    for_writer: Condvar,
    for_syncers: Condvar,
    for_keeper: Condvar,
    reporter: Mutex<Reporter>,
    storage: Arc<dyn Storage>,
    segment_bytes: u32,
    durability: Durability,
}

struct State {
    queue: VecDeque<Batch>,
    spent: Vec<Batch>,
    /// Where the log ends with all that was handed in.
    submitted: Position,
    written: Position,
    durable: Position,
    /// Up to where a sync has begun.
    begun: Position,
    /// Segments that may hold what is not durable, the current one last.
    dirty: VecDeque<Dirty>,
    ahead: VecDeque<Ahead>,
    /// Full segments without an index.
    sealed: VecDeque<IndexBuilder>,
    discards: VecDeque<(u32, Position)>,
    /// Whether the directory itself is durable.
    settled: bool,
    /// Whether the last attempt to take space failed for want of it.
    low: bool,
    /// Whether to try again all the same.
    retry: bool,
    /// Bytes written since the last attempt.
    since_attempt: u64,
    closing: bool,
    writer_done: bool,
    failed: bool,
    /// Whether the writer waits for the next segment.
    starved: bool,
    writer_idle: bool,
    keeper_idle: bool,
}

/// A segment with a file description for each thread that syncs: a failed write-back is told once to each description,
/// and only to those that were open before it.
#[derive(Clone)]
struct Dirty {
    number: u32,
    syncs: Vec<Arc<dyn File>>,
}

struct Ahead {
    file: Arc<dyn File>,
    dirty: Dirty,
}

struct Reporter {
    tell: Box<dyn Fn(Progress) + Send>,
    written: Position,
    durable: Position,
    failed: bool,
}

impl Journal {
    /// Goes on writing, in threads. `progress` is called from those threads, one call at a time; it must be quick, and
    /// must not call the pipeline.
    pub fn into_pipeline(
        self,
        durability: Durability,
        progress: impl Fn(Progress) + Send + 'static,
    ) -> io::Result<Pipeline> {
        let syncers = match durability {
            Durability::Os => 0,
            Durability::Fsync { threads } => threads.max(1),
        };
        let reader = self.reader();
        let storage = self.keeper.storage.clone();
        let (written, durable) = (self.recovered.end, self.recovered.durable);
        let descriptions = |number: u32| Dirty::open(&*storage, number, syncers);
        let mut ahead = VecDeque::new();
        for (number, file) in self.ahead {
            ahead.push_back(Ahead { file, dirty: descriptions(number)? });
        }
        let state = State {
            queue: VecDeque::new(),
            spent: Vec::new(),
            submitted: written,
            written,
            durable,
            begun: if syncers == 0 { written } else { durable },
            dirty: VecDeque::from([descriptions(self.open.segment())?]),
            ahead,
            sealed: self.unindexed.into(),
            discards: VecDeque::new(),
            settled: !self.keeper.unsettled,
            low: false,
            retry: false,
            since_attempt: 0,
            closing: false,
            writer_done: false,
            failed: false,
            starved: false,
            writer_idle: false,
            keeper_idle: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            current: Mutex::new(Current { builder: self.open, file: self.file }),
            for_writer: Condvar::new(),
            for_syncers: Condvar::new(),
            for_keeper: Condvar::new(),
            reporter: Mutex::new(Reporter { tell: Box::new(progress), written, durable, failed: false }),
            storage: storage.clone(),
            segment_bytes: self.keeper.segment_bytes,
            durability,
        });
        let mut pipeline = Pipeline { shared, reader, threads: Vec::new() };
        pipeline.spawn("journal-write", write)?;
        for number in 0..syncers {
            pipeline.spawn("journal-sync", move |shared| sync(shared, number))?;
        }
        let (keeper, recycled) = (self.keeper, self.recycled);
        pipeline.spawn("journal-keep", move |shared| keep(shared, keeper, recycled))?;
        Ok(pipeline)
    }
}

impl Pipeline {
    fn spawn(&mut self, name: &str, run: impl FnOnce(&Shared) + Send + 'static) -> io::Result<()> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A thread that dies must not leave the others, and all who wait for answers, waiting.
            let alarm = Alarm(&shared);
            run(&shared);
            drop(alarm);
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Hands in the next batch. Batches must come in the order in which the appender made them, one call after another.
    /// After a failure the batch is thrown away.
    ///
    /// Does not wait for the disk to sync. With [`Durability::Os`] a small batch is written at once, if nothing else is
    /// being written; then the result says up to where the log is written, and no thread reports it.
    pub fn submit(&self, batch: Batch) -> Option<Position> {
        let shared = &self.shared;
        let mut state = shared.state();
        if state.failed {
            return None;
        }
        // A batch that begins a new segment is the writer's, who knows how to wait for one.
        let at_once = shared.durability == Durability::Os
            && state.submitted == state.written
            && batch.end.segment() == state.written.segment()
            && batch.bytes() <= WRITE_AT_ONCE_BYTES;
        state.submitted = batch.end;
        if !at_once {
            state.queue.push_back(batch);
            shared.wake_writer(&state);
            return None;
        }
        drop(state);
        let mut batches = vec![batch];
        match write_batches(shared, &mut shared.current(), &mut batches) {
            Ok(()) => {
                let end = shared.note_written(&mut batches)?;
                shared.reporter().written = end;
                Some(end)
            }
            Err(error) => {
                shared.fail(error);
                None
            }
        }
    }

    /// A batch that was written, to be [recycled](crate::Appender::recycle).
    pub fn spent(&self) -> Option<Batch> {
        self.shared.state().spent.pop()
    }

    /// How many batches wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.state().queue.len()
    }

    /// How far the log is written.
    pub fn written(&self) -> Position {
        self.shared.state().written
    }

    /// How far the log is known to be on the disk.
    pub fn durable(&self) -> Position {
        self.shared.state().durable
    }

    /// Reads records by place.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Drops a segment for good, as soon as the log is durable up to `after`: what of the segment must live on was
    /// written again before that. Segments are dropped in the order in which this is called, each durably before the
    /// next. Reported by [`Progress::Discarded`].
    pub fn discard(&self, segment: u32, after: Position) {
        let mut state = self.shared.state();
        state.discards.push_back((segment, after));
        self.shared.wake_keeper(&state);
    }

    /// Looks again whether there is space. Worth a call now and then while it is [low](Space::Low): nobody tells a
    /// process that others have made room.
    pub fn retry_space(&self) {
        let mut state = self.shared.state();
        if state.low {
            state.retry = true;
            self.shared.wake_keeper(&state);
        }
    }

    /// Writes and syncs everything that was submitted, and ends the threads. Returns how far the log is durable.
    pub fn close(mut self) -> io::Result<Position> {
        self.finish();
        let state = self.shared.state();
        if state.failed { Err(io::Error::other("the log failed before")) } else { Ok(state.durable) }
    }

    fn finish(&mut self) {
        let mut state = self.shared.state();
        state.closing = true;
        self.shared.wake_all();
        drop(state);
        for thread in self.threads.drain(..) {
            // A panic in a thread was reported as a failure already.
            let _ = thread.join();
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Dirty {
    fn open(storage: &dyn Storage, number: u32, syncers: usize) -> io::Result<Dirty> {
        let name = names::segment(number);
        // Without threads that sync, the keeper does.
        let syncs = (0..syncers.max(1)).map(|_| storage.open(&name)).collect::<io::Result<_>>();
        Ok(Dirty { number, syncs: named(syncs, "opening", || storage.describe(&name))? })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under this lock makes the pipeline fail (see `Alarm`), so nothing is made of a half-changed state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reporter(&self) -> MutexGuard<'_, Reporter> {
        self.reporter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(condvar: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        condvar.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_writer(&self, state: &State) {
        if state.writer_idle {
            self.for_writer.notify_one();
        }
    }

    fn wake_keeper(&self, state: &State) {
        if state.keeper_idle {
            self.for_keeper.notify_one();
        }
    }

    fn wake_all(&self) {
        self.for_writer.notify_all();
        self.for_syncers.notify_all();
        self.for_keeper.notify_all();
    }

    /// Notes that these batches have been written, and wakes who waits for that. Says where the log ends now; nothing is
    /// left of the list.
    fn note_written(&self, batches: &mut Vec<Batch>) -> Option<Position> {
        let end = batches.last()?.end;
        let bytes: usize = batches.iter().map(Batch::bytes).sum();
        let mut state = self.state();
        state.written = end;
        let room = SPENT.saturating_sub(state.spent.len());
        state.spent.extend(batches.drain(..).take(room));
        state.since_attempt += bytes as u64;
        let alone = self.durability == Durability::Os;
        if state.wants_segment(self.segment_bytes) || alone && !state.discards.is_empty() {
            self.wake_keeper(&state);
        }
        let sync = state.begun < end && !alone;
        drop(state);
        if sync {
            self.for_syncers.notify_one();
        }
        Some(end)
    }

    fn report(&self, progress: Progress) {
        let mut reporter = self.reporter();
        let news = !reporter.failed
            && match &progress {
                Progress::Written(position) => advance(&mut reporter.written, *position),
                Progress::Durable(position) => {
                    advance(&mut reporter.written, *position);
                    advance(&mut reporter.durable, *position)
                }
                Progress::Space(_) | Progress::Discarded(_) => true,
                Progress::Failed(_) => {
                    reporter.failed = true;
                    true
                }
            };
        if news {
            (reporter.tell)(progress);
        }
    }

    /// Ends everything. The report goes first: whoever finishes a sync now must not be believed.
    fn fail(&self, error: io::Error) {
        self.report(Progress::Failed(error));
        self.state().failed = true;
        self.wake_all();
    }
}

fn advance(position: &mut Position, to: Position) -> bool {
    let further = *position < to;
    if further {
        *position = to;
    }
    further
}

impl State {
    /// Notes that the log is durable up to a position.
    fn durable_up_to(&mut self, position: Position) {
        advance(&mut self.durable, position);
        while self.dirty.len() > 1 && self.dirty[0].number < self.durable.segment() {
            self.dirty.pop_front();
        }
    }

    /// The files that must be synced so that the log is durable up to `position`, in one thread's descriptions.
    fn to_sync(&self, position: Position, thread: usize) -> Vec<(u32, Arc<dyn File>)> {
        let needed = self.dirty.iter().filter(|dirty| dirty.number <= position.segment());
        needed.map(|dirty| (dirty.number, dirty.syncs[thread].clone())).collect()
    }
}

struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(io::Error::other("a thread of the journal panicked"));
        }
    }
}

/// The thread that writes.
fn write(shared: &Shared) {
    let mut batches = Vec::new();
    loop {
        let mut state = shared.state();
        while state.queue.is_empty() && !state.closing && !state.failed {
            state.writer_idle = true;
            state = Shared::wait(&shared.for_writer, state);
            state.writer_idle = false;
        }
        if state.failed || state.queue.is_empty() {
            state.writer_done = true;
            shared.wake_all();
            return;
        }
        let mut bytes = 0;
        while bytes < WRITE_BYTES
            && let Some(batch) = state.queue.pop_front()
        {
            bytes += batch.bytes();
            batches.push(batch);
        }
        drop(state);
        if let Err(error) = write_batches(shared, &mut shared.current(), &mut batches) {
            return shared.fail(error);
        }
        if let Some(end) = shared.note_written(&mut batches) {
            shared.report(Progress::Written(end));
        }
    }
}

fn write_batches(shared: &Shared, current: &mut Current, batches: &mut [Batch]) -> io::Result<()> {
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

/// Goes on to the next segment, which the keeper has made ready, or is about to.
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
        if state.low && !state.retry {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space is left for the next segment"));
        }
        shared.for_keeper.notify_one();
        state.writer_idle = true;
        state = Shared::wait(&shared.for_writer, state);
        state.writer_idle = false;
    };
    if ahead.dirty.number != segment {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the batch leaves out a segment"));
    }
    state.starved = false;
    state.dirty.push_back(ahead.dirty);
    let next = Current { builder: IndexBuilder::new(segment), file: ahead.file };
    state.sealed.push_back(std::mem::replace(current, next).builder);
    Ok(())
}

/// A thread that syncs.
fn sync(shared: &Shared, thread: usize) {
    loop {
        let mut state = shared.state();
        loop {
            let caught_up = state.begun >= state.written;
            if state.failed || caught_up && state.writer_done {
                return;
            }
            if state.settled && !caught_up {
                break;
            }
            state = Shared::wait(&shared.for_syncers, state);
        }
        let target = state.written;
        let files = state.to_sync(target, thread);
        state.begun = target;
        drop(state);
        for (number, file) in files {
            if let Err(error) =
                named(file.sync(), "syncing", || shared.storage.describe(&names::segment(number)))
            {
                return shared.fail(error);
            }
        }
        let mut state = shared.state();
        state.durable_up_to(target);
        if !state.sealed.is_empty() || !state.discards.is_empty() || state.closing {
            shared.wake_keeper(&state);
        }
        drop(state);
        shared.report(Progress::Durable(target));
    }
}
