//! The keeper: the thread that prepares, indexes and drops files.

use std::io;
use std::sync::{Arc, MutexGuard};

use kernel::Position;

use super::writing::sync_files;
use super::{Ahead, Dirty, Durability, Noting, Progress, Shared, State};
use crate::discipline::is_full;
use crate::index::IndexBuilder;
use crate::keeper::{Keeper, READY};
use crate::storage::File;

/// While space is low, the keeper tries to allocate again each time this many bytes were written.
const RETRY_BYTES: u64 = 1 << 20;

/// The next work of the keeper.
enum Task {
    Settle,
    NoteStore,
    Sync(Position),
    Discard(u32, Position),
    Reserve(u32),
    Index(IndexBuilder),
    Prepare,
    End,
}

impl State {
    /// Whether to prepare another segment. Two are prepared: the next one, and a reserve for the records that
    /// free space. A log with little data gets along with its first segment.
    pub fn wants_segment(&self, segment_bytes: u32) -> bool {
        self.ahead.len() < READY && !self.is_small(segment_bytes) && self.may_take_space()
    }

    /// Whether so little was written that no other segment is needed yet.
    fn is_small(&self, segment_bytes: u32) -> bool {
        self.written.segment() == 1 && self.written.offset() <= segment_bytes / 8 && !self.starved
    }

    /// Whether the keeper has work that a write or a sync may have made possible.
    pub fn keeper_has_work(&self) -> bool {
        self.closing
            || self.store == Noting::Wanted
            || self.unreserved.is_some() && self.may_take_space()
            || !self.discards.is_empty()
            || self.sealed.front().is_some_and(|full| {
                // If there is no space, a synced segment waits only for space for its index.
                self.durable < full.end() || self.may_take_space()
            })
    }

    fn may_take_space(&self) -> bool {
        !self.low || self.retry || self.since_attempt >= RETRY_BYTES
    }

    fn task(&mut self, shared: &Shared) -> Option<Task> {
        if !self.settled {
            return Some(Task::Settle);
        }
        if self.store == Noting::Wanted {
            self.store = Noting::Begun;
            return Some(Task::NoteStore);
        }
        let alone = shared.durability == Durability::Os;
        if let Some(&(segment, after)) = self.discards.front() {
            if self.durable >= after && (!self.discard_waits || self.may_take_space()) {
                self.discards.pop_front();
                return Some(Task::Discard(segment, after));
            }
            if self.durable < after && alone && self.written >= after {
                return Some(Task::Sync(self.written));
            }
        }
        if self.unreserved.is_some() && self.may_take_space() {
            return self.dirty.back().map(|current| Task::Reserve(current.number));
        }
        if self.wants_segment(shared.segment_bytes) {
            return Some(Task::Prepare);
        }
        if let Some(end) = self.sealed.front().map(IndexBuilder::end) {
            if self.durable >= end && self.may_take_space() {
                return self.sealed.pop_front().map(Task::Index);
            }
            if alone && self.durable < end {
                return Some(Task::Sync(end));
            }
        }
        if self.is_over() {
            if alone && self.durable < self.written {
                return Some(Task::Sync(self.written));
            }
            if self.durable >= self.written {
                return Some(Task::End);
            }
        }
        None
    }
}

/// Runs the thread of the keeper.
pub fn keep(shared: &Shared, mut keeper: Keeper, recycled: usize) {
    let syncers = match shared.durability {
        Durability::Os => 0,
        Durability::Fsync { threads, .. } => threads.max(1),
    };
    loop {
        let mut state = shared.state();
        let task = loop {
            if state.failed {
                return;
            }
            if let Some(task) = state.task(shared) {
                break task;
            }
            state.keeper_idle = true;
            state = Shared::wait(&shared.for_keeper, state);
            state.keeper_idle = false;
        };
        keeper.newest = if state.written.offset() > 0 { state.written.segment() } else { keeper.newest };
        let recycle = state.ahead.len() <= recycled;
        let files = if let Task::Sync(to) = task { state.to_sync(to, 0) } else { Vec::new() };
        drop(state);
        let outcome = match task {
            Task::End => {
                let end = shared.state().written;
                if let Err(error) = keeper.note_end(end) {
                    shared.fail(error);
                }
                return;
            }
            Task::Settle => keeper.settle().map(|()| shared.settled()),
            Task::NoteStore => note_store(shared, &mut keeper),
            Task::Sync(to) => sync_files(shared, files).map(|()| {
                shared.state().durable_up_to(to);
                shared.report(Progress::Durable(to));
            }),
            Task::Prepare => prepare(shared, &mut keeper, syncers),
            Task::Index(builder) => index(shared, &mut keeper, builder),
            Task::Reserve(segment) => reserve(shared, &keeper, segment),
            Task::Discard(segment, after) => discard(shared, &mut keeper, (segment, after), recycle, syncers),
        };
        if let Err(error) = outcome {
            return shared.fail(error);
        }
    }
}

impl Shared {
    fn settled(&self) {
        self.state().settled = true;
        self.for_writers.notify_all();
    }

    /// Notes whether there was space, and reports a change.
    fn space(&self, low: bool) {
        let mut state = self.state();
        state.low = low;
        state.retry = false;
        state.since_attempt = 0;
        self.space_news(state);
    }

    fn space_news(&self, mut state: MutexGuard<'_, State>) {
        let space = state.space(self.segment_bytes);
        let news = state.reported != space;
        state.reported = space;
        drop(state);
        self.for_segment.notify_all();
        if news {
            self.report(Progress::Space(space));
        }
    }

    /// Called after work that may have freed space. If nothing waits for space, it is no longer low;
    /// otherwise the keeper retries the waiting work.
    fn relax(&self) {
        let mut state = self.state();
        let enough = (state.ahead.len() >= READY || state.is_small(self.segment_bytes))
            && state.sealed.is_empty()
            && state.unreserved.is_none();
        state.low &= !enough;
        state.retry = state.low;
        self.space_news(state);
    }

    fn add_ahead(&self, number: u32, file: Arc<dyn File>, syncers: usize) -> io::Result<()> {
        let dirty = Dirty::open(&*self.storage, number, syncers)?;
        self.state().ahead.push_back(Ahead { file, dirty });
        self.relax();
        Ok(())
    }
}

fn note_store(shared: &Shared, keeper: &mut Keeper) -> io::Result<()> {
    let noted = keeper.note_store();
    shared.state().store = match &noted {
        Err(error) if is_full(error) => Noting::NoSpace,
        Err(_) => Noting::Unknown,
        Ok(()) => Noting::Noted,
    };
    shared.for_note.notify_all();
    if noted.as_ref().is_err_and(is_full) { Ok(()) } else { noted }
}

fn reserve(shared: &Shared, keeper: &Keeper, segment: u32) -> io::Result<()> {
    match keeper.reserve(segment) {
        Err(error) if is_full(&error) => {
            shared.space(true);
            Ok(())
        }
        Ok(()) => {
            shared.state().unreserved = None;
            shared.relax();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn prepare(shared: &Shared, keeper: &mut Keeper, syncers: usize) -> io::Result<()> {
    match keeper.prepare() {
        Ok((number, file)) => shared.add_ahead(number, file, syncers),
        Err(error) if is_full(&error) => {
            shared.space(true);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn index(shared: &Shared, keeper: &mut Keeper, builder: IndexBuilder) -> io::Result<()> {
    match keeper.index(&builder) {
        Err(error) if is_full(&error) => {
            let mut state = shared.state();
            state.sealed.push_front(builder);
            let spare = if state.ahead.len() > READY { state.ahead.pop_back() } else { None };
            drop(state);
            match spare {
                Some(_) => keeper.give_back(),
                None => {
                    // Without an index the next start reads the whole segment; there is no other effect.
                    shared.space(true);
                    Ok(())
                }
            }
        }
        other => {
            shared.relax();
            other
        }
    }
}

fn discard(
    shared: &Shared,
    keeper: &mut Keeper,
    (segment, after): (u32, Position),
    recycle: bool,
    syncers: usize,
) -> io::Result<()> {
    match keeper.discard(segment, recycle) {
        Err(error) if is_full(&error) => {
            // There is not even space to note that the segment is dropped.
            let mut state = shared.state();
            state.discards.push_front((segment, after));
            state.discard_waits = true;
            let spare = if state.ahead.len() > 1 { state.ahead.pop_back() } else { None };
            drop(state);
            if spare.is_some() {
                keeper.give_back()?;
                shared.state().discard_waits = false;
            }
            shared.space(true);
            return Ok(());
        }
        Err(error) => return Err(error),
        Ok(recycled) => {
            let mut state = shared.state();
            state.discard_waits = false;
            state.sealed.retain(|sealed| sealed.segment() != segment);
            drop(state);
            if let Some((number, file)) = recycled {
                shared.add_ahead(number, file, syncers)?;
            }
        }
    }
    shared.relax();
    shared.report(Progress::Discarded(segment));
    Ok(())
}
