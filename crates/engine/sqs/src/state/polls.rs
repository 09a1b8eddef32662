//! Receives that wait for a message.

use super::State;
use crate::QueueId;
use crate::due::{Due, Waiter};

impl State {
    /// A receive begins to wait.
    pub fn wait(&mut self, id: QueueId, waiter: Waiter) {
        let number = self.next_waiter;
        self.next_waiter += 1;
        if let Some(queue) = self.queues.get_mut(&id) {
            self.deadlines.set(waiter.until, Due::PollEnds(id, number));
            self.waiting.insert(waiter.ticket, (id, number));
            queue.waiters.insert(number, waiter);
            // It may have found as many dead letters as one receive moves, and something to give is behind them.
            if queue.has_ready() {
                self.woken.insert(id);
            }
        }
    }

    /// All receives that wait are to be answered with nothing.
    pub fn end_polls(&mut self) {
        let tickets: Vec<u64> = self.waiting.keys().copied().collect();
        for ticket in tickets {
            self.stop_waiting(ticket);
            self.ended_polls.push_back(ticket);
        }
    }

    /// A receive waits no longer: it is being answered, or the client has gone.
    pub fn stop_waiting(&mut self, ticket: u64) -> Option<Waiter> {
        let (id, number) = self.waiting.remove(&ticket)?;
        let waiter = self.queues.get_mut(&id)?.waiters.remove(&number)?;
        self.deadlines.clear(waiter.until, Due::PollEnds(id, number));
        Some(waiter)
    }

    /// Whether a receive that waited is still to be told that it waited in vain.
    pub fn has_ended_polls(&self) -> bool {
        !self.ended_polls.is_empty()
    }
}
