//! The latest failed deliveries and their reasons, for finding lost messages.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kernel::{Time, iso8601};
use serde_json::{Value, json};

/// The newest failures, in memory.
#[derive(Default)]
pub struct Failures {
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    entries: VecDeque<Value>,
    /// Number of failures dropped to make room.
    dropped: u64,
}

/// Number of failures to keep. Each takes less than a kilobyte.
const KEPT: usize = 1000;

/// Maximum length of a reason, in characters.
const REASON: usize = 300;

/// A failed attempt, or a refused message.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The message id.
    pub message_id: &'a str,
    /// The topic, if it was published to one.
    pub topic_arn: Option<&'a str>,
    /// The account and region.
    pub subscription_arn: Option<&'a str>,
    /// `sqs`, `https`, …
    pub protocol: &'a str,
    /// The receiver: an ARN, a URL, a telephone number.
    pub destination: &'a str,
    /// The delivery's number, if it has attempts.
    pub delivery: Option<u64>,
    /// The time of the failure.
    pub at: Time,
    /// The number of the attempt, from one.
    pub attempt: u32,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The reason.
    pub reason: &'a str,
    /// Whether the message is in the subscription's dead-letter queue for that reason.
    pub is_dead_letter: bool,
}

impl Failures {
    /// Stores a failure, in the words of AWS's delivery status logs (SNS's developer guide, "Message delivery
    /// status").
    pub fn put(&self, failure: &Failure<'_>) {
        let mut reason: String = failure.reason.chars().take(REASON).collect();
        if failure.is_dead_letter {
            reason.push_str("; it is in the subscription's dead-letter queue");
        }
        let entry = json!({
            "notification": {
                "messageId": failure.message_id,
                "topicArn": failure.topic_arn,
                "subscriptionArn": failure.subscription_arn,
                "timestamp": iso8601::write(failure.at.0.cast_signed()),
            },
            "delivery": {
                "deliveryId": failure.delivery.map(|number| number.to_string()),
                "protocol": failure.protocol,
                "destination": without_password(failure.destination),
                "attempts": failure.attempt,
                "statusCode": failure.status,
                "providerResponse": reason,
            },
            "status": "FAILURE",
        });
        let mut shelf = self.shelf();
        shelf.entries.push_back(entry);
        if shelf.entries.len() > KEPT {
            shelf.entries.pop_front();
            shelf.dropped += 1;
        }
    }

    /// Returns the failures, oldest first; of one topic or subscription, if requested.
    pub fn list(&self, topic_arn: Option<&str>, subscription_arn: Option<&str>) -> Value {
        let shelf = self.shelf();
        let is_asked_for = |entry: &&Value| {
            let is = |name: &str, wanted: Option<&str>| {
                wanted.is_none_or(|wanted| entry["notification"][name] == wanted)
            };
            is("topicArn", topic_arn) && is("subscriptionArn", subscription_arn)
        };
        let entries: Vec<&Value> = shelf.entries.iter().filter(is_asked_for).collect();
        json!({ "failures": entries, "dropped": shelf.dropped })
    }

    /// Deletes all.
    pub fn clear(&self) {
        *self.shelf() = Shelf::default();
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // No code that can panic runs under this lock.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a URL without the name and the password of a user.
pub fn without_password(url: &str) -> String {
    let after_scheme = url.find("://").map(|at| at + 3);
    let parts = after_scheme.and_then(|start| {
        let authority = url[start..].split(['/', '?', '#']).next()?;
        Some((start, start + authority.rfind('@')? + 1))
    });
    match parts {
        Some((start, end)) => format!("{}{}", &url[..start], &url[end..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_failures_are_told_with_status_and_reason() {
        let failures = Failures::default();
        for number in 0..=KEPT as u64 {
            failures.put(&Failure {
                message_id: "id",
                topic_arn: Some(if number % 2 == 0 { "even" } else { "odd" }),
                subscription_arn: None,
                protocol: "sms",
                destination: "+1555",
                delivery: Some(number),
                at: Time(0),
                attempt: 1,
                status: Some(503),
                reason: "try later",
                is_dead_letter: false,
            });
        }
        let told = failures.list(None, None);
        assert_eq!(told["failures"].as_array().unwrap().len(), KEPT);
        assert_eq!(told["dropped"], 1);
        let odd = failures.list(Some("odd"), None);
        assert_eq!(odd["failures"].as_array().unwrap().len(), KEPT / 2);
        let delivery = &odd["failures"][0]["delivery"];
        assert_eq!(delivery["statusCode"], 503);
        assert_eq!(delivery["providerResponse"], "try later");
        assert_eq!(delivery["destination"], "+1555");
        assert_eq!(failures.list(None, Some("none"))["failures"].as_array().unwrap().len(), 0);
    }

    #[test]
    fn no_password_is_told() {
        for (url, told) in [
            ("http://me:secret@host/path@x", "http://host/path@x"),
            ("https://host/path?a=b@c", "https://host/path?a=b@c"),
            ("somebody@example.com", "somebody@example.com"),
        ] {
            assert_eq!(without_password(url), told);
        }
    }
}
