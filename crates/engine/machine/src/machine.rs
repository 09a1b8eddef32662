//! The machine itself: what it is told, what it wants done, and what it remembers in between.

use std::collections::{BTreeSet, VecDeque};

use kernel::codec::Malformed;
use kernel::{Extent, Ledger, Numbers, Place, Position, Secret, Series, ServerIdentified, Time};

use crate::cleaning::Cleaning;
use crate::house::House;
use crate::outbox::{Outbox, Release};
use crate::pace::Pace;
use crate::record::Record;
use crate::{Input, Options, Output, Services};

/// What a mark takes: a frame without records.
const MARK_BYTES: u64 = 64;

/// All services and what they need to be one: secret, counter, the log's writing end, the ledger, the outbox.
#[derive(Debug)]
pub struct Machine<H: House = Services> {
    pub(crate) house: H,
    /// The server's secret, and where its record lies.
    pub(crate) secret: Option<(Secret, Extent)>,
    pub(crate) numbers: Numbers,
    pub(crate) ledger: Ledger,
    pub(crate) appender: journal::Appender,
    pub(crate) outbox: Outbox<Release<H>>,
    pub(crate) cleaning: Cleaning,
    pub(crate) options: Options<H>,
    /// Time never goes back, whatever the clock does.
    pub(crate) now: Time,
    /// Up to where the log can be written, if the disk has no room for another segment.
    pub(crate) space_end: Option<Position>,
    /// Whether a segment may have become worth writing forward since that was last looked for.
    pub(crate) look_for_victim: bool,
    /// Where the log ends with the last batch.
    tail: Position,
    /// Where it ended at the start.
    began: Position,
    pub(crate) outputs: VecDeque<Output<H>>,
    /// While a log is read: the parcels whose parts count.
    closed: BTreeSet<u64>,
    /// Parcels in parts that are not known to be closed durably: where their first parts begin, and what closes them ends.
    pub(crate) closing: VecDeque<(Place, Position)>,
    pub(crate) pace: Pace,
    /// Bytes that may be owed to the store for retained data. A log that owed more at the start may go on, as long as that
    /// becomes less.
    owed_allowed: u64,
}

impl<H: House> Machine<H> {
    /// A machine with an empty log. One whose log holds something is made by a [`Recovery`](crate::Recovery).
    pub fn new(options: Options<H>, appender: journal::Appender) -> Self {
        let end = appender.end();
        let mut ledger = Ledger::default();
        ledger.open(end.segment());
        Machine {
            house: H::default(),
            secret: None,
            numbers: Numbers::new(0),
            ledger,
            appender,
            outbox: Outbox::new(end),
            cleaning: Cleaning::default(),
            pace: Pace::new(options.steps, H::CHORES),
            options,
            now: Time(0),
            space_end: None,
            look_for_victim: true,
            tail: end,
            began: end,
            outputs: VecDeque::new(),
            closed: BTreeSet::new(),
            closing: VecDeque::new(),
            owed_allowed: options.owed_bytes,
        }
    }

    /// Before replay: a segment exists, of this length if it is sealed.
    pub(crate) fn open_segment(&mut self, segment: u32, sealed_bytes: Option<u64>) {
        self.ledger.open(segment);
        if let Some(bytes) = sealed_bytes {
            self.cleaning.sealed(segment, bytes);
        }
    }

    /// Before replay: the machine goes on at `now`, which is not before the log was last written.
    pub(crate) fn replaying(&mut self, now: Time) {
        self.house.replaying(now);
    }

    /// Applies a record of the log.
    pub(crate) fn replay(&mut self, extent: Extent, head: &[u8]) -> Result<(), Malformed> {
        match Record::decode(head)? {
            Record::OfService => self.house.apply(head, extent, &mut self.ledger)?,
            Record::Identified(record) => self.apply_identified(&record, extent),
            Record::Parcel(parcel) => self.apply_parcel(&parcel, extent),
            // A part of what was never closed was never acknowledged, and nobody has it.
            Record::Part(parcel) if self.closed.contains(&parcel.number) => {
                self.apply_parcel(&parcel, extent)
            }
            Record::Part(_) => {}
            Record::Closed(record) => {
                self.closed.insert(record.number);
                self.apply_closed(&record, extent);
            }
            Record::Ids(record) => self.house.remember(&record, extent, &mut self.ledger),
        }
        Ok(())
    }

    /// After replay: numbers below `counter` are taken, and it is `now` at least.
    pub(crate) fn replayed(&mut self, counter: u64, now: Time) {
        self.closed = BTreeSet::new();
        self.numbers.skip_to(counter);
        self.house.replayed(counter, &mut self.ledger);
        self.now = self.now.max(now);
        self.owed_allowed = u64::MAX;
        self.limit_owed();
        H::mend(self);
    }

    /// The secret from which identifiers are made, once there is one.
    pub fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref().map(|(secret, _)| secret)
    }

    /// The number that is drawn next: all below it are taken.
    pub fn next_number(&self) -> u64 {
        self.numbers.next()
    }

    /// The ledger, for whoever only looks.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Something happens at `now`.
    pub fn handle(&mut self, now: Time, input: Input<H>) {
        self.now = self.now.max(now);
        self.advance();
        match input {
            Input::Request { ticket, command } => self.request(ticket, &command),
            Input::Event(event) => H::event(self, event),
            Input::Gone { ticket } => H::gone(self, ticket),
            Input::Durable(position) => {
                self.outbox.advance(position);
                while self.closing.front().is_some_and(|&(_, end)| end <= position) {
                    self.closing.pop_front();
                }
            }
            Input::Kept { service, series, through } => {
                self.house.kept(service, series, through, &mut self.ledger);
                self.limit_owed();
            }
            Input::PageRead { service, page } => H::page_read(self, service, page),
            Input::Tick => self.look_for_victim = true,
            Input::Space { end } => self.space_end = end,
            Input::Identify { secret } => self.identify(&ServerIdentified { secret }),
            Input::Surveyed { segment, records } => self.surveyed(segment, records),
            Input::Fetched(survivors) => self.fetched(survivors),
            Input::Unreadable { segment, ends } => {
                self.cleaning.unreadable(segment, ends);
                self.look_for_victim = true;
            }
            Input::Discarded { segment } => {
                self.ledger.dropped(segment);
                self.cleaning.discarded(segment);
                self.look_for_victim = true;
            }
            Input::Reset => H::reset(self),
            Input::Stop => self.house.stop(),
        }
        H::follow_up(self);
    }

    /// What may be owed falls with what is owed.
    fn limit_owed(&mut self) {
        self.owed_allowed = self.owed_allowed.min(self.ledger.owed_bytes() + self.options.owed_bytes);
    }

    /// Whether the log owes the store as much as it may.
    pub(crate) fn store_lags(&self) -> bool {
        self.ledger.owed_bytes() > self.owed_allowed
    }

    /// Whether a series is any service's. The store deletes what is nobody's.
    pub fn has_series(&self, series: Series) -> bool {
        self.house.has_series(series)
    }

    pub(crate) fn identify(&mut self, record: &ServerIdentified) {
        let recorded = self.record_own(journal::Class::Configuration, |head| record.encode(head));
        if let Some(at) = recorded {
            self.apply_identified(record, at);
        }
    }

    fn apply_identified(&mut self, record: &ServerIdentified, at: Extent) {
        if let Some((_, old)) = self.secret.replace((record.secret, at)) {
            self.ledger.release(old);
        }
        self.ledger.hold(at);
        self.house.identified(&record.secret);
    }

    fn advance(&mut self) {
        self.house.advance(self.now, &mut self.pace.deadlines);
    }

    /// Whether something follows from the time that was told last and has not happened yet, since it was too much.
    /// Every [`Machine::flush`] does some of it. Who moves a virtual clock waits for that before time goes on.
    pub fn is_behind(&self) -> bool {
        self.circumstances().is_some_and(|circumstances| self.house.is_behind(&circumstances))
    }

    /// Closes what has been recorded since the last time into a batch. Call it when no more inputs are at hand.
    pub fn flush(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.pace.begin();
        if self.is_behind() {
            self.advance();
            H::follow_up(self);
        }
        if self.has_background_work() {
            self.house.work_in_background(self.now, &mut self.ledger);
            self.write_forward();
            self.look_for_victim = true;
        }
        let counter = self.numbers.next();
        while let Some(batch) = self.appender.take(self.now, self.outbox.durable(), counter) {
            self.append(batch);
        }
        self.clean();
    }

    /// Before an orderly end, when all is settled: a last frame says that everything before it is durable. Without it,
    /// damage to the last records would be taken for a write that was never finished, and skipped.
    pub fn mark(&mut self) {
        let counter = self.numbers.next();
        if self.tail != self.began
            && self.left().is_none_or(|left| left >= MARK_BYTES)
            && let Some(batch) = self.appender.mark(self.now, self.outbox.durable(), counter)
        {
            self.append(batch);
        }
    }

    fn append(&mut self, batch: journal::Batch) {
        for piece in &batch.pieces {
            if piece.segment != self.tail.segment() {
                self.cleaning.sealed(self.tail.segment(), self.tail.offset().into());
                self.look_for_victim = true;
            }
            self.tail = Place::new(piece.segment, piece.offset + piece.bytes.len() as u32);
        }
        self.outputs.push_back(Output::Append(batch));
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output<H>> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        Some(match self.outbox.take()? {
            Release::Reply(ticket, answer) => Output::Reply { ticket, answer },
            Release::Effect(effect) => Output::Effect(effect),
            Release::Undelivered(undelivered) => Output::Undelivered(undelivered),
            Release::Order(service, order, after) => Output::Order { service, order, after },
        })
    }

    /// Whether what was handed to the log waits for room on the disk, perhaps for ever.
    pub fn is_stalled(&self) -> bool {
        self.space_end.is_some_and(|end| end < self.tail)
    }

    /// Where the log ends when all that was decided so far has been written.
    pub fn end(&self) -> Position {
        self.appender.end()
    }

    /// Whether nothing waits for the disk.
    pub fn is_settled(&self) -> bool {
        self.appender.is_empty() && self.outbox.durable() >= self.tail && !self.house.owes_answers()
    }

    /// When time must be told at the latest ([`Input::Tick`]).
    pub fn wake_at(&self) -> Option<Time> {
        self.house.next_deadline()
    }

    /// Whether there is work to be done as soon as nothing else is: then call [`Machine::flush`] again.
    pub fn has_background_work(&self) -> bool {
        let of_cleaning = self.cleaning.has_work() || self.cleaning.is_searching();
        self.house.has_background_work() || self.is_behind() || of_cleaning
    }

    /// A batch has been written: its buffers can be used again.
    pub fn recycle(&mut self, batch: journal::Batch) {
        self.appender.recycle(batch);
    }
}

pub(crate) fn end_of(extent: Extent) -> Position {
    Place::new(extent.place.segment(), extent.place.offset() + extent.len)
}
