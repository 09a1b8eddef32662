//! The write side with threads: while the disk syncs one batch, the next is written and the engine works on a third.
//!
//! A thread takes all that waits, as one write. In [`Durability::Fsync`] it then syncs it itself, so that nothing is handed
//! from thread to thread on its way to the disk. What arrives meanwhile is the next group: it is taken when that sync is
//! done or, where syncs are slow, by another such thread before; one writes at a time, but their syncs overlap. In
//! [`Durability::Os`] a batch is written by whoever hands it in, if nothing else is being written: that takes less time
//! than to wake a thread. One more thread, the keeper, does what nobody should wait for: makes the next segment ready,
//! writes indexes, drops segments. All of them block when there is nothing to do; there is no timer.

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

/// When a write counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// When the operating system has it: it survives the death of the process, not of the machine.
    Os,
    /// When it is on the disk.
    Fsync {
        /// How many syncs may be under way at once.
        threads: usize,
        /// Where a sync takes this long, another begins meanwhile: that many times as long, that many more. Where it does
        /// not, more of them would only make smaller groups, and each costs a write, a sync and several wake-ups.
        pace: Duration,
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
    for_writers: Condvar,
    /// Whoever writes waits here for the next segment.
    for_segment: Condvar,
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
    /// Whether the first of them could not be noted for want of space.
    discard_waits: bool,
    /// Whether the directory itself is durable.
    settled: bool,
    /// Whether the last attempt to take space failed for want of it.
    low: bool,
    /// What was reported of that.
    reported: Space,
    /// How much of the current segment can be written, if its space could not be reserved.
    unreserved: Option<u32>,
    /// Whether to try again all the same.
    retry: bool,
    /// Bytes written since the last attempt.
    since_attempt: u64,
    closing: bool,
    failed: bool,
    /// Whether a thread is writing what it has taken out of the queue.
    writing: bool,
    /// How many are syncing.
    syncing: usize,
    /// What a sync takes on this disk: near the fastest of the latest ones.
    sync_time: Duration,
    /// Whether the one that writes waits for the next segment.
    starved: bool,
    /// How many threads wait for something to write.
    idle_writers: usize,
    /// Whether one of them has been woken, and has not come yet.
    called: bool,
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
        // A batch that begins a new segment may have to wait for one.
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

    /// Whether there is room for what comes, as far as that is known.
    pub fn space(&self) -> Space {
        self.shared.state().reported
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

    /// Wakes a thread for what waits to be written, if one sleeps that could write it now.
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
    }

    /// Wakes the keeper if something was written that is news for it.
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
    /// Whether there is room for what comes.
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
