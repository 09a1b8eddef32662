//! How much of the consumers' time each group of a standard queue has taken lately (facts/sqs.md § 14).
//!
//! A message takes a consumer's time from its receive until it is deleted or can be received again. What is kept is a sum a
//! group, for groups that have taken some; looking at one costs the same however many there are. It is not in the log: after a
//! restart, groups begin anew.

use std::collections::BTreeMap;

use kernel::Time;

/// "Lately" is between one and two of these, in milliseconds.
const PERIOD: u64 = 150_000;

/// Who took less is quiet whatever its share: a few short messages say nothing. In milliseconds.
const LEAST: u64 = 10_000;

/// What groups have taken, and all together.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    all: Meter,
    groups: BTreeMap<u32, Meter>,
}

impl Shares {
    /// From `now` on so many messages are in flight, and so many of a group; a group of no name has none of its own.
    pub fn note(&mut self, now: Time, all: u64, group: Option<(u32, u32)>) {
        self.all.note(now, all);
        let Some((group, in_flight)) = group else { return };
        match self.groups.get_mut(&group) {
            Some(meter) => meter.note(now, in_flight.into()),
            None if in_flight > 0 => self.groups.entry(group).or_default().note(now, in_flight.into()),
            None => {}
        }
    }

    /// Whether a group has taken more than a tenth of the time.
    pub fn is_large(&self, group: u32) -> bool {
        let taken = self.groups.get(&group).map_or(0, Meter::taken);
        taken >= LEAST && taken * 10 > self.all.taken()
    }

    /// The group is gone; what it has taken stays among what all have.
    pub fn forget(&mut self, group: u32) {
        self.groups.remove(&group);
    }
}

/// The time that messages in flight take, in milliseconds times messages.
#[derive(Clone, Debug, Default)]
struct Meter {
    in_flight: u64,
    /// Up to when it is counted.
    counted: Time,
    /// In this period and in the one before.
    taken: [u64; 2],
}

impl Meter {
    fn note(&mut self, now: Time, in_flight: u64) {
        let now = now.max(self.counted);
        let (period, before) = (now.0 / PERIOD, self.counted.0 / PERIOD);
        // What was taken before the last two periods is long ago.
        let recent = self.counted.0.max(period.saturating_sub(1) * PERIOD);
        let begun = period * PERIOD;
        match period - before {
            0 => {}
            1 => self.taken = [0, self.taken[0]],
            _ => self.taken = [0, 0],
        }
        self.taken[1] += self.in_flight * begun.saturating_sub(recent);
        self.taken[0] += self.in_flight * (now.0 - recent.max(begun));
        (self.counted, self.in_flight) = (now, in_flight);
    }

    fn taken(&self) -> u64 {
        self.taken[0] + self.taken[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: u64 = 1_700_000_000_000 / PERIOD * PERIOD;

    fn at(seconds: u64) -> Time {
        Time(BEGUN + seconds * 1000)
    }

    #[test]
    fn a_group_whose_few_messages_take_long_has_a_large_share() {
        let mut shares = Shares::default();
        shares.note(at(0), 2, Some((1, 2)));
        assert!(!shares.is_large(1), "not yet");
        shares.note(at(4), 2, Some((1, 2)));
        assert!(!shares.is_large(1), "eight seconds are few");
        shares.note(at(6), 2, Some((1, 2)));
        assert!(shares.is_large(1) && !shares.is_large(2));
    }

    #[test]
    fn a_tenth_is_not_yet_large() {
        let mut shares = Shares::default();
        for group in 1..=10 {
            shares.note(at(0), group.into(), Some((group, 1)));
        }
        for group in 1..=10 {
            shares.note(at(60), 10, Some((group, 1)));
            assert!(!shares.is_large(group), "{group}");
        }
        shares.note(at(60), 11, Some((1, 2)));
        shares.note(at(120), 11, Some((1, 2)));
        assert!(shares.is_large(1));
    }

    #[test]
    fn what_was_taken_is_forgotten_after_a_while() {
        let mut shares = Shares::default();
        shares.note(at(0), 1, Some((1, 1)));
        shares.note(at(60), 0, Some((1, 0)));
        shares.note(at(149), 0, Some((1, 0)));
        assert!(shares.is_large(1));
        shares.note(at(299), 0, Some((1, 0)));
        assert!(shares.is_large(1));
        shares.note(at(300), 0, Some((1, 0)));
        assert!(!shares.is_large(1));
    }

    #[test]
    fn a_long_time_counts_in_the_periods_in_which_it_was_taken() {
        let mut shares = Shares::default();
        // Before the last two periods nothing counts.
        shares.note(at(0), 1, Some((1, 1)));
        shares.note(at(10_000), 1, Some((1, 1)));
        assert_eq!(shares.all.taken, [at(10_000).0 % PERIOD, PERIOD]);
        // A clock that stood still, or a moment that is told late, takes nothing.
        shares.note(at(9_000), 1, Some((1, 1)));
        assert_eq!(shares.all.taken, [at(10_000).0 % PERIOD, PERIOD]);
    }

    #[test]
    fn a_group_that_is_gone_begins_anew() {
        let mut shares = Shares::default();
        shares.note(at(0), 1, Some((1, 1)));
        shares.note(at(60), 1, Some((1, 1)));
        shares.forget(1);
        shares.note(at(61), 1, Some((1, 1)));
        assert!(!shares.is_large(1));
        shares.note(at(63), 1, Some((1, 0)));
        assert!(shares.groups.len() == 1 && !shares.is_large(1));
        shares.note(at(63), 1, Some((2, 0)));
        assert!(shares.groups.len() == 1, "who has taken nothing takes no memory");
    }
}
