//! The server's time: the machine's clock, or a clock that moves only on request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kernel::Time;

/// The server's clock. It never goes back.
#[derive(Debug)]
pub enum Clock {
    /// The machine's clock.
    Real(Steady),
    /// A clock that stands still until it is moved.
    Virtual(AtomicU64),
}

impl Clock {
    /// Creates a clock that follows the machine's.
    pub fn real() -> Self {
        Clock::Real(Steady::beginning_at(machine_millis()))
    }

    /// Creates a clock that stands still at the present time.
    pub fn standing() -> Self {
        Clock::Virtual(AtomicU64::new(machine_millis()))
    }

    /// Returns the time.
    pub fn now(&self) -> Time {
        match self {
            Clock::Real(steady) => Time(steady.now()),
            Clock::Virtual(millis) => Time(millis.load(Ordering::Acquire)),
        }
    }

    /// Returns whether the clock moves only on request.
    pub fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual(_))
    }

    /// Moves a virtual clock, forwards only.
    pub fn set(&self, time: Time) {
        if let Clock::Virtual(millis) = self {
            millis.fetch_max(time.0, Ordering::AcqRel);
        }
    }

    /// Sets a lower bound for the clock, taken from the log. Call it before the first use of the clock.
    pub fn not_before(&self, time: Time) {
        match self {
            Clock::Real(steady) => _ = steady.base.fetch_max(time.0, Ordering::AcqRel),
            Clock::Virtual(_) => self.set(time),
        }
    }
}

/// The machine's clock. If that is set back, this clock continues a little slower until both agree.
///
/// If it stood still instead, no visibility timeout and no long poll would end until the machine's clock had
/// caught up. The same holds if a log comes from a server whose clock was ahead.
#[derive(Debug)]
pub struct Steady {
    /// The start of the measurement of elapsed time.
    started: Instant,
    /// The time at that start, in milliseconds. It changes when the machine's clock shows that time was lost
    /// or was wrong.
    base: AtomicU64,
    /// When the machine's clock was last read, in milliseconds since the start.
    looked: AtomicU64,
    /// The latest time that was returned.
    told: AtomicU64,
}

/// Interval at which the machine's clock is read, in milliseconds.
const LOOK: u64 = 1000;

/// While the machine's clock is behind, one of this many milliseconds is skipped.
const SLOWER: u64 = 16;

impl Steady {
    fn beginning_at(now: u64) -> Self {
        Steady {
            started: Instant::now(),
            base: AtomicU64::new(now),
            looked: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.after(self.started.elapsed().as_millis() as u64, machine_millis)
    }

    /// Returns the time, given the milliseconds since the start.
    fn after(&self, elapsed: u64, machine: impl FnOnce() -> u64) -> u64 {
        let looked = self.looked.load(Ordering::Acquire);
        let looks = elapsed >= looked + LOOK
            && self.looked.compare_exchange(looked, elapsed, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if looks {
            let (here, there) = (self.base.load(Ordering::Acquire) + elapsed, machine());
            if there >= here {
                // The clock was set forward, or the machine slept.
                self.base.fetch_add(there - here, Ordering::AcqRel);
            } else {
                self.base.fetch_sub((here - there).min((elapsed - looked) / SLOWER), Ordering::AcqRel);
            }
        }
        let now = self.base.load(Ordering::Acquire) + elapsed;
        self.told.fetch_max(now, Ordering::AcqRel).max(now)
    }
}

fn machine_millis() -> u64 {
    // A clock before 1970 counts as 1970: the engine only needs a clock that does not go back.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_800_000_000_000;

    #[test]
    fn time_goes_on_though_the_machines_clock_is_set_back() {
        let clock = Steady::beginning_at(NOON);
        let hour = 3_600_000;
        let mut before = 0;
        for seconds in 1..=100 {
            let now = clock.after(seconds * 1000, || NOON + seconds * 1000 - hour);
            assert!(now > before, "{seconds}");
            assert!(now >= NOON + seconds * 15_000 / 16, "{seconds}");
            before = now;
        }
        // In the end both agree.
        let day = 24 * hour;
        assert_eq!(clock.after(day, || NOON + day - hour), NOON + day - hour);
    }

    #[test]
    fn time_follows_the_machines_clock_forward() {
        let clock = Steady::beginning_at(NOON);
        assert_eq!(clock.after(500, || unreachable!()), NOON + 500);
        assert_eq!(clock.after(1000, || NOON + 9000), NOON + 9000);
        assert_eq!(clock.after(1500, || unreachable!()), NOON + 9500);
    }

    #[test]
    fn what_was_told_is_never_taken_back() {
        let clock = Steady::beginning_at(NOON);
        let told = clock.after(999, || unreachable!());
        // 62 milliseconds of this second are skipped.
        assert_eq!(clock.after(1000, || NOON - 5000), told);
        assert_eq!(clock.after(1100, || unreachable!()), NOON + 1100 - 62);
    }

    #[test]
    fn a_log_from_the_future_begins_a_clock_that_moves() {
        let clock = Clock::real();
        let later = Time(machine_millis() + 3_600_000);
        clock.not_before(later);
        assert!(clock.now() >= later);
        let Clock::Real(steady) = &clock else { unreachable!() };
        assert!(steady.after(100_000, || later.0) >= later.0 + 90_000);
    }
}
