//! Archives of topics in the store for retained data: what older programs have written, what fills a disk, and what is deleted.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use api::sns::{self as shapes, Request};
use bytestring::ByteString;
use journal::Storage;
use kernel::{Asker, Caller, Refusal, Series, Time};
use machine::{Command, Input, Options, Reply};
use simulator::dice::Dice;
use simulator::disks::Disks;
use simulator::test_server::TestServer;
use sqs::QueueKey;
use sqs::operations::{Receive, create_queue, delete_message, receive_message};

const EVERYTHING: &str = r#"{"PointType":"Timestamp","StartingPoint":"2020-01-01T00:00:00.000Z"}"#;
const A_YEAR: &str = r#"{"MessageRetentionPeriod":"365"}"#;

fn text(text: impl Into<ByteString>) -> Option<ByteString> {
    Some(text.into())
}

fn map(pairs: &[(&str, &str)]) -> Option<api::Map<ByteString>> {
    Some(api::Map(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()))
}

fn topic_arn(name: &str) -> Option<ByteString> {
    text(format!("arn:aws:sns:us-east-1:000000000000:{name}"))
}

fn queue(name: &str) -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

struct Story {
    told: TestServer,
    queues: u32,
}

impl Deref for Story {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.told
    }
}

impl DerefMut for Story {
    fn deref_mut(&mut self) -> &mut TestServer {
        &mut self.told
    }
}

impl Story {
    fn new(options: Options, segment_bytes: u32) -> Story {
        Story { told: TestServer::new(1, segment_bytes, options), queues: 0 }
    }

    fn ask_topic(&mut self, request: Request) -> Result<Reply, Refusal> {
        let account = || "000000000000".to_owned();
        let caller =
            Caller { account: account(), region: "us-east-1".into(), principal: account(), signed: true };
        let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
        self.ask(Command::Sns(sns::operations::prepare(request, &asker).unwrap().0))
    }

    fn create_topic(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let attributes = map(&[attributes, &[("FifoTopic", "true")]].concat());
        let input = shapes::CreateTopicInput { name: text(name), attributes, ..Default::default() };
        self.ask_topic(Request::CreateTopic(input)).unwrap();
    }

    fn set_archive(&mut self, topic: &str, policy: &str) {
        let input = shapes::SetTopicAttributesInput {
            topic_arn: topic_arn(topic),
            attribute_name: text("ArchivePolicy"),
            attribute_value: text(policy),
        };
        self.ask_topic(Request::SetTopicAttributes(input)).unwrap();
    }

    fn publish(&mut self, topic: &str, body: &str) -> Result<Reply, Refusal> {
        self.ask_topic(Request::Publish(shapes::PublishInput {
            topic_arn: topic_arn(topic),
            message: text(body),
            message_group_id: text("g"),
            message_deduplication_id: text(body.split('.').next().unwrap_or_default()),
            ..Default::default()
        }))
    }

    /// How many messages a replay of all that a topic keeps gives to a new queue.
    fn replayed(&mut self, topic: &str) -> usize {
        self.queues += 1;
        let name = format!("copies{}", self.queues);
        let create = create_queue::CreateQueue::new(queue(&name), [], []).unwrap();
        self.ask(Command::Sqs(sqs::operations::Command::CreateQueue(create))).unwrap();
        self.ask_topic(Request::Subscribe(shapes::SubscribeInput {
            topic_arn: topic_arn(topic),
            protocol: text("sqs"),
            endpoint: text(queue(&name).arn().to_string()),
            attributes: map(&[("ReplayPolicy", EVERYTHING)]),
            return_subscription_arn: Some(true),
        }))
        .unwrap();
        let mut received = 0;
        loop {
            let request =
                Receive { most: 10, visibility_seconds: Some(43_200), wait_seconds: Some(0), attempt: None };
            let receive = receive_message::ReceiveMessage { queue: queue(&name), request: Ok(request) };
            let answer = self.ask(Command::Sqs(sqs::operations::Command::ReceiveMessage(receive))).unwrap();
            let Reply::Sqs(sqs::operations::Reply::Received(given)) = answer else { panic!("{answer:?}") };
            if given.messages.is_empty() {
                return received;
            }
            received += given.messages.len();
            for message in &given.messages {
                let handle = message.handle(given.queue).to_text().into();
                let delete = delete_message::DeleteMessage { queue: queue(&name), handle };
                self.ask(Command::Sqs(sqs::operations::Command::DeleteMessage(delete))).unwrap();
            }
        }
    }

    fn series(&self) -> Vec<Series> {
        self.server.store.series(Series(0), 100)
    }

    fn owed(&self) -> u64 {
        self.server.machine.ledger().owed_bytes()
    }
}

#[test]
fn a_directory_of_a_program_without_the_store_is_taken_over() {
    // Written by the last such program, which was killed: two archives of twenty messages. One was set when its topic had three.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/archives-before-the-store");
    let disks = Disks::new(Dice::from_seed(1).split().into());
    for name in ["00000001.log", "MANIFEST"] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let file = disks.log.create(name).unwrap();
        file.write_at(&[&bytes], 0).unwrap();
        file.sync().unwrap();
    }
    disks.log.sync_dir().unwrap();
    let written = Time(1_796_000_000_000);
    let told = TestServer::on(disks, 64 << 20, Options::default(), written);
    let mut story = Story { told, queues: 0 };
    assert_eq!((story.series().len(), story.owed()), (2, 0));
    for _ in 0..2 {
        assert_eq!(story.replayed("kept.fifo"), 20);
        assert_eq!(story.replayed("later.fifo"), 20);
        story.crash();
        assert_eq!((story.series().len(), story.owed()), (2, 0));
    }
    story.publish("kept.fifo", "new").unwrap();
    assert_eq!(story.replayed("kept.fifo"), 21);
}

#[test]
fn archives_that_begin_one_after_the_other_do_not_share_a_series() {
    let mut story = Story::new(Options::default(), 64 << 10);
    for name in ["a.fifo", "b.fifo"] {
        story.create_topic(name, &[]);
    }
    // Nothing else draws a number in between.
    story.set_archive("a.fifo", A_YEAR);
    story.set_archive("b.fifo", A_YEAR);
    story.create_topic("c.fifo", &[("ArchivePolicy", A_YEAR)]);
    for (topic, count) in [("a.fifo", 1), ("b.fifo", 2), ("c.fifo", 3)] {
        for number in 0..count {
            story.publish(topic, &number.to_string()).unwrap();
        }
    }
    assert_eq!(story.series().len(), 3);
    for _ in 0..2 {
        assert_eq!(["a.fifo", "b.fifo", "c.fifo"].map(|topic| story.replayed(topic)), [1, 2, 3]);
        story.crash();
    }
}

#[test]
fn an_archive_that_is_set_again_has_nothing_of_the_one_before() {
    let mut story = Story::new(Options::default(), 64 << 10);
    story.create_topic("a.fifo", &[("ArchivePolicy", A_YEAR)]);
    (0..5).for_each(|number| drop(story.publish("a.fifo", &number.to_string()).unwrap()));
    let before = story.series();
    story.set_archive("a.fifo", "{}");
    assert_eq!(story.series(), []);
    story.set_archive("a.fifo", A_YEAR);
    story.publish("a.fifo", "again").unwrap();
    assert!(story.series().len() == 1 && story.series() != before);
    assert_eq!(story.replayed("a.fifo"), 1);
    story.crash();
    assert_eq!(story.replayed("a.fifo"), 1);
    // Everything is deleted at once, archives too.
    story.handle(Input::Reset);
    story.settle();
    assert_eq!((story.series(), story.owed()), (vec![], 0));
}

#[test]
fn what_the_store_has_no_room_for_waits_in_the_log_and_then_publishes_are_refused() {
    let options = Options { owed_bytes: 20_000, ..Options::default() };
    let mut story = Story::new(options, 64 << 10);
    story.create_topic("a.fifo", &[("ArchivePolicy", A_YEAR)]);
    story.create_topic("other.fifo", &[]);
    story.disks.retained.leave_room(Some(0));
    let body = |number: usize| format!("{number}.{}", "x".repeat(1000));
    let mut accepted = 0;
    let refusal = loop {
        match story.publish("a.fifo", &body(accepted)) {
            Ok(_) => accepted += 1,
            Err(refusal) => break refusal,
        }
        assert!(accepted < 100, "it never refuses");
    };
    assert_eq!(refusal.shape, "ServiceUnavailable");
    assert!(accepted >= 15 && story.owed() > 20_000, "{accepted}");
    assert!(story.publish("other.fifo", "fits").is_ok(), "the log itself has room");
    assert_eq!(story.replayed("a.fifo"), accepted, "from the log alone");
    story.crash();
    // What was owed at the start does not count.
    assert!(story.publish("a.fifo", &body(accepted)).is_ok());
    story.disks.retained.leave_room(None);
    story.settle();
    assert_eq!(story.owed(), 0);
    assert!(story.publish("a.fifo", &body(accepted + 1)).is_ok());
    assert_eq!(story.replayed("a.fifo"), accepted + 2);
}

#[test]
fn segments_of_archived_messages_go_and_the_state_does_not_grow_with_them() {
    let mut story = Story::new(Options::default(), 16 << 10);
    story.create_topic("a.fifo", &[("ArchivePolicy", A_YEAR)]);
    for number in 0..200 {
        story.publish("a.fifo", &format!("{number}.{}", "x".repeat(1000))).unwrap();
        story.now = story.now + 10_000;
        story.pass_time();
        story.settle();
    }
    let segments = story.server.machine.ledger().segments().count();
    assert!(segments <= 6, "{segments} segments are left of more than ten");
    assert_eq!(story.owed(), 0);
    assert_eq!(story.replayed("a.fifo"), 200);
}
