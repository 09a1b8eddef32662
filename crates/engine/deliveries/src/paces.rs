//! Who may be tried how often: the next free moment of everything that is not to be tried faster than it wants.

use std::collections::BTreeMap;

use kernel::Time;

use crate::deliveries::Pace;

/// The next free moments, in microseconds, by what they are the pace of, if all attempts were made with their pauses (the "theoretical arrival
/// times" of the generic cell rate algorithm). One that has passed means nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paces {
    free_at: BTreeMap<u64, u64>,
    /// How many there may be before those that have passed are forgotten.
    most: usize,
}

/// So few are always kept.
const LEAST: usize = 64;

impl Paces {
    /// Reserves the next moment at which something of this pace may be tried: now, or later.
    pub(crate) fn reserve(&mut self, pace: Pace, now: Time) -> Time {
        let now = now.0.saturating_mul(1000);
        if self.free_at.len() >= self.most.max(LEAST) && !self.free_at.contains_key(&pace.key) {
            self.free_at.retain(|_, free_at| *free_at > now);
            self.most = self.free_at.len() * 2;
        }
        let free_at = self.free_at.entry(pace.key).or_default();
        let regular = now.max(*free_at);
        *free_at = regular.saturating_add(pace.micros);
        let ahead = pace.micros.saturating_mul(pace.at_once.saturating_sub(1));
        Time(regular.saturating_sub(ahead).max(now).div_ceil(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_to_the_microsecond_and_what_has_passed_is_forgotten() {
        let mut paces = Paces::default();
        let pace = |key| Pace { key, micros: 1_000_000 / 300, at_once: 1 };
        let turns: Vec<u64> = (0..301).map(|_| paces.reserve(pace(1), Time(5000)).0).collect();
        assert_eq!((turns[0], turns[1], turns[300]), (5000, 5004, 6000));
        let burst = Pace { key: 2, micros: 500_000, at_once: 2 };
        let turns: Vec<u64> = (0..4).map(|_| paces.reserve(burst, Time(5000)).0).collect();
        assert_eq!(turns, [5000, 5000, 5500, 6000]);
        for key in 0..10_000 {
            paces.reserve(pace(key), Time(10_000 + key));
        }
        assert!(paces.free_at.len() <= LEAST + 1, "{}", paces.free_at.len());
        assert_eq!(paces.reserve(pace(9_999), Time(19_999)), Time(20_003));
        assert_eq!(paces.reserve(pace(1), Time(u64::MAX)), Time(u64::MAX / 1000 + 1), "at the end of time");
    }
}
