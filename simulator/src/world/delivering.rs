//! The endpoints outside, which answer well, badly, late, twice, or never.

use bytes::Bytes;
use kernel::{Demand, Extent, ParcelSent, Place};
use machine::{Event, Input};
use notification::{Kind, Notification};
use sns::SubscriptionId;
use sns::deliveries::{Attempt, Outcome};

use super::publishing::number_of;
use super::{Asked, Check, World};
use crate::topics::LETTERS;

/// Maximum number of concurrent attempts, of one subscription and of deliveries without a subscription.
const UNDER_WAY: usize = 32;
const UNDER_WAY_DIRECT: usize = 256;

/// An attempt without an answer yet.
#[derive(Clone, Debug)]
pub(super) struct Trying {
    attempt: Attempt,
    /// The delivery in the history; `None` if it does not belong to a publish.
    delivery: Option<usize>,
    /// Its parcel.
    parcel: (Bytes, Bytes),
}

impl World {
    /// Starts the attempts that the machine requested.
    pub(super) fn take_attempts(&mut self) -> Check {
        while let Some(attempt) = self.server()?.attempts.pop_front() {
            self.take_attempt(attempt)?;
        }
        Ok(())
    }

    fn take_attempt(&mut self, attempt: Attempt) -> Check {
        let server = self.server.as_ref().ok_or("the server is not running")?;
        let Extent { place, len } = attempt.parcel;
        if Place::new(place.segment(), place.offset() + len) > server.writer.durable() {
            return Err(format!("{attempt:?} is made before its parcel is durable"));
        }
        let record = match server.reader.read_many(&[attempt.parcel]).pop() {
            Some(Ok(record)) => record,
            Some(Err(journal::ReadError::Gone)) => {
                // The parcel was written forward.
                let now = self.now;
                let end = delivered(attempt.number, Outcome::NotMade, None);
                self.server()?.machine.handle(now, end);
                return Ok(());
            }
            Some(Err(error)) => return Err(format!("{attempt:?} cannot be read: {error}")),
            None => return Err("nothing was read".into()),
        };
        let malformed = |_| format!("{attempt:?} is no parcel");
        let parcel = ParcelSent::decode(&record.head).map_err(malformed)?;
        if parcel.delivery(attempt.number).is_none() {
            return Err(format!("{attempt:?} is not among the deliveries of {parcel:?}"));
        }
        let notification = Notification::decode(&record.tail).map_err(malformed)?;
        // A report of an earlier run's success has ended these deliveries for the server, although another
        // attempt may have been in progress.
        let (number, told_late) = (attempt.number, &self.told_late);
        self.trying.retain(|other| other.attempt.number != number || !told_late.contains(&number));
        let same = self.trying.iter().filter(|other| {
            other.attempt.form.recipient == attempt.form.recipient
                && !told_late.contains(&other.attempt.number)
        });
        let most = if attempt.form.recipient == 0 { UNDER_WAY_DIRECT } else { UNDER_WAY };
        if same.count() >= most {
            return Err(format!("more than {most} attempts are under way with {attempt:?}"));
        }
        if self.trying.iter().any(|other| other.attempt.number == attempt.number) {
            return Err(format!("{attempt:?} is made while it is under way"));
        }
        trace!(self, "    {attempt:?}");
        self.outcome.attempts += 1;
        let delivery = match (&notification.kind, number_of(&notification)) {
            (Kind::Notification, Some(publish)) => {
                if notification.message != self.history.publishing.publishes[publish].body {
                    return Err(format!("publish {publish} has another body: {}", notification.message));
                }
                let is_pending = self.server()?.machine.sns().is_pending(attempt.number);
                self.history.accept_publish(publish)?;
                let subscription = attempt.form.recipient;
                let history = &mut self.history.publishing;
                if !is_pending {
                    // The delivery has ended while the attempt waited.
                    return Ok(());
                }
                Some(history.attempted(publish, subscription, attempt.number, attempt.attempts)?)
            }
            (Kind::Notification, None) => {
                return Err(format!("{attempt:?} is of nothing that was published"));
            }
            _ => None,
        };
        self.trying.push(Trying { attempt, delivery, parcel: (record.head, record.tail) });
        Ok(())
    }

    /// An endpoint answers, or the success of an attempt of an earlier run of the server is reported.
    pub(super) fn endpoint_answers(&mut self) -> Check {
        if !self.late.is_empty() && self.dice.percent(10) {
            let which = self.dice.below(self.late.len() as u64) as usize;
            let late = self.late.swap_remove(which);
            // The delivery is now over, and its attempts in progress no longer count.
            self.trying.retain(|other| other.attempt.number != late.attempt.number);
            self.told_late.insert(late.attempt.number);
            return self.report(&late, Outcome::Delivered);
        }
        if self.trying.is_empty() {
            return Ok(());
        }
        let which = self.dice.below(self.trying.len() as u64) as usize;
        let tried = self.trying.swap_remove(which);
        let confirmed = self.is_confirmed(SubscriptionId(tried.attempt.form.recipient));
        let outcome = match self.dice.below(100) {
            // A message to a subscriber that has been confirmed otherwise would become a dead letter like any
            // other.
            _ if tried.delivery.is_none() && confirmed => Outcome::Delivered,
            0..45 => Outcome::Delivered,
            45..80 => Outcome::Failed,
            80..95 => Outcome::Refused,
            _ => Outcome::NotMade,
        };
        self.report(&tried, outcome)?;
        if outcome != Outcome::NotMade && self.dice.percent(10) {
            self.report(&tried, outcome)?;
        }
        if outcome == Outcome::Delivered && self.dice.percent(5) {
            self.late.push(tried);
        }
        Ok(())
    }

    pub(super) fn is_confirmed(&self, id: SubscriptionId) -> bool {
        let known = self.server.as_ref().and_then(|server| server.machine.sns().subscription(id));
        known.is_some_and(|subscription| subscription.is_confirmed())
    }

    /// All endpoints answer well.
    pub(super) fn endpoints_answer_well(&mut self) -> Check {
        while let Some(tried) = self.trying.pop() {
            self.report(&tried, Outcome::Delivered)?;
        }
        Ok(())
    }

    fn report(&mut self, tried: &Trying, outcome: Outcome) -> Check {
        let now = self.now;
        let number = tried.attempt.number;
        trace!(self, "delivery {number}: {outcome:?}");
        let server = self.server()?;
        let sns = server.machine.sns();
        let before = sns.pending().find(|&(other, _)| other == number).map(|(_, pending)| pending.attempts);
        let has_letters = sns
            .subscription(SubscriptionId(tried.attempt.form.recipient))
            .is_some_and(|subscription| subscription.dead_letters().is_some());
        // Sometimes the record cannot be read.
        let readable = self.calm || !self.dice.percent(5);
        let parcel = (outcome != Outcome::Delivered && readable).then(|| tried.parcel.clone());
        let server = self.server()?;
        let room = server.machine.room();
        server.machine.handle(now, delivered(number, outcome, parcel));
        let is_pending = server.machine.sns().is_pending(number);
        let end = server.machine.end();
        let (Some(attempts), Some(index)) = (before, tried.delivery) else { return Ok(()) };
        let delivery = &self.history.publishing.deliveries[index];
        let given_up = match outcome {
            Outcome::Refused => readable || !has_letters,
            Outcome::Failed => attempts >= delivery.retries && (readable || !has_letters),
            Outcome::Delivered | Outcome::NotMade | Outcome::Unreadable => false,
        };
        let demand = match outcome {
            Outcome::NotMade | Outcome::Unreadable => Demand::Nothing,
            Outcome::Delivered => Demand::Delete,
            _ if given_up && has_letters => Demand::Growth,
            _ if given_up => Demand::Delete,
            _ => Demand::Change,
        };
        if demand > room && is_pending {
            // It is delayed until the disk has room.
            return Ok(());
        }
        if is_pending == (given_up || outcome == Outcome::Delivered) {
            return Err(format!(
                "delivery {number} after {attempts} attempts: {outcome:?} makes {is_pending}"
            ));
        }
        if outcome == Outcome::Failed && is_pending && attempts < delivery.retries {
            self.history.publishing.failed(index, end);
        }
        if !is_pending {
            self.history.publishing.ended(index, end);
        }
        match self.id(LETTERS) {
            Some(queue_id) if given_up && has_letters => self.letter(index, queue_id, tried, end),
            _ => Ok(()),
        }
    }

    /// A delivery was given up, and its dead letter is in the queue of letters.
    fn letter(
        &mut self,
        index: usize,
        queue_id: sqs::QueueId,
        tried: &Trying,
        end: kernel::Position,
    ) -> Check {
        let now = self.now;
        let delivery = &self.history.publishing.deliveries[index];
        let (publish, subscription) = (delivery.publish, delivery.subscription);
        let letter = match delivery.letter {
            Some(letter) => {
                self.history.letter_again(letter, queue_id, now)?;
                // Unanswered earlier requests to empty the queue did not affect it either.
                for (asked, _) in self.asked.values_mut() {
                    if let Asked::Empty { affected, .. } = asked {
                        affected.retain(|&other| other != letter);
                    }
                }
                letter
            }
            None => {
                let body = self.history.publishing.publishes[publish].body.clone();
                let next_seq = self.server()?.machine.next_number();
                let letter = self.history.send(LETTERS, queue_id, None, None, body, 0, now, next_seq);
                let raw = tried.attempt.form.raw;
                self.history.publishing.copies.insert((publish, subscription), (letter, raw));
                letter
            }
        };
        self.history.letter(index, letter, end);
        Ok(())
    }

    /// The server has died during these attempts. Some had arrived.
    pub(super) fn attempts_in_doubt(&mut self) {
        for tried in std::mem::take(&mut self.trying) {
            if self.dice.percent(20) {
                self.late.push(tried);
            }
        }
        self.told_late.clear();
        let old = self.late.len().saturating_sub(20);
        self.late.drain(..old);
    }
}

/// The end of an attempt.
fn delivered(number: u64, outcome: Outcome, parcel: Option<(Bytes, Bytes)>) -> Input {
    Input::Event(Event::Sns(sns::Event::Delivered { number, outcome, parcel }))
}
