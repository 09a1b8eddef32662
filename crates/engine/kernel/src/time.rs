//! Time as data: the engine never asks what time it is, it is told.

use std::ops::{Add, Sub};

/// A moment: milliseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Time(pub u64);

impl Time {
    /// The moment `seconds` later; saturates at the end of time.
    pub const fn plus_seconds(self, seconds: u64) -> Time {
        Time(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The same as a number that can be negative; saturates at the end of its range.
    pub const fn signed_millis(self) -> i64 {
        if self.0 > i64::MAX as u64 { i64::MAX } else { self.0 as i64 }
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

impl Add<u64> for Time {
    type Output = Time;
    /// The moment `millis` later; saturates at the end of time.
    fn add(self, millis: u64) -> Time {
        Time(self.0.saturating_add(millis))
    }
}

impl Sub<Time> for Time {
    type Output = u64;
    /// Milliseconds from `earlier` to `self`; zero if `earlier` is not earlier.
    fn sub(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
