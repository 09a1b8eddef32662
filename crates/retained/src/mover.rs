//! Carries out the orders of the log's owners: moves records from the log to the store, sets rules, reads pages.
//!
//! A [`Mover`] does one step a call and waits for nothing, so the server's thread and the simulator drive the same code.
//! DESIGN.md, section 4, says why the order of its steps loses nothing.

use std::collections::VecDeque;
use std::fmt;
use std::io;

use bytes::Bytes;
use journal::common::is_full;
use journal::format::{GROUP_BYTES, RECORD_HEADER};
use journal::{Damage, ReadError};
use kernel::parcel::put_kept_head;
use kernel::retained::{self, Keep, Order, Rule};
use kernel::{Extent, Position, Series, Time};

use crate::reader::Reader;
use crate::record::New;
use crate::writer::Writer;

/// A sync is due when this many bytes were appended.
const SYNC_BYTES: u64 = 4 << 20;

/// Bytes that a record takes in a group besides its head and payload, at most.
const AROUND: usize = RECORD_HEADER + 40;

/// Number of rules that one group takes.
const RULES: usize = 1000;

/// The writing end of a store, and the orders that are to be carried out.
pub struct Mover {
    store: Writer,
    log: journal::Reader,
    orders: VecDeque<Ordered>,
    /// The orders that were appended and are not durable yet.
    appended: Vec<Kept>,
    unsynced: u64,
    hurry: bool,
}

struct Ordered {
    service: usize,
    order: Order,
    after: Position,
}

/// The end of an order to keep records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Who ordered it.
    pub service: usize,
    /// The series.
    pub series: Series,
    /// The store has the series durably up to this number; nothing of what was ordered, if it is absent.
    pub through: Option<u64>,
}

/// The result of a step.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Moved {
    /// Whether an order was carried out.
    pub did: bool,
    /// What the log could not give. These records are missing in the store.
    pub damage: Vec<Damage>,
}

/// Why a step failed.
#[derive(Debug)]
pub enum MoveError {
    /// There is no space. Nothing has changed: try again.
    Full,
    /// The log cannot be read now. Nothing has changed: try again.
    Log(io::Error),
    /// The store has failed, for ever.
    Store(io::Error),
}

impl fmt::Display for MoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoveError::Full => f.write_str("there is no space"),
            MoveError::Log(error) => write!(f, "reading the log: {error}"),
            MoveError::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for MoveError {}

impl From<io::Error> for MoveError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { MoveError::Full } else { MoveError::Store(error) }
    }
}

impl Mover {
    /// Creates a mover from a log to a store.
    pub fn new(store: Writer, log: journal::Reader) -> Self {
        Mover { store, log, orders: VecDeque::new(), appended: Vec::new(), unsynced: 0, hurry: false }
    }

    /// Takes an order, which is carried out when the log is on disk up to `after`. Orders to read are for
    /// [`read_page`].
    pub fn put(&mut self, service: usize, order: Order, after: Position) {
        self.orders.push_back(Ordered { service, order, after });
    }

    /// Returns the position that the log must have reached on disk before the next step.
    pub fn waits_for(&self) -> Option<Position> {
        self.orders.front().map(|ordered| ordered.after)
    }

    /// Returns whether everything that was ordered is durable.
    pub fn is_idle(&self) -> bool {
        self.orders.is_empty() && self.unsynced == 0 && self.appended.is_empty()
    }

    /// Returns whether something was appended that is not durable.
    pub fn is_unsynced(&self) -> bool {
        self.unsynced > 0 || !self.appended.is_empty()
    }

    /// Returns whether to sync now: enough was appended, or an owner waits with more.
    pub fn must_sync(&self) -> bool {
        self.hurry || self.unsynced >= SYNC_BYTES
    }

    /// Makes the store's directory durable, so that a later start can tell a missing store from a new one.
    pub fn settle(&mut self) -> Result<(), MoveError> {
        Ok(self.store.guarded(Writer::settle)?)
    }

    /// Appends the next orders as one group, if the log is on disk far enough.
    pub fn append(&mut self, on_disk: Position) -> Result<Moved, MoveError> {
        let ready = self.orders.iter().take_while(|ordered| ordered.after <= on_disk);
        let mut keeps: Vec<&Keep> = Vec::new();
        let mut rules: Vec<(Series, Rule)> = Vec::new();
        let (mut count, mut bytes) = (0, 0);
        for ordered in ready {
            match &ordered.order {
                Order::Keep(keep) if rules.is_empty() => {
                    bytes +=
                        keep.records.iter().map(|record| record.extent.len as usize + AROUND).sum::<usize>();
                    if bytes > GROUP_BYTES && !keeps.is_empty() {
                        break;
                    }
                    keeps.push(keep);
                }
                &Order::Rule(series, rule) if keeps.is_empty() && rules.len() < RULES => {
                    rules.push((series, rule));
                }
                // Pages are read on other threads.
                Order::Read(_) => {}
                Order::Keep(_) | Order::Rule(..) => break,
            }
            count += 1;
        }
        if count == 0 {
            return Ok(Moved::default());
        }
        let mut moved = Moved { did: true, damage: Vec::new() };
        if !rules.is_empty() {
            self.store.set_rules(&rules)?;
            self.unsynced += 1;
        }
        let groups = read(&self.log, &keeps, &mut moved.damage).map_err(MoveError::Log)?;
        let mut new: Vec<New<'_>> = Vec::new();
        for (keep, group) in keeps.iter().zip(&groups) {
            new.extend(group.records.iter().map(|(record, head, tail)| New {
                series: keep.series,
                sequence: record.sequence,
                time: record.time,
                retention: keep.retention,
                head,
                tail,
            }));
        }
        if !new.is_empty() {
            self.store.append(&mut new)?;
        }
        self.unsynced += bytes as u64;
        let passed: Vec<usize> = groups.iter().map(|group| group.passed).collect();
        let keeps = self.orders.drain(..count).filter_map(|ordered| match ordered.order {
            Order::Keep(keep) => Some((ordered.service, keep)),
            Order::Rule(..) | Order::Read(_) => None,
        });
        for ((service, keep), passed) in keeps.zip(passed) {
            // What lies elsewhere by now is ordered again.
            self.hurry |= keep.more || passed < keep.records.len();
            let last = passed.checked_sub(1).and_then(|last| keep.records.get(last));
            let through = last.map(|last| last.sequence);
            self.appended.push(Kept { service, series: keep.series, through });
        }
        Ok(moved)
    }

    /// Makes durable what was appended, and returns what has been kept with that.
    pub fn sync(&mut self) -> Result<Vec<Kept>, MoveError> {
        self.store.sync()?;
        self.unsynced = 0;
        self.hurry = false;
        Ok(std::mem::take(&mut self.appended))
    }

    /// Does one step of the store's slow work that is due at `now`. Returns whether there may be more.
    pub fn tidy(&mut self, now: Time) -> Result<bool, MoveError> {
        Ok(self.store.tidy(now)?)
    }

    /// Syncs everything. The last call before an orderly stop.
    pub fn close(mut self) -> io::Result<()> {
        self.store.close().map(drop)
    }

    /// Returns a reader of the store, for any thread.
    pub fn reader(&self) -> Reader {
        self.store.reader()
    }
}

/// What was read of one order.
struct Read {
    /// The records, with their heads and tails.
    records: Vec<(retained::Owed, Vec<u8>, Bytes)>,
    /// Number of records of the order that were read or cannot be read. The rest lies elsewhere by now.
    passed: usize,
}

/// Reads the records of some orders from the log.
fn read(log: &journal::Reader, keeps: &[&Keep], damage: &mut Vec<Damage>) -> io::Result<Vec<Read>> {
    let extents: Vec<Extent> = keeps.iter().flat_map(|keep| &keep.records).map(|owed| owed.extent).collect();
    let mut results = log.read_many(&extents).into_iter();
    let mut groups = Vec::with_capacity(keeps.len());
    for keep in keeps {
        let mut group = Read { records: Vec::with_capacity(keep.records.len()), passed: 0 };
        let mut is_whole = true;
        for (&owed, result) in keep.records.iter().zip(results.by_ref()) {
            match result {
                Err(ReadError::Io(error)) => return Err(error),
                Err(ReadError::Gone) => is_whole = false,
                _ if !is_whole => continue,
                Err(ReadError::Damaged(place)) => damage.push(place),
                Ok(record) => {
                    let mut head = Vec::with_capacity(record.head.len());
                    put_kept_head(&record.head, &mut head);
                    group.records.push((owed, head, record.tail));
                }
            }
            group.passed += usize::from(is_whole);
        }
        groups.push(group);
    }
    Ok(groups)
}

/// Reads a page for a service. Returns it with what could not be read.
pub fn read_page(reader: &Reader, read: retained::Read) -> io::Result<(retained::Page, Vec<Damage>)> {
    let page = reader.forwards(read.series, read.from, read.limits)?;
    let records = page.records.into_iter().map(|record| retained::Record {
        sequence: record.sequence,
        time: record.time,
        head: record.head,
        tail: record.tail,
    });
    Ok((retained::Page { read, records: records.collect(), next: page.next }, page.damage))
}
