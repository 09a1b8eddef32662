//! The wait before the next attempt: exponential, bounded, with jitter.

use std::time::Duration;

/// Waits of `first`, 2 × `first`, 4 × `first`, … up to `most`, each shortened by a random share of at most
/// half.
///
/// The jitter spreads the retries of many clients that failed together.
///
/// ```
/// use std::time::Duration;
/// use toolkit::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
/// let fourth = backoff.delay(4);
/// assert!(fourth >= Duration::from_secs(4) && fourth <= Duration::from_secs(8));
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Backoff {
    /// The first wait, before jitter.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Backoff {
    /// Creates a backoff from `first` to `most`.
    pub const fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { first, most }
    }

    /// Returns the upper bound of the wait after the `attempt`-th failure, counted from 1.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }

    /// Returns the wait after the `attempt`-th failure, counted from 1: between half of its
    /// [`ceiling`](Self::ceiling) and all of it.
    pub fn delay(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}
