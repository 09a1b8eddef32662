//! A circuit breaker: after many failures in a row nothing is tried for a while; then one thing is; then all again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Stands before something that may be broken.
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
    /// Whether it is closed and nothing has failed since, which most often is all there is to know.
    calm: AtomicBool,
    changed: Notify,
}

/// When a [`CircuitBreaker`] opens, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    /// Failures in a row.
    pub failures: u32,
    /// How long nothing is tried.
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

/// What a [`CircuitBreaker`] lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One at a time.
    HalfOpen,
}

impl CircuitBreaker {
    /// A closed one.
    pub fn new(settings: BreakerSettings) -> CircuitBreaker {
        let state = Mutex::new(State::Closed { failures: 0 });
        CircuitBreaker { settings, state, calm: AtomicBool::new(true), changed: Notify::new() }
    }

    /// What it lets through now.
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

    /// Waits until it is not open, and says which of the other two it is.
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

    /// Waits until the next change.
    pub async fn change(&self) {
        self.changed.notified().await;
    }

    /// Waits for leave to try. Say how it went to the pass; one that is dropped counts as neither.
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

    /// Leave to try, if everybody has it.
    pub(crate) fn enter_now(&self) -> Option<Pass<'_>> {
        (self.phase() == Phase::Closed).then(|| Pass { breaker: self, trial: false })
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Acquire)
    }

    /// The state, after what time alone has changed.
    fn look(&self) -> std::sync::MutexGuard<'_, State> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
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
            // Something that began before the circuit opened.
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

/// Leave to try once.
#[derive(Debug)]
#[must_use]
pub struct Pass<'a> {
    breaker: &'a CircuitBreaker,
    trial: bool,
}

impl Pass<'_> {
    /// It worked.
    pub fn success(mut self) {
        self.breaker.success(std::mem::take(&mut self.trial));
    }

    /// It did not.
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
