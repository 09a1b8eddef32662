//! What a backlog costs in memory, counted allocation by allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::cell::Cell;

use kernel::{Demand, Extent, Handed, Ledger, NoTargets, Numbers, Operation, Place, Secret, Time};
use sqs::limits::Limits;
use sqs::operations::receive_message::ReceiveMessage;
use sqs::operations::{Context, Outcome, Receive, Reply, Setting};
use sqs::records::{
    Deduplication, DropReason, DroppedMessage, MessagePlaced, MessageSent, MessagesDropped, MessagesMoved,
    QueueDeclared, Record,
};
use sqs::rules::settings::{FifoSettings, Settings};
use sqs::state::State;
use sqs::{QueueId, QueueKey, Seq};

/// Counts what is allocated by the thread, each allocation as large as the server's allocator makes it: rounded up to
/// an eighth of a power of two, and to pages if it is large.
struct Counting;

thread_local! {
    static LIVING: Cell<isize> = const { Cell::new(0) };
}

fn rounded(size: usize) -> isize {
    let class = (size.next_power_of_two() / 8).clamp(8, 4096);
    size.next_multiple_of(class) as isize
}

fn count(by: isize) {
    // Not while a thread ends and its count is gone.
    let _ = LIVING.try_with(|living| living.set(living.get() + by));
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(rounded(layout.size()));
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-rounded(layout.size()));
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(rounded(size) - rounded(layout.size()));
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A state with one queue, and a log that it is fed from.
struct Backlog {
    state: State,
    ledger: Ledger,
    now: Time,
    place: Place,
    seq: u64,
    /// What was received and not deleted.
    received: Vec<(Seq, Place)>,
}

const SEGMENT: u32 = 64 << 20;

impl Backlog {
    fn new(fifo: bool) -> Backlog {
        let mut backlog = Backlog {
            state: State::default(),
            ledger: Ledger::default(),
            now: Time(1_700_000_000_000),
            place: Place::new(1, 0),
            seq: 2,
            received: Vec::new(),
        };
        let mut declared = declared();
        declared.settings.fifo = fifo.then(FifoSettings::default);
        backlog.apply(&Record::QueueDeclared(Box::new(declared)), 200);
        backlog
    }

    fn apply(&mut self, record: &Record<'_>, len: u32) {
        self.ledger.open(self.place.segment());
        self.state.apply(record, Extent { place: self.place, len }, &mut self.ledger);
        let end = self.place.offset() + len;
        let full = end > SEGMENT;
        self.place = if full {
            Place::new(self.place.segment() + 1, 0)
        } else {
            Place::new(self.place.segment(), end)
        };
    }

    fn send(&mut self, group: Option<&str>, deduplication: Option<&str>, len: u32) {
        let record = MessageSent {
            queue: QueueId(1),
            seq: Seq(self.seq),
            origin: Seq(self.seq),
            sent: self.now,
            group: group.map(Cow::Borrowed),
            deduplication: deduplication.map(|id| Deduplication { id: Cow::Borrowed(id), in_group: false }),
            delay_seconds: 0,
            forwarded: false,
        };
        self.seq += 1;
        self.apply(&Record::MessageSent(record), len);
    }

    /// Receives `messages`, ten at a time, and deletes them or not.
    fn receive(&mut self, messages: u64, delete: bool) {
        let limits = Limits::strict();
        for _ in 0..messages / 10 {
            let request = Receive { most: 10, visibility_seconds: None, wait_seconds: None, attempt: None };
            let receive = ReceiveMessage { queue: key(), request: Ok(request) };
            let numbers = Numbers::new(self.seq);
            let setting = Setting {
                now: self.now,
                limits: &limits,
                secret: &Secret([1; 32]),
                ticket: 0,
                numbers: &numbers,
                room: Demand::Growth,
                store_lags: false,
            };
            let mut handed = Handed::default();
            let mut context = Context::new(setting, &NoTargets, &mut handed);
            let decision = receive.decide(&self.state, &mut context);
            let Outcome::Reply(Ok(Reply::Received(received))) = decision.outcome else {
                panic!("nothing came")
            };
            assert_eq!(received.messages.len(), 10);
            let mut messages = Vec::new();
            for draft in decision.facts {
                if let Record::MessagesReceived(record) = &draft.record {
                    for (message, delivered) in record.messages.iter().zip(&received.messages) {
                        if !delete {
                            self.received.push((message.seq, delivered.extent.place));
                        }
                        messages.push(DroppedMessage {
                            seq: message.seq,
                            place: delivered.extent.place,
                            group: message.group.clone(),
                        });
                    }
                }
                self.apply(&draft.record, 300);
            }
            if delete {
                let dropped = MessagesDropped { queue: QueueId(1), reason: DropReason::Deleted, messages };
                self.apply(&Record::MessagesDropped(dropped), 200);
            }
            self.now = self.now + 1;
        }
    }

    /// Moves `messages` that were received to another queue, as dead letters.
    fn move_dead_letters(&mut self, messages: u64) {
        let mut declared = declared();
        declared.id = QueueId(self.seq);
        declared.key.name = "d".into();
        let dead = declared.id;
        let source = key().arn().to_string();
        self.seq += 1;
        self.apply(&Record::QueueDeclared(Box::new(declared)), 200);
        let received: Vec<(Seq, Place)> = self.received.drain(..messages as usize).collect();
        for (seq, place) in received {
            let placed = MessagePlaced {
                queue: dead,
                seq: Seq(self.seq),
                origin: seq,
                copy: seq,
                extent: Extent { place, len: 340 },
                sent: self.now,
                group: None,
                dead_letter_source: Some(Cow::Borrowed(&source)),
                deduplicates_by_id: false,
                receives: 1,
                receives_elsewhere: 1,
                first_received: self.now,
                received: self.now,
                visible: self.now,
                in_flight: false,
            };
            self.seq += 1;
            let messages = vec![DroppedMessage { seq, place, group: None }];
            let reason = DropReason::DeadLettered;
            let dropped = MessagesDropped { queue: QueueId(1), reason, messages };
            self.apply(&Record::MessagesMoved(MessagesMoved { dropped, placed: vec![placed] }), 200);
        }
    }
}

/// A standard queue.
fn declared() -> QueueDeclared {
    let created = Time(1_700_000_000_000);
    QueueDeclared {
        id: QueueId(1),
        key: key(),
        settings: Settings::default(),
        tags: Vec::new(),
        created,
        modified: created,
        purged_through: Seq(0),
        purged: None,
    }
}

fn key() -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: "q.fifo".into() }
}

fn measured(run: impl FnOnce() -> Backlog) -> (Backlog, isize) {
    let before = LIVING.get();
    let backlog = run();
    (backlog, LIVING.get() - before)
}

/// So many groups, which come round in turn, as far apart in the log and in time as if there were a million.
fn ten_in_each(groups: u32) -> Backlog {
    let mut backlog = Backlog::new(true);
    for round in 0..10u32 {
        for group in 0..groups {
            let name = format!("{group:08x}");
            let deduplication = format!("{round:016x}{group:016x}");
            backlog.send(Some(&name), Some(&deduplication), 340 * (1_000_000 / groups));
            if group % 50 == 0 {
                backlog.now = backlog.now + u64::from(1_000_000 / groups);
            }
        }
    }
    backlog
}

#[test]
fn a_fifo_group_of_ten_waiting_messages_costs_at_most_490_bytes() {
    const GROUPS: u32 = 31_250;
    let (_backlog, bytes) = measured(|| ten_in_each(GROUPS));
    let each = bytes / GROUPS as isize;
    assert!(each <= 490, "{each} bytes a group");
}

#[test]
fn a_fifo_queue_that_was_drained_keeps_only_what_it_deduplicates_by() {
    const GROUPS: u32 = 20_000;
    let (_backlog, bytes) = measured(|| {
        let mut backlog = ten_in_each(GROUPS);
        backlog.receive(u64::from(GROUPS) * 10, true);
        backlog
    });
    let each = bytes / (GROUPS as isize * 10);
    assert!(each <= 20, "{each} bytes a message");
}

#[test]
fn a_message_in_flight_costs_at_most_240_bytes_and_a_dead_letter_350() {
    const MESSAGES: u64 = 50_000;
    let (mut backlog, _) = measured(|| {
        let mut backlog = Backlog::new(false);
        (0..MESSAGES).for_each(|_| backlog.send(None, None, 340));
        backlog.received.reserve_exact(MESSAGES as usize);
        backlog
    });
    let before = LIVING.get();
    backlog.receive(MESSAGES, false);
    let each = (LIVING.get() - before) / MESSAGES as isize;
    assert!(each <= 240, "{each} bytes a message in flight");

    let before = LIVING.get();
    backlog.move_dead_letters(MESSAGES);
    let each = each + (LIVING.get() - before) / MESSAGES as isize;
    assert!(each <= 350, "{each} bytes a dead letter");
}
