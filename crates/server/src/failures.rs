//! What could not be delivered lately, and why: for whoever wonders where a message is.

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
    /// How many had to go to make room.
    dropped: u64,
}

/// How many are kept. One takes less than a kilobyte.
const KEPT: usize = 1000;

/// Characters of a reason that are kept.
const REASON: usize = 300;

/// An attempt that failed, or a message that somebody did not take.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The message.
    pub message_id: &'a str,
    /// Its topic, if it was published to one.
    pub topic_arn: Option<&'a str>,
    /// Whose it was.
    pub subscription_arn: Option<&'a str>,
    /// `sqs`, `https`, …
    pub protocol: &'a str,
    /// Where to: an ARN, a URL, a number.
    pub destination: &'a str,
    /// The delivery's number, if it is one that has attempts.
    pub delivery: Option<u64>,
    /// When it was known.
    pub at: Time,
    /// Which attempt of this delivery it was, from one.
    pub attempt: u32,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Why.
    pub reason: &'a str,
    /// Whether it lies in the subscription's dead-letter queue for that reason.
    pub is_dead_letter: bool,
}

impl Failures {
    /// Remembers one, in the words of AWS's delivery status logs (SNS's developer guide, "Message delivery status").
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

    /// What is known, oldest first; of one topic or subscription, if that is asked for.
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

    /// Forgets all.
    pub fn clear(&self) {
        *self.shelf() = Shelf::default();
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Nothing that holds the lock can panic half-way.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A URL without the name and the password of a user.
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
