//! One run of the server: machine, writer and reader over a disk, driven step by step.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use journal::{Batch, Entry, Journal, ReadError, Reader, Space, Writer};
use kernel::retained::{Keep, Order, Page, Read, Rule};
use kernel::{Demand, Extent, ParcelSent, Position, Secret, Series, Stored, Time, Undelivered};
use machine::{Answer, Effect, Input, Machine, Options, Output, Recall, Recovery};
use retained::{MoveError, Mover, read_page};
use sqs::records::Record;

use crate::Bug;
use crate::dice::Dice;
use crate::disks::Disks;

/// Who hears of the end of the server's own orders to the store: no service.
const NOBODY: usize = usize::MAX;

/// A running server.
pub struct Server {
    /// The machine.
    pub machine: Machine,
    /// The log's writer.
    pub writer: Writer,
    /// The log's reader.
    pub reader: Reader,
    /// Moves records to the store for retained data.
    mover: Mover,
    /// The reader of that store.
    pub store: retained::Reader,
    /// Whether the mover waits for space.
    store_waits: bool,
    /// The batches that the machine wants written, in order.
    batches: VecDeque<Batch>,
    /// The reads that the machine requested.
    errands: VecDeque<Errand>,
    /// Deliveries to attempt.
    pub attempts: VecDeque<sns::deliveries::Attempt>,
    /// Events to hand to targets outside.
    pub event_attempts: VecDeque<eventbridge::deliveries::Attempt>,
    /// Requests to servers elsewhere whose answers are wanted, in order.
    pub asked: VecDeque<Asked>,
    /// Who did not get a message.
    pub undelivered: Vec<Undelivered>,
    /// The first tokens of connections that are to be fetched.
    pub authorizations: VecDeque<eventbridge::Authorize>,
    /// The records that were read for replays since the last call.
    pub recalled: Vec<Recalled>,
    /// The numbers of the sent messages that the log contained at the start, and their places.
    pub sent: Vec<(u64, Extent)>,
    /// The segments to drop, when the log is durable up to a position.
    discards: VecDeque<(u32, Position)>,
    /// Whether the first of them cannot be noted for lack of space.
    discard_waits: bool,
    /// Whether the machine was told that space is low.
    pub space: Space,
    /// The cut that the start made.
    pub cut: bool,
    bug: Option<Bug>,
    /// Whether damage on the disk is handled, as the program does. In a world there must be no damage.
    pub expects_damage: bool,
}

/// The records read for a replay.
#[derive(Debug)]
pub struct Recalled {
    /// The subscription.
    pub subscription: sns::SubscriptionId,
    /// Whether the replay still waited for them.
    pub is_wanted: bool,
    /// Heads and tails of the records.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
    /// The next number that the machine would have assigned.
    pub next_seq: u64,
}

/// Something that the machine wants to be read.
#[derive(Debug)]
pub enum Errand {
    /// The heads of a segment's records.
    Survey(u32),
    /// Records that are to be written forward.
    Fetch(Vec<Extent>),
    /// Records that a service asks for.
    Recall(Recall, Vec<Extent>),
    /// A page of the store for retained data that a service orders.
    Page(usize, Read),
}

/// Who waits for the answer of a server elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A task of an execution.
    Task(stepfunctions::steps::Task),
    /// A batch of a pipe.
    Pipe(pipes::BatchId),
}

/// Why the server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The disk failed.
    Disk(String),
    /// The log is damaged, which no crash may cause.
    Damaged(String),
}

impl Server {
    /// Starts as the program does: opens the log, replays it, sets the secret.
    pub fn start(
        disks: &Disks,
        log: &journal::Options,
        secret: Secret,
        now: Time,
        bug: Option<Bug>,
        dice: &mut Dice,
    ) -> Result<Server, StartError> {
        Server::start_with(Options::default(), disks, log, secret, now, bug, dice)
    }

    /// Does the same with other options of the machine.
    pub fn start_with(
        options: Options,
        disks: &Disks,
        log: &journal::Options,
        secret: Secret,
        now: Time,
        bug: Option<Bug>,
        dice: &mut Dice,
    ) -> Result<Server, StartError> {
        let explain = |error: journal::Error| match error {
            journal::Error::Io { .. } => StartError::Disk(error.to_string()),
            other => StartError::Damaged(other.to_string()),
        };
        let mut journal = Journal::open(Arc::new(disks.log.clone()), log).map_err(explain)?;
        // The fault: the store counts as durable what it has written.
        let durable = bug != Some(Bug::EarlyKept);
        let settings = retained::Options { segment_bytes: log.segment_bytes, id: log.log_id, durable };
        let mut store =
            retained::Store::open(Arc::new(disks.retained.clone()), &settings).map_err(explain)?;
        if journal.has_store() && store.recovered.is_new {
            return Err(StartError::Damaged("the store is missing".into()));
        }
        if let Some(damage) = store.recovered.damage.first().filter(|_| durable) {
            return Err(StartError::Damaged(damage.to_string()));
        }
        let mut appender = journal.appender();
        if bug == Some(Bug::SplitGroups) {
            appender.split_groups();
        }
        let recovered = journal.recovered().clone();
        let mut recovery = Recovery::of(options, appender, &recovered, recovered.now);
        let mut sent = Vec::new();
        let mut replay = |recovery: &mut Recovery, entry: Entry<'_>| {
            if let Ok(Record::MessageSent(record)) = Record::decode(entry.head) {
                sent.push((record.seq.0, entry.extent));
            }
            let mut head = Cow::Borrowed(entry.head);
            if bug.is_some_and(|bug| bug != Bug::SplitGroups) && dice.percent(20) {
                let Some(less) = overlook(bug, entry.head) else { return };
                head = less;
            }
            recovery.read(entry.extent, &head);
        };
        journal.configuration(|entry| replay(&mut recovery, entry)).map_err(explain)?;
        let asked = recovery.ask_store(|series| store.writer.last_sequence(series));
        asked.map_err(|error| StartError::Disk(error.to_string()))?;
        journal.flow(|entry| replay(&mut recovery, entry)).map_err(explain)?;
        let machine = recovery.finish().map_err(|unknown| StartError::Damaged(unknown.to_string()))?;
        let reader = journal.reader();
        let mut mover = Mover::new(store.writer, reader.clone());
        let store = mover.reader();
        for series in store.series(Series(0), usize::MAX) {
            if !machine.has_series(series) {
                mover.put(NOBODY, Order::Rule(series, Rule::Delete), recovered.end);
            }
        }
        let mut server = Server {
            machine,
            writer: journal.into_writer(),
            reader,
            mover,
            store,
            store_waits: false,
            batches: VecDeque::new(),
            errands: VecDeque::new(),
            discards: VecDeque::new(),
            discard_waits: false,
            attempts: VecDeque::new(),
            event_attempts: VecDeque::new(),
            authorizations: VecDeque::new(),
            asked: VecDeque::new(),
            undelivered: Vec::new(),
            recalled: Vec::new(),
            sent,
            space: Space::Ok,
            cut: recovered.cut.is_some(),
            bug,
            expects_damage: false,
        };
        if server.machine.secret().is_none() {
            server.machine.handle(now, Input::Identify { secret });
        }
        server.machine.handle(now, Input::Durable(recovered.durable));
        server.tell_space(now);
        Ok(server)
    }

    /// Lets time pass as on a loaded machine: some due work remains afterwards.
    pub fn hurry(&mut self, to: Time) {
        while !self.machine.is_behind()
            && let Some(due) = self.machine.wake_at().filter(|&due| due <= to)
        {
            self.machine.handle(due, Input::Tick);
        }
        self.machine.handle(to, Input::Tick);
    }

    /// Lets time pass, with all due work done at its own time.
    pub fn pass_time(&mut self, to: Time) {
        while let Some(due) = self.machine.wake_at().filter(|&due| due <= to) {
            self.machine.handle(due, Input::Tick);
            self.catch_up(due);
        }
        self.machine.handle(to, Input::Tick);
        self.catch_up(to);
    }

    /// Does all due work, in as many turns as necessary.
    fn catch_up(&mut self, now: Time) {
        while self.machine.is_behind() {
            self.machine.flush(now);
        }
    }

    /// Takes the machine's outputs, and returns its answers.
    pub fn flush(&mut self, now: Time) -> Vec<(u64, Answer)> {
        self.machine.flush(now);
        let mut answers = Vec::new();
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Append(batch) => self.batches.push_back(batch),
                Output::Reply { ticket, answer } => answers.push((ticket, answer)),
                Output::Undelivered(undelivered) => self.undelivered.push(*undelivered),
                Output::Effect(Effect::Eventbridge(effect)) => match effect {
                    eventbridge::Effect::Deliver(attempt) => self.event_attempts.push_back(*attempt),
                    eventbridge::Effect::Authorize(authorize) => self.authorizations.push_back(*authorize),
                    eventbridge::Effect::Recall { replay, extents } => {
                        self.errands.push_back(Errand::Recall(Recall::Buses(replay), extents));
                    }
                },
                Output::Effect(Effect::Sns(effect)) => match effect {
                    sns::Effect::Deliver(attempt) => self.attempts.push_back(*attempt),
                    sns::Effect::Recall { purpose, extents } => {
                        self.errands.push_back(Errand::Recall(Recall::Topics(purpose), extents));
                    }
                },
                Output::Effect(Effect::Stepfunctions(effect)) => match effect {
                    stepfunctions::Effect::Read(wanted) => {
                        let purpose = Recall::Executions(wanted.execution, wanted.flow);
                        self.errands.push_back(Errand::Recall(purpose, wanted.extents));
                    }
                    stepfunctions::Effect::Request(task, _) => self.asked.push_back(Asked::Task(task)),
                },
                Output::Effect(Effect::Pipes(effect)) => match effect {
                    pipes::Effect::Read(batch, extents) => {
                        self.errands.push_back(Errand::Recall(Recall::Pipes(batch), extents));
                    }
                    pipes::Effect::Request(batch, _) => self.asked.push_back(Asked::Pipe(batch)),
                },
                Output::Order { service, order: Order::Read(read), .. } => {
                    self.errands.push_back(Errand::Page(service, read));
                }
                Output::Order { service, order, after } => self.mover.put(service, order, after),
                Output::Survey { segment } => self.errands.push_back(Errand::Survey(segment)),
                Output::Fetch(extents) => self.errands.push_back(Errand::Fetch(extents)),
                Output::Discard { segment } => self.discards.push_back((segment, self.machine.end())),
            }
        }
        answers
    }

    /// Writes the next batch, if there is one.
    pub fn write(&mut self, now: Time) -> io::Result<bool> {
        let Some(mut batch) = self.batches.pop_front() else { return Ok(false) };
        let end = self.writer.write(&mut batch)?;
        self.machine.recycle(batch);
        if self.bug == Some(Bug::EarlyKeep) {
            self.keep_early(now)?;
        }
        if self.bug == Some(Bug::LostAck) {
            self.machine.handle(now, Input::Durable(end));
        }
        Ok(true)
    }

    /// The fault: the store gets records that are written and not durable.
    fn keep_early(&mut self, now: Time) -> io::Result<()> {
        let written = self.writer.written();
        let owed: Vec<Keep> = self.machine.sns().owed().collect();
        for mut keep in owed {
            keep.records.retain(|record| record.extent.place < written);
            self.mover.put(NOBODY, Order::Keep(keep), Position::default());
        }
        let disk = |error| match error {
            ErrandError::Disk(error) => error,
            ErrandError::Unreadable(what) => io::Error::other(what),
        };
        let moved = self.mover.append(self.writer.durable());
        self.moved(moved).map_err(disk)?;
        self.sync_store(now).map(drop).map_err(disk)
    }

    /// Lets the mover take the next records to the store for retained data. Returns whether it did something.
    pub fn keep(&mut self) -> Result<bool, ErrandError> {
        if self.mover.waits_for().is_none_or(|after| after > self.writer.durable()) {
            return Ok(false);
        }
        let settled = self.mover.settle();
        if self.moved(settled)?.is_none() {
            return Ok(false);
        }
        self.store_waits = !self.writer.note_store().map_err(ErrandError::Disk)?;
        if self.store_waits {
            return Ok(false);
        }
        let moved = self.mover.append(self.writer.durable());
        let Some(moved) = self.moved(moved)? else { return Ok(false) };
        match moved.damage.first() {
            Some(damage) if !self.expects_damage => {
                Err(ErrandError::Unreadable(format!("what is to be kept: {damage}")))
            }
            _ => Ok(moved.did),
        }
    }

    /// Lets the mover sync, and tells the machine what has been kept. Returns whether there was something.
    pub fn sync_store(&mut self, now: Time) -> Result<bool, ErrandError> {
        if !self.mover.is_unsynced() {
            return Ok(false);
        }
        let kept = self.mover.sync();
        for retained::Kept { service, series, through } in self.moved(kept)?.into_iter().flatten() {
            self.machine.handle(now, Input::Kept { service, series, through });
        }
        Ok(true)
    }

    /// Lets the store do a step of its slow work. Returns whether there may be more.
    pub fn tidy_store(&mut self, now: Time) -> Result<bool, ErrandError> {
        let tidied = self.mover.tidy(now);
        Ok(self.moved(tidied)? == Some(true))
    }

    /// The result of a step of the mover; `None` if it must be tried again when there is space.
    fn moved<T>(&mut self, moved: Result<T, MoveError>) -> Result<Option<T>, ErrandError> {
        match moved {
            Ok(moved) => Ok(Some(moved)),
            Err(MoveError::Full) => {
                self.store_waits = true;
                Ok(None)
            }
            Err(MoveError::Log(error) | MoveError::Store(error)) => Err(ErrandError::Disk(error)),
        }
    }

    /// Does all that the mover can do. Returns whether it did something.
    pub fn keep_all(&mut self, now: Time) -> Result<bool, ErrandError> {
        let mut did = self.keep()?;
        while did && self.keep()? {}
        did |= self.sync_store(now)?;
        while self.tidy_store(now)? {
            did = true;
        }
        Ok(did)
    }

    /// Whether something is owed to the store that it has room for; and the log, which may have to say that the store has it.
    pub fn owes(&self) -> bool {
        !self.store_waits && self.machine.room() >= Demand::Purge && self.machine.ledger().owed_bytes() > 0
    }

    /// Syncs everything written, and tells the machine.
    pub fn sync(&mut self, now: Time) -> io::Result<()> {
        let durable = self.writer.sync()?;
        self.machine.handle(now, Input::Durable(durable));
        Ok(())
    }

    /// Writes indexes, prepares the next segment, and tells the machine whether there was space.
    pub fn tidy(&mut self, now: Time) -> io::Result<()> {
        self.writer.tidy()?;
        self.tell_space(now);
        Ok(())
    }

    /// Tells the machine the known space on the disk.
    fn tell_space(&mut self, now: Time) {
        let space = self.writer.space();
        if space != self.space {
            self.space = space;
            let end = match space {
                Space::Ok => None,
                Space::Low(end) => Some(end),
            };
            self.machine.handle(now, Input::Space { end });
        }
    }

    /// Reads nothing for topics that it was asked to, until [`Server::give_recalls`] has what this returns.
    pub fn take_recalls(&mut self) -> Vec<Errand> {
        let is_recall = |errand: &Errand| matches!(errand, Errand::Recall(..) | Errand::Page(..));
        let (recalls, others): (Vec<_>, Vec<_>) = self.errands.drain(..).partition(is_recall);
        self.errands = others.into();
        recalls
    }

    /// What [`Server::take_recalls`] held back is to be read.
    pub fn give_recalls(&mut self, recalls: Vec<Errand>) {
        self.errands.extend(recalls);
    }

    /// Reads records up to the first that lies elsewhere by now.
    fn recall(&self, extents: &[Extent]) -> Result<Vec<Stored>, ErrandError> {
        let mut records = Vec::new();
        for (&extent, record) in extents.iter().zip(self.reader.read_many(extents)) {
            if let Err(ReadError::Gone) = record {
                break;
            }
            let record =
                record.map_err(|error| ErrandError::Unreadable(format!("recall of {extent:?}: {error}")))?;
            let (head, tail) = (record.head.to_vec(), record.tail.to_vec());
            records.push(Stored { extent, head, tail });
        }
        Ok(records)
    }

    /// Notes what was read for a replay, for the checks.
    fn note_recalled(&mut self, purpose: Recall, records: &[Stored]) {
        let Recall::Topics(sns::RecalledFor::Replay(subscription)) = purpose else { return };
        let sns = self.machine.sns();
        let first = records.first().map(|first| first.extent);
        self.recalled.push(Recalled {
            subscription,
            is_wanted: self.machine.room() == Demand::Growth
                && first.is_some_and(|first| sns.is_read_for(subscription, first)),
            records: records.iter().map(|it| (it.head.clone(), it.tail.clone())).collect(),
            next_seq: self.machine.next_number(),
        });
    }

    /// Notes a page that was read for a replay, for the checks.
    fn note_page(&mut self, page: &Page) {
        let subscription = sns::SubscriptionId(page.read.reader);
        self.recalled.push(Recalled {
            subscription,
            is_wanted: self.machine.room() == Demand::Growth
                && self.machine.sns().is_page_for(subscription, &page.read),
            records: page.records.iter().map(|it| (it.head.to_vec(), it.tail.to_vec())).collect(),
            next_seq: self.machine.next_number(),
        });
    }

    /// Does the machine's next read or drop. Returns a description of it.
    pub fn run_errand(&mut self, now: Time) -> Result<Option<String>, ErrandError> {
        if let Some(&(segment, after)) = self.discards.front()
            && after <= self.writer.durable()
        {
            self.discard_waits = !self.writer.discard(segment).map_err(ErrandError::Disk)?;
            if self.discard_waits {
                return Ok(None);
            }
            self.discards.pop_front();
            self.tell_space(now);
            self.machine.handle(now, Input::Discarded { segment });
            return Ok(Some(format!("discarded segment {segment}")));
        }
        match self.errands.pop_front() {
            None => Ok(None),
            Some(Errand::Survey(segment)) => {
                let mut records = Vec::new();
                let surveyed =
                    self.reader.survey(segment, |entry| records.push((entry.extent, entry.head.to_vec())));
                match surveyed {
                    Ok(()) => {}
                    // The segment has died meanwhile, so nothing has to be written forward.
                    Err(_) if self.reader.is_dropped(segment) => {
                        return Ok(Some(format!("{segment} has died")));
                    }
                    Err(_) if self.expects_damage => {
                        self.machine.handle(now, Input::Unreadable { segment, ends: true });
                        return Ok(Some(format!("{segment} cannot be read")));
                    }
                    Err(error) => {
                        return Err(ErrandError::Unreadable(format!("survey of {segment}: {error}")));
                    }
                }
                let done = format!("surveyed segment {segment}: {} records", records.len());
                self.machine.handle(now, Input::Surveyed { segment, records });
                Ok(Some(done))
            }
            Some(Errand::Recall(purpose, extents)) => {
                let records = self.recall(&extents)?;
                let done = format!("recalled {} records for {purpose:?}", records.len());
                self.note_recalled(purpose, &records);
                self.machine.handle(now, Input::Event(purpose.read(records)));
                Ok(Some(done))
            }
            Some(Errand::Page(service, read)) => {
                let (page, damage) = read_page(&self.store, read).map_err(ErrandError::Disk)?;
                if let Some(damage) = damage.first() {
                    return Err(ErrandError::Unreadable(format!("{read:?}: {damage}")));
                }
                let done = format!("read a page of {} records, {read:?}", page.records.len());
                self.note_page(&page);
                self.machine.handle(now, Input::PageRead { service, page });
                Ok(Some(done))
            }
            Some(Errand::Fetch(extents)) => {
                let mut survivors = Vec::new();
                for (&extent, record) in extents.iter().zip(self.reader.read_many(&extents)) {
                    if let Err(ReadError::Gone) = record {
                        // The segment has died since. The machine expects no answer, and the server gives
                        // none.
                        return Ok(Some("fetched from a segment that is gone".to_owned()));
                    }
                    if self.expects_damage && record.is_err() {
                        let segment = extent.place.segment();
                        self.machine.handle(now, Input::Unreadable { segment, ends: false });
                        continue;
                    }
                    let record = record
                        .map_err(|error| ErrandError::Unreadable(format!("fetch of {extent:?}: {error}")))?;
                    survivors.push(Stored { extent, head: record.head.to_vec(), tail: record.tail.to_vec() });
                }
                let done = format!("fetched {} records", survivors.len());
                self.machine.handle(now, Input::Fetched(survivors));
                Ok(Some(done))
            }
        }
    }

    /// Writes, syncs, reads and drops until nothing is left to do. Returns the answers.
    ///
    /// # Errors
    /// The disk fails: the server cannot continue.
    pub fn settle(&mut self, now: Time) -> Result<Vec<Answer>, ErrandError> {
        let mut answers = Vec::new();
        loop {
            answers.extend(self.flush(now).into_iter().map(|(_, answer)| answer));
            let wrote = self.write(now).map_err(ErrandError::Disk)?;
            self.sync(now).map_err(ErrandError::Disk)?;
            let did = self.run_errand(now)?;
            let kept = self.keep_all(now)?;
            if !wrote && did.is_none() && !kept && self.is_idle() {
                answers.extend(self.flush(now).into_iter().map(|(_, answer)| answer));
                // What became durable last may have let go of something that is to be read.
                if self.is_idle() {
                    return Ok(answers);
                }
            }
        }
    }

    /// Returns whether there is nothing to write, read or drop.
    pub fn is_idle(&self) -> bool {
        self.batches.is_empty()
            && self.errands.is_empty()
            && (self.discards.is_empty() || self.discard_waits)
            && (self.mover.is_idle() || self.store_waits)
            && self.machine.is_settled()
            && !self.machine.has_background_work()
    }
}

/// The record as a start with a planted fault sees it.
fn overlook(bug: Option<Bug>, head: &[u8]) -> Option<Cow<'_, [u8]>> {
    match bug {
        Some(Bug::Resurrect) if matches!(Record::decode(head), Ok(Record::MessagesDropped(_))) => {
            return None;
        }
        Some(Bug::RepeatedDelivery)
            if sns::records::Record::decode(head)
                .is_ok_and(|record| matches!(record, sns::records::Record::DeliveriesEnded(_))) =>
        {
            return None;
        }
        Some(
            Bug::ForgottenDelivery
            | Bug::SplitFanOut
            | Bug::RepeatedReplay
            | Bug::ForgottenArchive
            | Bug::ForgottenEvent,
        ) => {}
        _ => return Some(Cow::Borrowed(head)),
    }
    let Ok(mut parcel) = ParcelSent::decode(head) else { return Some(Cow::Borrowed(head)) };
    match bug {
        Some(Bug::ForgottenDelivery) => parcel.deliveries.clear(),
        Some(Bug::RepeatedReplay) => {
            parcel.copies.iter_mut().for_each(|copy| copy.form.replayed = false);
        }
        Some(Bug::ForgottenArchive) => parcel.archived_millis = 0,
        Some(Bug::ForgottenEvent) => parcel.deliveries.retain(|delivery| !delivery.is_to_archive()),
        _ if parcel.copies.len() > 1 => drop(parcel.copies.pop()),
        _ => {}
    }
    let mut less = Vec::new();
    parcel.encode(&mut less);
    Some(Cow::Owned(less))
}

/// Why an operation failed.
#[derive(Debug)]
pub enum ErrandError {
    /// The disk failed, which is allowed.
    Disk(io::Error),
    /// Existing data cannot be read.
    Unreadable(String),
}
