//! Deliveries to targets that no service of this server is: to whom an attempt goes, and what follows from its end.

use api::eventbridge::HttpParameters;
use kernel::parcel::{Ended, Form};
use kernel::request::Request;
use kernel::{Arn, Asking, Extent, Time};

use deliveries::Pace;
pub use deliveries::{Outcome, Pending};

use crate::bus::{Rule, Target};
use crate::connections::destination_by_arn;
use crate::invocation::Invocation;
use crate::letters::Failure;
use crate::records::{ConnectionDeclared, ConnectionState, DeliveriesEnded, DeliveryFailed, Record};
use crate::rules::retries::{self, Exhausted};
use crate::state::State;

/// The name of the text in a stored event that its target is handed in the place of the event.
pub const INPUT: &str = "input";

/// An attempt that is to be made now.
#[derive(Clone, PartialEq, Debug)]
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
    /// How the target is reached.
    pub way: Way,
}

/// How a target is reached.
#[derive(Clone, PartialEq, Debug)]
pub enum Way {
    /// Through whatever the operator has for its service.
    Service,
    /// It is an API destination, which gets a request with these parameters of the target.
    Request(Box<Invocation>, Option<Box<HttpParameters>>),
    /// Not at all, for this reason. The outcome says whether that may change.
    Closed(Outcome, &'static str),
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Whether it arrived, and if not, whether another attempt may help.
    pub outcome: Outcome,
    /// What the target or the network said, if the target did not take it: the dead letter says it, too.
    pub reason: String,
    /// Of which kind the reason is.
    pub cause: Cause,
    /// The target wants no other attempt for so many milliseconds.
    pub retry_after: Option<u64>,
}

impl End {
    /// An end about which no more is known.
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> End {
        End { outcome, reason: reason.into(), cause: Cause::Unknown, retry_after: None }
    }
}

/// Kinds of reasons why a target does not take something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It is not known.
    Unknown,
    /// The target has answered that it does not.
    Answered,
    /// The target has had too much.
    Throttled,
    /// The target has not answered in time.
    TimedOut,
    /// The target could not be reached.
    Unreachable,
}

impl Cause {
    /// `ERROR_CODE` (AWS's documentation of dead-letter queues lists the codes, but not when they apply).
    pub(crate) fn code(self) -> &'static str {
        match self {
            Cause::Unknown => "SDK_CLIENT_ERROR",
            Cause::Answered => "ERROR_FROM_TARGET",
            Cause::Throttled => "THROTTLING",
            Cause::TimedOut => "TIMEOUT",
            Cause::Unreachable => "CONNECTION_FAILURE",
        }
    }
}

/// What follows from an attempt's end.
#[derive(Debug)]
pub enum Consequence {
    /// A fact.
    Record(Record),
    /// The delivery is given up.
    DeadLetter(Ended, Failure),
}

/// Whether a target is an API destination.
pub(crate) fn is_destination(arn: &kernel::Arn) -> bool {
    arn.service == "events" && arn.resource.starts_with("api-destination/")
}

impl State {
    /// The next attempt that is to be made, while fewer than `at_most` are; it is under way from then on.
    pub fn next_attempt(&mut self, now: Time, at_most: usize) -> Option<Attempt> {
        let State { rules, targets, destinations, deliveries, .. } = self;
        // All targets that are the same API destination share its rate.
        let attempt = deliveries.next_attempt(now, at_most, |recipient| {
            let rule = rules.get(targets.get(&recipient)?)?;
            let target = rule.targets.iter().find(|target| target.number == recipient)?;
            if !is_destination(&target.arn) {
                return None;
            }
            let destination = destination_by_arn(destinations, &target.arn)?;
            let rate = u64::from(destination.rate.max(1));
            Some(Pace { key: destination.id.0, micros: 1_000_000 / rate, at_once: rate })
        })?;
        let target = self.target(attempt.form.recipient);
        Some(Attempt {
            number: attempt.number,
            parcel: attempt.parcel,
            form: attempt.form,
            attempts: attempt.attempts,
            rule_arn: target.map(|(rule, _)| rule.arn.clone()).unwrap_or_default(),
            target_arn: target.map(|(_, target)| target.arn.to_string()).unwrap_or_default(),
            way: target.map_or(Way::Service, |target| self.way(target)),
        })
    }

    fn way(&self, (_, target): (&Rule, &Target)) -> Way {
        if !is_destination(&target.arn) {
            return Way::Service;
        }
        match self.invocation(&target.arn) {
            Ok(invocation) => Way::Request(Box::new(invocation), target.http.clone()),
            Err((outcome, reason)) => Way::Closed(outcome, reason),
        }
    }

    /// How an API destination is invoked; or why it cannot be, and whether that may change.
    fn invocation(&self, destination: &Arn) -> Result<Invocation, (Outcome, &'static str)> {
        let destination = self.destination(destination);
        let destination = destination.ok_or((Outcome::Refused, "The API destination does not exist."))?;
        let connection = self.usable(&destination.connection);
        let invocation = connection.and_then(|connection| Invocation::of(destination, connection));
        invocation.ok_or((Outcome::Failed, "The connection of the API destination is not authorized."))
    }

    /// A connection that can be used. While the first token is being fetched, an attempt fetches one, too.
    fn usable(&self, connection: &str) -> Option<&ConnectionDeclared> {
        self.connection(connection).filter(|it| it.state != ConnectionState::Deauthorized)
    }

    /// The request that another service wants to send through an API destination, or with a connection.
    pub(crate) fn request(&self, asking: &Asking<'_>) -> Result<Request, String> {
        let invocation = match asking.to {
            None => self.invocation(asking.through).map_err(|(_, reason)| reason.to_owned())?,
            Some((method, url)) => {
                let connection = self.usable(&asking.through.to_string());
                let invocation = connection.and_then(|it| Invocation::through(it, method, url));
                invocation.ok_or_else(|| {
                    format!("The connection {} does not exist or is not authorized.", asking.through)
                })?
            }
        };
        Ok(invocation.request_for(asking))
    }

    /// What follows from an attempt's end; nothing if the delivery is over already.
    pub fn attempt_ended(&self, number: u64, end: &End, now: Time) -> Option<Consequence> {
        let pending = self.deliveries.get(number)?;
        let ended = pending.ended(number);
        if end.outcome == Outcome::Delivered {
            return Some(Consequence::Record(Record::DeliveriesEnded(DeliveriesEnded {
                ended: vec![ended],
            })));
        }
        let failed = pending.attempts + 1;
        let policy = self.target(pending.form.recipient).and_then(|(_, target)| target.retry.as_ref());
        let not_before = now + end.retry_after.unwrap_or(0);
        let exhausted: Option<Exhausted> = match end.outcome {
            Outcome::Failed => match retries::next(policy, failed, pending.at, (now, not_before), number) {
                Ok(due) => {
                    let failed = DeliveryFailed { number, attempts: failed, at: now, due };
                    return Some(Consequence::Record(Record::DeliveryFailed(failed)));
                }
                Err(exhausted) => Some(exhausted),
            },
            _ => None,
        };
        let failure = Failure::of_attempts(end.cause, &end.reason, failed, exhausted);
        Some(Consequence::DeadLetter(ended, failure))
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
