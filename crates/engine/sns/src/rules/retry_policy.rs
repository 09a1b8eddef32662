//! How an HTTP delivery that failed is tried again: four phases, and four ways in which delays grow (facts/sns.md § 9).

/// When retries are made: `healthyRetryPolicy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Seconds before a retry at the beginning of the backoff.
    pub min_delay: u32,
    /// Seconds before a retry at its end.
    pub max_delay: u32,
    /// Retries in all.
    pub retries: u32,
    /// How many of them come last, each after the longest delay.
    pub max_delay_retries: u32,
    /// How many come first, at once.
    pub no_delay_retries: u32,
    /// How many come next, each after the shortest delay.
    pub min_delay_retries: u32,
    /// How delays grow in between.
    pub backoff: Backoff,
}

/// How delays grow from the shortest to the longest.
///
/// AWS shows the four as curves without formulas; these have their order: at each retry but the first and the last, linear
/// waits longest, then arithmetic, geometric, exponential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backoff {
    /// By the same amount each time.
    Linear,
    /// By an amount that itself grows by the same each time.
    Arithmetic,
    /// By the same factor each time.
    Geometric,
    /// By an amount that doubles each time.
    Exponential,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            min_delay: 20,
            max_delay: 20,
            retries: 3,
            max_delay_retries: 0,
            no_delay_retries: 0,
            min_delay_retries: 0,
            backoff: Backoff::Linear,
        }
    }
}

impl RetryPolicy {
    /// Milliseconds before the next retry, when so many have been made; none if that was the last.
    pub fn next_retry(&self, retries_done: u32) -> Option<u64> {
        if retries_done >= self.retries {
            return None;
        }
        let (least, most) = (u64::from(self.min_delay) * 1000, u64::from(self.max_delay) * 1000);
        let Some(after_first) = retries_done.checked_sub(self.no_delay_retries) else { return Some(0) };
        let Some(step) = after_first.checked_sub(self.min_delay_retries) else { return Some(least) };
        let steps = self.backoff_retries();
        Some(if step < steps { self.backoff.delay(step, steps, least, most) } else { most })
    }

    fn backoff_retries(&self) -> u32 {
        self.retries - self.no_delay_retries - self.min_delay_retries - self.max_delay_retries
    }

    /// Seconds from the first attempt to the last retry.
    pub fn total_seconds(&self) -> u64 {
        (0..self.retries).filter_map(|done| self.next_retry(done)).sum::<u64>() / 1000
    }

    /// The policy as AWS writes it.
    pub fn show(&self) -> String {
        format!(
            r#"{{"minDelayTarget":{},"maxDelayTarget":{},"numRetries":{},"numMaxDelayRetries":{},"numNoDelayRetries":{},"numMinDelayRetries":{},"backoffFunction":"{}"}}"#,
            self.min_delay,
            self.max_delay,
            self.retries,
            self.max_delay_retries,
            self.no_delay_retries,
            self.min_delay_retries,
            self.backoff.name()
        )
    }
}

impl Backoff {
    /// The four, with AWS's names of them.
    pub const NAMES: [(Backoff, &str); 4] = [
        (Backoff::Linear, "linear"),
        (Backoff::Arithmetic, "arithmetic"),
        (Backoff::Geometric, "geometric"),
        (Backoff::Exponential, "exponential"),
    ];

    /// AWS's name of it.
    pub fn name(self) -> &'static str {
        Backoff::NAMES.iter().find(|(backoff, _)| *backoff == self).map_or("", |(_, name)| name)
    }

    /// The `step`th of so many delays, counted from zero, that grow from `least` to `most`. One alone is the least.
    pub fn delay(self, step: u32, steps: u32, least: u64, most: u64) -> u64 {
        if steps < 2 {
            return least;
        }
        let (step, last) = (f64::from(step), f64::from(steps - 1));
        let share = match self {
            Backoff::Linear => step / last,
            Backoff::Arithmetic => step * (step + 1.0) / (last * (last + 1.0)),
            Backoff::Geometric if least > 0 => {
                return (least as f64 * (most as f64 / least as f64).powf(step / last)).round() as u64;
            }
            Backoff::Geometric | Backoff::Exponential => (step.exp2() - 1.0) / (last.exp2() - 1.0),
        };
        least + ((most - least) as f64 * share).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: &RetryPolicy) -> Vec<u64> {
        (0..).map_while(|done| policy.next_retry(done)).collect()
    }

    #[test]
    fn without_a_policy_there_are_three_retries_20_seconds_apart() {
        // facts/sns.md § 9
        assert_eq!(delays(&RetryPolicy::default()), [20_000, 20_000, 20_000]);
    }

    #[test]
    fn retries_pass_through_four_phases() {
        // facts/sns.md § 9
        let policy = RetryPolicy {
            min_delay: 1,
            max_delay: 13,
            retries: 10,
            no_delay_retries: 2,
            min_delay_retries: 1,
            max_delay_retries: 3,
            backoff: Backoff::Linear,
        };
        assert_eq!(delays(&policy), [0, 0, 1000, 1000, 5000, 9000, 13_000, 13_000, 13_000, 13_000]);
    }

    #[test]
    fn backoff_functions_go_from_the_least_to_the_most_in_their_own_ways() {
        // facts/sns.md § 9; the order is that of the curves in AWS's documentation
        let delays = |backoff: Backoff| -> Vec<u64> {
            (0..10).map(|step| backoff.delay(step, 10, 5_000, 260_000)).collect()
        };
        let all =
            [Backoff::Linear, Backoff::Arithmetic, Backoff::Geometric, Backoff::Exponential].map(delays);
        for each in &all {
            assert_eq!((each[0], each[9]), (5_000, 260_000));
            assert!(each.is_sorted());
        }
        for step in 1..9 {
            assert!(all.windows(2).all(|pair| pair[0][step] > pair[1][step]), "retry {step}: {all:?}");
        }
        assert_eq!(Backoff::Geometric.delay(1, 3, 10, 1000), 100);
        assert_eq!(Backoff::Linear.delay(0, 1, 7, 9), 7);
    }
}
