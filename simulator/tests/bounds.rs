//! Whatever gathers, no record is long: not when many messages expire at once, nor when they are moved or written forward.

use kernel::{Secret, Time};
use machine::{Answer, Command, Input, Reply};
use simulator::dice::Dice;
use simulator::disks::Disks;
use simulator::server::Server;
use sqs::QueueKey;
use sqs::operations::{self, Receive};
use sqs::rules::new_message::MessageDraft;

const START: Time = Time(1_700_000_000_000);
const DAY: u64 = 86_400_000;
/// The longest head that names many facts.
const LONGEST: usize = 64 << 10;

fn key(name: &str) -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

struct Running {
    disk: Disks,
    log: journal::Options,
    dice: Dice,
    server: Server,
    now: Time,
    ticket: u64,
}

impl Running {
    fn new(segment_bytes: u32) -> Running {
        let mut dice = Dice::from_seed(1);
        let disk = Disks::new(dice.split().into());
        let log = journal::Options { segment_bytes, log_id: 1, durable: true, recycled: 0 };
        let server =
            Server::start(&disk, &log, Secret([1; 32]), START, None, &mut dice).map_err(|_| ()).unwrap();
        Running { disk, log, dice, server, now: START, ticket: 0 }
    }

    /// The process dies, and starts again so much later.
    fn restart_after(&mut self, millis: u64) {
        self.now = self.now + millis;
        let started = Server::start(&self.disk, &self.log, Secret([1; 32]), self.now, None, &mut self.dice);
        self.server = started.map_err(|_| ()).unwrap();
        self.server.pass_time(self.now);
        self.settle();
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now + millis;
        self.server.pass_time(self.now);
        self.settle();
    }

    /// All that the disk has to do.
    fn settle(&mut self) -> Vec<(u64, Answer)> {
        let mut answers = Vec::new();
        loop {
            answers.extend(self.server.flush(self.now));
            let mut busy = self.server.write(self.now).unwrap();
            self.server.sync(self.now).unwrap();
            busy |= self.server.run_errand(self.now).map_err(|_| ()).unwrap().is_some();
            if !busy && self.server.is_idle() {
                return answers;
            }
        }
    }

    fn ask(&mut self, command: operations::Command) -> Answer {
        self.ticket += 1;
        let (ticket, command) = (self.ticket, Command::Sqs(command));
        self.server.machine.handle(self.now, Input::Request { ticket, command });
        let mut answers = self.server.flush(self.now);
        while answers.is_empty() && self.server.write(self.now).unwrap() {
            self.server.sync(self.now).unwrap();
            answers = self.server.flush(self.now);
        }
        answers.pop().expect("every request here is answered at once").1
    }

    fn create(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let create =
            operations::create_queue::CreateQueue::new(key(name), attributes.iter().copied(), []).unwrap();
        self.ask(operations::Command::CreateQueue(create)).unwrap();
    }

    /// Sends messages, each in a group of its own with a long name.
    fn send(&mut self, name: &str, many: usize) {
        for batch in 0..many.div_ceil(10) {
            let entries = (0..10).map(|entry| {
                let group = format!("{:0>128}", batch * 10 + entry);
                let draft = MessageDraft {
                    body: "x".into(),
                    deduplication_id: Some(group.clone().into()),
                    group: Some(group.into()),
                    ..MessageDraft::default()
                };
                (entry.to_string().into(), draft.check("000000000000", true))
            });
            let entries = Ok(entries.collect());
            let send = operations::send_message_batch::SendMessageBatch { queue: key(name), entries };
            self.ask(operations::Command::SendMessageBatch(send)).unwrap();
        }
    }

    /// Sends a FIFO message; its number.
    fn send_one(&mut self, name: &str, id: usize) -> Result<u64, String> {
        let draft = MessageDraft {
            body: "x".into(),
            deduplication_id: Some(id.to_string().into()),
            group: Some("g".into()),
            ..MessageDraft::default()
        };
        let message = draft.check("000000000000", true);
        let send = operations::send_message::SendMessage { queue: key(name), message };
        match self.ask(operations::Command::SendMessage(send)) {
            Ok(Reply::Sqs(operations::Reply::Sent(sent))) => Ok(sent.seq.0),
            other => Err(format!("{other:?}")),
        }
    }

    /// Receives and deletes what is there.
    fn take(&mut self, name: &str) {
        let request = Receive { most: 10, visibility_seconds: None, wait_seconds: Some(0), attempt: None };
        let receive = operations::receive_message::ReceiveMessage { queue: key(name), request: Ok(request) };
        let answer = self.ask(operations::Command::ReceiveMessage(receive));
        let Ok(Reply::Sqs(operations::Reply::Received(received))) = answer else { panic!("{answer:?}") };
        for message in &received.messages {
            let handle = message.handle(received.queue).to_text().into();
            let delete = operations::delete_message::DeleteMessage { queue: key(name), handle };
            self.ask(operations::Command::DeleteMessage(delete)).unwrap();
        }
    }

    /// Receives everything once; how many there were.
    fn receive(&mut self, name: &str) -> usize {
        let mut given = 0;
        loop {
            let request =
                Receive { most: 10, visibility_seconds: Some(60), wait_seconds: Some(0), attempt: None };
            let receive =
                operations::receive_message::ReceiveMessage { queue: key(name), request: Ok(request) };
            match self.ask(operations::Command::ReceiveMessage(receive)) {
                Ok(Reply::Sqs(operations::Reply::Received(received))) if received.messages.is_empty() => {
                    return given;
                }
                Ok(Reply::Sqs(operations::Reply::Received(received))) => given += received.messages.len(),
                other => panic!("{other:?}"),
            }
        }
    }

    fn counts(&self, name: &str) -> (u64, u64, u64) {
        self.server.machine.sqs().queue(&key(name)).unwrap().counts()
    }

    /// The longest head of all records of the log.
    fn longest_head(&self) -> usize {
        let mut longest = 0;
        for (segment, _) in self.server.machine.ledger().segments() {
            let survey = self.server.reader.survey(segment, |entry| longest = longest.max(entry.head.len()));
            // The one that is being written may have nothing yet.
            let _ = survey;
        }
        longest
    }
}

/// Standard messages that come and go, and one FIFO message in so many, deleted at once.
fn traffic(running: &mut Running, rounds: usize, one_in: usize) -> usize {
    let mut most = 0;
    for round in 0..rounds {
        let body = "x".repeat(1000);
        let draft = MessageDraft { body: body.into(), ..MessageDraft::default() };
        let message = draft.check("000000000000", false);
        let send = operations::send_message::SendMessage { queue: key("plain"), message };
        running.ask(operations::Command::SendMessage(send)).unwrap();
        running.take("plain");
        if round % one_in == 0 {
            running.send_one("q.fifo", round).unwrap();
            running.take("q.fifo");
        }
        if round % 50 == 0 {
            running.now = running.now + 100;
            running.server.pass_time(running.now);
            running.settle();
            most = most.max(running.server.machine.ledger().segments().count());
        }
    }
    most
}

#[test]
fn a_trickle_of_fifo_messages_holds_no_segments() {
    let mut counts = Vec::new();
    for one_in in [usize::MAX, 200] {
        let mut running = Running::new(32 << 10);
        running.create("plain", &[]);
        running.create("q.fifo", &[("FifoQueue", "true")]);
        // Ten seconds.
        counts.push(traffic(&mut running, 5000, one_in));
    }
    // Some 170 segments are written.
    assert!(counts[1] <= 2 * counts[0] + 2, "{counts:?} segments without FIFO messages and with them");
}

#[test]
fn ids_count_for_five_minutes_whatever_becomes_of_their_segments() {
    let mut running = Running::new(32 << 10);
    running.create("plain", &[]);
    running.create("q.fifo", &[("FifoQueue", "true")]);
    let began = running.now;
    let Ok(first) = running.send_one("q.fifo", usize::MAX) else { panic!("it was sent") };
    running.take("q.fifo");
    for _ in 0..4 {
        traffic(&mut running, 1000, 20);
        running.restart_after(60_000);
    }
    let oldest = running.server.machine.ledger().oldest();
    assert!(oldest > Some(20), "the first segments have gone: {oldest:?}");
    let millis = 5 * 60_000 - (running.now - began) - 1;
    running.pass(millis);
    assert_eq!(running.send_one("q.fifo", usize::MAX), Ok(first), "it still counts");
    running.pass(1);
    assert_ne!(running.send_one("q.fifo", usize::MAX), Ok(first), "it counts no more");
}

const MANY: usize = 1500;

#[test]
fn many_messages_that_were_received_expire_at_once() {
    let mut running = Running::new(1 << 20);
    running.create("q.fifo", &[("FifoQueue", "true")]);
    running.send("q.fifo", MANY);
    assert_eq!(running.receive("q.fifo"), MANY);
    running.pass(61_000);
    assert_eq!(running.counts("q.fifo"), (MANY as u64, 0, 0));
    running.pass(5 * DAY);
    assert_eq!(running.counts("q.fifo"), (0, 0, 0));
    assert!(running.longest_head() < LONGEST);
}

#[test]
fn many_messages_expire_while_the_server_is_off() {
    let mut running = Running::new(1 << 20);
    running.create("q.fifo", &[("FifoQueue", "true")]);
    running.create("r.fifo", &[("FifoQueue", "true")]);
    running.send("q.fifo", MANY);
    running.send("r.fifo", MANY);
    assert_eq!(running.receive("q.fifo"), MANY);
    running.settle();
    running.restart_after(6 * DAY);
    assert_eq!(running.counts("q.fifo"), (0, 0, 0));
    assert_eq!(running.counts("r.fifo"), (0, 0, 0));
    assert!(running.longest_head() < LONGEST);
    running.restart_after(1);
    assert_eq!(running.counts("q.fifo"), (0, 0, 0));
}

#[test]
fn many_messages_move_and_come_back() {
    let mut running = Running::new(1 << 20);
    running.create("dead.fifo", &[("FifoQueue", "true")]);
    let policy = format!(r#"{{"maxReceiveCount":1,"deadLetterTargetArn":"{}"}}"#, key("dead.fifo").arn());
    running.create("q.fifo", &[("FifoQueue", "true"), ("RedrivePolicy", &policy)]);
    running.send("q.fifo", MANY);
    assert_eq!(running.receive("q.fifo"), MANY);
    running.pass(61_000);
    // As many dead letters as one receive moves leave without an answer; the next goes on.
    for _ in 0..MANY / 100 {
        running.receive("q.fifo");
    }
    assert_eq!(running.counts("dead.fifo"), (MANY as u64, 0, 0));
    let start = operations::start_message_move_task::StartMessageMoveTask {
        source: Ok(key("dead.fifo").arn()),
        destination: Ok(None),
        rate: Ok(None),
    };
    running.ask(operations::Command::StartMessageMoveTask(start)).unwrap();
    running.pass(10_000);
    assert_eq!(running.counts("dead.fifo"), (0, 0, 0));
    assert_eq!(running.counts("q.fifo"), (MANY as u64, 0, 0));
    running.restart_after(1);
    assert_eq!(running.counts("q.fifo"), (MANY as u64, 0, 0));
    assert!(running.longest_head() < LONGEST);
}

#[test]
fn a_declaration_that_no_record_can_hold_is_refused() {
    let mut running = Running::new(1 << 20);
    running.create("dead", &[]);
    running.create("q", &[]);
    let policy = format!(
        r#"{{"maxReceiveCount":1,"deadLetterTargetArn":"{}"{}}}"#,
        key("dead").arn(),
        " ".repeat(17 << 20)
    );
    let set =
        operations::set_queue_attributes::SetQueueAttributes::new(key("q"), [("RedrivePolicy", &*policy)]);
    let answer = running.ask(operations::Command::SetQueueAttributes(set));
    assert_eq!(answer.unwrap_err().shape, "InvalidParameterValueException");
    assert!(running.server.machine.sqs().queue(&key("q")).unwrap().settings.redrive.is_none());
    running.restart_after(1);
    assert!(running.server.machine.sqs().queue(&key("q")).unwrap().settings.redrive.is_none());
}

/// What the machine does between two flushes: about a millisecond.
const ROOM: u64 = 2000;

impl Running {
    /// One turn of the engine; says how many messages of a queue went in it.
    fn one_turn(&mut self, name: &str) -> u64 {
        let count = |running: &Running| {
            let (visible, in_flight, delayed) = running.counts(name);
            visible + in_flight + delayed
        };
        let before = count(self);
        self.server.flush(self.now);
        self.server.write(self.now).unwrap();
        self.server.sync(self.now).unwrap();
        before - count(self)
    }
}

#[test]
fn requests_come_between_messages_that_expire_together_and_nobody_is_given_one() {
    for received in [true, false] {
        let mut running = Running::new(1 << 20);
        running.create("q.fifo", &[("FifoQueue", "true")]);
        running.create("other.fifo", &[("FifoQueue", "true")]);
        running.send("q.fifo", 2 * MANY);
        if received {
            assert_eq!(running.receive("q.fifo"), 2 * MANY);
            running.pass(61_000);
        }
        running.now = running.now + 4 * DAY;
        running.server.hurry(running.now);
        assert!(running.server.machine.is_behind(), "it is too much for one turn");
        let mut turns = 0;
        while running.server.machine.is_behind() {
            assert_eq!(running.receive("q.fifo"), 0, "what has expired is given to nobody");
            running.send_one("other.fifo", turns).unwrap();
            assert_eq!(running.receive("other.fifo"), usize::from(turns == 0));
            assert!(running.one_turn("q.fifo") <= ROOM);
            turns += 1;
        }
        assert!(turns >= 1, "{turns} turns");
        assert_eq!(running.counts("q.fifo"), (0, 0, 0));
        running.send_one("q.fifo", 0).unwrap();
        assert_eq!(running.receive("q.fifo"), 1);
    }
}

#[test]
fn visibility_timeouts_that_end_together_end_in_several_turns() {
    let mut running = Running::new(1 << 20);
    running.create("q.fifo", &[("FifoQueue", "true")]);
    running.send("q.fifo", 2 * MANY);
    assert_eq!(running.receive("q.fifo"), 2 * MANY);
    running.now = running.now + 61_000;
    running.server.hurry(running.now);
    let mut before = running.counts("q.fifo").0;
    while running.server.machine.is_behind() {
        running.one_turn("q.fifo");
        let visible = running.counts("q.fifo").0;
        assert!(visible - before <= ROOM, "{before}, then {visible}");
        before = visible;
    }
    assert_eq!(running.counts("q.fifo"), (2 * MANY as u64, 0, 0));
}

#[test]
fn another_retention_period_is_heard_of_in_several_turns_and_counts_at_once() {
    let mut running = Running::new(1 << 20);
    running.create("q.fifo", &[("FifoQueue", "true")]);
    running.send("q.fifo", 2 * MANY);
    assert_eq!(running.receive("q.fifo"), 2 * MANY);
    running.pass(61_000);
    let set = |seconds: &str| {
        operations::Command::SetQueueAttributes(operations::set_queue_attributes::SetQueueAttributes::new(
            key("q.fifo"),
            [("MessageRetentionPeriod", seconds)],
        ))
    };
    running.ask(set("60")).unwrap();
    assert!(running.server.machine.is_behind());
    assert_eq!(running.receive("q.fifo"), 0);
    running.ask(set("600")).unwrap();
    running.pass(1);
    let (visible, ..) = running.counts("q.fifo");
    assert!(visible > 0, "those that had not gone stay: {visible}");
    running.pass(DAY);
    assert_eq!(running.counts("q.fifo"), (0, 0, 0));
}

#[test]
fn what_a_purged_queue_held_is_given_up_in_several_turns() {
    let mut running = Running::new(1 << 20);
    running.create("q.fifo", &[("FifoQueue", "true")]);
    running.send("q.fifo", 2 * MANY);
    assert_eq!(running.receive("q.fifo"), 2 * MANY);
    running.settle();
    let references = |running: &Running| {
        running.server.machine.ledger().segments().map(|(_, used)| used.references).sum::<u64>()
    };
    let full = references(&running);
    let purge = operations::purge_queue::PurgeQueue { queue: key("q.fifo") };
    let command = Command::Sqs(operations::Command::PurgeQueue(purge));
    running.server.machine.handle(running.now, Input::Request { ticket: 1 << 40, command });
    assert_eq!(running.counts("q.fifo"), (0, 0, 0));
    assert!(references(&running) > full / 2, "not all at once");
    running.pass(60_000);
    assert_eq!(running.counts("q.fifo"), (0, 0, 0));
    assert!(references(&running) < 10);
}
