//! What time it is: the machine's clock, or one that moves only when it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::Time;

/// The server's clock.
#[derive(Debug)]
pub enum Clock {
    /// The machine's.
    Real,
    /// One that stands still until it is moved.
    Virtual(AtomicU64),
}

impl Clock {
    /// A clock that stands at the present moment.
    pub fn standing() -> Self {
        Clock::Virtual(AtomicU64::new(machine_millis()))
    }

    /// The moment.
    pub fn now(&self) -> Time {
        match self {
            Clock::Real => Time(machine_millis()),
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
}

fn machine_millis() -> u64 {
    // A clock before 1970 is as good as one at 1970: the engine only needs it not to go back.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
