//! How fast all clients together ask.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Turns at a rate; without one, at once.
#[derive(Default)]
pub struct Pace(Mutex<Turns>);

#[derive(Default)]
struct Turns {
    between: Option<Duration>,
    next: Option<Instant>,
}

impl Pace {
    /// So many turns a second from now on.
    pub fn set(&self, rate: f64) {
        let mut turns = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        turns.between = Some(Duration::from_secs_f64(1.0 / rate.max(1.0)));
        turns.next = Some(Instant::now());
    }

    /// Waits for a turn.
    pub fn turn(&self) {
        let wait = {
            let mut turns = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let (Some(between), Some(next)) = (turns.between, turns.next) else { return };
            let now = Instant::now();
            // What was missed while the server was away is not made up for.
            let next = next.max(now.checked_sub(Duration::from_millis(100)).unwrap_or(now));
            turns.next = Some(next + between);
            next.saturating_duration_since(now)
        };
        std::thread::sleep(wait);
    }
}
