//! What the publishers were told, what the queues and the HTTP server got, and what therefore is wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A queue of the test, by what its subscription asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    /// All messages of the standard topic, raw. Its messages are also consumed while the server is loaded.
    Raw,
    /// All messages of the standard topic, in envelopes.
    Wrapped,
    /// Those with an even number, by their attributes.
    Even,
    /// Those with a number that three divides, by their bodies.
    Third,
    /// None, by a filter that nothing matches.
    Never,
    /// All messages of the FIFO topic, raw.
    Order,
    /// All messages of the FIFO topic, in envelopes.
    OrderWrapped,
    /// All messages of the FIFO topic, in a standard queue.
    Disorder,
}

impl Queue {
    pub const ALL: [Queue; 8] = [
        Queue::Raw,
        Queue::Wrapped,
        Queue::Even,
        Queue::Third,
        Queue::Never,
        Queue::Order,
        Queue::OrderWrapped,
        Queue::Disorder,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Queue::Raw => "raw",
            Queue::Wrapped => "wrapped",
            Queue::Even => "even",
            Queue::Third => "third",
            Queue::Never => "never",
            Queue::Order => "order.fifo",
            Queue::OrderWrapped => "order-wrapped.fifo",
            Queue::Disorder => "disorder",
        }
    }

    pub fn is_fifo(self) -> bool {
        matches!(self, Queue::Order | Queue::OrderWrapped)
    }

    /// Whether its messages come in envelopes.
    pub fn is_wrapped(self) -> bool {
        matches!(self, Queue::Wrapped | Queue::OrderWrapped)
    }

    /// Whether a message belongs into it.
    pub fn takes(self, id: Id) -> bool {
        match self {
            Queue::Raw | Queue::Wrapped => id.group() == 0,
            Queue::Even => id.group() == 0 && id.number().is_multiple_of(2),
            Queue::Third => id.group() == 0 && id.number().is_multiple_of(3),
            Queue::Never => false,
            Queue::Order | Queue::OrderWrapped | Queue::Disorder => id.group() != 0,
        }
    }
}

/// A message: its group (0: it was published to the standard topic) and its number therein.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

impl Id {
    pub fn new(group: u16, number: u64) -> Id {
        Id(u64::from(group) << 40 | number)
    }

    pub fn group(self) -> u16 {
        (self.0 >> 40) as u16
    }

    pub fn number(self) -> u64 {
        self.0 & 0xff_ffff_ffff
    }

    /// Whether the HTTP server is told of it.
    pub fn is_told(self) -> bool {
        self.group() == 0 && self.number().is_multiple_of(8)
    }

    /// The message: JSON that begins with the id, then padding that follows from it. Most are small, a few are large.
    pub fn body(self) -> String {
        let hash = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let length = if hash.is_multiple_of(64) { hash % 60_000 } else { hash % 700 };
        let letter = char::from(b'a' + (hash % 26) as u8).to_string();
        let third = self.number() % 3;
        format!(
            "{{\"id\":\"{:016x}\",\"third\":{third},\"pad\":\"{}\"}}",
            self.0,
            letter.repeat(length as usize)
        )
    }

    /// The id in a message, and whether the rest is what it should be.
    pub fn from_body(body: &str) -> Option<(Id, bool)> {
        let digits = body.strip_prefix("{\"id\":\"")?.get(..16)?;
        let id = Id(u64::from_str_radix(digits, 16).ok()?);
        Some((id, id.body() == body))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group() {
            0 => write!(out, "{}", self.number()),
            group => write!(out, "group {group}/{}", self.number()),
        }
    }
}

/// Who gets messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Taker {
    Queue(Queue),
    Http,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It was acknowledged, and a queue that should hold it does not.
    Lost { id: Id, from: Queue },
    /// It was not acknowledged, and is in one queue and not in another.
    Partial { id: Id, within: Queue, without: Queue },
    /// A queue gave it twice though it was deleted.
    Doubled { id: Id, from: Queue },
    /// Nobody published it.
    Unknown { id: Id, at: Taker },
    /// It does not match the subscription that got it.
    Misplaced { id: Id, at: Taker },
    /// It is not what was published, or its envelope is not the one of its message.
    Changed { id: Id, at: Taker },
    /// A FIFO queue gave it before an earlier message of its group, or after a later one.
    OutOfOrder { id: Id, from: Queue, after: u64 },
    /// It was acknowledged, or is in the queues, and never reached the HTTP server.
    NotTold(Id),
    /// The HTTP server got what no queue holds.
    ToldTooEarly(Id),
}

#[derive(Default)]
struct Publish {
    acknowledged: bool,
    /// The id that the server gave it, once it is known.
    message_id: Option<String>,
    /// What each queue gave of it, and whether that was deleted.
    held: BTreeMap<Queue, Deletion>,
    told: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Deletion {
    Open,
    Acknowledged,
}

/// The whole account. See the module.
#[derive(Default)]
pub struct Ledger {
    /// Publishes that are not settled.
    open: HashMap<Id, Publish>,
    /// Publishes that are in all of their queues, deleted there, and were told where that was asked for.
    settled: HashSet<Id>,
    /// For each group of each queue the last number that came.
    last: HashMap<(Queue, u16), u64>,
    violations: Vec<Violation>,
    published: u64,
    uncertain: u64,
    vanished: u64,
    told: u64,
    told_again: u64,
    slowest_restart: Duration,
}

/// The ledger that all clients write in.
pub type Shared = Arc<Mutex<Ledger>>;

pub fn lock(shared: &Shared) -> MutexGuard<'_, Ledger> {
    // A client that panicked has told so already; the account itself is whole between records.
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Ledger {
    /// Notes how long the server took to answer again.
    pub fn restarted_within(&mut self, time: Duration) {
        self.slowest_restart = self.slowest_restart.max(time);
    }

    /// A publisher is about to send this, perhaps not for the first time.
    pub fn begin(&mut self, id: Id) {
        if !self.settled.contains(&id) {
            self.open.entry(id).or_default();
        }
    }

    /// The server acknowledged it, under this MessageId where that is known.
    pub fn acknowledge(&mut self, id: Id, message_id: Option<String>) {
        self.published += 1;
        if let Some(publish) = self.open.get_mut(&id) {
            publish.acknowledged = true;
            // (A duplicate on a FIFO topic is acknowledged under an id of its own.)
            if id.group() == 0 {
                publish.message_id = message_id;
            }
        }
    }

    /// A queue gave it; `message_id` is the one in its envelope.
    pub fn receive(&mut self, from: Queue, id: Id, intact: bool, message_id: Option<&str>) {
        let at = Taker::Queue(from);
        if !intact {
            self.violations.push(Violation::Changed { id, at });
        }
        if !from.takes(id) {
            self.violations.push(Violation::Misplaced { id, at });
            return;
        }
        if self.settled.contains(&id) {
            self.violations.push(Violation::Doubled { id, from });
            return;
        }
        let Some(publish) = self.open.get_mut(&id) else {
            self.violations.push(Violation::Unknown { id, at });
            return;
        };
        if let Some(message_id) = message_id {
            match &publish.message_id {
                Some(known) if known != message_id => self.violations.push(Violation::Changed { id, at }),
                _ => publish.message_id = Some(message_id.to_owned()),
            }
        }
        let again = publish.held.insert(from, Deletion::Open);
        if again == Some(Deletion::Acknowledged) {
            self.violations.push(Violation::Doubled { id, from });
        }
        if from.is_fifo() && again.is_none() {
            let last = self.last.insert((from, id.group()), id.number());
            if let Some(after) = last.filter(|last| id.number() != last + 1) {
                self.violations.push(Violation::OutOfOrder { id, from, after });
            } else if last.is_none() && id.number() != 0 {
                self.violations.push(Violation::OutOfOrder { id, from, after: 0 });
            }
        }
    }

    /// The queue acknowledged its deletion.
    pub fn delete(&mut self, from: Queue, id: Id) {
        if let Some(publish) = self.open.get_mut(&id) {
            publish.held.insert(from, Deletion::Acknowledged);
        }
    }

    /// The HTTP server got it.
    pub fn tell(&mut self, id: Id, intact: bool) {
        let at = Taker::Http;
        self.told += 1;
        if !intact {
            self.violations.push(Violation::Changed { id, at });
        }
        if !id.is_told() {
            self.violations.push(Violation::Misplaced { id, at });
        }
        // At least once: it may come again after a crash, however late.
        if self.settled.contains(&id) {
            self.told_again += 1;
            return;
        }
        match self.open.get_mut(&id) {
            Some(publish) => {
                self.told_again += u64::from(publish.told);
                publish.told = true;
            }
            None => self.violations.push(Violation::Unknown { id, at }),
        }
    }

    /// Whether all queues have given what they should, as far as is known, so that an audit may end.
    pub fn is_complete(&self) -> bool {
        self.open.iter().all(|(id, publish)| publish.missing(*id).is_none() || publish.is_nowhere())
    }

    /// All queues were received empty after a crash: notes what is wrong, and forgets what is settled.
    pub fn audit(&mut self) {
        let mut done = Vec::new();
        for (&id, publish) in &self.open {
            match publish.missing(id) {
                Some(from) if publish.acknowledged => self.violations.push(Violation::Lost { id, from }),
                Some(without) => match publish.held.keys().next() {
                    Some(&within) => self.violations.push(Violation::Partial { id, within, without }),
                    // The HTTP server is told only of what is on disk, and then the queues have it too.
                    None if publish.told => self.violations.push(Violation::ToldTooEarly(id)),
                    None if id.group() == 0 => {
                        self.vanished += 1;
                        done.push((id, false));
                    }
                    None => {} // its publisher tries again
                },
                None => {
                    self.uncertain += u64::from(!publish.acknowledged);
                    // On a FIFO topic an unanswered publish is sent again, and must not be there twice.
                    let waits = id.group() != 0 && !publish.acknowledged;
                    let deleted = publish.held.values().all(|deletion| *deletion == Deletion::Acknowledged);
                    if deleted && !waits && publish.told == id.is_told() {
                        done.push((id, true));
                    }
                }
            }
        }
        for (id, is_there) in done {
            self.open.remove(&id);
            if is_there {
                self.settled.insert(id);
            }
        }
    }

    /// How many messages the HTTP server has yet to get.
    pub fn untold(&self) -> usize {
        self.open.iter().filter(|(id, publish)| publish.is_due(**id)).count()
    }

    /// The HTTP server had all the time that it needs.
    pub fn demand_told(&mut self) {
        let missing: Vec<Id> =
            self.open.iter().filter(|(id, publish)| publish.is_due(**id)).map(|(id, _)| *id).collect();
        self.violations.extend(missing.into_iter().map(Violation::NotTold));
    }

    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub fn has_violations(&self) -> bool {
        !self.violations.is_empty()
    }

    /// One line on the run.
    pub fn summary(&self) -> String {
        format!(
            "{} published, {} unanswered of which {} had been kept, {} told by HTTP ({} again, {} yet to tell), \
             slowest restart {} ms",
            self.published,
            self.uncertain + self.vanished,
            self.uncertain,
            self.told,
            self.told_again,
            self.untold(),
            self.slowest_restart.as_millis()
        )
    }

    /// What is wrong, if anything is.
    pub fn report(&self) -> Option<String> {
        if self.violations.is_empty() {
            return None;
        }
        let mut out = format!("{} broken promises:\n", self.violations.len());
        for violation in self.violations.iter().take(10) {
            out += &format!("\n  {violation:?}");
        }
        Some(out)
    }
}

impl Publish {
    /// A queue that should have given it and has not.
    fn missing(&self, id: Id) -> Option<Queue> {
        Queue::ALL.into_iter().find(|queue| queue.takes(id) && !self.held.contains_key(queue))
    }

    /// Whether nothing is known of it, so that it may never have reached the server.
    fn is_nowhere(&self) -> bool {
        !self.acknowledged && self.held.is_empty()
    }

    /// Whether the HTTP server must get it and has not.
    fn is_due(&self, id: Id) -> bool {
        id.is_told() && !self.told && (self.acknowledged || !self.held.is_empty())
    }
}
