//! A disk that is full stays one that can be emptied: whatever kind of record filled it, what is deleted makes room, though no
//! time passes and nothing else is written; also after a start.

use std::collections::VecDeque;

use api::sns::{self as shapes, Request};
use kernel::{Asker, Caller, Demand, Refusal, Secret, Time};
use machine::{Answer, Command, Event, Input, Reply};
use simulator::dice::Dice;
use simulator::disks::Disks;
use simulator::server::Server;

use sqs::QueueKey;
use sqs::operations::{self, Receive};
use sqs::rules::new_message::MessageDraft;

const NOW: Time = Time(1_700_000_000_000);
const SEGMENT: u64 = 16 << 10;
const SECRET: Secret = Secret([1; 32]);

fn key(name: &str) -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

struct Running {
    server: Server,
    ticket: u64,
    now: Time,
    /// Handles of what was given and not deleted.
    handles: VecDeque<(QueueKey, bytestring::ByteString)>,
}

fn is_full(answer: &Answer) -> bool {
    matches!(answer, Err(refusal) if refusal.shape == "ServiceUnavailable")
}

fn log() -> journal::Options {
    journal::Options { segment_bytes: SEGMENT as u32, log_id: 1, durable: true, recycled: 0 }
}

impl Running {
    fn start(disk: &Disks, now: Time) -> Running {
        let mut dice = Dice::from_seed(1);
        let server = Server::start(disk, &log(), SECRET, now, None, &mut dice);
        let server =
            server.unwrap_or_else(|error| panic!("a full disk keeps the server from starting: {error:?}"));
        let mut running = Running { server, ticket: 0, now, handles: VecDeque::new() };
        running.turn();
        running
    }

    fn ask(&mut self, command: operations::Command) -> Answer {
        self.ask_any(Command::Sqs(command))
    }

    fn ask_any(&mut self, command: Command) -> Answer {
        self.ticket += 1;
        self.server.machine.handle(self.now, Input::Request { ticket: self.ticket, command });
        self.turn().pop().expect("every request here is answered at once").1
    }

    fn ask_sns(&mut self, request: Request) -> Answer {
        let account = || "000000000000".to_owned();
        let caller =
            Caller { account: account(), region: "us-east-1".into(), principal: account(), signed: true };
        let asker = Asker { caller: &caller, base: "http://localhost", trace: None };
        let (command, _) = sns::operations::prepare(request, &asker).unwrap();
        self.ask_any(Command::Sns(command))
    }

    /// One turn of the engine, and all that the disk has to do about it.
    fn turn(&mut self) -> Vec<(u64, Answer)> {
        let (mut answers, now) = (Vec::new(), self.now);
        loop {
            answers.extend(self.server.flush(now));
            let mut busy = self.server.write(now).expect("the disk is full, and not broken");
            self.server.sync(now).unwrap();
            self.server.tidy(now).unwrap();
            busy |= self.server.run_errand(now).map_err(|_| ()).unwrap().is_some();
            if !busy {
                return answers;
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now + millis;
        self.server.pass_time(self.now);
        self.turn();
    }

    fn create(&mut self, name: &str, attributes: &[(&str, &str)]) -> Answer {
        let create = operations::create_queue::CreateQueue::new(key(name), attributes.iter().copied(), []);
        self.ask(operations::Command::CreateQueue(create.unwrap()))
    }

    fn send(&mut self, name: &str) -> Answer {
        let draft = MessageDraft { body: "x".repeat(1000).into(), ..MessageDraft::default() };
        let message = draft.check("000000000000", false);
        let send = operations::send_message::SendMessage { queue: key(name), message };
        self.ask(operations::Command::SendMessage(send))
    }

    /// Receives up to ten messages, and remembers their handles.
    fn receive(&mut self, name: &str, visibility: u32) -> Result<usize, Refusal> {
        let request =
            Receive { most: 10, visibility_seconds: Some(visibility), wait_seconds: Some(0), attempt: None };
        let receive = operations::receive_message::ReceiveMessage { queue: key(name), request: Ok(request) };
        let answer = self.ask(operations::Command::ReceiveMessage(receive));
        let received = match answer? {
            Reply::Sqs(operations::Reply::Received(received)) => received,
            other => panic!("{other:?}"),
        };
        for message in &received.messages {
            let handle = message.handle(received.queue).to_text().into();
            self.handles.push_back((key(name), handle));
        }
        Ok(received.messages.len())
    }

    fn delete(&mut self, (queue, handle): (QueueKey, bytestring::ByteString)) -> Answer {
        self.ask(operations::Command::DeleteMessage(operations::delete_message::DeleteMessage {
            queue,
            handle,
        }))
    }

    fn change(&mut self, seconds: u32) -> Answer {
        let (queue, handle) = self.handles.back().cloned().expect("something was received");
        let change = operations::change_message_visibility::ChangeMessageVisibility {
            queue,
            handle,
            visibility_seconds: Ok(seconds),
        };
        self.ask(operations::Command::ChangeMessageVisibility(change))
    }

    /// Receives and deletes up to ten; how many there were.
    fn drain(&mut self) -> usize {
        let given = self.receive("q", 30).unwrap();
        while let Some(handle) = self.handles.pop_front() {
            self.delete(handle).unwrap();
        }
        given
    }
}

/// A disk with room for so many segments.
fn disk(segments: u64) -> Disks {
    let disk = Disks::new(Dice::from_seed(segments).split().into());
    disk.log.leave_room(Some(segments * SEGMENT + SEGMENT / 2));
    disk
}

#[test]
fn what_is_deleted_on_a_full_disk_makes_room_again() {
    // How much room there is: a few segments, and not even as many as a log is cleaned at otherwise.
    for segments in [3, 4, 7] {
        let mut running = Running::start(&disk(segments), NOW);
        running.create("q", &[]).unwrap();
        for round in 0..3 {
            let sent = (0..1000).take_while(|_| running.send("q").is_ok()).count();
            assert!((1..1000).contains(&sent), "{segments} segments, round {round}: {sent} sent");
            let mut drained = 0;
            while let more @ 1.. = running.drain() {
                drained += more;
            }
            assert_eq!(drained, sent);
            running.turn();
        }
    }
}

#[test]
fn segments_go_when_the_last_of_their_messages_is_deleted() {
    let mut running = Running::start(&Disks::new(Dice::from_seed(1).split().into()), NOW);
    running.create("q", &[]).unwrap();
    for _ in 0..300 {
        running.send("q").unwrap();
    }
    let full = running.server.machine.ledger().segments().count();
    assert!(full > 18, "{full} segments");
    while running.drain() > 0 {}
    running.turn();
    let empty = running.server.machine.ledger().segments().count();
    assert!(empty <= 4, "of {full} segments {empty} are still there");
}

/// What writes one kind of record, again and again. It may be refused, as long as the disk is full.
type Writes = fn(&mut Running, u32) -> Answer;

fn receives(running: &mut Running, visibility: u32) -> Answer {
    running.receive("q", visibility).map(|_| Reply::Sqs(operations::Reply::Done))
}

const KINDS: [(&str, Writes); 11] = [
    ("sends", |running, _| running.send("q")),
    ("receives of the same messages", |running, _| receives(running, 0)),
    ("receives of all messages", |running, _| receives(running, 43_000)),
    ("changes of visibility", |running, i| {
        if running.handles.is_empty() {
            receives(running, 100)?;
        }
        running.change(100 + i % 2)
    }),
    ("attributes", |running, i| {
        let value = (i % 40).to_string();
        let attributes = [("VisibilityTimeout", &*value)];
        let set = operations::set_queue_attributes::SetQueueAttributes::new(key("q"), attributes);
        running.ask(operations::Command::SetQueueAttributes(set))
    }),
    ("tags that come and go", |running, i| {
        let tag = operations::tag_queue::TagQueue::new(key("q"), [("a", "b")]);
        let untag = operations::untag_queue::UntagQueue::new(key("q"), ["a"]);
        running.ask(match i % 2 {
            0 => operations::Command::TagQueue(tag),
            _ => operations::Command::UntagQueue(untag),
        })
    }),
    ("queues", |running, i| running.create(&format!("q{i}"), &[])),
    ("purges of an empty queue", |running, _| {
        running
            .ask(operations::Command::PurgeQueue(operations::purge_queue::PurgeQueue { queue: key("dead") }))
    }),
    ("dead letters and moves back", |running, i| {
        if i % 16 == 15 {
            let start = operations::start_message_move_task::StartMessageMoveTask {
                source: Ok(key("dead").arn()),
                destination: Ok(Some(key("short").arn())),
                rate: Ok(None),
            };
            let answer = running.ask(operations::Command::StartMessageMoveTask(start));
            running.pass(50);
            // Another may be running.
            return if is_full(&answer) { answer } else { Ok(Reply::Sqs(operations::Reply::Done)) };
        }
        running.receive("short", 0).map(|_| Reply::Sqs(operations::Reply::Done))
    }),
    ("deliveries that fail", |running, _| {
        running.pass(3_600_000);
        let now = running.now;
        while let Some(attempt) = running.server.attempts.pop_front() {
            let record = running.server.reader.read(attempt.parcel).unwrap();
            let (number, outcome) = (attempt.number, sns::deliveries::Outcome::Failed);
            let parcel = Some((record.head, record.tail));
            let delivered = sns::Event::Delivered { number, outcome, parcel };
            running.server.machine.handle(now, Input::Event(Event::Sns(delivered)));
            running.turn();
        }
        publish(running)
    }),
    ("expiry", |running, _| {
        running.pass(30_000);
        running.send("brief")
    }),
];

fn publish(running: &mut Running) -> Answer {
    running.ask_sns(Request::Publish(shapes::PublishInput {
        topic_arn: Some("arn:aws:sns:us-east-1:000000000000:t".into()),
        message: Some("x".repeat(200).into()),
        ..shapes::PublishInput::default()
    }))
}

#[test]
fn whatever_kind_of_record_fills_a_disk_deletes_make_room_also_after_a_start() {
    for (kind, writes) in KINDS {
        for segments in [4, 8] {
            let disk = disk(segments);
            let mut running = Running::start(&disk, NOW);
            running.create("q", &[]).unwrap();
            running.create("dead", &[]).unwrap();
            let redrive =
                format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"1"}}"#, key("dead").arn());
            running.create("short", &[("RedrivePolicy", &redrive)]).unwrap();
            running.create("brief", &[("MessageRetentionPeriod", "60")]).unwrap();
            (0..4).for_each(|_| drop(running.send("short").unwrap()));
            running
                .ask_sns(Request::CreateTopic(shapes::CreateTopicInput {
                    name: Some("t".into()),
                    ..shapes::CreateTopicInput::default()
                }))
                .unwrap();
            // An address that nobody has to confirm.
            running
                .ask_sns(Request::Subscribe(shapes::SubscribeInput {
                    topic_arn: Some("arn:aws:sns:us-east-1:000000000000:t".into()),
                    protocol: Some("sms".into()),
                    endpoint: Some("+15551234567".into()),
                    ..shapes::SubscribeInput::default()
                }))
                .unwrap();
            let sent = (0..1000).take_while(|_| running.send("q").is_ok()).count();
            assert!((1..1000).contains(&sent), "{kind}: {sent} sent");

            // All that others have is full, too.
            let mut refused = 0;
            for i in 0..3000 {
                let answer = writes(&mut running, i);
                assert!(answer.is_ok() || is_full(&answer), "{kind}: {answer:?}");
                refused = if answer.is_ok() { 0 } else { refused + 1 };
                if refused > 20 {
                    break;
                }
            }
            disk.log.leave_room(Some(0));
            let handles = running.handles;
            let mut running = Running::start(&disk, running.now);
            running.handles = handles;
            // What was asked for is asked for again, and nothing of it breaks anything.
            for i in 0..50 {
                let answer = writes(&mut running, i);
                assert!(answer.is_ok() || is_full(&answer), "{kind}, after a start: {answer:?}");
            }
            for round in 0.. {
                while let Some(handle) = running.handles.pop_front() {
                    let answer = running.delete(handle);
                    assert!(answer.is_ok(), "{kind}: a delete is refused: {answer:?}");
                }
                running.pass(44_000_000);
                let left = ["q", "short", "dead", "brief"].map(|name| running.receive(name, 30).unwrap_or(0));
                if left.iter().all(|&left| left == 0) {
                    break;
                }
                assert!(round < 1000, "{kind}: {left:?} are always left");
            }
            running.pass(60_000);
            let room = running.server.machine.room();
            assert_eq!(room, Demand::Growth, "{kind}: {:?}", running.server.machine.ledger());
            running.send("q").unwrap();
        }
    }
}

#[test]
fn a_purge_makes_room_whatever_is_left() {
    for segments in [3, 5] {
        let disk = disk(segments);
        let mut running = Running::start(&disk, NOW);
        running.create("q", &[]).unwrap();
        while running.send("q").is_ok() {}
        (0..500).take_while(|_| running.receive("q", 43_000).is_ok_and(|given| given > 0)).for_each(drop);
        let mut running = Running::start(&disk, NOW);
        let purge = operations::purge_queue::PurgeQueue { queue: key("q") };
        running.ask(operations::Command::PurgeQueue(purge)).unwrap();
        running.turn();
        assert_eq!(running.server.machine.room(), Demand::Growth);
        running.send("q").unwrap();
    }
}
