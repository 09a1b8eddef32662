//! When a delivery that failed is tried again (facts/sns.md § 9).

use notification::Protocol;

use crate::topic::{Subscription, Topic};

/// Milliseconds until the next attempt, after `attempts` have failed; none if that was the last. `text` is the number of
/// the protocol, for deliveries to no subscriber.
pub fn retry_after(
    _topic: Option<&Topic>,
    subscription: Option<&Subscription>,
    text: u8,
    attempts: u32,
) -> Option<u64> {
    let protocol = match subscription {
        Some(subscription) => Protocol::from_name(&subscription.declared.protocol),
        None => Protocol::from_number(text),
    };
    let seconds = match protocol {
        Some(Protocol::Http | Protocol::Https) => (attempts <= 3).then_some(20),
        Some(Protocol::Lambda | Protocol::Firehose | Protocol::Sqs) => managed_by_aws(attempts),
        _ => managed_by_customers(attempts),
    };
    seconds.map(|seconds| seconds * 1000)
}

/// Three at once, two after a second, ten from 1 to 20 seconds, then every 20 seconds: 100,015 in 23 days.
fn managed_by_aws(attempts: u32) -> Option<u64> {
    match attempts {
        1..=3 => Some(0),
        4..=5 => Some(1),
        6..=15 => Some(exponential(attempts - 6, 10, 1, 20)),
        16..=100_015 => Some(20),
        _ => None,
    }
}

/// Two after ten seconds, ten from 10 to 600 seconds, 38 after 600 seconds: 50 in six hours.
fn managed_by_customers(attempts: u32) -> Option<u64> {
    match attempts {
        1..=2 => Some(10),
        3..=12 => Some(exponential(attempts - 3, 10, 10, 600)),
        13..=50 => Some(600),
        _ => None,
    }
}

/// The `step`th of so many delays that grow by the same factor from `least` to `most`.
fn exponential(step: u32, steps: u32, least: u64, most: u64) -> u64 {
    let factor = (most as f64 / least as f64).powf(f64::from(step) / f64::from(steps - 1));
    (least as f64 * factor).round() as u64
}

/// Milliseconds between two attempts, if the endpoint wants only so many a second.
pub fn millis_between(_topic: &Topic, _subscription: &Subscription) -> Option<u64> {
    None
}

/// The content type that the policy of a subscription, or of its topic, wants.
pub fn content_type(_topic: &Topic, _subscription: &Subscription) -> Option<String> {
    None
}
