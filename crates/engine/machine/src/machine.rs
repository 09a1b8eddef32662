//! The machine itself: one decision after the other, recorded, applied, answered.

use std::collections::{BTreeSet, VecDeque};

use journal::Overlong;
use kernel::codec::Malformed;
use kernel::gather::{FACT_BYTES, GATHERED_BYTES, in_records};
use kernel::parcel::ParcelClosed;
use kernel::{
    Demand, Extent, IdsRemembered, Ledger, ParcelSent, Place, Position, Refusal, RememberedId, Secret, Time,
};
use sqs::operations::{Draft, Outcome, Setting};
use sqs::records::ServerIdentified;
use sqs::survival::Survival;

use crate::cleaning::{Cleaning, STEP_RECORDS, Survivor};
use crate::outbox::{Outbox, Release};
use crate::record::Record;
use crate::{Command, Input, Options, Output, Reply};

/// A head that names many costs as much as so many records that take so many bytes each.
const HEAD_BYTES: usize = 32;

/// What the second half of a request can take for certain in the group of the first: more than a receive records.
const SECOND_HALF_BYTES: usize = 64 << 10;

/// What a mark takes: a frame without records.
const MARK_BYTES: u64 = 64;

/// In small segments, what is kept for purges on a full disk is this much at least.
const SMALLEST_RESERVE: u64 = 512;

/// Which group of the log records belong to. A crash leaves all of a group or nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Grouping {
    /// They begin a group, with room for so many bytes that extend it.
    Begins(usize),
    /// They extend the group that was recorded last.
    Extends,
}

/// All services and what they need to be one: the log's writing end, the ledger, the outbox.
#[derive(Debug)]
pub struct Machine {
    pub(crate) sns: sns::state::State,
    pub(crate) sqs: sqs::state::State,
    pub(crate) ledger: Ledger,
    pub(crate) appender: journal::Appender,
    pub(crate) outbox: Outbox<Release>,
    cleaning: Cleaning,
    pub(crate) options: Options,
    pub(crate) body_readers: sns::BodyReaders,
    /// Time never goes back, whatever the clock does.
    pub(crate) now: Time,
    /// Up to where the log can be written, if the disk has no room for another segment.
    space_end: Option<Position>,
    /// Whether segments may have died since they were last looked at.
    look_for_dead: bool,
    /// Where the log ends with the last batch.
    tail: Position,
    /// Where it ended at the start.
    began: Position,
    outputs: VecDeque<Output>,
    /// While a log is read: the parcels whose parts count.
    closed: BTreeSet<u64>,
    /// Parcels in parts that are not known to be closed durably: where their first parts begin, and what closes them ends.
    pub(crate) closing: VecDeque<(Place, Position)>,
    pub(crate) pace: Pace,
}

/// How much of what follows without anybody asking may happen until the next flush: about a millisecond's worth of each kind. So
/// no turn is long, however much falls due together, and no kind waits for the end of another.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Deadlines that have come.
    deadlines: usize,
    /// Answers to receives that waited, messages that move.
    soon: usize,
    /// Messages that expire.
    expired: usize,
    /// Subscriptions that end unconfirmed, steps of replays.
    pub(crate) topics: usize,
    /// Deliveries that are tried.
    pub(crate) deliveries: usize,
}

impl Pace {
    /// For `steps` of the cheapest.
    fn for_steps(steps: usize) -> Self {
        let part = |part: usize| (steps / part).max(1);
        Pace { deadlines: part(1), soon: part(1), expired: part(2), topics: part(10), deliveries: part(2) }
    }
}

impl Machine {
    /// A machine that goes on where a log ends. What the log holds is to be handed in with [`Machine::replay`] before
    /// anything else: all of configuration first, then all of the flow; between [`Machine::replaying`] and
    /// [`Machine::replayed`].
    pub fn new(options: Options, appender: journal::Appender) -> Self {
        let end = appender.end();
        let mut ledger = Ledger::default();
        ledger.open(end.segment());
        Machine {
            sns: sns::state::State::default(),
            sqs: sqs::state::State::default(),
            ledger,
            appender,
            outbox: Outbox::new(end),
            cleaning: Cleaning::default(),
            pace: Pace::for_steps(options.steps),
            options,
            body_readers: sns::BodyReaders::default(),
            now: Time(0),
            space_end: None,
            look_for_dead: true,
            tail: end,
            began: end,
            outputs: VecDeque::new(),
            closed: BTreeSet::new(),
            closing: VecDeque::new(),
        }
    }

    /// What it learns of topics whose messages are taken apart: for those who prepare requests.
    pub fn body_readers(&self) -> sns::BodyReaders {
        self.body_readers.clone()
    }

    /// Before replay: a segment exists, of this length if it is sealed.
    pub fn open_segment(&mut self, segment: u32, sealed_bytes: Option<u64>) {
        self.ledger.open(segment);
        if let Some(bytes) = sealed_bytes {
            self.cleaning.sealed(segment, bytes);
        }
    }

    /// Before replay: the machine goes on at `now`, which is not before the log was last written.
    pub fn replaying(&mut self, now: Time) {
        self.sqs.replaying(now);
        self.sns.replaying(now);
    }

    /// A record of the log: what it says has happened.
    pub fn replay(&mut self, extent: Extent, head: &[u8]) -> Result<(), Malformed> {
        match Record::decode(head)? {
            Record::Sqs(record) => self.sqs.apply(&record, extent, &mut self.ledger),
            Record::Sns(record) => self.sns.apply(&record, extent, &mut self.ledger),
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
            Record::Ids(record) => self.apply_ids(&record, extent),
        }
        Ok(())
    }

    /// After replay: numbers below `counter` are taken, and it is `now` at least: what [`Machine::replaying`] was told.
    pub fn replayed(&mut self, counter: u64, now: Time) {
        self.closed = BTreeSet::new();
        self.sns.replayed(counter);
        self.agree_on_numbers();
        self.sqs.replayed(counter, &mut self.ledger);
        self.now = self.now.max(now);
        self.note(self.sqs.histories_cut_off());
    }

    /// The secret from which message ids are made, once there is one.
    pub fn secret(&self) -> Option<&Secret> {
        self.sqs.secret()
    }

    /// What queues are, for whoever only looks.
    pub fn sqs(&self) -> &sqs::state::State {
        &self.sqs
    }

    /// What topics are, for whoever only looks.
    pub fn sns(&self) -> &sns::state::State {
        &self.sns
    }

    /// The ledger, for whoever only looks.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Something happens at `now`.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        self.advance();
        match input {
            Input::Request { ticket, command } => self.request(ticket, &command),
            Input::Recalled { subscription, records } => self.recalled(subscription, &records),
            Input::Delivered { number, outcome, parcel } => self.delivered(number, outcome, parcel),
            Input::Gone { ticket } => {
                if self.sqs.stop_waiting(ticket).is_some() {
                    // An answer, though nobody reads it: with it the ticket can be used again.
                    self.settle(Some(ticket), Outcome::Reply(Ok(sqs::operations::Reply::Done)));
                }
            }
            Input::Durable(position) => {
                self.outbox.advance(position);
                while self.closing.front().is_some_and(|&(_, end)| end <= position) {
                    self.closing.pop_front();
                }
            }
            Input::Tick => self.look_for_dead = true,
            Input::Space { end } => self.space_end = end,
            Input::Identify { secret } => {
                let record = sqs::records::Record::ServerIdentified(ServerIdentified { secret });
                self.note(vec![record.into()]);
            }
            Input::Surveyed { segment, records } => self.surveyed(segment, records),
            Input::Fetched(survivors) => self.fetched(survivors),
            Input::Damaged(messages) => self.damaged(&messages),
            Input::Unreadable { segment, ends } => {
                self.cleaning.unreadable(segment, ends);
                self.look_for_dead = true;
            }
            Input::RecallFailed { subscription, extent } => self.sns.replay_passes(subscription, extent),
            Input::Discarded { segment } => {
                self.ledger.dropped(segment);
                self.cleaning.discarded(segment);
                self.look_for_dead = true;
            }
            Input::Reset => {
                let records = self.sqs.reset(self.now);
                self.note(records);
                for record in self.sns.reset() {
                    self.note_sns(&record);
                }
            }
            Input::Stop => self.sqs.end_polls(),
        }
        self.follow_up();
    }

    fn request(&mut self, ticket: u64, command: &Command) {
        let demand = match command {
            Command::Sns(command) => command.demand(),
            Command::Sqs(command) => command.demand(),
        };
        let room = self.room();
        if demand > room {
            let refusal = Err(Refusal::new("ServiceUnavailable", refusal_text(room)));
            self.outbox.put(self.appender.end(), Release::Reply(ticket, refusal));
            return;
        }
        let command = match command {
            Command::Sns(command) => return self.sns_request(ticket, command),
            Command::Sqs(command) => command,
        };
        let limits = self.options.sqs_limits;
        let setting = Setting { now: self.now, limits: &limits, ticket };
        let mut decision = command.decide(&self.sqs, &setting);
        if let Outcome::Halfway(deleted) = decision.outcome {
            let mut grouping = Grouping::Begins(0);
            let room = self.group_room(SECOND_HALF_BYTES);
            if !decision.records.is_empty() {
                grouping = Grouping::Extends;
                let noted = self.commit(&decision.records, usize::MAX, Grouping::Begins(room));
                debug_assert!(noted.is_ok(), "{noted:?}");
            }
            if self.room() < Demand::Change {
                return self.settle(Some(ticket), command.leave_out_the_rest(deleted, &self.sqs));
            }
            decision = command.decide_the_rest(deleted, &self.sqs, &setting);
            if self.commit(&decision.records, FACT_BYTES, grouping).is_err() {
                // The segment has no room for a receive that moves so many dead letters. The next receive moves them.
                decision.outcome = decision.outcome.without_messages();
            }
            return self.settle(Some(ticket), decision.outcome);
        }
        let outcome = match self.commit(&decision.records, FACT_BYTES, Grouping::Begins(0)) {
            Ok(()) => decision.outcome,
            Err(overlong) => Outcome::Reply(Err(too_long("InvalidParameterValueException", overlong))),
        };
        self.settle(Some(ticket), outcome);
    }

    /// How much room to leave for the extension of a group: what it takes, but no large part of a small segment.
    pub(crate) fn group_room(&self, bytes: usize) -> usize {
        bytes.min(self.appender.segment_bytes() as usize / 8)
    }

    /// Records the facts of one decision as one group and then applies them.
    ///
    /// Errors: the head of the first is longer than `most`, or all are longer than a group may be, or an extension has no room
    /// in its segment. Then nothing is recorded. Only a declaration has a long head, since its attributes are what a client
    /// says, and a request declares one thing.
    fn commit(&mut self, drafts: &[Draft<'_>], most: usize, grouping: Grouping) -> Result<(), Overlong> {
        if let [draft] = drafts {
            let class = class_of(draft.record.is_configuration());
            let extent = self.record(class, most, grouping, |head| draft.record.encode(head), &draft.tail)?;
            self.sqs.apply(&draft.record, extent, &mut self.ledger);
        } else if !drafts.is_empty() {
            let fill = |group: &mut journal::Group<'_>| {
                let records = drafts.iter().map(|draft| {
                    let encode = |head: &mut Vec<u8>| draft.record.encode(head);
                    (class_of(draft.record.is_configuration()), encode, &draft.tail[..])
                });
                push_all(group, most, records)
            };
            let extents = match grouping {
                Grouping::Begins(room) => self.appender.group(room, fill)?,
                Grouping::Extends => self.appender.extend_group(fill)?,
            };
            for (draft, &extent) in drafts.iter().zip(extents) {
                self.ledger.open(extent.place.segment());
                self.sqs.apply(&draft.record, extent, &mut self.ledger);
            }
        }
        self.agree_on_numbers();
        Ok(())
    }

    /// Records facts that the machine itself has made, as a group if they are no longer than one may be. (What expires or is
    /// purged together can be longer. Then each record is sound without the others.)
    pub(crate) fn note(&mut self, drafts: Vec<Draft<'_>>) {
        if self.commit(&drafts, usize::MAX, Grouping::Begins(0)).is_ok() {
            return;
        }
        for draft in drafts.chunks(1) {
            let noted = self.commit(draft, usize::MAX, Grouping::Begins(0));
            debug_assert!(noted.is_ok(), "{noted:?}");
        }
    }

    /// Adds a record to the log.
    pub(crate) fn record(
        &mut self,
        class: journal::Class,
        most: usize,
        grouping: Grouping,
        head: impl FnOnce(&mut Vec<u8>),
        tail: &[u8],
    ) -> Result<Extent, Overlong> {
        let mut bytes = 0;
        let head = measured(head, &mut bytes);
        let extent = match grouping {
            Grouping::Begins(0) => self.appender.try_push(class, most, head, tail)?,
            Grouping::Begins(room) => {
                first(self.appender.group(room, |group| group.push(class, most, head, tail))?)
            }
            Grouping::Extends => {
                first(self.appender.extend_group(|group| group.push(class, most, head, tail))?)
            }
        };
        assert_divided(class, bytes);
        self.ledger.open(extent.place.segment());
        Ok(extent)
    }

    /// Sends an outcome on its way.
    fn settle(&mut self, ticket: Option<u64>, outcome: Outcome) {
        match outcome {
            Outcome::Reply(answer) => {
                let Some(ticket) = ticket else { return };
                let rests_on = self.rests_on(&answer);
                self.outbox.put(rests_on, Release::Reply(ticket, answer.map(Reply::Sqs)));
            }
            Outcome::Wait(queue, waiter) => self.sqs.wait(queue, waiter),
            // A request goes on with its other half before it is settled, and nothing else has any.
            Outcome::Halfway(_) | Outcome::Silence => {}
        }
    }

    /// What must be durable before an answer goes out: everything so far, so that no crash makes a liar of us. But the
    /// receive of a standard queue need not itself be on disk, only the messages that it gives, and that they are where
    /// they are: if a crash took back a move, its handle would be another message's.
    fn rests_on(&self, answer: &Result<sqs::operations::Reply, Refusal>) -> Position {
        match answer {
            Ok(sqs::operations::Reply::Received(received))
                if !self.sqs.is_fifo(received.queue)
                    && received
                        .messages
                        .iter()
                        .all(|message| !self.sqs.is_moved(received.queue, message.seq)) =>
            {
                received
                    .messages
                    .iter()
                    .map(|message| self.counts_from(message.extent))
                    .max()
                    .unwrap_or_else(|| self.outbox.durable())
            }
            _ => self.appender.end(),
        }
    }

    /// Up to where the log must be durable so that the parcel or message at `extent` is there after a crash.
    pub(crate) fn counts_from(&self, extent: Extent) -> Position {
        let closes =
            |&(from, end): &(Place, Position)| (from <= extent.place && extent.place < end).then_some(end);
        self.closing.iter().find_map(closes).unwrap_or_else(|| end_of(extent))
    }

    fn advance(&mut self) {
        self.sqs.advance_some(self.now, &mut self.pace.deadlines);
        self.sns.advance_some(self.now, &mut self.pace.deadlines);
    }

    /// Does what follows, as much of it as may happen until the next flush. Requests come between.
    fn follow_up(&mut self) {
        while self.pace.soon > 0
            && let Some(consequence) = self.sqs.follow_up_soon(self.now, self.room())
        {
            self.pace.soon = self.pace.soon.saturating_sub(consequence.cost());
            self.follow(consequence);
        }
        while self.pace.expired > 0
            && let Some(consequence) = self.sqs.expire(self.now, self.room())
        {
            self.pace.expired = self.pace.expired.saturating_sub(consequence.cost());
            self.follow(consequence);
        }
        while self.pace.topics > 0
            && self.room() >= Demand::Delete
            && let Some(records) = self.sns.follow_up(self.now)
        {
            self.pace.topics -= 1;
            records.iter().for_each(|record| self.note_sns(record));
        }
        self.go_on_replaying();
        self.start_deliveries();
    }

    fn follow(&mut self, consequence: sqs::consequences::Consequence) {
        self.note(consequence.records);
        self.settle(consequence.ticket, consequence.outcome);
    }

    /// Whether something follows from the time that was told last and has not happened yet, since it was too much.
    /// Every [`Machine::flush`] does some of it. Who moves a virtual clock waits for that before time goes on.
    pub fn is_behind(&self) -> bool {
        let room = self.room();
        self.sqs.is_behind(room) || self.sns.is_behind(self.now, room, self.options.attempts)
    }

    /// Closes what has been recorded since the last time into a batch. Call it when no more inputs are at hand.
    pub fn flush(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.pace = Pace::for_steps(self.options.steps);
        if self.is_behind() {
            self.advance();
            self.follow_up();
        }
        if self.has_background_work() {
            self.sqs.work_in_background(&mut self.ledger);
            self.sns.work_in_background(self.now, &mut self.ledger);
            self.write_forward();
            self.look_for_dead = true;
        }
        let counter = self.sqs.next_seq();
        while let Some(batch) = self.appender.take(self.now, self.outbox.durable(), counter) {
            self.append(batch);
        }
        self.clean();
    }

    /// Before an orderly end, when all is settled: a last frame says that everything before it is durable. Without it,
    /// damage to the last records would be taken for a write that was never finished, and skipped.
    pub fn mark(&mut self) {
        let counter = self.sqs.next_seq();
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
                self.look_for_dead = true;
            }
            self.tail = Place::new(piece.segment, piece.offset + piece.bytes.len() as u32);
        }
        self.outputs.push_back(Output::Append(batch));
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        Some(match self.outbox.take()? {
            Release::Reply(ticket, answer) => Output::Reply { ticket, answer },
            Release::Deliver(attempt) => Output::Deliver(attempt),
            Release::Refused(refused) => Output::Refused(refused),
            Release::Recall(subscription, extents) => Output::Recall { subscription, extents },
        })
    }

    /// What the disk has room for.
    pub fn room(&self) -> Demand {
        let Some(left) = self.left() else { return Demand::Growth };
        let enough = |demand: &Demand| left > self.reserve(*demand);
        let by_need = [Demand::Change, Demand::Delete, Demand::Purge];
        by_need.into_iter().find(enough).unwrap_or(Demand::Nothing)
    }

    /// Bytes that the log can still take, if the disk has no room for another segment.
    fn left(&self) -> Option<u64> {
        let (end, at) = (self.space_end?, self.appender.end());
        let segments = u64::from(end.segment()).saturating_sub(at.segment().into());
        if end.segment() < at.segment() {
            return Some(0);
        }
        let whole = segments * u64::from(self.appender.segment_bytes());
        Some((whole + u64::from(end.offset())).saturating_sub(at.offset().into()))
    }

    /// Bytes that are kept for what asks for less than this.
    fn reserve(&self, demand: Demand) -> u64 {
        let segment = u64::from(self.appender.segment_bytes());
        match demand {
            Demand::Nothing => 0,
            Demand::Purge => (segment / 64).max(SMALLEST_RESERVE),
            Demand::Delete => (segment / 16).max(2 * SMALLEST_RESERVE),
            Demand::Change | Demand::Growth => segment / 2,
        }
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
        self.appender.is_empty() && self.outbox.durable() >= self.tail && !self.sqs.has_ended_polls()
    }

    /// When time must be told at the latest ([`Input::Tick`]).
    pub fn wake_at(&self) -> Option<Time> {
        [self.sqs.next_deadline(), self.sns.next_deadline()].into_iter().flatten().min()
    }

    /// Whether there is work to be done as soon as nothing else is: then call [`Machine::flush`] again.
    pub fn has_background_work(&self) -> bool {
        let of_services = self.sqs.has_background_work() || self.sns.has_background_work();
        of_services || self.is_behind() || self.cleaning.has_work()
    }

    /// A batch has been written: its buffers can be used again.
    pub fn recycle(&mut self, batch: journal::Batch) {
        self.appender.recycle(batch);
    }

    fn clean(&mut self) {
        self.look_for_dead |= self.ledger.take_emptied();
        // On a full disk nothing is sealed any more, which is what else makes one look.
        if self.look_for_dead || self.space_end.is_some() {
            self.look_for_dead = false;
            self.cleaning.find_dead(&self.ledger, self.now, self.appender.end());
            let durable = self.outbox.durable();
            let left = self.left().map(|left| left.saturating_sub(self.reserve(Demand::Delete)));
            if let Some(segment) = self.cleaning.find_victim(&self.ledger, self.now, durable, left) {
                self.outputs.push_back(Output::Survey { segment });
            }
        }
        if let Some(segment) = self.cleaning.next_discard(self.outbox.durable()) {
            self.outputs.push_back(Output::Discard { segment });
        }
    }

    fn surveyed(&mut self, segment: u32, records: Vec<(Extent, Vec<u8>)>) {
        if let Some(forwarding) = self.cleaning.forwarding.as_mut().filter(|now| now.segment == segment) {
            forwarding.surveyed = Some(records.into());
        }
    }

    /// Goes on with the segment that is being written forward: a step at a time, so that requests come between.
    fn write_forward(&mut self) {
        // What is being read is waited for.
        if !self.cleaning.has_work() {
            return;
        }
        if self.room() < Demand::Delete {
            // What was written again is dead in the old segment already. The rest stays there until there is more room.
            self.cleaning.forwarding = None;
            return;
        }
        let Some(forwarding) = &mut self.cleaning.forwarding else { return };
        let segment = forwarding.segment;
        let mut room = STEP_RECORDS;
        if let Some(mut heads) = forwarding.surveyed.take() {
            let mut ids = Vec::new();
            while room > 0
                && let Some((extent, head)) = heads.pop_front()
            {
                room = room.saturating_sub(1 + head.len() / HEAD_BYTES);
                self.look_at_head(extent, head, &mut ids);
            }
            for ids in in_records(ids, RememberedId::most_bytes) {
                self.commit_ids(&IdsRemembered { ids });
            }
            // It may have died meanwhile.
            let Some(forwarding) = &mut self.cleaning.forwarding else { return };
            if !heads.is_empty() {
                forwarding.surveyed = Some(heads);
                return;
            }
            self.ledger.facts_copied(segment);
            return self.fetch_more();
        }
        while room > 0
            && let Some(forwarding) = &mut self.cleaning.forwarding
            && let Some(survivor) = forwarding.fetched.pop_front()
        {
            room = room.saturating_sub(1 + survivor.head.len() / HEAD_BYTES);
            self.write_again(&survivor);
        }
        if self.cleaning.forwarding.as_ref().is_some_and(|forwarding| forwarding.fetched.is_empty()) {
            self.fetch_more();
        }
    }

    /// What a record of a segment that is being given up still says is said again, or its payload is to be fetched for that.
    fn look_at_head(&mut self, extent: Extent, head: Vec<u8>, ids: &mut Vec<RememberedId>) {
        self.find_ids(&head, ids);
        match self.survival(&head, extent) {
            Ok(Survival::Payload) => {
                // Its payload may die before it is fetched; what it says of the dead is needed even so.
                self.say_ends_again(&head, extent);
                if let Some(forwarding) = &mut self.cleaning.forwarding {
                    forwarding.to_fetch.push_back(extent);
                }
            }
            Ok(Survival::Fact) => self.write_again(&Survivor { extent, head, tail: Vec::new() }),
            // What cannot be read was refused when the log was opened, so it cannot be here.
            Ok(Survival::Dead) | Err(Malformed) => {}
        }
    }

    /// The deduplication ids that a record tells and that still count.
    fn find_ids(&self, head: &[u8], ids: &mut Vec<RememberedId>) {
        match Record::decode(head) {
            Ok(Record::Sqs(sqs::records::Record::MessageSent(record))) => {
                ids.extend(self.sqs.id_to_remember(&record));
            }
            Ok(Record::Parcel(parcel) | Record::Part(parcel)) => {
                ids.extend(self.sns.id_to_remember(&parcel, self.now));
                ids.extend(self.sqs.ids_to_remember(&parcel));
            }
            Ok(Record::Ids(record)) => {
                let counts =
                    |id: &RememberedId| self.sqs.still_counts(id) || self.sns.still_counts(id, self.now);
                ids.extend(record.ids.into_iter().filter(counts));
            }
            Ok(Record::Sqs(_) | Record::Sns(_) | Record::Closed(_)) | Err(Malformed) => {}
        }
    }

    /// What is still to be said of a parcel that was closed: that those of its parts count that still lie where they were.
    fn closed_again(&self, record: &ParcelClosed, at: Extent) -> ParcelClosed {
        let segments = record.segments.iter().copied();
        let segments = segments.filter(|&segment| self.ledger.needs_tombstone(segment, at)).collect();
        ParcelClosed { number: record.number, segments }
    }

    fn commit_ids(&mut self, record: &IdsRemembered) {
        let noted = self.record(
            journal::Class::Flow,
            usize::MAX,
            Grouping::Begins(0),
            |head| record.encode(head),
            &[],
        );
        debug_assert!(noted.is_ok(), "{noted:?}");
        if let Ok(at) = noted {
            self.apply_ids(record, at);
        }
    }

    fn apply_ids(&mut self, record: &IdsRemembered, at: Extent) {
        self.sns.ids_remembered(record, at, &mut self.ledger);
        self.sqs.ids_remembered(record, at, &mut self.ledger);
    }

    /// A replay has come as far as it has, whatever becomes of what it handed on.
    fn say_progress_again(&mut self, at: Extent) {
        if let Some(record) = self.sns.replay_advanced_again(at) {
            self.note_sns(&sns::records::Record::ReplayAdvanced(record));
        }
    }

    /// The deliveries that a dead letter has ended stay ended, whatever becomes of the letter; and so with replays.
    fn say_ends_again(&mut self, head: &[u8], at: Extent) {
        let Ok(Record::Parcel(parcel) | Record::Part(parcel)) = Record::decode(head) else { return };
        self.say_progress_again(at);
        let ended = sns::survival::ended_again(&parcel.ends, at, &self.ledger);
        if !ended.is_empty() {
            let record = sns::records::DeliveriesEnded { ended };
            self.note_sns(&sns::records::Record::DeliveriesEnded(record));
        }
    }

    /// Messages that cannot be read leave their queues. If the disk has no room to say so, they will be met again.
    fn damaged(&mut self, messages: &[(sqs::QueueId, sqs::Seq, Extent)]) {
        for &(queue, seq, at) in messages {
            if self.room() >= Demand::Delete
                && let Some(damaged) = self.sqs.damaged(queue, seq, at)
            {
                self.note(vec![damaged]);
            }
        }
    }

    fn fetched(&mut self, survivors: Vec<Survivor>) {
        let Some(forwarding) = &mut self.cleaning.forwarding else { return };
        match survivors.first() {
            None => self.fetch_more(),
            // Perhaps its segment has died meanwhile, and another is being written forward.
            Some(first) if first.extent.place.segment() == forwarding.segment => {
                forwarding.fetched.extend(survivors);
            }
            Some(_) => {}
        }
    }

    fn fetch_more(&mut self) {
        match self.cleaning.next_fetch() {
            Some(extents) => self.outputs.push_back(Output::Fetch(extents)),
            None => {
                self.cleaning.forwarding = None;
                self.look_for_dead = true;
            }
        }
    }

    fn survival(&self, head: &[u8], at: Extent) -> Result<Survival, Malformed> {
        let of = |is_needed| if is_needed { Survival::Fact } else { Survival::Dead };
        Ok(match Record::decode(head)? {
            Record::Sqs(_) => self.sqs.survival(head, at, &self.ledger)?,
            Record::Sns(_) => of(self.sns.write_again(head, at, &self.ledger)?.is_some()),
            Record::Parcel(parcel) | Record::Part(parcel) => {
                let again = self.parcel_again(&parcel, at);
                if is_payload_needed(&again) {
                    Survival::Payload
                } else {
                    of(!again.ends.is_empty() || self.sns.replay_advanced_again(at).is_some())
                }
            }
            Record::Closed(record) => of(!self.closed_again(&record, at).segments.is_empty()),
            // What of them still counts is gathered.
            Record::Ids(_) => Survival::Dead,
        })
    }

    fn write_again(&mut self, survivor: &Survivor) {
        // What was alive when it was asked for may have died since: then nothing is written.
        let (head, tail, at) = (&survivor.head, &survivor.tail, survivor.extent);
        match Record::decode(head) {
            Ok(Record::Sqs(_)) => {
                if let Ok(drafts) = self.sqs.write_again(head, tail, at, &self.ledger) {
                    self.note(drafts);
                }
            }
            Ok(Record::Sns(_)) => {
                if let Ok(Some(record)) = self.sns.write_again(head, at, &self.ledger) {
                    self.note_sns(&record);
                }
            }
            Ok(Record::Parcel(parcel) | Record::Part(parcel)) => {
                let again = self.parcel_again(&parcel, at);
                let is_needed = is_payload_needed(&again);
                if is_needed || !again.ends.is_empty() {
                    let placed = self.sqs.placed_again(&again.copies);
                    self.commit_parcel(&again, if is_needed { tail } else { &[] }, Grouping::Begins(0));
                    self.note(placed);
                }
                self.say_progress_again(at);
            }
            Ok(Record::Closed(record)) => {
                let again = self.closed_again(&record, at);
                if !again.segments.is_empty() {
                    self.close_parcel(&again);
                }
            }
            // They are gathered from the heads alone.
            Ok(Record::Ids(_)) | Err(Malformed) => {}
        }
    }

    /// A parcel as it is to be written now: with those of its takers whose payload still lies at `at`.
    fn parcel_again<'a>(&self, parcel: &ParcelSent<'a>, at: Extent) -> ParcelSent<'a> {
        ParcelSent {
            copies: self.sqs.copies_again(parcel, at),
            deliveries: self.sns.deliveries_again(parcel, at),
            ends: sns::survival::ended_again(&parcel.ends, at, &self.ledger),
            archived_millis: if self.sns.is_archived(parcel, at) { parcel.archived_millis } else { 0 },
            forwarded: true,
            ..parcel.clone()
        }
    }
}

/// What a client hears that asks for more than the disk has room for.
fn refusal_text(room: Demand) -> &'static str {
    match room {
        Demand::Growth | Demand::Change => {
            "The disk that holds this server's data is full. Nothing was stored; receives and deletes still work. Free \
             some space, or delete messages, and try again."
        }
        Demand::Delete => {
            "The disk that holds this server's data is full, and what is left is kept for deletes. Nothing was done. Free \
             some space, or delete messages, purge or delete queues, and try again."
        }
        Demand::Purge => {
            "The disk that holds this server's data is full, and what is left is kept for PurgeQueue, DeleteQueue and \
             DeleteTopic. Nothing was done. Free some space, or purge or delete queues, and try again."
        }
        Demand::Nothing => {
            "The disk that holds this server's data is full, and nothing can be written any more. Nothing was done. Free \
             some space and try again."
        }
    }
}

/// Whether anybody still needs what a parcel carries.
fn is_payload_needed(parcel: &ParcelSent<'_>) -> bool {
    !parcel.copies.is_empty() || !parcel.deliveries.is_empty() || parcel.archived_millis > 0
}

/// Pushes the records of one decision. The head of the first may have `most` bytes.
pub(crate) fn push_all<'r>(
    group: &mut journal::Group<'_>,
    mut most: usize,
    records: impl Iterator<Item = (journal::Class, impl FnOnce(&mut Vec<u8>), &'r [u8])>,
) -> Result<(), Overlong> {
    for (class, head, tail) in records {
        let mut bytes = 0;
        group.push(class, most, measured(head, &mut bytes), tail)?;
        assert_divided(class, bytes);
        most = usize::MAX;
    }
    Ok(())
}

/// The same head, which stores its length in `bytes`.
fn measured(head: impl FnOnce(&mut Vec<u8>), bytes: &mut usize) -> impl FnOnce(&mut Vec<u8>) {
    |out| {
        let before = out.len();
        head(out);
        *bytes = out.len() - before;
    }
}

/// Checks in debug builds that a fact which gathers many things was divided into records of a bounded size.
fn assert_divided(class: journal::Class, bytes: usize) {
    debug_assert!(
        class == journal::Class::Configuration || bytes <= 2 * GATHERED_BYTES,
        "a record of the flow has a head of {bytes} bytes: what gathers must be divided"
    );
}

/// Where the only record of a group lies.
fn first(extents: &[Extent]) -> Extent {
    extents.first().copied().unwrap_or_default()
}

/// In which of the two passes over a log a record is read.
pub(crate) fn class_of(is_configuration: bool) -> journal::Class {
    if is_configuration { journal::Class::Configuration } else { journal::Class::Flow }
}

/// What a client hears that asks for more than a record can hold.
pub(crate) fn too_long(shape: &'static str, overlong: Overlong) -> Refusal {
    let text = format!(
        "With this change the resource's attributes, tags and policies take {} bytes together; {FACT_BYTES} are the most that a \
         resource can have.",
        overlong.bytes
    );
    Refusal::new(shape, text)
}

pub(crate) fn end_of(extent: Extent) -> Position {
    Place::new(extent.place.segment(), extent.place.offset() + extent.len)
}
