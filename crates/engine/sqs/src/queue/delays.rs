//! Messages whose delay has not ended.

use kernel::{Deadlines, Time};

use super::{QUEUE_DELAY, Queue};
use crate::due::Due;
use collections::Lane;

impl Queue {
    /// The lanes of messages whose delay has not ended, by delay, from this one on.
    pub(crate) fn delayed_from(&self, delay: u32) -> impl Iterator<Item = (u32, &Lane)> {
        self.delayed.range(delay..).map(|(&delay, delayed)| (delay, &delayed.lane))
    }

    /// Whether a FIFO message that comes now has to wait for the queue's delay.
    pub(crate) fn has_delayed(&self) -> bool {
        self.delayed_count > 0
    }

    /// Lets the messages in whose delay has ended by `now`, `most` at a time; how many they were.
    pub(crate) fn delay_ends(
        &mut self,
        delay: u32,
        now: Time,
        most: usize,
        deadlines: &mut Deadlines<Due>,
    ) -> usize {
        if let Some(delayed) = self.delayed.get_mut(&delay) {
            delayed.due = None;
        }
        let millis = self.delay_millis(delay);
        let mut moved = 0;
        while moved < most {
            let Some(delayed) = self.delayed.get_mut(&delay) else { break };
            match delayed.lane.front() {
                Some(front) if front.sent + millis <= now => {
                    delayed.lane.pop_front();
                    self.delayed_count -= 1;
                    if let Some(group) = self.groups.get_mut(front.tag) {
                        group.delay_ends();
                    }
                    self.enter_lane(front.tag, front);
                    moved += 1;
                }
                Some(_) => break,
                None => {
                    self.delayed.remove(&delay);
                    break;
                }
            }
        }
        self.watch_delay(delay, deadlines);
        moved
    }

    pub(super) fn delay_millis(&self, delay: u32) -> u64 {
        let seconds = if delay == QUEUE_DELAY { self.settings.delay_seconds } else { delay };
        u64::from(seconds) * 1000
    }

    pub(super) fn watch_delay(&mut self, delay: u32, deadlines: &mut Deadlines<Due>) {
        let millis = self.delay_millis(delay);
        let Some(delayed) = self.delayed.get_mut(&delay) else { return };
        let due = delayed.lane.front().map(|front| front.sent + millis);
        if due != delayed.due {
            let key = Due::DelayEnds(self.id, delay);
            if let Some(old) = delayed.due {
                deadlines.clear(old, key);
            }
            if let Some(due) = due {
                deadlines.set(due, key);
            }
            delayed.due = due;
        }
    }

    /// The queue's own delay may have changed: FIFO messages that wait for it fall due at another time.
    pub(crate) fn delay_changed(&mut self, deadlines: &mut Deadlines<Due>) {
        self.watch_delay(QUEUE_DELAY, deadlines);
    }
}
