//! Messages that somebody does not get: for whoever wonders where they are.

use crate::Time;

/// A message that a receiver does not get, or not with this attempt. Nothing follows from it but that the operator can see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undelivered {
    /// The id of the message, the event or the execution, if it is known.
    pub message_id: Option<String>,
    /// The ARN of the resource to which the message was published, if it has one of its own.
    pub published_to: Option<String>,
    /// The ARN of what wanted it delivered, such as a rule or a schedule.
    pub sender_arn: String,
    /// By which protocol, if there are several; otherwise `target`.
    pub protocol: String,
    /// The receiver: an ARN, or a telephone's number.
    pub destination: String,
    /// When that was decided.
    pub at: Time,
    /// How often it was tried, at least once.
    pub attempts: u32,
    /// Why.
    pub reason: String,
    /// Whether it has become a dead letter of the sender.
    pub is_dead_letter: bool,
}
