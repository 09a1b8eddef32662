//! What topics want: their messages handed to queues in the same record, deliveries on their way, and the ends of these.

use bytes::Bytes;
use journal::Overlong;
use kernel::codec::Malformed;
use kernel::gather::FACT_BYTES;
use kernel::parcel::{Delivery, Form, Offer, ParcelClosed, Queues, Taken};
use kernel::{Demand, ParcelSent, Refusal};
use notification::Notification;
use sns::SubscriptionId;
use sns::archive::ReplayStep;
use sns::deliveries::{Consequence, Outcome};
use sns::fanout::FanOut;
use sns::operations::{Command, Direct, Posting, Reply, Setting, publish::Published};
use sns::records::{DeliveriesEnded, Record};

use crate::Survivor;
use crate::machine::{Grouping, Machine, class_of, end_of, push_all, too_long};
use crate::outbox::Release;

/// A delivery whose end cannot be dealt with, since its text cannot be read or the disk is full, is tried again after so long.
const PUT_OFF_MILLIS: u64 = 60_000;
/// A delivery whose bytes on disk are damaged is tried again after so long: somebody may have put back the file.
const UNREADABLE_MILLIS: u64 = 3_600_000;

/// Takers that one record of a parcel names at the most: what it costs to read one copy, and to apply or to write forward a
/// record, grows with them.
const TAKERS: usize = 1000;
/// The same of a parcel whose payload is longer than [`SHORT_PAYLOAD`], since each part carries it.
const TAKERS_OF_LONG: usize = 2000;
const SHORT_PAYLOAD: usize = 16 << 10;

/// What the head of a parcel takes that names [`TAKERS`], about.
const POST_HEAD_BYTES: usize = 48 << 10;
/// What a notice takes that goes with a change of a subscription, about.
const NOTICE_BYTES: usize = 16 << 10;

impl Machine {
    pub(crate) fn sns_request(&mut self, ticket: u64, command: &Command) {
        let Some(secret) = self.sqs.secret().copied() else {
            // The secret is the first thing that a machine is told.
            return self.answer_sns(ticket, Err(Refusal::new("InternalErrorException", "not ready")));
        };
        let limits = self.options.sns_limits;
        let setting = Setting { now: self.now, limits: &limits, secret: &secret };
        let decision = command.decide(&self.sns, &setting);
        let room = if decision.notices.is_empty() { 0 } else { self.group_room(NOTICE_BYTES) };
        if let Err(overlong) = self.commit_all_sns(&decision.records, room) {
            return self.answer_sns(ticket, Err(too_long("InvalidParameterException", overlong)));
        }
        for notice in &decision.notices {
            if let Some((parcel, payload)) = self.sns.say(notice, &self.sqs, &limits, &secret, self.now) {
                let begins = decision.records.is_empty();
                let grouping = if begins { Grouping::Begins(0) } else { Grouping::Extends };
                self.commit_parcel(&parcel, &payload, grouping);
            }
        }
        let answer = match decision.outcome {
            sns::operations::Outcome::Answer(answer) => answer,
            sns::operations::Outcome::Post(posting) => Ok(self.post(&posting)),
            sns::operations::Outcome::Direct(direct) => Ok(self.post_directly(Some(&direct))),
            sns::operations::Outcome::Unheard => Ok(self.post_directly(None)),
        };
        self.answer_sns(ticket, answer);
    }

    fn answer_sns(&mut self, ticket: u64, answer: Result<Reply, Refusal>) {
        let answer = answer.map(crate::Reply::Sns);
        self.outbox.put(self.appender.end(), Release::Reply(ticket, answer));
    }

    /// Publishes messages one after the other: what one does counts for the next. They are one group of the log, apart from those
    /// with so many takers that they are recorded in parts.
    fn post(&mut self, posting: &Posting<'_>) -> Reply {
        let mut published = Vec::with_capacity(posting.posts.len());
        let rest = posting.posts.iter().skip(1).map(|post| post.payload.len() + POST_HEAD_BYTES).sum();
        let mut grouping = Grouping::Begins(self.group_room(rest));
        for &post in &posting.posts {
            let Some(topic) = self.sns.topic_of(posting.topic) else { continue };
            let fifo = topic.is_fifo();
            self.body_readers.learn(topic.key(), topic.reads_bodies());
            let number = match self.sns.fan_out(topic, post, &self.sqs, &self.options.sns_limits, self.now) {
                FanOut::Duplicate(number) => number,
                FanOut::Parcel(parcel, refused) => {
                    // What nobody gets is remembered by its number alone.
                    let is_wanted = !parcel.copies.is_empty()
                        || !parcel.deliveries.is_empty()
                        || parcel.archived_millis > 0;
                    self.commit_parcel(&parcel, if is_wanted { &post.payload } else { &[] }, grouping);
                    grouping = Grouping::Extends;
                    for refused in refused {
                        self.outbox.put(self.appender.end(), Release::Refused(Box::new(refused)));
                    }
                    parcel.number
                }
            };
            published.push(Published { number, fifo });
        }
        posting.answer(published)
    }

    /// Publishes a message to somebody who has not subscribed, or to nobody.
    fn post_directly(&mut self, direct: Option<&Direct<'_>>) -> Reply {
        let mut parcel = self.sns.parcel(0, 0, self.now);
        let mut payload: &[u8] = &[];
        if let Some(direct) = direct {
            let form =
                Form { subscription: direct.to, raw: true, text: direct.protocol as u8, replayed: false };
            let number = parcel.number + 1;
            parcel.deliveries.push(Delivery { number, form, attempts: 0, due_after: 0 });
            payload = &direct.post.payload;
        }
        self.commit_parcel(&parcel, payload, Grouping::Begins(0));
        Reply::Published(Published { number: parcel.number, fifo: false })
    }

    /// Records the facts of one decision as one group and then applies them.
    ///
    /// Errors: the head of the first is longer than a fact may be, or all are longer than a group may be. Then nothing is
    /// recorded.
    fn commit_all_sns(&mut self, records: &[Record], room: usize) -> Result<(), Overlong> {
        match records {
            [] => return Ok(()),
            [record] => return self.commit_sns(record, FACT_BYTES, Grouping::Begins(room)),
            _ => {}
        }
        let extents = self.appender.group(room, |group| {
            let records = records.iter().map(|record| {
                let encode = |head: &mut Vec<u8>| record.encode(head);
                (class_of(record.is_configuration()), encode, &[][..])
            });
            push_all(group, FACT_BYTES, records)
        })?;
        for (record, &at) in records.iter().zip(extents) {
            self.ledger.open(at.place.segment());
            self.sns.apply(record, at, &mut self.ledger);
        }
        self.agree_on_numbers();
        Ok(())
    }

    /// Records a fact and makes it true, unless its head is longer than `most`.
    fn commit_sns(&mut self, record: &Record, most: usize, grouping: Grouping) -> Result<(), Overlong> {
        let class = class_of(record.is_configuration());
        let at = self.record(class, most, grouping, |head| record.encode(head), &[])?;
        self.sns.apply(record, at, &mut self.ledger);
        self.agree_on_numbers();
        Ok(())
    }

    /// Records a fact that the machine itself has made: it is short, or no longer than when it was recorded before.
    pub(crate) fn note_sns(&mut self, record: &Record) {
        let noted = self.commit_sns(record, usize::MAX, Grouping::Begins(0));
        debug_assert!(noted.is_ok(), "{noted:?}");
    }

    /// A parcel is recorded and becomes true: for its topic, and for every queue that has a copy.
    ///
    /// If it has many takers it is recorded in parts, each with the payload, and then closed: a crash before that leaves it to
    /// nobody. So no head is long, and to read one copy is not to read the names of a million others. Parts are not one group of
    /// the log: each carries the payload, and together they can be longer than a group or a segment.
    pub(crate) fn commit_parcel(&mut self, parcel: &ParcelSent<'_>, payload: &[u8], grouping: Grouping) {
        let most = if payload.len() <= SHORT_PAYLOAD { TAKERS } else { TAKERS_OF_LONG };
        if parcel.copies.len() + parcel.deliveries.len() <= most {
            let flow = journal::Class::Flow;
            let mut sent = self.record(flow, usize::MAX, grouping, |head| parcel.encode(head), payload);
            if sent.is_err() {
                // The segment has no room for more of the group.
                let begins = Grouping::Begins(0);
                sent = self.record(flow, usize::MAX, begins, |head| parcel.encode(head), payload);
            }
            debug_assert!(sent.is_ok(), "{sent:?}");
            if let Ok(at) = sent {
                self.apply_parcel(parcel, at);
            }
            return;
        }
        let mut parts = Vec::new();
        for part in parcel.in_parts(most) {
            let sent = self.record(
                journal::Class::Flow,
                usize::MAX,
                Grouping::Begins(0),
                |head| part.encode_part(head),
                payload,
            );
            debug_assert!(sent.is_ok(), "{sent:?}");
            parts.extend(sent.ok().map(|at| (part, at)));
        }
        let mut segments: Vec<u32> = parts.iter().map(|(_, at)| at.place.segment()).collect();
        segments.dedup();
        self.close_parcel(&ParcelClosed { number: parcel.number, segments });
        let begin = parts.first().map(|(_, at)| at.place);
        self.closing.extend(begin.map(|begin| (begin, self.appender.end())));
        for (part, at) in &parts {
            self.apply_parcel(part, *at);
        }
    }

    pub(crate) fn close_parcel(&mut self, closed: &ParcelClosed) {
        let noted = self.record(
            journal::Class::Configuration,
            usize::MAX,
            Grouping::Begins(0),
            |head| closed.encode(head),
            &[],
        );
        debug_assert!(noted.is_ok(), "{noted:?}");
        if let Ok(at) = noted {
            self.apply_closed(closed, at);
        }
    }

    /// That parts count is to be known as long as they are there.
    pub(crate) fn apply_closed(&mut self, closed: &ParcelClosed, at: kernel::Extent) {
        closed.segments.iter().for_each(|&segment| self.ledger.bury(at.place, segment));
    }

    pub(crate) fn apply_parcel(&mut self, parcel: &ParcelSent<'_>, at: kernel::Extent) {
        self.sns.parcel_sent(parcel, at, &mut self.ledger);
        self.sqs.parcel_sent(parcel, at, &mut self.ledger);
        self.agree_on_numbers();
    }

    /// All services draw their numbers from one counter.
    pub(crate) fn agree_on_numbers(&mut self) {
        self.sns.skip_to(self.sqs.next_seq());
        self.sqs.skip_to(self.sns.next_number());
    }

    /// Replays go on: what they need next is asked for, and those that have caught up are told to have.
    pub(crate) fn go_on_replaying(&mut self) {
        if self.room() < Demand::Growth {
            return;
        }
        while self.pace.topics > 0
            && let Some(step) = self.sns.next_replay_step(self.now)
        {
            self.pace.topics -= 1;
            match step {
                ReplayStep::Read(subscription, extents) => {
                    let end = extents.iter().map(|&extent| end_of(extent)).max();
                    let end = end.unwrap_or_else(|| self.appender.end());
                    self.outbox.put(end, Release::Recall(subscription, extents));
                }
                ReplayStep::Completed(declared) => self.note_sns(&Record::SubscriptionDeclared(declared)),
            }
        }
    }

    /// What was read for a replay is handed to its queue again.
    pub(crate) fn recalled(&mut self, subscription: SubscriptionId, records: &[Survivor]) {
        if records.first().is_some_and(|first| !self.sns.is_read_for(subscription, first.extent)) {
            return;
        }
        if self.room() < Demand::Growth {
            // It is read again when there is room.
            return self.sns.replay_read(subscription, None);
        }
        let mut through = None;
        for record in records {
            let tail = Bytes::copy_from_slice(&record.tail);
            let (Ok(parcel), Ok(notification)) =
                (ParcelSent::decode(&record.head), Notification::decode(&tail))
            else {
                break;
            };
            through = Some(parcel.number);
            let limits = &self.options.sns_limits;
            let again = self.sns.replay(subscription, parcel, &notification, &self.sqs, limits, self.now);
            if let Some(again) = again {
                self.commit_parcel(&again, &tail, Grouping::Begins(0));
            }
        }
        self.sns.replay_read(subscription, through);
    }

    /// Deliveries that are due leave once their parcels are durable.
    pub(crate) fn start_deliveries(&mut self) {
        while self.pace.deliveries > 0
            && let Some(attempt) = self.sns.next_attempt(self.now, self.options.attempts)
        {
            self.pace.deliveries -= 1;
            self.outbox.put(self.counts_from(attempt.parcel), Release::Deliver(Box::new(attempt)));
        }
    }

    pub(crate) fn delivered(&mut self, number: u64, outcome: Outcome, parcel: Option<(Bytes, Bytes)>) {
        self.sns.attempt_returned(number, outcome);
        if outcome == Outcome::NotMade {
            return self.sns.try_again(number);
        }
        if outcome == Outcome::Unreadable {
            // It does not end, so that its segment stays; and it is not in the way of others.
            return self.sns.put_off(number, self.now + UNREADABLE_MILLIS);
        }
        let consequence = self.sns.attempt_ended(number, outcome, self.now);
        let demand = match &consequence {
            None => Demand::Nothing,
            Some(Consequence::Record(Record::DeliveriesEnded(_))) => Demand::Delete,
            Some(Consequence::Record(_)) => Demand::Change,
            Some(Consequence::DeadLetter { .. }) => Demand::Growth,
        };
        if demand > self.room() {
            return self.sns.put_off(number, self.now + PUT_OFF_MILLIS);
        }
        match consequence {
            None => {}
            Some(Consequence::Record(record)) => self.note_sns(&record),
            Some(Consequence::DeadLetter { ended, queue, topic, form }) => {
                let Some((head, tail)) = &parcel else {
                    // A delivery does not end without its letter, which needs its text.
                    return self.sns.put_off(number, self.now + PUT_OFF_MILLIS);
                };
                let Ok(parcel) = letter(head, tail) else {
                    // It never will be a letter either.
                    let record = DeliveriesEnded { ended: vec![ended] };
                    return self.note_sns(&Record::DeliveriesEnded(record));
                };
                let offer = Offer {
                    queue: &queue,
                    seq: self.sqs.next_seq(),
                    now: self.now,
                    group: parcel.group.as_deref(),
                    deduplication_id: parcel.deduplication_id.as_deref(),
                    size: tail.len(),
                    attributes: 0,
                    form,
                    is_dead_letter: true,
                    must_be_allowed: self.options.sns_limits.queue_policies.then_some(&*topic),
                };
                let copies = match self.sqs.offer(&offer) {
                    Taken::Copy(copy) => {
                        vec![kernel::parcel::Copy { sent_after: self.now - parcel.at, ..copy }]
                    }
                    Taken::Duplicate | Taken::Refused(_) => Vec::new(),
                };
                let has_copy = !copies.is_empty();
                let letter = ParcelSent {
                    copies,
                    deliveries: Vec::new(),
                    ends: vec![ended],
                    archived_millis: 0,
                    deduplicates: None,
                    forwarded: false,
                    ..parcel
                };
                self.commit_parcel(&letter, if has_copy { tail } else { &[] }, Grouping::Begins(0));
            }
        }
    }
}

/// What was to be delivered, if it can be read.
fn letter<'a>(head: &'a [u8], tail: &Bytes) -> Result<ParcelSent<'a>, Malformed> {
    Notification::decode(tail)?;
    ParcelSent::decode_label(head)
}
