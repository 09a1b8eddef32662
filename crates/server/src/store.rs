//! The server's log and its store for retained data: opens both, replays the log into a machine, and runs the journal's threads.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use journal::engines::{DirectoryError, Files, Memory};
use journal::{Batch, Durability, Journal, Pipeline, Progress, ReadError, Reader, Record, Storage};
use kernel::retained::{Order, Rule};
use kernel::{Extent, Position, Series, Stored, Time};
use machine::{Input, Machine, Options, Recall, Recovery};
use retained::Mover;

use tracing::error;

use crate::alarm::{Alarm, sabotage};
use crate::damage::Damages;
use crate::engine::Handle;
use crate::mover::Desk;
use crate::options::DurabilityOption;

/// Maximum number of concurrent syncs. With syncs of 4 ms, 8 had a sixth more throughput than 3, and 12 no
/// more than 8.
const SYNC_THREADS: usize = 8;

/// Faster syncs do not overlap. On a disk with syncs of 0.2 ms this had the throughput of three overlapping
/// syncs, with a quarter fewer thread switches.
const SYNC_PACE: Duration = Duration::from_micros(500);

/// Why the log cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// The directory cannot be used.
    Directory(DirectoryError),
    /// The log cannot be opened.
    Journal(journal::Error),
    /// A record is valid, but this version does not know it.
    Record(Extent, PathBuf),
    /// The store for retained data cannot be opened.
    Retained(journal::Error),
    /// A thread could not be started, or the store for retained data cannot be read.
    Io(std::io::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Directory(error) => write!(f, "{error}"),
            StoreError::Journal(error) | StoreError::Retained(error) => write!(f, "{error}"),
            StoreError::Record(extent, path) => write!(
                f,
                "{}: this version does not know the record at segment {}, offset {}: use the newer version that \
                 wrote it",
                path.display(),
                extent.place.segment(),
                extent.place.offset()
            ),
            StoreError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// A log that has been opened and replayed.
pub struct Opened {
    /// The machine after the replay.
    pub machine: Machine,
    /// The log.
    journal: Journal,
    /// Reads records by place.
    pub reader: Reader,
    /// The store for retained data.
    retained: retained::Store,
    /// Series of the store that a crash has kept from being deleted: they are no service's.
    orphans: Vec<Series>,
    /// Damage of the store for retained data that was found at the start.
    pub retained_damage: Vec<String>,
    /// What recovery rebuilt or cut off, as texts for the operator.
    pub notes: Vec<String>,
    /// What recovery cut off at the end of the log, as a text.
    pub cut: Option<String>,
    /// Lower bound for the clock, taken from the log.
    pub now: Time,
}

/// Opens a log and replays it, at `now` by the clock.
pub fn open(
    data: Option<&PathBuf>,
    durability: DurabilityOption,
    options: Options,
    now: Time,
) -> Result<Opened, StoreError> {
    let storage = |path: Option<PathBuf>| -> Result<Arc<dyn Storage>, StoreError> {
        Ok(match path {
            Some(path) => Arc::new(Files::open(path).map_err(StoreError::Directory)?),
            None => Arc::new(Memory::new()),
        })
    };
    let durable = durability == DurabilityOption::Fsync;
    let settings = journal::Options { durable, ..journal::Options::default() };
    let storage_of_log = storage(data.cloned())?;
    let mut journal = Journal::open(storage_of_log, &settings).map_err(StoreError::Journal)?;
    let retained = storage(data.map(|data| data.join(RETAINED)))?;
    let settings = retained::Options { durable, ..retained::Options::default() };
    let mut retained = retained::Store::open(retained, &settings).map_err(StoreError::Retained)?;
    // The machine continues at the clock's time, or at the log's last time if that is later.
    let mut recovery = Recovery::of(options, journal.appender(), journal.recovered(), now);
    let now = recovery.now();
    journal.configuration(|entry| recovery.read(entry.extent, entry.head)).map_err(StoreError::Journal)?;
    recovery.ask_store(|series| retained.writer.last_sequence(series)).map_err(StoreError::Io)?;
    journal.flow(|entry| recovery.read(entry.extent, entry.head)).map_err(StoreError::Journal)?;
    let machine = recovery
        .finish()
        .map_err(|unknown| StoreError::Record(unknown.first, data.cloned().unwrap_or_default()))?;
    let recovered = journal.recovered().clone();
    let mut notes = recovered.warnings;
    let cut = recovered.cut.as_ref().map(ToString::to_string);
    notes.extend(cut.clone());
    notes.extend(retained.recovered.warnings.iter().cloned());
    notes.extend(retained.recovered.cuts.iter().map(ToString::to_string));
    let mut retained_damage: Vec<String> =
        retained.recovered.damage.iter().map(ToString::to_string).collect();
    if journal.has_store() && retained.recovered.is_new {
        let path = data.map(|data| data.join(RETAINED)).unwrap_or_default();
        retained_damage.push(format!("{}: the store for retained data is missing", path.display()));
    }
    let mut orphans = orphans(&machine, &retained.writer.reader());
    let repaired = data.map(|data| data.join(REPAIRED)).filter(|mark| mark.exists());
    if let Some(mark) = repaired.filter(|_| !orphans.is_empty()) {
        // Perhaps the repair has lost the declarations of their owners.
        notes.push(format!(
            "{} series of retained data have no owner. They are kept, because this directory was repaired: see {}",
            std::mem::take(&mut orphans).len(),
            mark.display()
        ));
    }
    let reader = journal.reader();
    Ok(Opened { machine, journal, reader, retained, orphans, retained_damage, notes, cut, now })
}

/// The mark of a directory that was repaired, in the data directory.
pub const REPAIRED: &str = "REPAIRED";

/// The folder of the store for retained data, in the data directory.
pub const RETAINED: &str = "retained";

/// Series that are looked at in one go.
const SERIES: usize = 1000;

/// Who hears of the end of the server's own orders: no service.
const NOBODY: usize = usize::MAX;

/// The log while the server runs.
pub struct Store {
    pipeline: Arc<Pipeline>,
    errands: mpsc::Sender<Errand>,
}

enum Errand {
    Survey(u32),
    Fetch(Vec<Extent>),
    Recall(Recall, Vec<Extent>),
}

impl Opened {
    /// Starts the journal's threads. They report to `handle`, and to `desk` what is on disk. The mover is not started yet.
    pub fn start(
        self,
        durability: DurabilityOption,
        handle: &Handle,
        desk: Arc<Desk>,
        damages: Arc<Damages>,
    ) -> Result<(Machine, Store, Mover), StoreError> {
        let reader = self.reader;
        let mut mover = Mover::new(self.retained.writer, reader.clone());
        let end = self.journal.recovered().end;
        for series in self.orphans {
            mover.put(NOBODY, Order::Rule(series, Rule::Delete), end);
        }
        desk.on_disk(self.journal.recovered().durable);
        let teller = handle.clone();
        let counts_when_written = durability == DurabilityOption::Os;
        let mode = match durability {
            DurabilityOption::Os => Durability::Os,
            DurabilityOption::Fsync => Durability::Fsync { threads: SYNC_THREADS, pace: SYNC_PACE },
        };
        handle.durable(self.journal.recovered().end);
        handle.space(self.journal.space());
        let pipeline = self
            .journal
            .into_pipeline(mode, move |progress| match progress {
                Progress::Written(position) if counts_when_written => teller.durable(position),
                Progress::Durable(position) => {
                    desk.on_disk(position);
                    if !counts_when_written {
                        teller.durable(position);
                    }
                }
                Progress::Written(_) => {}
                Progress::Space(space) => teller.space(space),
                Progress::Discarded(segment) => teller.news(Input::Discarded { segment }),
                Progress::Failed(error) => {
                    error!("writing the log failed: {error}");
                    teller.fail(&format!("writing the log failed: {error}"));
                }
            })
            .map_err(StoreError::Io)?;
        let (errands, todo) = mpsc::channel();
        let messenger = handle.clone();
        std::thread::Builder::new()
            .name("cleaner".into())
            .spawn(move || {
                let _alarm = Alarm::new(&messenger, "the cleaner's thread");
                run_errands(&todo, &reader, &messenger, &damages);
            })
            .map_err(StoreError::Io)?;
        Ok((self.machine, Store { pipeline: Arc::new(pipeline), errands }, mover))
    }
}

/// The series of the store that are no service's.
fn orphans(machine: &Machine, store: &retained::Reader) -> Vec<Series> {
    let (mut orphans, mut from) = (Vec::new(), Some(Series(0)));
    while let Some(first) = from {
        let some = store.series(first, SERIES);
        from =
            some.last().filter(|_| some.len() == SERIES).and_then(|last| last.0.checked_add(1)).map(Series);
        orphans.extend(some.into_iter().filter(|&series| !machine.has_series(series)));
    }
    orphans
}

/// Reads the data that the machine needs to write old segments forward, on a separate thread.
fn run_errands(todo: &mpsc::Receiver<Errand>, reader: &Reader, handle: &Handle, damages: &Damages) {
    while let Ok(errand) = todo.recv() {
        sabotage::point("cleaner");
        match errand {
            Errand::Survey(segment) => {
                let mut records = Vec::new();
                let surveyed =
                    reader.survey(segment, |entry| records.push((entry.extent, entry.head.to_vec())));
                match surveyed {
                    Ok(()) => handle.news(Input::Surveyed { segment, records }),
                    // The segment has died meanwhile, so nothing has to be written forward.
                    Err(_) if reader.is_dropped(segment) => {}
                    Err(error) => {
                        note(damages, &error);
                        handle.news(Input::Unreadable { segment, ends: true });
                    }
                }
            }
            Errand::Recall(purpose, extents) => {
                let read = extents.iter().zip(reader.read_many(&extents));
                let mut records = Vec::new();
                let mut damage = None;
                for (&extent, record) in read {
                    match record {
                        Ok(record) => records.push(stored(extent, &record)),
                        // The record was written forward: the machine requests it again.
                        Err(ReadError::Gone) => break,
                        Err(error) => {
                            damage = Some(error);
                            break;
                        }
                    }
                }
                match (damage, extents.first()) {
                    (Some(error), Some(&extent)) if records.is_empty() => {
                        note(damages, &error);
                        handle.news(Input::Event(purpose.failed(extent)));
                    }
                    _ => handle.news(Input::Event(purpose.read(records))),
                }
            }
            Errand::Fetch(extents) => {
                let (mut survivors, mut is_gone, mut unreadable) = (Vec::new(), false, None);
                for (&extent, record) in extents.iter().zip(reader.read_many(&extents)) {
                    match record {
                        Ok(record) => survivors.push(stored(extent, &record)),
                        Err(ReadError::Gone) => is_gone = true,
                        Err(error) => {
                            note(damages, &error);
                            unreadable = Some(extent.place.segment());
                        }
                    }
                }
                if let Some(segment) = unreadable {
                    handle.news(Input::Unreadable { segment, ends: false });
                }
                // The machine does not wait for a segment that has died meanwhile.
                if !is_gone {
                    handle.news(Input::Fetched(survivors));
                }
            }
        }
    }
}

fn stored(extent: Extent, record: &Record) -> Stored {
    Stored { extent, head: record.head.to_vec(), tail: record.tail.to_vec() }
}

/// A damaged record is not written forward, so its segment stays: only space is lost.
fn note(damages: &Damages, error: &dyn fmt::Display) {
    damages.put(error);
}

impl Store {
    /// Writes a batch, or passes it to the journal's threads. Returns the durable position if it is known at
    /// once.
    pub fn append(&self, batch: Batch) -> Option<Position> {
        // Only a write that counts without a sync is done at once.
        self.pipeline.submit(batch)
    }

    /// Returns a written batch, whose buffers can be reused.
    pub fn spent(&self) -> Option<Batch> {
        self.pipeline.spent()
    }

    /// Checks again whether the disk has space.
    pub fn retry_space(&self) {
        self.pipeline.retry_space();
    }

    /// Reads the heads of a segment; they return as a message.
    pub fn survey(&self, segment: u32) {
        // The receiving end lives as long as this value.
        let _ = self.errands.send(Errand::Survey(segment));
    }

    /// Reads records; they return as a message.
    pub fn fetch(&self, extents: Vec<Extent>) {
        let _ = self.errands.send(Errand::Fetch(extents));
    }

    /// Reads records that a service asks for; they return as a message.
    pub fn recall(&self, purpose: Recall, extents: Vec<Extent>) {
        let _ = self.errands.send(Errand::Recall(purpose, extents));
    }

    /// Drops a segment when the log is on disk up to `after`.
    pub fn discard(&self, segment: u32, after: Position) {
        self.pipeline.discard(segment, after);
    }

    /// Returns the journal's state for `health`.
    pub fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.clone()
    }
}
