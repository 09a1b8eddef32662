//! A circuit breaker: after several failures in a row it stops all attempts for a while, then permits one
//! trial, and after a success all attempts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Protects calls to something that can fail.
///
/// ```text
///            failures in a row            open_for has passed
///  ┌────────┐ ───────────────▶ ┌──────┐ ───────────────────▶ ┌───────────┐
///  │ Closed │                  │ Open │                      │ Half-open │  one trial at a time
///  └────────┘ ◀──┐             └──────┘ ◀─────────────────── └───────────┘
///                └──────────────────────  trial fails             │
///                                         trial succeeds ─────────┘ (to Closed)
/// ```
#[derive(Debug)]
pub struct CircuitBreaker {
    settings: BreakerSettings,
    state: Mutex<State>,
    /// Whether the breaker is closed without a failure since. This is the usual case, and needs no lock.
    calm: AtomicBool,
    changed: Notify,
}

/// When a [`CircuitBreaker`] opens, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    /// Number of failures in a row that opens the breaker.
    pub failures: u32,
    /// How long the breaker stays open.
    pub open_for: Duration,
}

impl Default for BreakerSettings {
    /// Five failures, one minute.
    fn default() -> BreakerSettings {
        BreakerSettings { failures: 5, open_for: Duration::from_secs(60) }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { trial_runs: bool },
}

/// The attempts that a [`CircuitBreaker`] permits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// All attempts.
    Closed,
    /// No attempt.
    Open,
    /// One attempt at a time.
    HalfOpen,
}

impl CircuitBreaker {
    /// Creates a closed breaker.
    pub fn new(settings: BreakerSettings) -> CircuitBreaker {
        let state = Mutex::new(State::Closed { failures: 0 });
        CircuitBreaker { settings, state, calm: AtomicBool::new(true), changed: Notify::new() }
    }

    /// Returns the current phase.
    pub fn phase(&self) -> Phase {
        if self.is_calm() {
            return Phase::Closed;
        }
        match *self.look() {
            State::Closed { .. } => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// Waits until the breaker is not open, and returns its phase.
    pub async fn not_open(&self) -> Phase {
        loop {
            let changed = self.changed.notified();
            let until = match *self.look() {
                State::Closed { .. } => return Phase::Closed,
                State::HalfOpen { .. } => return Phase::HalfOpen,
                State::Open { until } => until,
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Waits until the next change of the phase.
    pub async fn change(&self) {
        self.changed.notified().await;
    }

    /// Waits until an attempt is permitted. Report the result to the pass; a dropped pass counts as neither
    /// success nor failure.
    pub async fn enter(&self) -> Pass<'_> {
        loop {
            let changed = self.changed.notified();
            let until = {
                let mut state = self.look();
                match *state {
                    State::Closed { .. } => return Pass { breaker: self, trial: false },
                    State::HalfOpen { trial_runs: false } => {
                        *state = State::HalfOpen { trial_runs: true };
                        return Pass { breaker: self, trial: true };
                    }
                    State::HalfOpen { trial_runs: true } => None,
                    State::Open { until } => Some(until),
                }
            };
            match until {
                None => changed.await,
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => {}
                },
            }
        }
    }

    /// Returns a pass if all attempts are permitted.
    pub(crate) fn enter_now(&self) -> Option<Pass<'_>> {
        (self.phase() == Phase::Closed).then(|| Pass { breaker: self, trial: false })
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Acquire)
    }

    /// Returns the state, after applying changes that follow from time alone.
    fn look(&self) -> std::sync::MutexGuard<'_, State> {
        // Each change is one assignment, so the state is valid after a panic on another thread.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Open { until } = *state
            && until <= Instant::now()
        {
            *state = State::HalfOpen { trial_runs: false };
        }
        state
    }

    fn success(&self, trial: bool) {
        if self.is_calm() {
            return;
        }
        let mut state = self.look();
        match *state {
            State::Closed { failures: 0 } => return,
            State::Closed { .. } => *state = State::Closed { failures: 0 },
            State::HalfOpen { .. } if trial => *state = State::Closed { failures: 0 },
            // The attempt began before the circuit opened.
            State::HalfOpen { .. } | State::Open { .. } => return,
        }
        self.calm.store(true, Ordering::Release);
        drop(state);
        self.changed.notify_waiters();
    }

    fn failure(&self, trial: bool) {
        let mut state = self.look();
        self.calm.store(false, Ordering::Release);
        let open = State::Open { until: Instant::now() + self.settings.open_for };
        match *state {
            State::Closed { failures } if failures + 1 >= self.settings.failures => *state = open,
            State::Closed { failures } => *state = State::Closed { failures: failures + 1 },
            State::HalfOpen { .. } if trial => *state = open,
            State::HalfOpen { .. } | State::Open { .. } => return,
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn give_back(&self) {
        let mut state = self.look();
        if let State::HalfOpen { trial_runs: true } = *state {
            *state = State::HalfOpen { trial_runs: false };
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// Permission for one attempt.
#[derive(Debug)]
#[must_use]
pub struct Pass<'a> {
    breaker: &'a CircuitBreaker,
    trial: bool,
}

impl Pass<'_> {
    /// Reports a success.
    pub fn success(mut self) {
        self.breaker.success(std::mem::take(&mut self.trial));
    }

    /// Reports a failure.
    pub fn failure(mut self) {
        self.breaker.failure(std::mem::take(&mut self.trial));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.breaker.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings { failures: 3, open_for: Duration::from_secs(60) };

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_closes_after_a_trial() {
        let breaker = CircuitBreaker::new(SETTINGS);
        for success in [false, false, true, false, false] {
            let pass = breaker.enter().await;
            if success { pass.success() } else { pass.failure() }
        }
        assert_eq!(breaker.phase(), Phase::Closed);
        breaker.enter().await.failure();
        assert_eq!(breaker.phase(), Phase::Open);

        let opened = Instant::now();
        let trial = breaker.enter().await;
        assert_eq!(opened.elapsed().as_secs(), 60);
        assert_eq!(breaker.phase(), Phase::HalfOpen);
        // Only one at a time.
        let second = tokio::time::timeout(Duration::from_secs(9), breaker.enter()).await;
        assert!(second.is_err());
        trial.failure();
        assert_eq!(breaker.phase(), Phase::Open);

        breaker.enter().await.success();
        assert_eq!(breaker.phase(), Phase::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_dropped_lets_the_next_one_try() {
        let breaker = CircuitBreaker::new(SETTINGS);
        for _ in 0..3 {
            breaker.enter().await.failure();
        }
        drop(breaker.enter().await);
        assert_eq!(breaker.phase(), Phase::HalfOpen);
        breaker.enter().await.success();
        assert_eq!(breaker.phase(), Phase::Closed);
    }
}
