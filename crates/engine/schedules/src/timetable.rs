//! What is due when, and what has fallen due and waits for its turn, or for room on the disk.

use std::collections::BTreeSet;

use kernel::{Deadlines, Time};

/// Keys by the moments at which they fall due.
#[derive(Clone, Debug)]
pub struct Timetable<K> {
    waiting: Deadlines<K>,
    /// Those that have fallen due. They are apart, since time need not be told again for them.
    due: BTreeSet<(Time, K)>,
}

impl<K: Ord + Copy> Default for Timetable<K> {
    fn default() -> Self {
        Timetable { waiting: Deadlines::default(), due: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Timetable<K> {
    /// `key` falls due at `time`.
    pub fn set(&mut self, time: Time, key: K) {
        self.waiting.set(time, key);
    }

    /// It does not, or it is not due any more.
    pub fn clear(&mut self, time: Time, key: K) {
        self.waiting.clear(time, key);
        self.due.remove(&(time, key));
    }

    /// When something falls due next.
    pub fn next(&self) -> Option<Time> {
        self.waiting.next()
    }

    /// Lets time pass: at most `room` things fall due, which are subtracted from it.
    pub fn advance(&mut self, now: Time, room: &mut usize) {
        while *room > 0
            && let Some(due) = self.waiting.take_due(now)
        {
            *room -= 1;
            self.due.insert(due);
        }
    }

    /// Whether something is due, or falls due at `now`.
    pub fn is_behind(&self, now: Time) -> bool {
        !self.due.is_empty() || self.falls_due(now)
    }

    /// Whether something falls due at `now` for which [`Timetable::advance`] had no room.
    pub fn falls_due(&self, now: Time) -> bool {
        self.next().is_some_and(|due| due <= now)
    }

    /// Takes what is due first, whenever that is. The same holds for it as for [`Timetable::take`].
    pub fn take_first(&mut self) -> Option<K> {
        self.take().or_else(|| self.waiting.take_due(Time(u64::MAX)).map(|(_, key)| key))
    }

    /// Takes what has been due for the longest time. A record must say what became of it; until then a restart finds it due again.
    pub fn take(&mut self) -> Option<K> {
        self.due.pop_first().map(|(_, key)| key)
    }
}
