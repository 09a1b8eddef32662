//! The ledger of a run: which messages were sent and which have arrived. At the end both must agree.
//!
//! A message's body begins with its identity, 44 hexadecimal digits: the run (8), the message's number (12),
//! the time of its send in nanoseconds of the run's clock (16), its group (8). The rest of the body is the
//! same for all messages of a run.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Number of digits of an identity at the beginning of each body.
pub(crate) const IDENTITY_BYTES: usize = 44;

/// Number of messages in one page of the bitmap.
const PAGE: u64 = 1 << 20;
/// Maximum number of pages of the bitmap: four thousand million messages, which no run reaches.
const PAGES: usize = 4096;

/// The identity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) run: u32,
    pub(crate) number: u64,
    pub(crate) sent_at: u64,
    pub(crate) group: u32,
}

impl Identity {
    /// Writes the identity over the first [`IDENTITY_BYTES`] of `text`.
    pub(crate) fn write(&self, text: &mut [u8]) {
        put_hex(&mut text[0..8], u64::from(self.run));
        put_hex(&mut text[8..20], self.number);
        put_hex(&mut text[20..36], self.sent_at);
        put_hex(&mut text[36..44], u64::from(self.group));
    }

    /// Parses the identity at the beginning of a body; `None` if it is not of this benchmark.
    pub(crate) fn read(body: &[u8]) -> Option<Identity> {
        let text = body.get(..IDENTITY_BYTES)?;
        Some(Identity {
            run: get_hex(&text[0..8])? as u32,
            number: get_hex(&text[8..20])?,
            sent_at: get_hex(&text[20..36])?,
            group: get_hex(&text[36..44])? as u32,
        })
    }
}

/// The ledger's result for a message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It arrived for the first time.
    First,
    /// It had arrived before.
    Again,
    /// It arrived out of order within its group.
    OutOfOrder,
    /// No such message was sent.
    NeverSent,
}

/// The ledger of one run, shared by all threads.
pub(crate) struct Ledger {
    issued: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    arrived: AtomicU64,
    /// Number of places at which each message must arrive: one, or one per queue of its topic.
    copies: u64,
    /// Number of different messages that arrived, by place.
    arrived_at: Box<[AtomicU64]>,
    /// One bit per message and place, in pages that are allocated when needed.
    bits: Box<[OnceLock<Box<[AtomicU64]>>]>,
    /// For each FIFO group and place, one more than the number of the last message that arrived.
    last_in_group: Box<[AtomicU64]>,
}

impl Ledger {
    /// Creates a ledger for a run with this many FIFO groups; 0 for standard queues, whose order is not
    /// checked.
    pub(crate) fn new(groups: usize) -> Ledger {
        Ledger::of_copies(groups, 1)
    }

    /// Does the same for messages that must each arrive at several places.
    pub(crate) fn of_copies(groups: usize, copies: usize) -> Ledger {
        Ledger {
            issued: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            copies: copies as u64,
            arrived_at: (0..copies).map(|_| AtomicU64::new(0)).collect(),
            bits: (0..PAGES).map(|_| OnceLock::new()).collect(),
            last_in_group: (0..groups * copies).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Reserves the next `count` message numbers and returns the first.
    pub(crate) fn issue(&self, count: u64) -> u64 {
        self.issued.fetch_add(count, Relaxed)
    }

    /// Notes that the server acknowledged these messages.
    pub(crate) fn acknowledge(&self, count: u64) {
        self.acknowledged.fetch_add(count, Relaxed);
    }

    /// Notes that the server refused these, or never answered: they may or may not arrive.
    pub(crate) fn fail(&self, count: u64) {
        self.failed.fetch_add(count, Relaxed);
    }

    /// Notes that a message arrived at the place with this number.
    pub(crate) fn arrive(&self, identity: &Identity, place: usize) -> Arrival {
        let place = if self.copies == 1 { 0 } else { place };
        let copy = identity.number.saturating_mul(self.copies).saturating_add(place as u64);
        let page = (copy / PAGE) as usize;
        if identity.number >= self.issued.load(Relaxed) || page >= PAGES {
            return Arrival::NeverSent;
        }
        let page = self.bits[page].get_or_init(|| (0..PAGE / 64).map(|_| AtomicU64::new(0)).collect());
        let bit = copy % PAGE;
        let before = page[(bit / 64) as usize].fetch_or(1 << (bit % 64), Relaxed);
        if before & (1 << (bit % 64)) != 0 {
            return Arrival::Again;
        }
        self.arrived.fetch_add(1, Relaxed);
        self.arrived_at[place].fetch_add(1, Relaxed);
        if let Some(last) = self.last_in_group.get(identity.group as usize * self.copies as usize + place)
            && last.fetch_max(identity.number + 1, Relaxed) > identity.number + 1
        {
            return Arrival::OutOfOrder;
        }
        Arrival::First
    }

    /// Returns the number of acknowledged messages.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }

    /// Returns the number of messages that were sent and never acknowledged.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Returns the number of places at which each message must arrive.
    pub(crate) fn copies(&self) -> u64 {
        self.copies
    }

    /// Returns the number of different messages that arrived at one place.
    pub(crate) fn arrived_at(&self, place: usize) -> u64 {
        self.arrived_at[if self.copies == 1 { 0 } else { place }].load(Relaxed)
    }

    /// Returns the number of different messages that arrived, each counted once per place.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Relaxed)
    }

    /// Returns the number of messages that were sent, not refused, and have not arrived, each counted once
    /// per place.
    pub(crate) fn outstanding(&self) -> u64 {
        let gone = self.failed.load(Relaxed) * self.copies + self.arrived.load(Relaxed);
        (self.issued.load(Relaxed) * self.copies).saturating_sub(gone)
    }
}

/// Writes `value` as lower-case hexadecimal digits that fill `text`; digits that do not fit are dropped.
pub(crate) fn put_hex(text: &mut [u8], mut value: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn get_hex(text: &[u8]) -> Option<u64> {
    let mut value = 0;
    for &digit in text {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64, group: u32) -> Identity {
        Identity { run: 7, number, sent_at: 123_456_789, group }
    }

    #[test]
    fn an_identity_is_read_back_from_the_body_it_was_written_to() {
        let mut body = [b'x'; 64];
        let identity = Identity { run: u32::MAX, number: 0xabc_def0_1234, sent_at: u64::MAX, group: 9 };
        identity.write(&mut body);
        assert_eq!(Identity::read(&body), Some(identity));
        assert_eq!(Identity::read(b"somebody else's message, long enough to hold an identity"), None);
        assert_eq!(Identity::read(b"short"), None);
    }

    #[test]
    fn the_ledger_tells_first_again_and_never_sent_apart() {
        let ledger = Ledger::new(0);
        assert_eq!(ledger.issue(PAGE + 5), 0);
        assert_eq!(ledger.arrive(&message(3, 0), 0), Arrival::First);
        assert_eq!(ledger.arrive(&message(PAGE + 4, 0), 0), Arrival::First);
        assert_eq!(ledger.arrive(&message(3, 0), 0), Arrival::Again);
        assert_eq!(ledger.arrive(&message(PAGE + 5, 0), 0), Arrival::NeverSent);
        ledger.fail(1);
        assert_eq!((ledger.arrived(), ledger.outstanding()), (2, PAGE + 2));
    }

    #[test]
    fn a_group_out_of_order_is_noticed_and_groups_do_not_mind_each_other() {
        let ledger = Ledger::new(2);
        ledger.issue(10);
        assert_eq!(ledger.arrive(&message(5, 0), 0), Arrival::First);
        assert_eq!(ledger.arrive(&message(2, 1), 0), Arrival::First);
        assert_eq!(ledger.arrive(&message(7, 0), 0), Arrival::First);
        assert_eq!(ledger.arrive(&message(6, 0), 0), Arrival::OutOfOrder);
    }

    #[test]
    fn a_message_of_a_topic_is_to_come_once_in_each_place() {
        let ledger = Ledger::of_copies(1, 3);
        ledger.issue(2);
        assert_eq!(ledger.outstanding(), 6);
        for place in 0..3 {
            assert_eq!(ledger.arrive(&message(0, 0), place), Arrival::First);
            assert_eq!(ledger.arrive(&message(0, 0), place), Arrival::Again);
        }
        assert_eq!(ledger.arrive(&message(1, 0), 1), Arrival::First);
        assert_eq!((ledger.arrived_at(0), ledger.arrived_at(1), ledger.outstanding()), (1, 2, 2));
    }
}
