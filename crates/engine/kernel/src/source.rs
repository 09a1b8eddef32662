//! How one service takes messages out of a resource of another, hands them on, and is done with them.
//!
//! A source hides what is drawn from others, for as long as its own rules say. What is not
//! [finished](Sources::finish) by then is there again. A service that draws need not ask again and again: it wishes for a source
//! ([`Service::next_wish`](crate::Service::next_wish)), and is told once the source has something.

use crate::{Arn, Extent, Handed, Stored, Why};

/// A message that was drawn from a source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Drawn {
    /// Its number in the source.
    pub number: u64,
    /// Which draw of it this is. After another one, this one counts no longer.
    pub draw: u32,
}

/// All services from which messages can be drawn by ARN. The ARN's service decides which one is asked.
pub trait Sources {
    /// Draws up to `most` messages. What the source records of it belongs to the group of the decision.
    ///
    /// Errors: there is no such source.
    fn draw(&self, from: &Arn, most: usize, handed: &mut Handed<'_>) -> Result<Vec<Drawn>, Why>;

    /// Where the record of a message lies now; none if the message is no longer drawn, or gone.
    fn place_of(&self, from: &Arn, drawn: Drawn) -> Option<Extent>;

    /// A message as JSON, made of its record; none if the message is no longer drawn, or the record is another one's.
    fn show(&self, from: &Arn, drawn: Drawn, record: &Stored) -> Option<String>;

    /// The messages are gone from their source, once the decision is recorded.
    fn finish(&self, from: &Arn, drawn: &[Drawn], handed: &mut Handed<'_>);
}
