//! PeekMessages, which AWS does not have: what a queue holds, page by page, and nothing about it changes.

use crate::operations::receive_message::{Delivered, Received};
use crate::queue::Queue;
use crate::rules::group::Group;
use crate::rules::shown::Shown;
use crate::state::State;
use crate::{QueueKey, Seq, refusals};
use collections::Entry;
use kernel::{Demand, Internal};

use super::reply::Reply;
use super::{Context, Decision, Plan, Setting};

/// PeekMessages.
#[derive(Clone, Debug)]
pub struct PeekMessages {
    /// Whose messages.
    pub queue: QueueKey,
    /// After which, if not from the beginning.
    pub after: Option<Cursor>,
    /// At most so many.
    pub most: usize,
    /// Also those that were received and are hidden, and those that wait behind them.
    pub invisible: bool,
    /// Also those whose delay has not ended.
    pub delayed: bool,
}

/// A page may end after this message: first come those that were received or moved in, then those that wait, by group, then
/// those that are delayed, by their delay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cursor {
    /// One that was received or moved in.
    Touched(Seq),
    /// One that waits, by its group.
    Waiting(u32, Seq),
    /// One that is delayed, by its delay.
    Delayed(u32, Seq),
}

/// Why a message that was looked at can be received or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It can.
    Visible,
    /// It was received and is hidden, or waits behind one of its group that is.
    Invisible,
    /// Its delay has not ended.
    Delayed,
}

/// A page.
#[derive(Clone, PartialEq, Debug)]
pub struct Peeked {
    /// The messages, as a receive would give them.
    pub received: Received,
    /// What is known of each, in the same order.
    pub conditions: Vec<Condition>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Cursor>,
}

/// Messages of a page at the most.
pub const PAGE: usize = 100;
/// Bytes of a page at the most, unless its only message is longer.
const PAGE_BYTES: u64 = 4 << 20;
/// Groups that one page looks into at the most, so that none takes long.
const GROUPS: u32 = 1000;
/// Messages that one page passes over at the most.
const PASSED: usize = 1000;

struct Page {
    peeked: Peeked,
    most: usize,
    bytes: u64,
    passed: usize,
    last: Option<Cursor>,
}

impl Page {
    /// Puts a message in, or passes it over. Says no, and notes where to go on, if the page is full.
    fn put(
        &mut self,
        at: Cursor,
        condition: Condition,
        wanted: bool,
        delivered: impl FnOnce() -> Delivered,
    ) -> bool {
        if !wanted {
            self.passed += 1;
            if self.passed > PASSED {
                self.peeked.next = self.last;
                return false;
            }
            self.last = Some(at);
            return true;
        }
        let delivered = delivered();
        let count = self.peeked.received.messages.len();
        self.bytes += u64::from(delivered.extent.len);
        if count >= self.most || count > 0 && self.bytes > PAGE_BYTES {
            self.peeked.next = self.last;
            return false;
        }
        self.peeked.received.messages.push(delivered);
        self.peeked.conditions.push(condition);
        self.last = Some(at);
        true
    }
}

impl Internal<State> for PeekMessages {
    const DEMAND: Demand = Demand::Nothing;

    /// Looks.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        let received = Received { queue: queue.id, messages: Vec::new() };
        let mut page = Page {
            peeked: Peeked { received, conditions: Vec::new(), next: None },
            most: self.most.clamp(1, PAGE),
            bytes: 0,
            passed: 0,
            last: self.after,
        };
        let _ = self.touched(queue, &context.setting, &mut page)
            && self.waiting(queue, &context.setting, &mut page)
            && self.delayed(queue, &context.setting, &mut page);
        Decision::answer(Reply::Peeked(page.peeked))
    }
}

impl PeekMessages {
    /// What of each message is shown: all there is.
    pub fn plan() -> Plan {
        Plan::ReceiveMessage(Shown::all())
    }

    fn touched(&self, queue: &Queue, setting: &Setting<'_>, page: &mut Page) -> bool {
        let from = match self.after {
            None => Seq(0),
            Some(Cursor::Touched(seq)) => Seq(seq.0 + 1),
            Some(_) => return true,
        };
        queue.touched.range(from..).all(|(&seq, touched)| {
            let condition = if touched.in_flight { Condition::Invisible } else { Condition::Visible };
            let expired = queue.is_expired(touched.sent, setting.now);
            let wanted = !expired && (self.invisible || condition == Condition::Visible);
            page.put(Cursor::Touched(seq), condition, wanted, || Delivered::of_touched(seq, touched))
        })
    }

    fn waiting(&self, queue: &Queue, setting: &Setting<'_>, page: &mut Page) -> bool {
        let (first, after) = match self.after {
            None | Some(Cursor::Touched(_)) => (0, None),
            Some(Cursor::Waiting(group, seq)) => (group, Some(seq)),
            Some(Cursor::Delayed(..)) => return true,
        };
        for number in first..first.saturating_add(GROUPS) {
            if number >= queue.groups.numbers() {
                return true;
            }
            let Some(group) = queue.groups.get(number) else { continue };
            let from = if number == first { after.map_or(Seq(0), |seq| Seq(seq.0 + 1)) } else { Seq(0) };
            let goes_on = group.lane.iter_from(from, queue.groups.cells()).all(|entry| {
                let condition = condition_behind(queue, group);
                let expired = queue.is_expired(entry.sent, setting.now);
                let wanted = !expired && (self.invisible || condition == Condition::Visible);
                page.put(Cursor::Waiting(number, entry.seq), condition, wanted, || of_entry(entry))
            });
            if !goes_on {
                return false;
            }
        }
        // The next page begins with the group after these.
        page.peeked.next = Some(Cursor::Waiting(first.saturating_add(GROUPS - 1), Seq(u64::MAX - 1)));
        false
    }

    fn delayed(&self, queue: &Queue, setting: &Setting<'_>, page: &mut Page) -> bool {
        if !self.delayed {
            return true;
        }
        let (first, after) = match self.after {
            Some(Cursor::Delayed(delay, seq)) => (delay, Seq(seq.0 + 1)),
            _ => (0, Seq(0)),
        };
        queue.delayed_from(first).all(|(delay, lane)| {
            let from = if delay == first { after } else { Seq(0) };
            lane.iter_from(from).all(|entry| {
                let wanted = !queue.is_expired(entry.sent, setting.now);
                page.put(Cursor::Delayed(delay, entry.seq), Condition::Delayed, wanted, || of_entry(entry))
            })
        })
    }
}

/// In a FIFO queue those behind a hidden one cannot be received, either.
fn condition_behind(queue: &Queue, group: &Group) -> Condition {
    if queue.is_fifo() && group.in_flight() > 0 { Condition::Invisible } else { Condition::Visible }
}

fn of_entry(entry: Entry) -> Delivered {
    Delivered {
        extent: entry.extent,
        seq: entry.seq,
        origin: entry.seq,
        copy: entry.seq,
        sent: entry.sent,
        receives: 0,
        first_received: kernel::Time(0),
        received: kernel::Time(0),
        dead_letter_source: None,
        deduplicates_by_id: false,
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cursor::Touched(seq) => write!(f, "received-{}", seq.0),
            Cursor::Waiting(group, seq) => write!(f, "waiting-{group}-{}", seq.0),
            Cursor::Delayed(delay, seq) => write!(f, "delayed-{delay}-{}", seq.0),
        }
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number =
            |text: &str| text.parse::<u64>().ok().filter(|&number| number < u64::MAX).map(Seq).ok_or(());
        let (kind, rest) = text.split_once('-').ok_or(())?;
        let pair = || {
            let (first, seq) = rest.split_once('-').ok_or(())?;
            Ok((first.parse::<u32>().map_err(drop)?, number(seq)?))
        };
        match kind {
            "received" => Ok(Cursor::Touched(number(rest)?)),
            "waiting" => pair().map(|(group, seq)| Cursor::Waiting(group, seq)),
            "delayed" => pair().map(|(delay, seq)| Cursor::Delayed(delay, seq)),
            _ => Err(()),
        }
    }
}
