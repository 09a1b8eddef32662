//! The write side with threads: while the disk syncs one batch, the next is written and the engine works on a
//! third.
//!
//! A thread takes all waiting batches and writes them with one call. With [`Durability::Fsync`] the same
//! thread then syncs them, so the data passes through no other thread on its way to the disk. Batches that
//! arrive meanwhile form the next write. The same thread takes them after its sync or, if syncs are slow,
//! another thread takes them earlier: one thread writes at a time, but their syncs overlap. With
//! [`Durability::Os`] the thread that submits a batch writes it, if no other write is in progress; that is
//! faster than waking a thread. Another thread, the keeper, does slow background work: it prepares segments,
//! writes indexes and drops segments. All threads block when there is nothing to do; there is no timer.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kernel::Position;

use crate::appender::Batch;
use crate::error::named;
use crate::index::IndexBuilder;
use crate::journal::Journal;
use crate::names;
use crate::reader::Reader;
use crate::storage::{File, Storage};
use crate::writer::{Current, Space, last_reserved};

mod keeping;
mod writing;
use keeping::keep;
use writing::{write, write_batches};

/// When a write is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// When the operating system has it: it survives a crash of the process, but not of the machine.
    Os,
    /// When it is on the disk.
    Fsync {
        /// Maximum number of concurrent syncs.
        threads: usize,
        /// If a sync takes this long, another one may begin meanwhile; if it takes a multiple of this, as
        /// many more. With faster syncs, more of them would only make smaller writes, and each costs a write,
        /// a sync and several wake-ups.
        pace: Duration,
    },
}

/// Reports of the threads. Positions only grow. [`Progress::Failed`] is the last report.
#[derive(Debug)]
pub enum Progress {
    /// The operating system has everything before this place, so it can be read by place.
    Written(Position),
    /// Everything before this place is on the disk. It is also written, even if that was not reported.
    Durable(Position),
    /// Whether there is space for more segments changed.
    Space(Space),
    /// This segment was dropped.
    Discarded(u32),
    /// A write or a sync failed: the content of the disk is unknown, and nothing more will be written.
    Failed(io::Error),
}

/// A longer batch is not written on the submitting thread, because the copy takes too long.
const WRITE_AT_ONCE_BYTES: usize = 1 << 20;
/// Number of written batches that are kept for [`Pipeline::spent`].
const SPENT: usize = 8;

/// Writes batches in its own threads. Dropping it finishes all submitted batches, as [`Pipeline::close`]
/// does.
pub struct Pipeline {
    shared: Arc<Shared>,
    reader: Reader,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Locked during a write, and never while `state` is locked.
    current: Mutex<Current>,
    for_writers: Condvar,
    /// A writing thread waits here for the next segment.
    for_segment: Condvar,
    for_keeper: Condvar,
    /// Whoever wants a store noted waits here.
    for_note: Condvar,
    reporter: Mutex<Reporter>,
    storage: Arc<dyn Storage>,
    segment_bytes: u32,
    durability: Durability,
}

struct State {
    queue: VecDeque<Batch>,
    spent: Vec<Batch>,
    /// The end of the log with all submitted batches.
    submitted: Position,
    written: Position,
    durable: Position,
    /// The position up to which a sync has begun.
    begun: Position,
    /// Segments that may contain data that is not durable, the current one last.
    dirty: VecDeque<Dirty>,
    ahead: VecDeque<Ahead>,
    /// Full segments without an index.
    sealed: VecDeque<IndexBuilder>,
    discards: VecDeque<(u32, Position)>,
    /// Whether the first of them could not get its index for lack of space.
    discard_waits: bool,
    /// Whether the manifest says that a store for retained data belongs to the log.
    store: Noting,
    /// Whether the directory itself is durable.
    settled: bool,
    /// Whether the last allocation failed for lack of space.
    low: bool,
    /// The last report about space.
    reported: Space,
    /// How much of the current segment can be written, if its space could not be allocated.
    unreserved: Option<u32>,
    /// Whether to retry an allocation anyway.
    retry: bool,
    /// Bytes written since the last attempt.
    since_attempt: u64,
    closing: bool,
    failed: bool,
    /// Whether a thread is writing batches that it took from the queue.
    writing: bool,
    /// Number of threads that are syncing.
    syncing: usize,
    /// Estimate of a sync's duration on this disk, near the fastest of the latest ones.
    sync_time: Duration,
    /// Whether the writing thread waits for the next segment.
    starved: bool,
    /// Number of threads that wait for work.
    idle_writers: usize,
    /// Whether one of them was woken and has not run yet.
    called: bool,
    keeper_idle: bool,
}

/// What the manifest says of a store for retained data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noting {
    /// Nothing.
    Unknown,
    /// It is to be noted.
    Wanted,
    /// The keeper is noting it.
    Begun,
    /// There was no space to note it.
    NoSpace,
    /// It is noted durably.
    Noted,
}

/// A segment with a file description for each thread that syncs. The system reports a failed write-back once
/// to each description, and only to those that were open before it.
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
    /// Starts the threads. They call `progress`, one call at a time. It must be fast and must not call the
    /// pipeline.
    pub fn into_pipeline(
        self,
        durability: Durability,
        progress: impl Fn(Progress) + Send + 'static,
    ) -> io::Result<Pipeline> {
        let syncers = match durability {
            Durability::Os => 0,
            Durability::Fsync { threads, .. } => threads.max(1),
        };
        let reader = self.reader();
        let storage = self.keeper.storage.clone();
        let (written, durable) = (self.recovered.end, self.recovered.durable);
        let space = self.space();
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
            discard_waits: false,
            store: if self.keeper.manifest.has_store { Noting::Noted } else { Noting::Unknown },
            settled: !self.keeper.unsettled,
            low: self.low,
            reported: space,
            unreserved: self.unreserved,
            retry: false,
            since_attempt: 0,
            closing: false,
            failed: false,
            writing: false,
            syncing: 0,
            sync_time: Duration::ZERO,
            starved: false,
            idle_writers: 0,
            called: false,
            keeper_idle: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            current: Mutex::new(Current { builder: self.open, file: self.file }),
            for_writers: Condvar::new(),
            for_segment: Condvar::new(),
            for_keeper: Condvar::new(),
            for_note: Condvar::new(),
            reporter: Mutex::new(Reporter { tell: Box::new(progress), written, durable, failed: false }),
            storage: storage.clone(),
            segment_bytes: self.keeper.segment_bytes,
            durability,
        });
        let mut pipeline = Pipeline { shared, reader, threads: Vec::new() };
        for number in 0..syncers.max(1) {
            pipeline.spawn("journal-write", move |shared| write(shared, number))?;
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
            // If a thread panics, the others, and all requests that wait, must not hang.
            let alarm = Alarm(&shared);
            run(&shared);
            drop(alarm);
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Submits the next batch. Batches must arrive in the order of the appender, one call after another.
    /// After a failure the batch is discarded.
    ///
    /// Does not wait for a sync. With [`Durability::Os`] it writes a small batch at once, if no other write
    /// is in progress. Then it returns the new written position, and no thread reports it.
    pub fn submit(&self, batch: Batch) -> Option<Position> {
        let shared = &self.shared;
        let mut state = shared.state();
        if state.failed {
            return None;
        }
        // A batch that begins a new segment may have to wait for that segment.
        let at_once = shared.durability == Durability::Os
            && state.submitted == state.written
            && batch.end.segment() == state.written.segment()
            && batch.bytes() <= WRITE_AT_ONCE_BYTES;
        state.submitted = batch.end;
        if !at_once {
            state.queue.push_back(batch);
            shared.wake_writer(&mut state);
            return None;
        }
        drop(state);
        let mut batches = vec![batch];
        match write_batches(shared, &mut shared.current(), &mut batches) {
            Ok(()) => {
                let mut state = shared.state();
                state.note_written(&mut batches);
                let end = state.written;
                shared.written_news(&state);
                drop(state);
                shared.reporter().written = end;
                Some(end)
            }
            Err(error) => {
                shared.fail(error);
                None
            }
        }
    }

    /// Returns a written batch for [reuse](crate::Appender::recycle).
    pub fn spent(&self) -> Option<Batch> {
        self.shared.state().spent.pop()
    }

    /// Returns the number of batches that wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.state().queue.len()
    }

    /// Returns the position up to which the log is written.
    pub fn written(&self) -> Position {
        self.shared.state().written
    }

    /// Returns the position up to which the log is known to be on the disk.
    pub fn durable(&self) -> Position {
        self.shared.state().durable
    }

    /// Returns a reader of records by place.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Drops a segment permanently, when the log is durable up to `after`. The caller has rewritten all
    /// records that are still needed before that position. Segments are dropped in the order of the calls,
    /// each durably before the next. [`Progress::Discarded`] reports it.
    pub fn discard(&self, segment: u32, after: Position) {
        let mut state = self.shared.state();
        state.discards.push_back((segment, after));
        self.shared.wake_keeper(&state);
    }

    /// Notes that a store for retained data belongs to the log, so that no program opens it that does not know the store. Returns
    /// when that is durable. Call it before the store gets its first record.
    ///
    /// Errors: `StorageFull`; or the log has failed.
    pub fn note_store(&self) -> io::Result<()> {
        let mut state = self.shared.state();
        loop {
            match state.store {
                Noting::Noted => return Ok(()),
                _ if state.failed => return Err(io::Error::other("the log failed before")),
                Noting::NoSpace => {
                    state.store = Noting::Unknown;
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Noting::Unknown => {
                    state.store = Noting::Wanted;
                    self.shared.wake_keeper(&state);
                }
                Noting::Wanted | Noting::Begun => {}
            }
            state = Shared::wait(&self.shared.for_note, state);
        }
    }

    /// Returns whether there is space for more segments, as far as it is known.
    pub fn space(&self) -> Space {
        self.shared.state().reported
    }

    /// Tries to allocate space again. Call it periodically while space is [low](Space::Low): the pipeline is
    /// not notified when other processes free disk space.
    pub fn retry_space(&self) {
        let mut state = self.shared.state();
        if state.low {
            state.retry = true;
            self.shared.wake_keeper(&state);
        }
    }

    /// Writes and syncs everything that was submitted, and ends the threads. Returns the position up to which
    /// the log is durable.
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
        // Without threads that sync, the keeper syncs.
        let syncs = (0..syncers.max(1)).map(|_| storage.open(&name)).collect::<io::Result<_>>();
        Ok(Dirty { number, syncs: named(syncs, "opening", || storage.describe(&name))? })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under this lock makes the pipeline fail (see `Alarm`), so a half-changed state is never
        // used.
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

    /// Wakes a sleeping thread if it can write the waiting batches now.
    fn wake_writer(&self, state: &mut State) {
        if state.idle_writers > 0 && !state.called && state.may_write(self.durability) {
            state.called = true;
            self.for_writers.notify_one();
        }
    }

    fn wake_keeper(&self, state: &State) {
        if state.keeper_idle {
            self.for_keeper.notify_one();
        }
    }

    fn wake_all(&self) {
        self.for_writers.notify_all();
        self.for_segment.notify_all();
        self.for_keeper.notify_all();
        self.for_note.notify_all();
    }

    /// Wakes the keeper if a write gives it something to do.
    fn written_news(&self, state: &State) {
        let alone = self.durability == Durability::Os;
        if state.wants_segment(self.segment_bytes) || alone && state.keeper_has_work() {
            self.wake_keeper(state);
        }
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

    /// Ends everything. Reports first, because the result of a sync that completes now must not be trusted.
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
    /// Returns whether there is space for more segments.
    fn space(&self, segment_bytes: u32) -> Space {
        if !self.low {
            return Space::Ok;
        }
        let ahead = self.ahead.back().map(|ahead| ahead.dirty.number);
        let current = self.dirty.back().map_or(1, |current| current.number);
        Space::Low(last_reserved(ahead, current, self.unreserved, segment_bytes))
    }

    /// Notes that the log is durable up to a position.
    fn durable_up_to(&mut self, position: Position) {
        advance(&mut self.durable, position);
        while self.dirty.len() > 1 && self.dirty[0].number < self.durable.segment() {
            self.dirty.pop_front();
        }
    }

    /// Returns the files to sync so that the log is durable up to `position`, as descriptions of one thread.
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
