//! Answers and deliveries that wait until the log is durable up to what they rest on.

use std::collections::VecDeque;

use kernel::retained::Order;
use kernel::{Position, Undelivered};

use crate::Answer;
use crate::house::House;

/// What leaves the machine once what it rests on is durable.
#[derive(Debug)]
pub enum Release<H: House> {
    /// An answer, to whoever holds the ticket.
    Reply(u64, Answer<H>),
    /// Something to be done outside.
    Effect(H::Effect),
    /// Somebody does not get a message.
    Undelivered(Box<Undelivered>),
    /// A service's order from the store for retained data, and up to where the log must be on disk for it.
    Order(usize, Order, Position),
}

/// Things that wait for positions, given back in the order of the positions.
#[derive(Debug)]
pub struct Outbox<T> {
    waiting: VecDeque<(Position, T)>,
    durable: Position,
}

impl<T> Outbox<T> {
    /// Nothing waits; the log is durable up to `durable`.
    pub fn new(durable: Position) -> Self {
        Outbox { waiting: VecDeque::new(), durable }
    }

    /// Up to where the log is durable.
    pub fn durable(&self) -> Position {
        self.durable
    }

    /// Puts something in that rests on everything before `position`.
    pub fn put(&mut self, position: Position, item: T) {
        // Most rest on the end of the log; only a few on something earlier.
        let at = match self.waiting.back() {
            Some((last, _)) if *last > position => {
                self.waiting.partition_point(|(other, _)| *other <= position)
            }
            _ => self.waiting.len(),
        };
        self.waiting.insert(at, (position, item));
    }

    /// The log has become durable up to `position`.
    pub fn advance(&mut self, position: Position) {
        self.durable = self.durable.max(position);
    }

    /// Takes what need wait no longer.
    pub fn take(&mut self) -> Option<T> {
        match self.waiting.front() {
            Some((position, _)) if *position <= self.durable => {
                self.waiting.pop_front().map(|(_, item)| item)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Place;

    #[test]
    fn an_answer_leaves_when_what_it_rests_on_is_durable_and_not_before() {
        let at = |offset| Place::new(1, offset);
        let mut outbox = Outbox::new(at(10));
        outbox.put(at(30), "c");
        outbox.put(at(20), "b");
        outbox.put(at(5), "a");
        assert_eq!(outbox.take(), Some("a"));
        assert_eq!(outbox.take(), None);
        outbox.advance(at(20));
        assert_eq!(outbox.take(), Some("b"));
        assert_eq!(outbox.take(), None);
        outbox.advance(at(40));
        outbox.advance(at(25));
        assert_eq!(outbox.take(), Some("c"));
    }
}
