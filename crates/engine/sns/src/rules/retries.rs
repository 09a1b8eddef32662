//! When a delivery that failed is tried again (facts/sns.md § 9).

use notification::Protocol;

use crate::rules::delivery_policy::DeliveryPolicy;
use crate::rules::retry_policy::Backoff;
use crate::topic::{Subscription, Topic};

/// Milliseconds until the next attempt, after `attempts` have failed; none if that was the last. `text` is the number of
/// the protocol, for deliveries to no subscriber.
pub fn retry_after(
    topic: Option<&Topic>,
    subscription: Option<&Subscription>,
    text: u8,
    attempts: u32,
) -> Option<u64> {
    let protocol = match subscription {
        Some(subscription) => Protocol::from_name(&subscription.declared.protocol),
        None => Protocol::from_number(text),
    };
    let done = attempts.saturating_sub(1);
    match protocol {
        Some(Protocol::Http | Protocol::Https) => {
            policy_of(topic, subscription).retry.unwrap_or_default().next_retry(done)
        }
        Some(Protocol::Lambda | Protocol::Firehose | Protocol::Sqs) => managed_by_aws(done),
        _ => managed_by_customers(done),
    }
}

/// Milliseconds between two attempts, if the endpoint wants only so many a second.
pub fn millis_between(topic: &Topic, subscription: &Subscription) -> Option<u64> {
    let most = policy_of(Some(topic), Some(subscription)).max_receives_per_second?;
    Some(1000_u64.div_ceil(u64::from(most)))
}

/// The content type that the policy of a subscription, or of its topic, wants.
pub fn content_type(topic: &Topic, subscription: &Subscription) -> Option<String> {
    policy_of(Some(topic), Some(subscription)).content_type
}

fn policy_of(topic: Option<&Topic>, subscription: Option<&Subscription>) -> DeliveryPolicy {
    DeliveryPolicy::effective(
        topic.and_then(|topic| topic.delivery_policy.as_deref()),
        subscription.and_then(|subscription| subscription.delivery_policy.as_deref()),
    )
}

/// Three at once, two after a second, ten from 1 to 20 seconds, then every 20 seconds: 100,015 in 23 days.
fn managed_by_aws(done: u32) -> Option<u64> {
    match done {
        0..=2 => Some(0),
        3..=4 => Some(1_000),
        5..=14 => Some(Backoff::Exponential.delay(done - 5, 10, 1_000, 20_000)),
        15..=100_014 => Some(20_000),
        _ => None,
    }
}

/// Two after ten seconds, ten from 10 to 600 seconds, 38 after 600 seconds: 50 in six hours.
fn managed_by_customers(done: u32) -> Option<u64> {
    match done {
        0..=1 => Some(10_000),
        2..=11 => Some(Backoff::Exponential.delay(done - 2, 10, 10_000, 600_000)),
        12..=49 => Some(600_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(schedule: fn(u32) -> Option<u64>) -> (usize, u64) {
        let delays: Vec<u64> = (0..).map_while(schedule).collect();
        assert!(delays.is_sorted());
        (delays.len(), delays.iter().sum::<u64>() / 1000)
    }

    #[test]
    fn endpoints_that_aws_runs_are_tried_for_23_days() {
        // facts/sns.md § 9
        let (retries, seconds) = sums(managed_by_aws);
        assert_eq!((retries, seconds / 86_400), (100_015, 23));
    }

    #[test]
    fn endpoints_that_customers_run_are_tried_for_six_hours() {
        // facts/sns.md § 9, whose six hours are a round number
        let (retries, seconds) = sums(managed_by_customers);
        assert_eq!(retries, 50);
        assert!((6..8).contains(&(seconds / 3_600)), "{seconds} s");
    }

    #[test]
    fn an_http_delivery_to_no_subscriber_has_the_default_policy() {
        let http = Protocol::Http as u8;
        let delays: Vec<_> = (1..=4).map(|attempts| retry_after(None, None, http, attempts)).collect();
        assert_eq!(delays, [Some(20_000), Some(20_000), Some(20_000), None]);
    }
}
