//! What time it is: the machine's clock, or one that moves only when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kernel::Time;

/// The server's clock. It never goes back.
#[derive(Debug)]
pub enum Clock {
    /// The machine's.
    Real(Steady),
    /// One that stands still until it is moved.
    Virtual(AtomicU64),
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Clock::Real(Steady::beginning_at(machine_millis()))
    }

    /// A clock that stands at the present moment.
    pub fn standing() -> Self {
        Clock::Virtual(AtomicU64::new(machine_millis()))
    }

    /// The moment.
    pub fn now(&self) -> Time {
        match self {
            Clock::Real(steady) => Time(steady.now()),
            Clock::Virtual(millis) => Time(millis.load(Ordering::Acquire)),
        }
    }

    /// Whether it moves only when it is told to.
    pub fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual(_))
    }

    /// Moves a virtual clock. It never goes back.
    pub fn set(&self, time: Time) {
        if let Clock::Virtual(millis) = self {
            millis.fetch_max(time.0, Ordering::AcqRel);
        }
    }

    /// It is this late at least, whatever the machine's clock says: a log says so. To be called before anybody asks.
    pub fn not_before(&self, time: Time) {
        match self {
            Clock::Real(steady) => _ = steady.base.fetch_max(time.0, Ordering::AcqRel),
            Clock::Virtual(_) => self.set(time),
        }
    }
}

/// The machine's clock, except when that is set back: then this one goes on, a little slower, until both agree.
///
/// A clock that stood still instead, until the machine's had caught up, would be a server that stands still: no visibility timeout
/// and no long poll would end for as long as the machine's clock was set back, or as the log of a server with a wrong
/// clock is ahead of it.
#[derive(Debug)]
pub struct Steady {
    /// Since then it is measured how much time passes.
    started: Instant,
    /// What time it was then, in milliseconds: this changes where the machine's clock shows that time was lost or was wrong.
    base: AtomicU64,
    /// When the machine's clock was looked at last, in milliseconds since the start.
    looked: AtomicU64,
    /// The latest time that was told.
    told: AtomicU64,
}

/// How often the machine's clock is looked at, in milliseconds.
const LOOK: u64 = 1000;

/// Of so many milliseconds one is left out, while the machine's clock is behind.
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

    /// The time, so many milliseconds after the start.
    fn after(&self, elapsed: u64, machine: impl FnOnce() -> u64) -> u64 {
        let looked = self.looked.load(Ordering::Acquire);
        let looks = elapsed >= looked + LOOK
            && self.looked.compare_exchange(looked, elapsed, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if looks {
            let (here, there) = (self.base.load(Ordering::Acquire) + elapsed, machine());
            if there >= here {
                // It was set forward, or slept.
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
    // A clock before 1970 is as good as one at 1970: the engine only needs it not to go back.
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
        // 62 milliseconds are left out of this second.
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
