//! Stories of topics, told to the whole server over a log that keeps what it is given.

use std::ops::{Deref, DerefMut};

use api::sns::{self as shapes, Request};
use bytes::Bytes;
use bytestring::ByteString;
use kernel::{Asker, Caller};
use machine::{Command, Event, Input, Options, Reply};
use simulator::test_server::TestServer;
use sns::deliveries::{Attempt, Outcome};
use sns::limits::ATTEMPTS;
use sns::operations::text_messaging::{OptOut, Sender};
use sqs::QueueKey;
use sqs::operations::{Receive, create_queue, delete_message, receive_message};

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

fn letters_to(name: &str) -> String {
    format!(r#"{{"deadLetterTargetArn":"{}"}}"#, queue(name).arn())
}

fn prepare(request: Request) -> sns::operations::Command {
    let caller = Caller {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        principal: "000000000000".into(),
        signed: true,
    };
    let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
    sns::operations::prepare(request, &asker).unwrap().0
}

struct Story {
    told: TestServer,
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
    fn new() -> Self {
        Story::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Story::with_segments_of(4 << 10, options)
    }

    fn with_segments_of(segment_bytes: u32, options: Options) -> Self {
        Story { told: TestServer::new(1, segment_bytes, options) }
    }

    fn ask(&mut self, command: Command) -> Reply {
        self.told.ask(command).unwrap()
    }

    fn ask_topic(&mut self, request: Request) -> sns::operations::Reply {
        match self.ask(Command::Sns(prepare(request))) {
            Reply::Sns(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn create_queue(&mut self, name: &str) {
        let fifo = [("FifoQueue", "true")];
        let attributes = if name.ends_with(".fifo") { &fifo[..] } else { &[] };
        let create = create_queue::CreateQueue::new(queue(name), attributes.iter().copied(), []).unwrap();
        self.ask(Command::Sqs(sqs::operations::Command::CreateQueue(create)));
    }

    /// A queue whose policy lets this topic send to it.
    fn create_queue_for(&mut self, name: &str, topic: &str) {
        let policy = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},"Action":"sqs:SendMessage",
            "Resource":"{}","Condition":{{"ArnEquals":{{"aws:SourceArn":"{}"}}}}}}}}"#,
            queue(name).arn(),
            topic_arn(topic).unwrap()
        );
        let create = create_queue::CreateQueue::new(queue(name), [("Policy", &*policy)], []).unwrap();
        self.ask(Command::Sqs(sqs::operations::Command::CreateQueue(create)));
    }

    fn create_topic(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let name = text(name);
        let attributes = map(attributes);
        self.ask_topic(Request::CreateTopic(shapes::CreateTopicInput {
            name,
            attributes,
            ..Default::default()
        }));
    }

    fn subscribe(&mut self, topic: &str, protocol: &str, endpoint: &str, attributes: &[(&str, &str)]) {
        self.ask_topic(Request::Subscribe(shapes::SubscribeInput {
            topic_arn: topic_arn(topic),
            protocol: text(protocol),
            endpoint: text(endpoint),
            attributes: map(attributes),
            return_subscription_arn: Some(true),
        }));
    }

    /// What each subscription of a topic has still to get.
    fn pending(&self, name: &str) -> Vec<usize> {
        let mut topics = self.server.machine.sns().topics();
        let view = topics.find(|view| view.topic.key().name == name).unwrap();
        view.subscriptions.iter().map(|subscription| subscription.pending).collect()
    }

    fn arn_of_only(&self, topic: &str) -> Option<String> {
        let key =
            sns::TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: topic.into() };
        let sns = self.server.machine.sns();
        let id = *sns.topic(&key)?.subscriptions.first()?;
        Some(sns.subscription(id)?.arn.clone())
    }

    /// Does the next thing that there is to do; whether there was one.
    fn one_step(&mut self) -> bool {
        self.flush();
        let wrote = self.write();
        if wrote {
            return true;
        }
        self.sync();
        let now = self.now;
        let did = self.server.run_errand(now).unwrap();
        let kept = self.server.keep_all(now).unwrap();
        self.flush();
        did.is_some() || kept || !self.server.is_idle()
    }

    /// Asks, and has it written, but nothing read.
    fn ask_without_reading(&mut self, request: Request) {
        let command = Command::Sns(prepare(request));
        self.handle(Input::Request { ticket: 1, command });
        self.flush();
        while self.write() {}
        self.sync();
    }

    /// What is said of the replay of a topic's only subscription.
    fn replay_status(&mut self, topic: &str) -> Option<String> {
        let key =
            sns::TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: topic.into() };
        let sns = self.server.machine.sns();
        let id = *sns.topic(&key)?.subscriptions.first()?;
        let arn = sns.subscription(id)?.arn.clone();
        let input = shapes::GetSubscriptionAttributesInput { subscription_arn: text(arn) };
        match self.ask_topic(Request::GetSubscriptionAttributes(input)) {
            sns::operations::Reply::Attributes(attributes) => {
                attributes.into_iter().find(|(name, _)| name == "ReplayStatus").map(|(_, status)| status)
            }
            other => panic!("{other:?}"),
        }
    }

    fn publish(&mut self, input: shapes::PublishInput) {
        self.ask_topic(Request::Publish(input));
    }

    /// The numbers of what can be received, all of which is deleted.
    fn receive(&mut self, name: &str) -> Vec<u64> {
        let request =
            Receive { most: 10, visibility_seconds: Some(43_200), wait_seconds: Some(0), attempt: None };
        let command = receive_message::ReceiveMessage { queue: queue(name), request: Ok(request) };
        let received = match self.ask(Command::Sqs(sqs::operations::Command::ReceiveMessage(command))) {
            Reply::Sqs(sqs::operations::Reply::Received(received)) => received,
            other => panic!("{other:?}"),
        };
        for message in &received.messages {
            let handle = message.handle(received.queue).to_text().into();
            let command = delete_message::DeleteMessage { queue: queue(name), handle };
            self.ask(Command::Sqs(sqs::operations::Command::DeleteMessage(command)));
        }
        received.messages.iter().map(|message| message.origin.0).collect()
    }

    /// So much happens elsewhere that what is dead in the log goes.
    fn grow_old(&mut self, messages: usize) {
        let topic = shapes::PublishInput { topic_arn: topic_arn("noise"), ..Default::default() };
        self.create_queue("noise");
        self.create_topic("noise", &[]);
        self.subscribe("noise", "sqs", &queue("noise").arn().to_string(), &[]);
        for _ in 0..messages {
            self.publish(shapes::PublishInput { message: text("x".repeat(1000)), ..topic.clone() });
            self.receive("noise");
            self.pass(5);
        }
    }

    fn publish_to_archive(&mut self, body: &str) {
        self.publish(shapes::PublishInput {
            topic_arn: topic_arn("old.fifo"),
            message: text(body),
            message_group_id: text("g"),
            message_deduplication_id: text(&body[..1]),
            ..Default::default()
        });
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + seconds * 1000;
        self.pass_time();
        self.settle();
    }

    /// The only attempt that is to be made, and what it is about.
    fn attempt(&mut self) -> (Attempt, (Bytes, Bytes)) {
        let attempt = self.server.attempts.pop_front().expect("something is to be delivered");
        assert!(self.server.attempts.is_empty());
        let record = self.server.reader.read_many(&[attempt.parcel]).remove(0).unwrap();
        (attempt, (record.head, record.tail))
    }

    fn ends(&mut self, attempt: &Attempt, outcome: Outcome, parcel: Option<(Bytes, Bytes)>) {
        let delivered = sns::Event::Delivered { number: attempt.number, outcome, parcel };
        self.handle(Input::Event(Event::Sns(delivered)));
        self.settle();
    }
}

#[test]
fn a_delivery_that_is_given_up_while_its_text_cannot_be_read_becomes_a_dead_letter_later() {
    let mut story = Story::new();
    story.create_queue("letters");
    story.create_topic("news", &[]);
    let letters = letters_to("letters");
    story.subscribe("news", "sms", "+15551234567", &[("RedrivePolicy", &letters)]);
    let published =
        shapes::PublishInput { topic_arn: topic_arn("news"), message: text("hello"), ..Default::default() };
    story.publish(published);

    let (attempt, _) = story.attempt();
    story.ends(&attempt, Outcome::Refused, None);
    assert_eq!(story.server.machine.sns().deliveries_pending(), 1);
    story.pass(60);
    let (attempt, parcel) = story.attempt();
    story.ends(&attempt, Outcome::Refused, Some(parcel));
    assert_eq!(story.server.machine.sns().deliveries_pending(), 0);
    assert_eq!(story.receive("letters").len(), 1);
}

#[test]
fn of_many_deliveries_only_so_many_are_tried_at_once_and_none_is_forgotten() {
    let mut story = Story::new();
    story.create_topic("news", &[]);
    for number in 0..700 {
        story.subscribe("news", "sms", &format!("+1555{number:07}"), &[]);
    }
    let hello = || shapes::PublishInput {
        topic_arn: topic_arn("news"),
        message: text("hello"),
        ..Default::default()
    };
    story.publish(hello());
    assert_eq!(story.server.attempts.len(), ATTEMPTS);
    // What was under way when the power went is tried again, and no more of it at once than before.
    story.server.attempts.clear();
    story.crash();
    let mut arrived = std::collections::BTreeSet::new();
    while let Some(attempt) = story.server.attempts.pop_front() {
        assert!(story.server.attempts.len() < ATTEMPTS);
        arrived.insert(attempt.subscriber.as_ref().map(|to| to.endpoint.clone()));
        story.ends(&attempt, Outcome::Delivered, None);
    }
    assert_eq!(arrived.len(), 700);
    assert_eq!(story.server.machine.sns().deliveries_pending(), 0);
    // A subscription that goes while its attempt is under way leaves no room for another before that has ended.
    story.publish(hello());
    assert_eq!(story.server.attempts.len(), ATTEMPTS);
    let arns: Vec<String> = story
        .server
        .attempts
        .iter()
        .filter_map(|attempt| Some(attempt.subscriber.as_ref()?.arn.clone()))
        .collect();
    for arn in arns {
        story.ask_topic(Request::Unsubscribe(shapes::UnsubscribeInput { subscription_arn: text(arn) }));
    }
    assert_eq!(story.server.attempts.len(), ATTEMPTS);
    let attempts: Vec<Attempt> = story.server.attempts.drain(..).collect();
    attempts.iter().for_each(|attempt| story.ends(attempt, Outcome::Failed, None));
    assert_eq!(story.server.attempts.len(), 700 - ATTEMPTS);
}

#[test]
fn an_endpoint_that_answers_does_not_wait_for_a_thousand_that_hang() {
    let mut story = Story::new();
    story.create_topic("hanging", &[]);
    for number in 0..1000 {
        story.subscribe("hanging", "sms", &format!("+1555{number:07}"), &[]);
    }
    let publish = |topic: &str| shapes::PublishInput {
        topic_arn: topic_arn(topic),
        message: text("hello"),
        ..Default::default()
    };
    story.publish(publish("hanging"));
    while let Some(attempt) = story.server.attempts.pop_front() {
        story.ends(&attempt, Outcome::Failed, None);
    }
    // All are due again, and none of them answers any more.
    for _ in 0..3 {
        story.publish(publish("hanging"));
        story.pass(3600);
    }
    assert_eq!(story.server.attempts.len(), ATTEMPTS / 2);
    // The last subscription that there is, behind all the others in every order of numbers.
    story.create_topic("well", &[]);
    story.subscribe("well", "sms", "+19995550000", &[]);
    for _ in 0..100 {
        story.publish(publish("well"));
        let attempt = story.server.attempts.pop_back().expect("it has its turn");
        assert_eq!(attempt.subscriber.as_ref().map(|to| &*to.endpoint), Some("+19995550000"));
        story.ends(&attempt, Outcome::Delivered, None);
    }
    assert_eq!(story.server.attempts.len(), ATTEMPTS / 2);
}

#[test]
fn a_delivery_whose_record_is_none_ends() {
    let mut story = Story::new();
    story.create_queue("letters");
    story.create_topic("news", &[]);
    let letters = letters_to("letters");
    story.subscribe("news", "sms", "+15551234567", &[("RedrivePolicy", &letters)]);
    let published =
        shapes::PublishInput { topic_arn: topic_arn("news"), message: text("hello"), ..Default::default() };
    story.publish(published);

    let (attempt, (head, _)) = story.attempt();
    story.ends(&attempt, Outcome::Refused, Some((head, Bytes::from_static(b"?"))));
    assert_eq!(story.server.machine.sns().deliveries_pending(), 0);
    assert!(story.receive("letters").is_empty());
}

#[test]
fn every_dead_letter_arrives_though_a_fifo_queue_has_had_its_deduplication_id() {
    let mut story = Story::new();
    story.create_queue("letters.fifo");
    let letters = letters_to("letters.fifo");
    for topic in ["one.fifo", "two.fifo"] {
        story.create_topic(topic, &[("FifoTopic", "true"), ("FifoThroughputScope", "MessageGroup")]);
        for nowhere in ["nowhere.fifo", "nowhere-else.fifo"] {
            let endpoint = queue(nowhere).arn().to_string();
            story.subscribe(topic, "sqs", &endpoint, &[("RedrivePolicy", &letters)]);
        }
        for group in ["a", "b"] {
            story.publish(shapes::PublishInput {
                topic_arn: topic_arn(topic),
                message: text("hello"),
                message_group_id: text(group),
                message_deduplication_id: text("same"),
                ..Default::default()
            });
        }
    }
    assert_eq!(story.receive("letters.fifo").len(), 8);
}

/// Queues' policies count.
fn strict() -> Options {
    let sns = sns::limits::Limits { queue_policies: true, ..sns::limits::Limits::relaxed() };
    Options { limits: machine::Limits { sns, ..machine::Limits::default() }, ..Options::default() }
}

#[test]
fn a_dead_letter_queue_s_policy_is_asked_on_every_way_to_it() {
    // facts/sns.md §§ 9, 12
    for (allowing, arrived) in [("news", 1), ("other", 0)] {
        // A queue that does not take the message.
        let mut story = Story::with(strict());
        story.create_queue_for("letters", allowing);
        story.create_topic("news", &[]);
        let letters = letters_to("letters");
        let nowhere = queue("nowhere").arn().to_string();
        story.subscribe("news", "sqs", &nowhere, &[("RedrivePolicy", &letters)]);
        let hello = shapes::PublishInput {
            topic_arn: topic_arn("news"),
            message: text("hello"),
            ..Default::default()
        };
        story.publish(hello.clone());
        assert_eq!(story.receive("letters").len(), arrived, "refused by a queue");

        // A delivery that is given up.
        let mut story = Story::with(strict());
        story.create_queue_for("letters", allowing);
        story.create_topic("news", &[]);
        story.subscribe("news", "sms", "+15551234567", &[("RedrivePolicy", &letters)]);
        story.publish(hello);
        let (attempt, parcel) = story.attempt();
        story.ends(&attempt, Outcome::Refused, Some(parcel));
        assert_eq!(story.server.machine.sns().deliveries_pending(), 0);
        assert_eq!(story.receive("letters").len(), arrived, "given up");
    }
    for (allowing, arrived) in [("old.fifo", 1), ("other", 0)] {
        // A replay to a queue that does not take the message.
        let mut story = Story::with(strict());
        story.create_queue_for("letters", allowing);
        story.create_topic("old.fifo", &ARCHIVED);
        story.publish_to_archive("hello");
        let attributes = [("RedrivePolicy", &*letters_to("letters")), ("ReplayPolicy", &replay_until(100))];
        let nowhere = queue("nowhere").arn().to_string();
        story.subscribe("old.fifo", "sqs", &nowhere, &attributes);
        assert_eq!(story.receive("letters").len(), arrived, "replayed");
    }
}

#[test]
fn a_queue_s_policy_is_asked_when_a_topic_replays_to_it() {
    for (allowing, arrived) in [("old.fifo", 1), ("other", 0)] {
        let mut story = Story::with(strict());
        story.create_queue_for("copies", allowing);
        story.create_topic("old.fifo", &ARCHIVED);
        story.publish_to_archive("hello");
        let copies = queue("copies").arn().to_string();
        story.subscribe("old.fifo", "sqs", &copies, &[("ReplayPolicy", &replay_until(100))]);
        assert_eq!(story.receive("copies").len(), arrived);
    }
}

const ARCHIVED: [(&str, &str); 2] =
    [("FifoTopic", "true"), ("ArchivePolicy", r#"{"MessageRetentionPeriod":"1"}"#)];

/// A replay from before the beginning of a story until so many minutes after it.
fn replay_until(minutes: u64) -> String {
    // 1700000000 is 2023-11-14T22:13:20Z.
    let (hour, minute) = (22 + (13 + minutes) / 60, (13 + minutes) % 60);
    format!(
        r#"{{"PointType":"Timestamp","StartingPoint":"2023-11-14T22:00:00.000Z","EndingPoint":"2023-11-14T{hour}:{minute:02}:20.000Z"}}"#
    )
}

#[test]
fn a_replay_is_pending_then_in_progress_then_completed() {
    let mut story = Story::new();
    story.create_queue("copies");
    story.create_topic("old.fifo", &ARCHIVED);
    let endpoint = queue("copies").arn().to_string();
    story.subscribe("old.fifo", "sqs", &endpoint, &[("ReplayPolicy", &replay_until(1))]);
    assert_eq!(story.replay_status("old.fifo").as_deref(), Some("Pending"));
    story.publish_to_archive("hello");
    assert_eq!(story.replay_status("old.fifo").as_deref(), Some("In progress"));
    story.pass(61);
    assert_eq!(story.replay_status("old.fifo").as_deref(), Some("Completed"));
    assert_eq!(story.receive("copies").len(), 1);
}

#[test]
fn a_replay_repeats_nothing_though_all_that_told_how_far_it_had_come_is_gone_from_the_log() {
    let mut story = Story::new();
    story.create_queue("copies");
    story.create_topic("old.fifo", &ARCHIVED);
    let endpoint = queue("copies").arn().to_string();
    story.create_queue("living");
    story.create_topic("more", &[]);
    story.subscribe("more", "sqs", &queue("living").arn().to_string(), &[]);
    // Segments with more in them that lives than in the one that tells of the replay.
    for number in 0..8 {
        story.publish_to_archive(&number.to_string());
        let message = text("x".repeat(400));
        story.publish(shapes::PublishInput { topic_arn: topic_arn("more"), message, ..Default::default() });
        story.grow_old(3);
    }
    story.subscribe("old.fifo", "sqs", &endpoint, &[("ReplayPolicy", &replay_until(100))]);
    assert_eq!(story.receive("copies").len(), 8);
    let told_in = story.server.machine.end().segment();
    // When a segment is worth writing forward depends on all others.
    for _ in 0..10 {
        story.grow_old(40);
    }
    assert!(!story.server.machine.ledger().contains(told_in), "it has not gone");
    for _ in 0..2 {
        story.crash();
        assert_eq!(story.receive("copies"), [0; 0]);
        assert_eq!(story.replay_status("old.fifo").as_deref(), Some("In progress"));
        story.grow_old(40);
    }
    story.publish_to_archive("c");
    assert_eq!(story.receive("copies").len(), 1);
}

#[test]
fn a_replay_that_replaces_another_begins_anew_even_after_a_crash() {
    let mut story = Story::new();
    story.create_queue("copies");
    story.create_topic("old.fifo", &ARCHIVED);
    let endpoint = queue("copies").arn().to_string();
    for body in ["a", "b", "c"] {
        story.publish_to_archive(body);
    }
    story.subscribe("old.fifo", "sqs", &endpoint, &[("ReplayPolicy", &replay_until(100))]);
    assert_eq!(story.receive("copies").len(), 3);
    let arn = story.arn_of_only("old.fifo").unwrap();
    story.ask_without_reading(Request::SetSubscriptionAttributes(shapes::SetSubscriptionAttributesInput {
        subscription_arn: text(arn),
        attribute_name: text("ReplayPolicy"),
        attribute_value: text(replay_until(101)),
    }));
    // It was set, and nothing had been read for it.
    story.crash();
    assert_eq!(story.receive("copies").len(), 3);
}

#[test]
fn a_subscribed_telephone_that_has_opted_out_gets_nothing_and_its_dead_letter_queue_the_message() {
    let mut story = Story::new();
    story.create_queue("letters");
    story.create_topic("news", &[]);
    let letters = letters_to("letters");
    story.subscribe("news", "sms", "+1 555-123-4567", &[("RedrivePolicy", &letters)]);
    story.subscribe("news", "sms", "+15557654321", &[]);
    let sender = Sender { account: "000000000000".into(), region: "us-east-1".into() };
    let opt_out = OptOut::from_answer(sender, "+15551234567", "STOP").unwrap().unwrap();
    story.ask(Command::Sns(sns::operations::Command::OptOut(opt_out)));
    let published =
        shapes::PublishInput { topic_arn: topic_arn("news"), message: text("hello"), ..Default::default() };
    story.publish(published);

    let seen: Vec<usize> = story.pending("news");
    assert_eq!(seen, [0, 1]);
    assert_eq!(story.server.machine.sns().deliveries_pending_directly(), 0);
    let (attempt, _) = story.attempt();
    assert_eq!(attempt.subscriber.map(|subscriber| subscriber.endpoint).as_deref(), Some("+15557654321"));
    assert_eq!(story.receive("letters").len(), 1);
}

/// Queues that have subscribed to one topic: more than one record names.
const WIDE: usize = 1100;

#[test]
fn what_is_published_to_very_many_reaches_all_or_nobody() {
    let mut story = Story::with_segments_of(16 << 10, Options::default());
    story.create_topic("wide", &[]);
    let names: Vec<String> = (0..WIDE).map(|number| format!("q{number}")).collect();
    for name in &names {
        story.create_queue(name);
        story.subscribe("wide", "sqs", &queue(name).arn().to_string(), &[("RawMessageDelivery", "true")]);
    }
    story.subscribe("wide", "sms", "+15551234567", &[]);
    let published = |at: usize| shapes::PublishInput {
        topic_arn: topic_arn("wide"),
        message: text(format!("{at} {}", "x".repeat(9000))),
        ..Default::default()
    };
    let counts = |story: &Story| -> Vec<u64> {
        let sqs = story.server.machine.sqs();
        names.iter().map(|name| sqs.queue(&queue(name)).unwrap().counts().0).collect()
    };
    story.publish(published(0));
    assert_eq!(counts(&story), [1; WIDE]);
    story.crash();
    assert_eq!(counts(&story), [1; WIDE]);
    assert_eq!(story.pending("wide").iter().sum::<usize>(), 1);

    // The power goes while it is being written.
    let mut before = 1;
    let (mut none, mut all) = (0, 0);
    for at in 1..20 {
        let command = Command::Sns(prepare(Request::Publish(published(at))));
        story.handle(Input::Request { ticket: 1, command });
        assert!(story.flush().is_empty());
        while story.write() {}
        story.crash();
        let after = counts(&story);
        assert!(after == vec![before; WIDE] || after == vec![before + 1; WIDE], "{after:?}");
        all += after[0] - before;
        none += 1 - (after[0] - before);
        before = after[0];
    }
    assert!(none > 0, "{all} times all had it");

    // Those who have it in the first records give it up. What names the others is written forward without them.
    let (gone, there) = names.split_at(WIDE - 50);
    for name in gone {
        let purge = sqs::operations::purge_queue::PurgeQueue { queue: queue(name) };
        story.ask(Command::Sqs(sqs::operations::Command::PurgeQueue(purge)));
    }
    for _ in 0..4 {
        story.grow_old(30);
        story.crash();
        assert!(counts(&story)[..gone.len()].iter().all(|&count| count == 0));
        assert!(counts(&story)[gone.len()..].iter().all(|&count| count == before));
    }
    assert_eq!(story.receive(&there[0]).len() as u64, before.min(10));
}

/// Queues that have subscribed to a topic whose messages get two takers a turn: the third with a filter that `plain` messages do not
/// pass; beside them a queue that does not exist, with a dead-letter queue.
fn many_takers() -> Story {
    let mut options: Options = Options::default();
    options.limits.sns.takers_at_once = 2;
    let mut story = Story::with(options);
    story.create_topic("news", &[]);
    for name in TAKERS {
        story.create_queue(name);
    }
    story.create_queue("letters");
    for (at, name) in TAKERS.iter().enumerate() {
        let filter = [("FilterPolicy", r#"{"kind":["special"]}"#)];
        let filter = if at == 2 { &filter[..] } else { &[] };
        story.subscribe("news", "sqs", &queue(name).arn().to_string(), filter);
        if at == 3 {
            let letters = letters_to("letters");
            story.subscribe(
                "news",
                "sqs",
                &queue("nowhere").arn().to_string(),
                &[("RedrivePolicy", &letters)],
            );
        }
    }
    story
}

const TAKERS: [&str; 7] = ["one", "two", "three", "four", "five", "six", "seven"];

fn plain() -> shapes::PublishInput {
    shapes::PublishInput { topic_arn: topic_arn("news"), message: text("hello"), ..Default::default() }
}

#[test]
fn a_message_for_many_reaches_each_of_them_once_wherever_the_power_goes() {
    let mut steps = 0;
    loop {
        let mut story = many_takers();
        story.ask_without_reading(Request::Publish(plain()));
        let pending_at_first = story.server.machine.sns().deliveries_pending();
        assert_eq!(pending_at_first, 1, "no turn hands on more than two copies");
        let mut done = false;
        for _ in 0..steps {
            done = !story.one_step();
        }
        if steps % 2 == 0 {
            story.crash();
        } else {
            story.settle();
        }
        assert_eq!(story.server.machine.sns().deliveries_pending(), 0);
        for name in TAKERS {
            let expected = usize::from(name != "three");
            assert_eq!(story.receive(name).len(), expected, "{name} after {steps} steps");
        }
        assert_eq!(story.receive("letters").len(), 1, "after {steps} steps");
        if done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
}

#[test]
fn a_message_for_many_survives_cleaning_and_ends_with_its_topic() {
    let mut story = many_takers();
    story.ask_without_reading(Request::Publish(plain()));
    let first = story.server.machine.sns().deliveries_pending();
    assert_eq!(first, 1);
    // Everything else happens, but nothing is read for it: it is as if the disk were slow.
    story.flush();
    let unread = story.server.take_recalls();
    assert_eq!(unread.len(), 1);
    story.grow_old(40);
    assert_eq!(story.server.machine.sns().deliveries_pending(), 1);
    story.server.give_recalls(unread);
    story.crash();
    assert_eq!(story.server.machine.sns().deliveries_pending(), 0);
    for name in TAKERS {
        assert_eq!(story.receive(name).len(), usize::from(name != "three"), "{name}");
    }

    let mut story = many_takers();
    story.ask_without_reading(Request::Publish(plain()));
    let delete = shapes::DeleteTopicInput { topic_arn: topic_arn("news") };
    story.ask_without_reading(Request::DeleteTopic(delete));
    story.crash();
    assert_eq!(story.server.machine.sns().deliveries_pending(), 0);
    let received: usize = TAKERS.iter().map(|name| story.receive(name).len()).sum();
    assert!(received <= 2, "{received}");
}
