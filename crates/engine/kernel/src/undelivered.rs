//! Messages that somebody does not get: for whoever wonders where they are.

use crate::Time;

/// A message that a receiver does not get, or not with this attempt. Nothing follows from it but that the operator can see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undelivered {
    /// The id of the message, the event or the execution, if it is known.
    pub message_id: Option<String>,
    /// The ARN of the topic, if the message was published to one.
    pub topic_arn: Option<String>,
    /// The ARN of what wanted it delivered: a subscription, a rule, a schedule.
    pub sender_arn: String,
    /// The protocol of a subscription; otherwise `target`.
    pub protocol: String,
    /// The receiver: an ARN, or a telephone's number.
    pub destination: String,
    /// When that was decided.
    pub at: Time,
    /// How often it was tried, at least once.
    pub attempts: u32,
    /// Why.
    pub reason: String,
    /// Whether the sender's dead-letter queue has it.
    pub is_dead_letter: bool,
}
