//! What is known of a message that was received or moved in.

use std::ops::Deref;
use std::sync::Arc;

use kernel::{Extent, Time};

use crate::Seq;
use crate::rules::group::{NEVER, Returned};
use collections::Entry;

/// The ARN of a queue that a message was moved out of as a dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source(pub(super) Box<str>);

impl Deref for Source {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// What is known of a message that was received or moved in. There may be 120,000 of each queue in flight, and millions that were
/// moved: every byte counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Touched {
    /// Where its payload lies.
    pub extent: Extent,
    /// From when its retention counts.
    pub sent: Time,
    /// The number from which its message id is made.
    pub origin: Seq,
    /// The number that names it in the parcel that holds its payload, if one does.
    pub copy: Seq,
    /// Its group.
    pub group: u32,
    /// How often it was received, here and in the queues that it was moved out of as a dead letter.
    pub receives: u32,
    /// How often of that in those other queues.
    pub receives_elsewhere: u32,
    /// When first.
    pub first_received: Time,
    /// When last.
    pub received: Time,
    /// From when it can be received.
    pub visible: Time,
    /// Whether it is hidden until then.
    pub in_flight: bool,
    /// If it is not: how it came back, as [`Returned`] has it.
    pub(crate) returned: u32,
    /// Whether its deduplication id is its message id.
    pub deduplicates_by_id: bool,
    /// Whether its payload lies in a record that names another message.
    pub borrowed: bool,
    /// The queue that it was moved out of as a dead letter.
    pub dead_letter_source: Option<Arc<Source>>,
    /// Where the latest fact about it lies.
    pub fact: Option<Extent>,
    /// Where it lies what only the record says that put it here; a later receive does not repeat that.
    pub(crate) placed: Option<Extent>,
    /// When something happens to it next: its visibility or its retention ends.
    pub(super) due: Time,
}

impl Touched {
    /// A message as it is when it is first touched.
    pub(crate) fn new(entry: Entry, group: u32, origin: Seq) -> Self {
        Touched {
            extent: entry.extent,
            sent: entry.sent,
            origin,
            copy: origin,
            group,
            receives: 0,
            receives_elsewhere: 0,
            first_received: Time(0),
            received: Time(0),
            visible: entry.sent,
            in_flight: false,
            returned: NEVER,
            deduplicates_by_id: false,
            borrowed: false,
            dead_letter_source: None,
            fact: None,
            placed: None,
            due: Time(0),
        }
    }

    /// How often it was received in this queue.
    pub(crate) fn receives_here(&self) -> u32 {
        self.receives.saturating_sub(self.receives_elsewhere)
    }

    /// Its place among the returned messages of its group, if it has one now.
    pub(super) fn place_in_group(&self, seq: Seq, fifo: bool) -> Option<Returned> {
        match (fifo, self.in_flight) {
            (true, _) => Some((Time(0), 0, seq)),
            (false, true) => None,
            (false, false) => Some((self.visible, self.returned, seq)),
        }
    }
}

/// A message that was received is this, sixteen bytes of the map of all such, and a deadline.
const _: () = assert!(size_of::<Touched>() <= 128);
