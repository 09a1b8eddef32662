//! Which group gives the next message.

use std::collections::BTreeMap;

use kernel::Time;

use super::{Queue, Touched};
use crate::Seq;
use crate::rules::group::{Group, LOOSE, NEVER, Turn};
use collections::Entry;

/// More than this many in flight of one group, and more than a tenth of all, make a group noisy (facts/sqs.md § 14).
const NOISY_IN_FLIGHT: u32 = 30;
/// A noisy group that sent nothing for so long is quiet again.
const NOISY_SECONDS: u32 = 5 * 60;

impl Queue {
    /// Lists a group under what it has to give, or not at all; forgets it if it is empty.
    pub(crate) fn list(&mut self, number: u32, now: Time) {
        let fifo = self.is_fifo();
        let total = self.in_flight_count;
        let Some((group, cells)) = self.groups.get_mut_with_cells(number) else { return };
        let waiting = group.lane.front(cells);
        let turn = if fifo {
            fifo_turn(waiting, group, number, &self.touched)
        } else {
            let in_flight = group.in_flight();
            let too_many = in_flight >= NOISY_IN_FLIGHT && u64::from(in_flight) * 10 > total;
            let named = (number != LOOSE).then_some((number, in_flight));
            self.shares.note(now, total, named);
            let noisy = number != LOOSE
                && group.sent_within(NOISY_SECONDS, now)
                && (group.is_noisy() || too_many || self.shares.is_large(number));
            standard_turn(waiting, group, number, if noisy { in_flight + 1 } else { 0 })
        };
        let before = group.turn(number);
        if turn != before {
            if let Some(before) = before {
                self.ready.remove(&before);
            }
            if let Some(turn) = turn {
                self.ready.insert(turn);
                let since = turn.since(fifo);
                self.oldest_listed = Some(self.oldest_listed.map_or(since, |oldest| oldest.min(since)));
            }
            group.set_turn(turn);
        }
        if turn.is_none() {
            self.groups.remove_if_empty(number);
            if self.groups.get(number).is_none() {
                self.shares.forget(number);
            }
        }
    }

    /// Whether a receive would find something.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Noisy groups are few and stand at the end, in another order than by age. If they are more, those with the most in flight.
    pub(super) fn noisy(&self) -> impl Iterator<Item = &Turn> {
        let fifo = self.is_fifo();
        self.ready.iter().rev().take_while(move |turn| !fifo && turn.burden() > 0).take(16)
    }
}

/// FIFO: the group's turn, if its first message can be received now (facts/sqs.md § 7). `waiting` is the first that was never
/// received.
fn fifo_turn(
    waiting: Option<Entry>,
    group: &Group,
    number: u32,
    touched: &BTreeMap<Seq, Box<Touched>>,
) -> Option<Turn> {
    let member = group.first_returned().map(|(_, _, seq)| seq);
    match (waiting, member) {
        (Some(entry), member) if member.is_none_or(|member| entry.seq < member) => {
            Some(Turn::fifo((entry.sent, NEVER, entry.seq), number))
        }
        (_, Some(member)) => {
            let head = touched.get(&member).filter(|head| !head.in_flight)?;
            Some(Turn::fifo((head.visible, head.returned, member), number))
        }
        (_, None) => None,
    }
}

/// Standard: the group's turn, if it has a message that can be received.
fn standard_turn(waiting: Option<Entry>, group: &Group, number: u32, burden: u32) -> Option<Turn> {
    let waiting = waiting.map(|entry| (entry.sent, NEVER, entry.seq));
    let first = waiting.into_iter().chain(group.first_returned()).min()?;
    Some(Turn::standard(burden, first, number))
}
