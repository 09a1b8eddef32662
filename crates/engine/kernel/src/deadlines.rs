//! Everything that waits for a moment, in one structure.

use std::collections::BTreeSet;

use crate::Time;

/// What falls due when. Earliest first; what falls due together comes in the order of its keys, so that two runs agree.
#[derive(Clone, Debug)]
pub struct Deadlines<K> {
    due: BTreeSet<(Time, K)>,
}

impl<K: Ord + Copy> Default for Deadlines<K> {
    fn default() -> Self {
        Deadlines { due: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Remembers that `key` falls due at `time`. A key may be due at several times.
    pub fn set(&mut self, time: Time, key: K) {
        self.due.insert((time, key));
    }

    /// Forgets it; does nothing if it was not there.
    pub fn clear(&mut self, time: Time, key: K) {
        self.due.remove(&(time, key));
    }

    /// The earliest moment at which anything falls due.
    pub fn next(&self) -> Option<Time> {
        self.due.first().map(|&(time, _)| time)
    }

    /// Takes the earliest that is due at `now`.
    pub fn take_due(&mut self, now: Time) -> Option<(Time, K)> {
        match self.due.first() {
            Some(&(time, _)) if time <= now => self.due.pop_first(),
            _ => None,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}
