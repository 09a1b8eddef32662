//! The numbers that everything on a server is called by: messages, resources, deliveries.

use std::cell::Cell;

/// Draws numbers from the server's one counter. No number is drawn twice, in this run or after a restart.
///
/// A decision draws numbers while it looks at the state. The machine moves the counter only if the decision records something;
/// otherwise [`Numbers::put_back`] returns what was drawn. So a restart, which reads the counter from the log, draws the same ones.
#[derive(Debug)]
pub struct Numbers(Cell<u64>);

impl Numbers {
    /// A counter whose next number is `next`.
    pub fn new(next: u64) -> Self {
        Numbers(Cell::new(next))
    }

    /// Takes the next number.
    pub fn draw(&self) -> u64 {
        let number = self.0.get();
        self.0.set(number + 1);
        number
    }

    /// Takes `count` numbers in a row, and returns the first.
    pub fn draw_many(&self, count: u64) -> u64 {
        let first = self.0.get();
        self.0.set(first + count);
        first
    }

    /// The number that is drawn next. All numbers below it are taken.
    pub fn next(&self) -> u64 {
        self.0.get()
    }

    /// Returns numbers from `next` on that were drawn and not recorded.
    pub fn put_back(&self, next: u64) {
        self.0.set(next);
    }

    /// Numbers below `next` are taken, as a log says.
    pub fn skip_to(&self, next: u64) {
        self.0.set(self.0.get().max(next));
    }
}
