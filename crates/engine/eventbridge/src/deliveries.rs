//! Deliveries to targets that no service of this server is: to whom an attempt goes, and what follows from its end.

use kernel::parcel::{Ended, Form};
use kernel::{Extent, Time};

pub use deliveries::{Outcome, Pending};

use crate::letters::Failure;
use crate::records::{DeliveriesEnded, DeliveryFailed, Record};
use crate::rules::retries::{self, Exhausted};
use crate::state::State;

/// The name of the text in a stored event that its target is handed in the place of the event.
pub const INPUT: &str = "input";

/// An attempt that is to be made now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The delivery's number.
    pub number: u64,
    /// Where its parcel lies.
    pub parcel: Extent,
    /// In which form.
    pub form: Form,
    /// How often it was tried before.
    pub attempts: u32,
    /// The rule's ARN.
    pub rule_arn: String,
    /// The target's.
    pub target_arn: String,
}

/// What follows from an attempt's end.
#[derive(Debug)]
pub enum Consequence {
    /// A fact.
    Record(Record),
    /// The delivery is given up.
    DeadLetter(Ended, Failure),
}

impl State {
    /// The next attempt that is to be made, while fewer than `at_most` are; it is under way from then on.
    pub fn next_attempt(&mut self, now: Time, at_most: usize) -> Option<Attempt> {
        let attempt = self.deliveries.next_attempt(now, at_most, |_| None)?;
        let (rule_arn, target_arn) = self
            .target(attempt.form.recipient)
            .map(|(rule, target)| (rule.arn.clone(), target.arn.to_string()))
            .unwrap_or_default();
        Some(Attempt {
            number: attempt.number,
            parcel: attempt.parcel,
            form: attempt.form,
            attempts: attempt.attempts,
            rule_arn,
            target_arn,
        })
    }

    /// What follows from an attempt's end; nothing if the delivery is over already.
    pub fn attempt_ended(
        &self,
        number: u64,
        outcome: Outcome,
        reason: &str,
        now: Time,
    ) -> Option<Consequence> {
        let pending = self.deliveries.get(number)?;
        let ended = pending.ended(number);
        if outcome == Outcome::Delivered {
            return Some(Consequence::Record(Record::DeliveriesEnded(DeliveriesEnded {
                ended: vec![ended],
            })));
        }
        let failed = pending.attempts + 1;
        let policy = self.target(pending.form.recipient).and_then(|(_, target)| target.retry.as_ref());
        let exhausted: Option<Exhausted> = match outcome {
            Outcome::Failed => match retries::next(policy, failed, pending.at, now, number) {
                Ok(due) => {
                    let failed = DeliveryFailed { number, attempts: failed, at: now, due };
                    return Some(Consequence::Record(Record::DeliveryFailed(failed)));
                }
                Err(exhausted) => Some(exhausted),
            },
            _ => None,
        };
        Some(Consequence::DeadLetter(ended, Failure::of_attempts(reason, failed, exhausted)))
    }

    /// All deliveries that are not over, by number.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.deliveries.iter()
    }

    /// How many deliveries are not over.
    pub fn deliveries_pending(&self) -> usize {
        self.deliveries.len()
    }
}
