//! The threads of the store for retained data: one moves records from the log to it, one reads pages.
//!
//! No client waits for either. The mover takes a group of up to 4 MiB a step, and syncs when that much was
//! appended, when an owner waits with more, or a second after the first append. Between two steps it does one of
//! the store's slow ones. A reader of old records waits as long as its page took, so that others get the disk.

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use journal::Pipeline;
use kernel::Position;
use kernel::retained::{From, Order, Page, Read};
use machine::Input;
use retained::{MoveError, Mover, Reader, read_page};
use serde_json::{Value, json};
use tracing::{error, info, warn};

use crate::alarm::{Alarm, sabotage};
use crate::clock::Clock;
use crate::damage::Damages;
use crate::engine::Handle;

/// Time from an append to its sync, at most.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// Interval of attempts while the disk has no space, or the log cannot be read.
const RETRY: Duration = Duration::from_secs(1);

/// Interval of looks at what has passed its retention, when nothing else happens. Retentions are days.
const TIDY: Duration = Duration::from_secs(3600);

/// Maximum time that the reading thread waits between two pages.
const PACE: Duration = Duration::from_secs(1);

/// What the threads need of the server.
pub struct Surroundings {
    /// Hears of what was kept and read, and fails if the store fails.
    pub engine: Handle,
    /// The clock that decides what has passed.
    pub clock: Arc<Clock>,
    /// The log.
    pub log: Weak<Pipeline>,
    /// Damage of the store, and of records that the log could not give to it.
    pub damages: Arc<Damages>,
}

/// The store while the server runs.
pub struct Retained {
    desk: Arc<Desk>,
    pages: mpsc::Sender<(usize, Read)>,
    mover: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
}

/// What the server's threads leave for the mover.
#[derive(Default)]
pub struct Desk {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    orders: Vec<(usize, Order, Position)>,
    on_disk: Position,
    /// The position that the next order of the mover waits for.
    waits_for: Option<Position>,
    has_no_space: bool,
    stopping: bool,
}

impl Desk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // The data under this lock is always valid, also after a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the journal: the log is on disk up to here, whatever counts as durable.
    pub fn on_disk(&self, position: Position) {
        let mut inner = self.inner();
        inner.on_disk = inner.on_disk.max(position);
        if inner.waits_for.is_some_and(|after| after <= position) {
            self.wake.notify_one();
        }
    }

    /// Returns the state of the store's space, as one word.
    pub fn space_in_a_word(&self) -> &'static str {
        if self.inner().has_no_space { "full" } else { "ok" }
    }

    fn put(&self, service: usize, order: Order, after: Position) {
        self.inner().orders.push((service, order, after));
        self.wake.notify_one();
    }

    fn stop(&self) {
        self.inner().stopping = true;
        self.wake.notify_one();
    }
}

impl Retained {
    /// Starts the threads.
    pub fn start(mover: Mover, desk: Arc<Desk>, with: Surroundings) -> std::io::Result<Retained> {
        let (pages, ordered) = mpsc::channel();
        let store = mover.reader().passing();
        let (engine, damages) = (with.engine.clone(), with.damages.clone());
        let reader = std::thread::Builder::new().name("retained-read".into()).spawn(move || {
            let _alarm = Alarm::new(&engine, "the thread that reads retained data");
            read_pages(&store, &ordered, &engine, &damages);
        })?;
        let (at, engine) = (desk.clone(), with.engine.clone());
        let mover = std::thread::Builder::new().name("retained-move".into()).spawn(move || {
            let _alarm = Alarm::new(&engine, "the thread that keeps retained data");
            if let Err(error) = Moving::new(mover, &at, &with).run() {
                error!("writing the store for retained data failed: {error}");
                engine.fail(&format!("writing the store for retained data failed: {error}"));
            }
        })?;
        Ok(Retained { desk, pages, mover: Some(mover), reader: Some(reader) })
    }

    /// Has an order carried out. Its end returns as a message.
    pub fn order(&self, service: usize, order: Order, after: Position) {
        match order {
            // The receiving end lives as long as this value.
            Order::Read(read) => drop(self.pages.send((service, read))),
            order => self.desk.put(service, order, after),
        }
    }
}

impl Drop for Retained {
    /// Syncs what was appended, and ends the threads.
    fn drop(&mut self) {
        self.desk.stop();
        // Drops the only sender, so that the reading thread ends.
        self.pages = mpsc::channel().0;
        for thread in [self.mover.take(), self.reader.take()].into_iter().flatten() {
            // The thread has reported its panic already.
            let _ = thread.join();
        }
    }
}

/// The mover's thread.
struct Moving<'a> {
    mover: Mover,
    desk: &'a Desk,
    with: &'a Surroundings,
    /// When something was appended that is not synced.
    unsynced_since: Option<Instant>,
    /// When to try again what has failed.
    retry_at: Option<Instant>,
    has_slow_work: bool,
    /// Whether the log's manifest says that there is a store.
    is_noted: bool,
}

impl<'a> Moving<'a> {
    fn new(mover: Mover, desk: &'a Desk, with: &'a Surroundings) -> Self {
        let (unsynced_since, retry_at) = (None, None);
        Moving { mover, desk, with, unsynced_since, retry_at, has_slow_work: true, is_noted: false }
    }

    fn run(mut self) -> std::io::Result<()> {
        loop {
            let on_disk = {
                let mut inner = self.desk.inner();
                if inner.stopping {
                    break;
                }
                for (service, order, after) in inner.orders.drain(..) {
                    self.mover.put(service, order, after);
                }
                inner.on_disk
            };
            sabotage::point("mover");
            let did = self.step(on_disk)?;
            if !did && !self.has_slow_work {
                self.rest();
            }
        }
        self.mover.close()
    }

    /// Does what can be done now. Returns whether it did something.
    fn step(&mut self, on_disk: Position) -> std::io::Result<bool> {
        let mut did = false;
        if self.retry_at.is_none_or(|at| at <= Instant::now()) {
            self.retry_at = None;
            did = self.append(on_disk)?;
            let is_due = self.unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_AFTER);
            if (is_due || self.mover.must_sync())
                && let Some(kept) = self.attempt(Mover::sync)?
            {
                self.unsynced_since = None;
                did = true;
                for retained::Kept { service, series, through } in kept {
                    self.with.engine.news(Input::Kept { service, series, through });
                }
            }
        }
        if self.has_slow_work {
            let now = self.with.clock.now();
            let more = self.attempt(|mover| mover.tidy(now))?;
            self.has_slow_work = more == Some(true);
            if self.has_slow_work && self.retry_at.is_some() {
                // It may have freed space.
                self.retry_at = None;
            }
        }
        Ok(did)
    }

    fn append(&mut self, on_disk: Position) -> std::io::Result<bool> {
        if !self.is_noted && self.mover.waits_for().is_some_and(|after| after <= on_disk) {
            let Some(log) = self.with.log.upgrade() else { return Ok(false) };
            if self.attempt(Mover::settle)?.is_none() {
                return Ok(false);
            }
            match log.note_store() {
                Ok(()) => self.is_noted = true,
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    self.wait_for_space();
                    return Ok(false);
                }
                // The log has failed, and has said so.
                Err(_) => return Ok(false),
            }
        }
        let Some(moved) = self.attempt(|mover| mover.append(on_disk))? else { return Ok(false) };
        moved.damage.iter().for_each(|damage| self.with.damages.put(damage));
        if moved.did {
            self.has_slow_work = true;
            let mut inner = self.desk.inner();
            if std::mem::take(&mut inner.has_no_space) {
                info!("the store for retained data has space again");
            }
        }
        if self.mover.is_unsynced() {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        Ok(moved.did)
    }

    /// Does one step of the mover; `None` if it is to be tried again.
    fn attempt<T>(
        &mut self,
        step: impl FnOnce(&mut Mover) -> Result<T, MoveError>,
    ) -> std::io::Result<Option<T>> {
        match step(&mut self.mover) {
            Ok(done) => Ok(Some(done)),
            Err(MoveError::Full) => {
                self.wait_for_space();
                Ok(None)
            }
            Err(MoveError::Log(error)) => {
                warn!("records for the store for retained data cannot be read now: {error}");
                self.retry_at = Some(Instant::now() + RETRY);
                Ok(None)
            }
            Err(MoveError::Store(error)) => Err(error),
        }
    }

    fn wait_for_space(&mut self) {
        let mut inner = self.desk.inner();
        if !std::mem::replace(&mut inner.has_no_space, true) {
            warn!(
                "there is no space for the store for retained data; the log keeps its records until there is"
            );
        }
        self.retry_at = Some(Instant::now() + RETRY);
    }

    /// Sleeps until there is something to do.
    fn rest(&mut self) {
        let now = Instant::now();
        let sync_at = self.unsynced_since.map(|since| since + SYNC_AFTER);
        let at = self.retry_at.or(sync_at).unwrap_or(now + TIDY);
        let waits_for = self.mover.waits_for().filter(|_| self.retry_at.is_none());
        let mut inner = self.desk.inner();
        inner.waits_for = waits_for;
        let is_called = |inner: &Inner| {
            inner.stopping
                || !inner.orders.is_empty()
                || inner.waits_for.is_some_and(|after| after <= inner.on_disk)
        };
        while !is_called(&inner)
            && let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            let woken = self.desk.wake.wait_timeout(inner, left);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.waits_for = None;
        self.has_slow_work |= now.elapsed() >= TIDY || self.retry_at.is_some();
    }
}

/// Reads pages, one after the other.
fn read_pages(store: &Reader, ordered: &mpsc::Receiver<(usize, Read)>, engine: &Handle, damages: &Damages) {
    while let Ok((service, read)) = ordered.recv() {
        sabotage::point("retained-read");
        let begun = Instant::now();
        let page = match read_page(store, read) {
            Ok((page, damaged)) => {
                damaged.iter().for_each(|damage| damages.put(damage));
                page
            }
            Err(error) => {
                error!("reading the store for retained data: {error}");
                std::thread::sleep(PACE);
                // It begins again at the same place.
                let next = match read.from {
                    From::Sequence(sequence) => sequence,
                    From::Time(_) => 0,
                };
                Page { read, records: Vec::new(), next: Some(next) }
            }
        };
        engine.news(Input::PageRead { service, page });
        std::thread::sleep(begun.elapsed().min(PACE));
    }
}

/// What `health` shows of the store.
pub fn show(desk: &Desk, damages: &Damages) -> Value {
    json!({ "space": desk.space_in_a_word(), "damage": damages.show_places() })
}
