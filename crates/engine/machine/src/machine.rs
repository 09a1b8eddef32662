//! The machine itself: one decision after the other, recorded, applied, answered.

use std::collections::VecDeque;

use kernel::codec::Malformed;
use kernel::{Extent, Ledger, Place, Position, Refusal, Secret, Time};
use sqs::operations::{Draft, Outcome, Setting};
use sqs::records::{Record, ServerIdentified};
use sqs::survival::Survival;

use crate::cleaning::{Cleaning, Survivor};
use crate::outbox::Outbox;
use crate::{Answer, Command, Input, Options, Output, Reply};

/// All services and what they need to be one: the log's writing end, the ledger, the outbox.
#[derive(Debug)]
pub struct Machine {
    sqs: sqs::state::State,
    ledger: Ledger,
    appender: journal::Appender,
    outbox: Outbox<(u64, Answer)>,
    cleaning: Cleaning,
    options: Options,
    /// Time never goes back, whatever the clock does.
    now: Time,
    space_low: bool,
    /// Whether segments may have died since they were last looked at.
    look_for_dead: bool,
    /// Where the log ends with the last batch.
    tail: Position,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// A machine that goes on where a log ends. What the log holds is to be handed in with [`Machine::replay`] before
    /// anything else: all of configuration first, then all of the flow.
    pub fn new(options: Options, appender: journal::Appender) -> Self {
        let end = appender.end();
        let mut ledger = Ledger::default();
        ledger.open(end.segment());
        Machine {
            sqs: sqs::state::State::default(),
            ledger,
            appender,
            outbox: Outbox::new(end),
            cleaning: Cleaning::default(),
            options,
            now: Time(0),
            space_low: false,
            look_for_dead: true,
            tail: end,
            outputs: VecDeque::new(),
        }
    }

    /// Before replay: a segment exists, of this length if it is sealed.
    pub fn open_segment(&mut self, segment: u32, sealed_bytes: Option<u64>) {
        self.ledger.open(segment);
        if let Some(bytes) = sealed_bytes {
            self.cleaning.sealed(segment, bytes);
        }
    }

    /// A record of the log: what it says has happened.
    pub fn replay(&mut self, extent: Extent, head: &[u8]) -> Result<(), Malformed> {
        let record = Record::decode(head)?;
        self.sqs.apply(&record, extent, &mut self.ledger);
        Ok(())
    }

    /// After replay: numbers below `counter` are taken, and it was at least `now` when the log was last written.
    pub fn replayed(&mut self, counter: u64, now: Time) {
        self.sqs.replayed(counter);
        self.now = self.now.max(now);
    }

    /// The secret from which message ids are made, once there is one.
    pub fn secret(&self) -> Option<&Secret> {
        self.sqs.secret()
    }

    /// What queues are, for whoever only looks.
    pub fn sqs(&self) -> &sqs::state::State {
        &self.sqs
    }

    /// The ledger, for whoever only looks.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Something happens at `now`.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        self.sqs.advance(self.now);
        match input {
            Input::Request { ticket, command } => self.request(ticket, &command),
            Input::Gone { ticket } => {
                if self.sqs.stop_waiting(ticket).is_some() {
                    // An answer, though nobody reads it: with it the ticket can be used again.
                    self.settle(Some(ticket), Outcome::Reply(Ok(sqs::operations::Reply::Done)));
                }
            }
            Input::Durable(position) => self.outbox.advance(position),
            Input::Tick => self.look_for_dead = true,
            Input::Space { low } => self.space_low = low,
            Input::Identify { secret } => {
                let record = Record::ServerIdentified(ServerIdentified { secret });
                self.commit(vec![record.into()]);
            }
            Input::Surveyed { segment, records } => self.surveyed(segment, &records),
            Input::Fetched(survivors) => self.fetched(&survivors),
            Input::Discarded { segment } => {
                self.ledger.dropped(segment);
                self.cleaning.discarded(segment);
                self.look_for_dead = true;
            }
            Input::Reset => {
                let records = self.sqs.reset(self.now);
                self.commit(records);
            }
            Input::Stop => self.sqs.end_polls(),
        }
        self.follow_up();
    }

    fn request(&mut self, ticket: u64, command: &Command) {
        let Command::Sqs(command) = command;
        if self.space_low && command.grows() {
            let text = "The disk that holds this server's data is full. Nothing was stored; receives and deletes still \
                        work. Free some space, or delete messages, and try again.";
            self.outbox.put(self.appender.end(), (ticket, Err(Refusal::new("ServiceUnavailable", text))));
            return;
        }
        let setting = Setting { now: self.now, limits: &self.options.sqs_limits, ticket };
        let decision = command.decide(&self.sqs, &setting);
        self.commit(decision.records);
        self.settle(Some(ticket), decision.outcome);
    }

    /// Records facts and makes them true.
    fn commit(&mut self, drafts: Vec<Draft<'_>>) {
        for draft in drafts {
            let class = if draft.record.is_configuration() {
                journal::Class::Configuration
            } else {
                journal::Class::Flow
            };
            let extent = self.appender.push(class, |head| draft.record.encode(head), &draft.tail);
            self.ledger.open(extent.place.segment());
            self.sqs.apply(&draft.record, extent, &mut self.ledger);
        }
    }

    /// Sends an outcome on its way.
    fn settle(&mut self, ticket: Option<u64>, outcome: Outcome) {
        match outcome {
            Outcome::Reply(answer) => {
                let Some(ticket) = ticket else { return };
                let rests_on = self.rests_on(&answer);
                self.outbox.put(rests_on, (ticket, answer.map(Reply::Sqs)));
            }
            Outcome::Wait(queue, waiter) => self.sqs.wait(queue, waiter),
            Outcome::Silence => {}
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
                    .map(|message| end_of(message.extent))
                    .max()
                    .unwrap_or_else(|| self.outbox.durable())
            }
            _ => self.appender.end(),
        }
    }

    fn follow_up(&mut self) {
        while let Some(consequence) = self.sqs.follow_up(self.now) {
            self.commit(consequence.records);
            self.settle(consequence.ticket, consequence.outcome);
        }
    }

    /// Closes what has been recorded since the last time into a batch. Call it when no more inputs are at hand.
    pub fn flush(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.sqs.has_background_work() {
            self.sqs.work_in_background(&mut self.ledger);
            self.look_for_dead = true;
        }
        let counter = self.sqs.next_seq();
        while let Some(batch) = self.appender.take(self.now, self.outbox.durable(), counter) {
            for piece in &batch.pieces {
                if piece.segment != self.tail.segment() {
                    self.cleaning.sealed(self.tail.segment(), self.tail.offset().into());
                    self.look_for_dead = true;
                }
                self.tail = Place::new(piece.segment, piece.offset + piece.bytes.len() as u32);
            }
            self.outputs.push_back(Output::Append(batch));
        }
        self.clean();
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let (ticket, answer) = self.outbox.take()?;
        Some(Output::Reply { ticket, answer })
    }

    /// Where the log ends when all that was decided so far has been written.
    pub fn end(&self) -> Position {
        self.appender.end()
    }

    /// Whether nothing waits for the disk.
    pub fn is_settled(&self) -> bool {
        self.appender.is_empty() && self.outbox.durable() >= self.tail
    }

    /// When time must be told at the latest ([`Input::Tick`]).
    pub fn wake_at(&self) -> Option<Time> {
        self.sqs.next_deadline()
    }

    /// Whether there is work to be done as soon as nothing else is: then call [`Machine::flush`] again.
    pub fn has_background_work(&self) -> bool {
        self.sqs.has_background_work()
    }

    /// A batch has been written: its buffers can be used again.
    pub fn recycle(&mut self, batch: journal::Batch) {
        self.appender.recycle(batch);
    }

    fn clean(&mut self) {
        if self.look_for_dead {
            self.look_for_dead = false;
            self.cleaning.find_dead(&self.ledger, self.now, self.appender.end());
            if let Some(segment) = self.cleaning.find_victim(&self.ledger, self.now) {
                self.outputs.push_back(Output::Survey { segment });
            }
        }
        if let Some(segment) = self.cleaning.next_discard(self.outbox.durable()) {
            self.outputs.push_back(Output::Discard { segment });
        }
    }

    fn surveyed(&mut self, segment: u32, records: &[(Extent, Vec<u8>)]) {
        let mut facts = Vec::new();
        let mut payloads = VecDeque::new();
        for (extent, head) in records {
            match self.sqs.survival(head, *extent, &self.ledger) {
                Ok(Survival::Payload) => payloads.push_back(*extent),
                Ok(Survival::Fact) => {
                    facts.push(Survivor { extent: *extent, head: head.clone(), tail: Vec::new() });
                }
                // What cannot be read was refused when the log was opened, so it cannot be here.
                Ok(Survival::Dead) | Err(Malformed) => {}
            }
        }
        self.write_again(&facts);
        self.ledger.tombstones_copied(segment);
        if let Some(forwarding) = self.cleaning.forwarding.as_mut().filter(|now| now.segment == segment) {
            forwarding.to_fetch = payloads;
        }
        self.fetch_more();
    }

    fn fetched(&mut self, survivors: &[Survivor]) {
        self.write_again(survivors);
        self.fetch_more();
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

    fn write_again(&mut self, survivors: &[Survivor]) {
        for survivor in survivors {
            // What was alive when it was asked for may have died since: then nothing is written.
            if let Ok(drafts) =
                self.sqs.write_again(&survivor.head, &survivor.tail, survivor.extent, &self.ledger)
            {
                self.commit(drafts);
            }
        }
    }
}

fn end_of(extent: Extent) -> Position {
    Place::new(extent.place.segment(), extent.place.offset() + extent.len)
}
