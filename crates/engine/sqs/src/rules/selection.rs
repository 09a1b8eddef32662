//! Which messages a receiver gets next.
//!
//! What a selection costs depends on how many messages it gives, not on how many wait or in how many groups.

use kernel::{Extent, Time};

use crate::Seq;
use crate::queue::{Queue, Touched};
use crate::rules::group::{Group, NEVER, Returned, Turn};
use collections::Entry;

/// A message that could be given now.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its number.
    pub seq: Seq,
    /// Where its payload lies.
    pub extent: Extent,
    /// From when its retention counts.
    pub sent: Time,
    /// Its group's number in the queue.
    pub group: u32,
    /// Its group's id.
    pub group_name: Option<&'a str>,
    /// What is known of it, if it was received or moved before.
    pub touched: Option<&'a Touched>,
}

/// Gives candidates in the order in which they are to be given, until `take` says that it wants no more.
///
/// Messages whose retention has ended are passed over. They go soon; until then no receive passes over more than [`EXPIRED`]
/// of them, and finds nothing rather than take long.
pub fn select<'a>(queue: &'a Queue, now: Time, take: &mut dyn FnMut(Candidate<'a>) -> bool) {
    let mut expired = 0;
    let take = &mut |candidate: Candidate<'a>| {
        if queue.is_expired(candidate.sent, now) {
            expired += 1;
            return expired < EXPIRED;
        }
        take(candidate)
    };
    if queue.is_fifo() { select_fifo(queue, take) } else { select_standard(queue, take) }
}

/// See [`select`].
const EXPIRED: usize = 1000;

/// FIFO: as much as possible from the group whose turn it is, then from the next. Within a group: from the head up to
/// the first message that is still hidden (facts/sqs.md § 7). The order of the groups is that of [`Turn`].
fn select_fifo<'a>(queue: &'a Queue, take: &mut dyn FnMut(Candidate<'a>) -> bool) {
    for turn in &queue.ready {
        let number = turn.group;
        let Some(group) = queue.groups.get(number) else { continue };
        let mut waiting = group.lane.iter(queue.groups.cells()).peekable();
        let mut members = group.returned().map(|(_, _, seq)| seq).peekable();
        loop {
            let from_lane = match (waiting.peek(), members.peek()) {
                (Some(entry), Some(&member)) => entry.seq < member,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let candidate = if from_lane {
                waiting.next().map(|entry| untouched(entry, number, group))
            } else {
                members.next().and_then(|seq| touched(queue, seq, number, group))
            };
            let Some(candidate) = candidate else { break };
            if candidate.touched.is_some_and(|touched| touched.in_flight) {
                break;
            }
            if !take(candidate) {
                return;
            }
        }
    }
}

/// Standard: quiet groups before noisy ones, and among equals whoever has waited longest. Within a group, messages
/// that were received before take turns with those that were not, so that neither keep the others from being received.
fn select_standard<'a>(queue: &'a Queue, take: &mut dyn FnMut(Candidate<'a>) -> bool) {
    // No receive gives more than ten messages, so no more than ten groups can matter before something is given;
    // a few more make up for messages that are skipped because they have expired or go to the dead-letter queue.
    const GROUPS: usize = 16;
    let mut turns = queue.ready.iter();
    let mut streams: Vec<Stream<'a>> = Vec::new();
    loop {
        let next = streams
            .iter_mut()
            .filter_map(|stream| Some((stream.burden, stream.since()?, stream)))
            .min_by_key(|(burden, since, _)| (*burden, *since));
        let Some((_, _, stream)) = next else {
            // If all that these groups had was skipped, it is the turn of those behind them.
            streams.clear();
            let groups = turns.by_ref().take(GROUPS);
            streams.extend(groups.filter_map(|turn| Stream::of(queue, turn)));
            if streams.is_empty() {
                return;
            }
            continue;
        };
        let Some((seq, entry)) = stream.take() else { return };
        let candidate = match entry {
            Some(entry) => Some(untouched(entry, stream.number, stream.group)),
            None => touched(queue, seq, stream.number, stream.group),
        };
        if let Some(candidate) = candidate
            && !take(candidate)
        {
            return;
        }
    }
}

/// What one group of a standard queue has to give, in order.
struct Stream<'a> {
    burden: u32,
    number: u32,
    group: &'a Group,
    waiting: Box<dyn Iterator<Item = Entry> + 'a>,
    returned: Box<dyn Iterator<Item = Returned> + 'a>,
    /// The next never-received message and the next returned one: its place, and the entry of the former.
    next: [Option<(Returned, Option<Entry>)>; 2],
    gave_returned: bool,
}

impl<'a> Stream<'a> {
    fn of(queue: &'a Queue, turn: &Turn) -> Option<Self> {
        let number = turn.group;
        let group = queue.groups.get(number)?;
        let mut stream = Stream {
            burden: turn.burden(),
            number,
            group,
            waiting: Box::new(group.lane.iter(queue.groups.cells())),
            returned: Box::new(group.returned()),
            next: [None, None],
            gave_returned: queue.gave_returned,
        };
        stream.fill();
        Some(stream)
    }

    fn fill(&mut self) {
        if self.next[0].is_none() {
            self.next[0] = self.waiting.next().map(|entry| ((entry.sent, NEVER, entry.seq), Some(entry)));
        }
        if self.next[1].is_none() {
            self.next[1] = self.returned.next().map(|returned| (returned, None));
        }
    }

    /// The place of its next message, in the order that [`Turn`] has.
    fn since(&self) -> Option<Returned> {
        self.next.iter().flatten().map(|&(place, _)| place).min()
    }

    fn take(&mut self) -> Option<(Seq, Option<Entry>)> {
        let returned = self.next[1].is_some() && (self.next[0].is_none() || !self.gave_returned);
        self.gave_returned = returned;
        let ((_, _, seq), entry) = self.next[usize::from(returned)].take()?;
        self.fill();
        Some((seq, entry))
    }
}

fn untouched<'a>(entry: Entry, number: u32, group: &'a Group) -> Candidate<'a> {
    Candidate {
        seq: entry.seq,
        extent: entry.extent,
        sent: entry.sent,
        group: number,
        group_name: group.name(),
        touched: None,
    }
}

fn touched<'a>(queue: &'a Queue, seq: Seq, number: u32, group: &'a Group) -> Option<Candidate<'a>> {
    let touched = queue.touched.get(&seq)?;
    Some(Candidate {
        seq,
        extent: touched.extent,
        sent: touched.sent,
        group: number,
        group_name: group.name(),
        touched: Some(touched),
    })
}
