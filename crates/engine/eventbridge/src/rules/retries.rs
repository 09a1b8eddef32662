//! When a delivery that failed is tried again (facts/eventbridge.md § 6).
//!
//! AWS says: with exponential backoff and jitter, by default 185 times in 24 hours. Its numbers are not known. These double from one
//! second up to eight minutes, with a quarter more or less, so that 185 attempts take about a day.

use api::eventbridge::RetryPolicy;
use kernel::{Dice, Time};

use crate::limits;

const FIRST_MILLIS: u64 = 1_000;
const MOST_MILLIS: u64 = 480_000;

/// Why a delivery is not tried again: what its dead letter says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exhausted {
    /// It was tried as often as its target permits.
    Attempts,
    /// It is as old as its target permits.
    Age,
}

impl Exhausted {
    /// AWS's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Exhausted::Attempts => "MaximumRetryAttempts",
            Exhausted::Age => "MaximumEventAgeInSeconds",
        }
    }
}

/// When a delivery is tried again of which `failed` attempts have failed, the last one at `now`; or why not. The target may want it later
/// than the backoff: `not_before`. `seed` names the delivery.
pub fn next(
    policy: Option<&RetryPolicy>,
    failed: u32,
    sent: Time,
    (now, not_before): (Time, Time),
    seed: u64,
) -> Result<Time, Exhausted> {
    let number =
        |given: Option<i32>, default| given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default);
    let attempts = number(policy.and_then(|policy| policy.maximum_retry_attempts), limits::RETRY_ATTEMPTS);
    let age =
        number(policy.and_then(|policy| policy.maximum_event_age_in_seconds), limits::EVENT_AGE_SECONDS);
    if failed > attempts {
        return Err(Exhausted::Attempts);
    }
    let doubled = FIRST_MILLIS << failed.saturating_sub(1).min(20);
    let millis = doubled.min(MOST_MILLIS);
    let jitter = Dice::from_seed(seed ^ u64::from(failed)).roll() % (millis / 2);
    let due = not_before.max(now + (millis - millis / 4 + jitter));
    // An attempt after the event's time would come too late.
    if due >= sent.plus_seconds(age.into()) { Err(Exhausted::Age) } else { Ok(due) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_185_times_in_a_day() {
        // facts/eventbridge.md § 6
        for seed in 0..20 {
            let (mut now, mut failed) = (Time(0), 1);
            let end = loop {
                match next(None, failed, Time(0), (now, now), seed) {
                    Ok(due) => {
                        assert!(due > now && due - now <= MOST_MILLIS * 5 / 4);
                        now = due;
                    }
                    Err(exhausted) => break exhausted,
                }
                failed += 1;
            };
            assert!((180..=186).contains(&failed), "{failed}");
            assert!((23..=24).contains(&(now.seconds() / 3600)), "{now:?} {end:?}");
        }
    }

    #[test]
    fn a_target_may_ask_for_fewer_attempts_or_less_time() {
        let policy = |attempts, age| RetryPolicy {
            maximum_retry_attempts: Some(attempts),
            maximum_event_age_in_seconds: Some(age),
        };
        let after = |policy: RetryPolicy, failed, now| next(Some(&policy), failed, Time(0), (now, now), 1);
        assert_eq!(after(policy(0, 60), 1, Time(0)), Err(Exhausted::Attempts));
        assert!(after(policy(1, 60), 1, Time(0)).is_ok());
        assert_eq!(after(policy(1, 60), 2, Time(0)), Err(Exhausted::Attempts));
        assert_eq!(after(policy(9, 60), 2, Time(59_000)), Err(Exhausted::Age));
        assert_eq!(after(policy(9, 60), 2, Time(u64::MAX)), Err(Exhausted::Age));
    }

    #[test]
    fn a_target_may_ask_for_a_later_attempt_but_not_for_an_earlier_one() {
        // facts/eventbridge.md § 8
        let due = |not_before| next(None, 1, Time(0), (Time(0), Time(not_before)), 1);
        let by_backoff = due(0).unwrap();
        assert_eq!(due(1), Ok(by_backoff));
        assert_eq!(due(90_000), Ok(Time(90_000)));
        assert_eq!(due(86_400_000), Err(Exhausted::Age));
    }
}
