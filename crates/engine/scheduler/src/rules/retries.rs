//! When an invocation that failed is tried again, and when it is given up.

use kernel::{Secret, Time};

use super::target::RetryPolicy;
use crate::InvocationId;
use crate::records::Tried;

/// The first attempt after a failure comes about so many milliseconds later; each further one after twice the time.
const FIRST_MILLIS: u64 = 1_000;
/// How often the time doubles. With AWS's default policy the last attempt comes shortly before a day has passed.
const DOUBLINGS: u32 = 9;

/// What follows a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Another attempt.
    Again(Tried),
    /// It is given up: which of the policy's conditions is exhausted.
    Exhausted(&'static str),
}

/// What follows on a failure at `now`. `attempts` counts the one that failed; the first was at `first`. AWS says "exponential
/// backoff" and no more.
pub fn after_failure(
    policy: RetryPolicy,
    id: InvocationId,
    attempts: u32,
    first: Time,
    now: Time,
    secret: &Secret,
) -> Next {
    if attempts > policy.attempts {
        return Next::Exhausted("MaximumRetryAttempts");
    }
    let millis = FIRST_MILLIS << (attempts.saturating_sub(1)).min(DOUBLINGS);
    let [a, b, ..] = secret.derive("retry", id.0.wrapping_mul(257) ^ u64::from(attempts));
    // Between half of it and all, so that what failed together is not tried together.
    let share = u64::from(u16::from_le_bytes([a, b]));
    let due = now + (millis / 2 + millis / 2 * share / u64::from(u16::MAX));
    if due > first.plus_seconds(policy.age_seconds.into()) {
        return Next::Exhausted("MaximumEventAgeInSeconds");
    }
    Next::Again(Tried { attempts, first, due })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(attempts: u32, age_seconds: u32) -> (Vec<u64>, &'static str) {
        let (policy, first) = (RetryPolicy { attempts, age_seconds }, Time(1_000_000));
        let (mut now, mut moments) = (first, Vec::new());
        for count in 1.. {
            match after_failure(policy, InvocationId(7), count, first, now, &Secret([1; 32])) {
                Next::Again(tried) => {
                    assert_eq!((tried.attempts, tried.first), (count, first));
                    assert!(tried.due > now);
                    now = tried.due;
                    moments.push(now - first);
                }
                Next::Exhausted(why) => return (moments, why),
            }
        }
        (moments, "")
    }

    #[test]
    fn attempts_come_ever_later_until_one_of_the_conditions_is_exhausted() {
        // facts/eventbridge.md § 9
        assert_eq!(moments(0, 86_400), (vec![], "MaximumRetryAttempts"));
        let (some, why) = moments(3, 86_400);
        assert_eq!((some.len(), why), (3, "MaximumRetryAttempts"));
        assert!((500..=1000).contains(&some[0]) && (1500..=3000).contains(&some[1]));
        let (all, why) = moments(185, 86_400);
        assert_eq!((all.len(), why), (185, "MaximumRetryAttempts"));
        assert!(all.last().is_some_and(|&last| last < 86_400_000 && last > 40_000_000));
        let (few, why) = moments(185, 60);
        assert!(few.len() < 10 && few.iter().all(|&at| at <= 60_000));
        assert_eq!(why, "MaximumEventAgeInSeconds");
    }
}
