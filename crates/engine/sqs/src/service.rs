//! Queues as one of the machine's services: what the machine may ask of them, in one place.

use std::ops::RangeInclusive;

use kernel::codec::Malformed;
use kernel::{
    Arn, Context, Demand, Drawn, Extent, IdsRemembered, Ledger, Offer, ParcelSent, RememberedId, Rests,
    Secret, Service, Stored, Survival, Taken, Time, Why,
};

use crate::consequences::Consequence;
use crate::due::Waiter;
use crate::limits::Limits;
use crate::operations::{BatchOutcome, Command, Decision, Draft, Reply, Setting};
use crate::records::Record;
use crate::state::State;
use crate::{QueueId, Seq};

/// What queues are told from outside.
#[derive(Debug)]
pub enum Event {
    /// A message that a client was to get cannot be read: the bytes on disk are not those that were written.
    Damaged(QueueId, Seq, Extent),
}

/// What [`State::take_due`](Service::take_due) returns: answers to receives that waited, and messages that move.
const SOON: usize = 0;
/// Messages that expire.
const EXPIRED: usize = 1;

impl<'a> kernel::service::Record<'a> for Record<'a> {
    fn is_configuration(&self) -> bool {
        Record::is_configuration(self)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        Record::encode(self, out);
    }

    fn decode(head: &'a [u8]) -> Result<Self, Malformed> {
        Record::decode(head)
    }
}

impl Service for State {
    const NAME: &'static str = "sqs";
    const KINDS: RangeInclusive<u8> = 2..=47;
    const OVERLONG: &'static str = "InvalidParameterValueException";
    const CHORES: &'static [usize] = &[1, 2];

    type Limits = Limits;
    type Command = Command;
    type Reply = Reply;
    type Record<'a> = Record<'a>;
    /// What was deleted before a receive.
    type Step<'a> = BatchOutcome<()>;
    type Waiter = (QueueId, Waiter);
    type Event = Event;
    type Due = Consequence;
    type Effect = kernel::service::Never;

    fn subject(kind: u8) -> &'static str {
        match kind {
            16 => "sent messages",
            17 | 18 => "receives and changes of visibility",
            19 => "deletes and expiry",
            20 | 21 => "moves",
            _ => "queues and move tasks",
        }
    }

    fn demand(command: &Command) -> Demand {
        command.demand()
    }

    fn decide<'a>(&self, command: &'a Command, context: &mut Context<'a, '_, Limits>) -> Decision<'a> {
        command.decide(self, context)
    }

    fn decide_again<'a>(
        &self,
        command: &'a Command,
        deleted: BatchOutcome<()>,
        context: &mut Context<'a, '_, Limits>,
    ) -> Decision<'a> {
        command.decide_again(deleted, self, context)
    }

    /// The receive of a standard queue need not itself be durable, only the messages that it gives, and that they are where they
    /// are: if a crash took back a move, a handle would be another message's.
    fn rests(&self, reply: &Reply) -> Rests {
        let Reply::Received(received) = reply else { return Rests::OnEverything };
        let stays = |seq| !self.is_moved(received.queue, seq);
        if self.is_fifo(received.queue) || !received.messages.iter().all(|message| stays(message.seq)) {
            return Rests::OnEverything;
        }
        let extents = received.messages.iter().map(|message| message.extent);
        extents.max_by_key(|extent| extent.place).map_or(Rests::OnNothing, Rests::OnRecord)
    }

    fn wait(&mut self, (queue, waiter): (QueueId, Waiter)) {
        State::wait(self, queue, waiter);
    }

    fn gone(&mut self, ticket: u64) -> Option<Reply> {
        self.stop_waiting(ticket).map(|_| Reply::Done)
    }

    fn stop(&mut self) {
        self.end_polls();
    }

    fn owes_answers(&self) -> bool {
        self.has_ended_polls()
    }

    fn apply(&mut self, record: &Record<'_>, at: Extent, ledger: &mut Ledger) {
        State::apply(self, record, at, ledger);
    }

    fn take(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        self.parcel_sent(parcel, at, ledger);
    }

    fn remember(&mut self, record: &IdsRemembered, at: Extent, ledger: &mut Ledger) {
        self.ids_remembered(record, at, ledger);
    }

    fn identified(&mut self, secret: &Secret) {
        State::identified(self, secret);
    }

    fn replaying(&mut self, now: Time) {
        State::replaying(self, now);
    }

    fn replayed(&mut self, next: u64, ledger: &mut Ledger) {
        State::replayed(self, next, ledger);
    }

    fn cut_off(&self) -> Vec<Draft<'static>> {
        self.histories_cut_off()
    }

    fn reset(&mut self, now: Time) -> Vec<Draft<'static>> {
        State::reset(self, now)
    }

    fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_, Limits>) -> Taken {
        State::offer(self, offer, context)
    }

    fn draw(
        &self,
        from: &Arn,
        most: usize,
        context: &mut Context<'_, '_, Limits>,
    ) -> Result<Vec<Drawn>, Why> {
        State::draw(self, from, most, context)
    }

    fn place_of(&self, from: &Arn, drawn: Drawn) -> Option<Extent> {
        State::place_of(self, from, drawn)
    }

    fn show(&self, from: &Arn, drawn: Drawn, record: &Stored, secret: &Secret) -> Option<String> {
        State::show(self, from, drawn, record, secret)
    }

    fn finish(&self, from: &Arn, drawn: &[Drawn], context: &mut Context<'_, '_, Limits>) {
        State::finish(self, from, drawn, context);
    }

    fn watch(&mut self, source: &Arn) {
        State::watch(self, source);
    }

    fn next_filled(&mut self) -> Option<Arn> {
        State::next_filled(self)
    }

    fn advance(&mut self, now: Time, room: &mut usize) {
        self.advance_some(now, room);
    }

    fn next_deadline(&self) -> Option<Time> {
        State::next_deadline(self)
    }

    fn is_behind(&self, setting: &Setting<'_>) -> bool {
        State::is_behind(self, setting.room)
    }

    fn take_due(&mut self, chore: usize, setting: &Setting<'_>) -> Option<Consequence> {
        match chore {
            SOON => self.follow_up_soon(setting),
            EXPIRED => self.expire(setting),
            _ => None,
        }
    }

    fn cost(due: &Consequence) -> usize {
        due.cost()
    }

    /// What is due was decided when it was taken.
    fn consequence<'a>(&self, due: &'a mut Consequence, _: &mut Context<'a, '_, Limits>) -> Decision<'a> {
        let Consequence { facts, answer } = std::mem::take(due);
        match answer {
            None => Decision::silent(facts),
            Some((ticket, reply)) => Decision { ticket: Some(ticket), ..Decision::done(facts, reply) },
        }
    }

    fn hear(&mut self, event: Event, setting: &Setting<'_>) -> Option<Consequence> {
        let Event::Damaged(queue, seq, at) = event;
        // If the disk has no room to record it, the message is met again.
        let damaged = self.damaged(queue, seq, at).filter(|_| setting.room >= Demand::Delete)?;
        Some(Consequence { facts: vec![damaged], answer: None })
    }

    fn has_background_work(&self) -> bool {
        State::has_background_work(self)
    }

    fn work_in_background(&mut self, _: Time, ledger: &mut Ledger) {
        State::work_in_background(self, ledger);
    }

    fn survival(&self, record: &Record<'_>, at: Extent, ledger: &Ledger) -> Survival {
        State::survival(self, record, at, ledger)
    }

    fn write_again<'a>(
        &self,
        record: Record<'a>,
        tail: &'a [u8],
        at: Extent,
        ledger: &Ledger,
    ) -> Vec<Draft<'a>> {
        State::write_again(self, record, tail, at, ledger)
    }

    fn take_again<'a>(&self, parcel: &ParcelSent<'a>, at: Extent, again: &mut ParcelSent<'a>) {
        again.copies = self.copies_again(parcel, at);
    }

    fn told_of_takers(&self, again: &ParcelSent<'_>) -> Vec<Draft<'static>> {
        self.placed_again(&again.copies)
    }

    fn ids_in_record(&self, record: &Record<'_>, _: Time, ids: &mut Vec<RememberedId>) {
        if let Record::MessageSent(record) = record {
            ids.extend(self.id_to_remember(record));
        }
    }

    fn ids_in_parcel(&self, parcel: &ParcelSent<'_>, _: Time, ids: &mut Vec<RememberedId>) {
        ids.extend(self.ids_to_remember(parcel));
    }

    fn still_counts(&self, id: &RememberedId, _: Time) -> bool {
        State::still_counts(self, id)
    }
}
