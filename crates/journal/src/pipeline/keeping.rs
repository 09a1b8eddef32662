//! The thread that keeps the files in order: what it can do, and when.

use std::io;
use std::sync::Arc;

use kernel::Position;

use super::writing::sync_files;
use super::{Ahead, Dirty, Durability, Progress, Shared, State};
use crate::index::IndexBuilder;
use crate::keeper::{Keeper, READY, is_full};
use crate::storage::File;
use crate::writer::Space;

/// In want of space, it is looked for again each time that this much was written.
const RETRY_BYTES: u64 = 1 << 20;

/// What the keeper can do now.
enum Task {
    Settle,
    Sync(Position),
    Discard(u32),
    Index(IndexBuilder),
    Prepare,
    End,
}

impl State {
    /// Whether the next segment should be made ready. A log that holds little makes do with its first.
    pub fn wants_segment(&self, segment_bytes: u32) -> bool {
        self.ahead.is_empty()
            && (self.written.segment() > 1 || self.written.offset() > segment_bytes / 8 || self.starved)
            && self.may_take_space()
    }

    /// Whether something waits for the keeper that what was written or synced may let it do.
    pub fn keeper_has_work(&self) -> bool {
        self.closing
            || !self.discards.is_empty()
            || self.sealed.front().is_some_and(|full| {
                // What is synced waits only for space for its index, if there is none now.
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
        let alone = shared.durability == Durability::Os;
        if let Some(&(segment, after)) = self.discards.front() {
            if self.durable >= after {
                self.discards.pop_front();
                return Some(Task::Discard(segment));
            }
            if alone && self.written >= after {
                return Some(Task::Sync(self.written));
            }
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

/// The thread that keeps the files in order.
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
            Task::End => return,
            Task::Settle => keeper.settle().map(|()| shared.settled()),
            Task::Sync(to) => sync_files(shared, files).map(|()| {
                shared.state().durable_up_to(to);
                shared.report(Progress::Durable(to));
            }),
            Task::Prepare => prepare(shared, &mut keeper, syncers),
            Task::Index(builder) => index(shared, &mut keeper, builder),
            Task::Discard(segment) => discard(shared, &mut keeper, segment, recycle, syncers),
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

    /// Notes whether there was space, and reports it if that is news.
    fn space(&self, space: Space) {
        let mut state = self.state();
        let low = space == Space::Low;
        let news = state.low != low;
        state.low = low;
        state.retry = false;
        state.since_attempt = 0;
        drop(state);
        self.for_segment.notify_all();
        if news {
            self.report(Progress::Space(space));
        }
    }

    /// Something was done that may have made space: it is no longer low if nothing waits for any; otherwise what waits
    /// is tried again.
    fn relax(&self) {
        let mut state = self.state();
        state.retry |= state.low;
        let enough = !state.ahead.is_empty() && state.sealed.is_empty();
        drop(state);
        if enough {
            self.space(Space::Ok);
        }
    }

    fn add_ahead(&self, number: u32, file: Arc<dyn File>, syncers: usize) -> io::Result<()> {
        let dirty = Dirty::open(&*self.storage, number, syncers)?;
        self.state().ahead.push_back(Ahead { file, dirty });
        self.space(Space::Ok);
        Ok(())
    }
}

fn prepare(shared: &Shared, keeper: &mut Keeper, syncers: usize) -> io::Result<()> {
    match keeper.prepare() {
        Ok((number, file)) => shared.add_ahead(number, file, syncers),
        Err(error) if is_full(&error) => {
            shared.space(Space::Low);
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
                    // Without an index the segment is read whole at the next start, and that is all.
                    shared.space(Space::Low);
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
    segment: u32,
    recycle: bool,
    syncers: usize,
) -> io::Result<()> {
    shared.state().sealed.retain(|sealed| sealed.segment() != segment);
    if let Some((number, file)) = keeper.discard(segment, recycle)? {
        shared.add_ahead(number, file, syncers)?;
    }
    shared.relax();
    shared.report(Progress::Discarded(segment));
    Ok(())
}
