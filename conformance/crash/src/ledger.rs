//! What the clients were told, and what therefore must be true of every later answer.
//!
//! Clients record an event before each request and after each answer. The order in which events are recorded is the
//! only clock that most rules need: an answer recorded before a request began was known when it began.
//!
//! - A message whose send was acknowledged and whose deletion was never asked for must be received after a crash.
//! - A message whose deletion was acknowledged must not be received by a request that began later.
//! - Where a client heard no answer, both outcomes are right, until an answer shows which it was.
//! - A group of a FIFO queue is received from its head, without gaps.
//! - Receive counts rise, and a hidden message is not received. (Of standard queues within one life of the server
//!   only: their receives need not be on disk when they are answered.)

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A queue of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// A standard queue.
    Plain,
    /// A FIFO queue.
    Groups,
    /// A standard queue whose messages move to `Dead` after two receives.
    Source,
    /// The dead-letter queue of `Source`.
    Dead,
}

impl Queue {
    pub const ALL: [Queue; 4] = [Queue::Plain, Queue::Groups, Queue::Source, Queue::Dead];

    pub fn name(self) -> &'static str {
        match self {
            Queue::Plain => "plain",
            Queue::Groups => "groups.fifo",
            Queue::Source => "source",
            Queue::Dead => "dead",
        }
    }
}

/// How many of a hundred bodies are large.
static LARGE_PERCENT: AtomicU64 = AtomicU64::new(2);

/// Says how many of a hundred messages have bodies of up to 100 KB. To be called before the first is sent.
pub fn set_large_percent(percent: u64) {
    LARGE_PERCENT.store(percent, Ordering::Relaxed);
}

/// A message: the queue it was sent to, its group (0 where there are none) and its number therein. Bodies begin with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

impl Id {
    pub fn new(home: Queue, group: u16, number: u64) -> Id {
        let home = Queue::ALL.iter().position(|queue| *queue == home).unwrap_or_default() as u64;
        Id(home << 56 | u64::from(group) << 40 | number)
    }

    pub fn home(self) -> Queue {
        Queue::ALL[(self.0 >> 56) as usize % Queue::ALL.len()]
    }

    pub fn group(self) -> u16 {
        (self.0 >> 40) as u16
    }

    pub fn number(self) -> u64 {
        self.0 & 0xff_ffff_ffff
    }

    /// The message's body: its id, then padding that follows from it. Most are small, some are [large](set_large_percent).
    pub fn body(self) -> String {
        let hash = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let is_large = hash / 100_000 % 100 < LARGE_PERCENT.load(Ordering::Relaxed);
        let length = if is_large { hash % 100_000 } else { hash % 700 };
        let letter = char::from(b'a' + (hash % 26) as u8);
        format!("{:016x}:{}", self.0, letter.to_string().repeat(length as usize))
    }

    /// The id at the beginning of a body, and whether the rest is what it should be.
    pub fn from_body(body: &str) -> Option<(Id, bool)> {
        let id = Id(u64::from_str_radix(body.get(..16)?, 16).ok()?);
        Some((id, id.body() == body))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.home() {
            Queue::Groups => write!(out, "groups/{}/{}", self.group(), self.number()),
            home => write!(out, "{}/{}", home.name(), self.number()),
        }
    }
}

/// One message of an answer to ReceiveMessage.
#[derive(Clone, Copy, Debug)]
pub struct Got {
    pub id: Id,
    /// ApproximateReceiveCount.
    pub count: u32,
    /// Whether the body is the one that was sent.
    pub intact: bool,
}

/// What a client did or was told.
#[derive(Clone, Debug)]
pub enum Event {
    SendBegun(Id),
    SendAcknowledged(Id),
    Received {
        from: Queue,
        /// The stamp that was current when the request began.
        begun: u64,
        /// Milliseconds of the run when the request began and when its answer had come.
        begun_ms: u64,
        answered_ms: u64,
        /// How long the messages are hidden.
        hidden_ms: u64,
        messages: Vec<Got>,
    },
    DeleteBegun(Id),
    DeleteAcknowledged(Id),
    /// The server said that it did not delete the message (a FIFO handle had expired).
    DeleteRefused(Id),
    /// The server was killed; no request is under way any more.
    Crashed,
    /// After a crash, all queues were received empty.
    Audited,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It was acknowledged, nobody deleted it, and it is gone.
    Lost(Id),
    /// Its deletion was acknowledged, and it is back.
    Resurrected(Id),
    /// Nobody sent it.
    Unknown(Id),
    /// It was received before an earlier message of its group was deleted.
    OutOfOrder { id: Id, before: Id },
    /// Its receive count did not rise.
    CountFell { id: Id, from: u32, to: u32 },
    /// It was received while another receive still hid it.
    TooEarly { id: Id, by_ms: u64 },
    /// Its body is not the one that was sent.
    Changed(Id),
    /// It was received from a queue that it does not belong to.
    Misplaced { id: Id, from: Queue },
}

impl Violation {
    fn id(&self) -> Id {
        match self {
            Violation::Lost(id)
            | Violation::Resurrected(id)
            | Violation::Unknown(id)
            | Violation::Changed(id) => *id,
            Violation::OutOfOrder { id, .. }
            | Violation::CountFell { id, .. }
            | Violation::TooEarly { id, .. }
            | Violation::Misplaced { id, .. } => *id,
        }
    }
}

/// Clocks of client and server may differ by so much.
const SLACK_MS: u64 = 30;

#[derive(Default)]
struct Message {
    acknowledged: bool,
    /// Requests to delete it whose outcome is open, and the life of the server in which the last began.
    deletes_open: u32,
    delete_life: u32,
    /// The stamp at which its deletion became certain.
    deleted: Option<u64>,
    /// The last receive of it: the server's life, the stamp, the count, and until when it hides the message.
    seen: Option<Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    life: u32,
    stamp: u64,
    count: u32,
    hidden_until_ms: u64,
}

/// The whole account. See the module.
pub struct Ledger {
    life: u32,
    stamp: u64,
    messages: HashMap<Id, Message>,
    /// Messages that may still be in the server.
    live: HashSet<Id>,
    /// Messages deleted long ago.
    graveyard: HashSet<Id>,
    /// For each group the lowest number that may be undeleted.
    heads: BTreeMap<u16, u64>,
    /// Messages of groups whose deletion was begun and is not known to have happened.
    doubts: BTreeSet<Id>,
    violations: Vec<Violation>,
    /// The events of this life and the one before, for the report.
    trail: Vec<(u32, Event)>,
    sent: u64,
    received: u64,
    deleted: u64,
    survived: u64,
    slowest_restart: Duration,
}

impl Ledger {
    pub fn new() -> Ledger {
        Ledger {
            life: 1,
            stamp: 0,
            messages: HashMap::new(),
            live: HashSet::new(),
            graveyard: HashSet::new(),
            heads: BTreeMap::new(),
            doubts: BTreeSet::new(),
            violations: Vec::new(),
            trail: Vec::new(),
            sent: 0,
            received: 0,
            deleted: 0,
            survived: 0,
            slowest_restart: Duration::ZERO,
        }
    }

    /// Notes how long the server took to answer again.
    pub fn restarted_within(&mut self, time: Duration) {
        self.slowest_restart = self.slowest_restart.max(time);
    }

    /// How many events there are: what a request that begins now knows of.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Takes an event, and notes what it shows to be wrong.
    pub fn record(&mut self, event: Event) {
        self.stamp += 1;
        match &event {
            Event::SendBegun(id) => {
                if !self.graveyard.contains(id) {
                    self.messages.entry(*id).or_default();
                    self.live.insert(*id);
                }
            }
            Event::SendAcknowledged(id) => {
                self.sent += 1;
                if let Some(message) = self.messages.get_mut(id) {
                    message.acknowledged = true;
                }
            }
            Event::Received { .. } => self.receive(&event),
            Event::DeleteBegun(id) => {
                if let Some(message) = self.messages.get_mut(id) {
                    message.deletes_open += 1;
                    message.delete_life = self.life;
                    if id.home() == Queue::Groups && message.deleted.is_none() {
                        self.doubts.insert(*id);
                    }
                }
                self.advance_head(id.group());
            }
            Event::DeleteAcknowledged(id) => {
                self.deleted += 1;
                self.bury(*id);
            }
            Event::DeleteRefused(id) => {
                if let Some(message) = self.messages.get_mut(id) {
                    message.deletes_open = message.deletes_open.saturating_sub(1);
                    if message.deletes_open == 0 && message.deleted.is_none() {
                        self.lower_head(*id);
                    }
                }
            }
            Event::Crashed => {
                let before = self.life;
                self.life += 1;
                self.trail.retain(|(life, _)| *life >= before);
                let old: Vec<Id> =
                    self.messages.iter().filter(|(_, m)| m.deleted.is_some()).map(|(id, _)| *id).collect();
                for id in old {
                    self.messages.remove(&id);
                    self.graveyard.insert(id);
                }
            }
            Event::Audited => self.audit(),
        }
        self.trail.push((self.life, event));
    }

    fn bury(&mut self, id: Id) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.deleted.get_or_insert(self.stamp);
        }
        self.live.remove(&id);
        self.doubts.remove(&id);
        self.advance_head(id.group());
    }

    /// Whether the message may be gone, for all that is known.
    fn may_be_gone(&self, id: Id) -> bool {
        match self.messages.get(&id) {
            Some(message) => message.deletes_open > 0 || message.deleted.is_some(),
            None => self.graveyard.contains(&id),
        }
    }

    fn advance_head(&mut self, group: u16) {
        if group == 0 {
            return;
        }
        let mut head = self.heads.get(&group).copied().unwrap_or(0);
        while self.may_be_gone(Id::new(Queue::Groups, group, head)) {
            head += 1;
        }
        self.heads.insert(group, head);
    }

    /// The message is there after all.
    fn lower_head(&mut self, id: Id) {
        self.doubts.remove(&id);
        if id.group() != 0 {
            let head = self.heads.entry(id.group()).or_insert(0);
            *head = (*head).min(id.number());
        }
    }

    fn receive(&mut self, event: &Event) {
        let Event::Received { from, begun, begun_ms, answered_ms, hidden_ms, messages } = event else {
            return;
        };
        for (position, got) in messages.iter().enumerate() {
            self.received += 1;
            let id = got.id;
            let home = id.home();
            if !got.intact {
                self.violations.push(Violation::Changed(id));
            }
            if *from != home && !(home == Queue::Source && *from == Queue::Dead) {
                self.violations.push(Violation::Misplaced { id, from: *from });
            }
            if self.graveyard.contains(&id) {
                self.violations.push(Violation::Resurrected(id));
                continue;
            }
            let life = self.life;
            let Some(message) = self.messages.get_mut(&id) else {
                self.violations.push(Violation::Unknown(id));
                continue;
            };
            // (Its deletion may have become certain by a message that stands before it in this very answer.)
            if message.deleted.is_some_and(|stamp| stamp <= *begun || stamp == self.stamp) {
                self.violations.push(Violation::Resurrected(id));
            }
            // A deletion that was asked of an earlier life, and whose message is here, did not happen.
            let undone = message.deletes_open > 0 && message.delete_life < life;
            if undone {
                message.deletes_open = 0;
            }
            if let Some(seen) = message.seen
                && seen.stamp <= *begun
                && (seen.life == life || home == Queue::Groups)
            {
                if got.count <= seen.count {
                    self.violations.push(Violation::CountFell { id, from: seen.count, to: got.count });
                }
                if *answered_ms + SLACK_MS < seen.hidden_until_ms {
                    self.violations
                        .push(Violation::TooEarly { id, by_ms: seen.hidden_until_ms - answered_ms });
                }
            }
            if message.seen.is_some_and(|seen| seen.life != life) {
                self.survived += 1;
            }
            message.seen = Some(Seen {
                life,
                stamp: self.stamp,
                count: got.count,
                hidden_until_ms: begun_ms + hidden_ms,
            });
            if undone {
                self.lower_head(id);
            }
            if home == Queue::Groups {
                self.check_order(id, &messages[..position]);
            }
        }
    }

    /// All earlier messages of the group must be gone, or stand before this one in the same answer.
    fn check_order(&mut self, id: Id, before: &[Got]) {
        let head = self.heads.get(&id.group()).copied().unwrap_or(0);
        for number in head..id.number() {
            let earlier = Id::new(Queue::Groups, id.group(), number);
            if before.iter().any(|got| got.id == earlier) {
                continue;
            }
            if !self.may_be_gone(earlier) {
                self.violations.push(Violation::OutOfOrder { id, before: earlier });
                return;
            }
        }
        // Where a deletion was asked of an earlier life and the group has gone past the message, it did happen.
        let passed: Vec<Id> = self.doubts.range(Id::new(Queue::Groups, id.group(), 0)..id).copied().collect();
        for earlier in passed {
            if self.messages.get(&earlier).is_some_and(|message| message.delete_life < self.life) {
                self.bury(earlier);
            }
        }
    }

    fn audit(&mut self) {
        let life = self.life;
        let mut lost: Vec<Id> = Vec::new();
        let mut settled = Vec::new();
        for id in &self.live {
            let Some(message) = self.messages.get(id) else { continue };
            if message.seen.is_some_and(|seen| seen.life == life) {
                continue;
            }
            if message.acknowledged && message.deletes_open == 0 {
                lost.push(*id);
            } else {
                settled.push(*id);
            }
        }
        lost.sort();
        self.violations.extend(lost.into_iter().map(Violation::Lost));
        // Neither known to be there nor seen: no longer looked for.
        for id in settled {
            self.live.remove(&id);
        }
    }

    /// The messages that an audit still has to find.
    pub fn is_complete(&self) -> bool {
        self.live.iter().all(|id| {
            self.messages.get(id).is_none_or(|message| {
                !message.acknowledged
                    || message.deletes_open > 0
                    || message.seen.is_some_and(|seen| seen.life == self.life)
            })
        })
    }

    pub fn has_violations(&self) -> bool {
        !self.violations.is_empty()
    }

    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub fn summary(&self) -> String {
        format!(
            "{} sent, {} received, {} deleted, {} seen again after a crash, slowest restart {} ms",
            self.sent,
            self.received,
            self.deleted,
            self.survived,
            self.slowest_restart.as_millis()
        )
    }

    /// What is wrong, with all that is known of the messages concerned; `None` where nothing is.
    pub fn report(&self) -> Option<String> {
        if self.violations.is_empty() {
            return None;
        }
        let mut out =
            format!("{} broken promises in life {} of the server:\n", self.violations.len(), self.life);
        for violation in self.violations.iter().take(5) {
            out += &format!("\n  {violation:?}\n");
            let id = violation.id();
            for (life, event) in &self.trail {
                if let Some(line) = about(id, event) {
                    out += &format!("    life {life}: {line}\n");
                }
            }
        }
        Some(out)
    }
}

/// What an event says of one message.
fn about(id: Id, event: &Event) -> Option<String> {
    match event {
        Event::SendBegun(of) | Event::SendAcknowledged(of) | Event::DeleteBegun(of) if *of == id => {}
        Event::DeleteAcknowledged(of) | Event::DeleteRefused(of) if *of == id => {}
        Event::Crashed | Event::Audited => {}
        Event::Received { from, begun_ms, answered_ms, hidden_ms, messages, .. } => {
            let position = messages.iter().position(|got| got.id == id)?;
            return Some(format!(
                "received from {} at {begun_ms}..{answered_ms} ms, hidden for {hidden_ms} ms, count {}, as {} of {:?}",
                from.name(),
                messages[position].count,
                position + 1,
                messages.iter().map(|got| got.id).collect::<Vec<_>>()
            ));
        }
        _ => return None,
    }
    Some(format!("{event:?}"))
}

/// The ledger that all clients write in, and the run's clock.
pub struct Shared {
    ledger: Mutex<Ledger>,
    begun: Instant,
}

impl Shared {
    pub fn new(ledger: Ledger) -> Shared {
        Shared { ledger: Mutex::new(ledger), begun: Instant::now() }
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        // A client that panicked has told so already; the account itself is whole between records.
        work(&mut self.ledger.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Milliseconds since the run began.
    pub fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}
