//! The whole server over a log that keeps what it is given, as one tells it stories of event buses.

use std::ops::{Deref, DerefMut};

use api::eventbridge::{self as shapes, Request, Response};
use api::{Map, Text, sns as topics, sqs as queues};
use bytes::Bytes;
use eventbridge::deliveries::{Attempt, End, Outcome};
use eventbridge::operations::Plan;
use kernel::{Asker, Caller};
use machine::{Answer, Command, Event, Input, Options, Reply};
use notification::{Keys, SignatureVersion, Signer};
use serde_json::{Value, json};
pub use simulator::test_server::SECRET;
use simulator::test_server::TestServer;
use sqs::operations::{Materials, needs};

pub const BASE: &str = "http://localhost:4566";

pub struct NoSigner;

impl Signer for NoSigner {
    fn sign(&self, _: SignatureVersion, _: &str) -> String {
        String::new()
    }

    fn certificate_name(&self) -> String {
        String::new()
    }
}

pub fn text(text: impl Into<Text>) -> Option<Text> {
    Some(text.into())
}

pub fn map(pairs: &[(&str, &str)]) -> Option<Map<Text>> {
    Some(Map(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()))
}

pub fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:us-east-1:000000000000:{resource}")
}

pub fn caller() -> Caller {
    Caller {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        principal: "000000000000".into(),
        signed: true,
    }
}

/// A target without anything that is optional.
pub fn target(id: &str, arn: String) -> shapes::Target {
    shapes::Target { id: text(id), arn: text(arn), ..shapes::Target::default() }
}

pub fn with_letters(target: shapes::Target) -> shapes::Target {
    let letters = shapes::DeadLetterConfig { arn: text(arn("sqs", "letters")) };
    shapes::Target { dead_letter_config: Some(letters), ..target }
}

pub fn entry(source: &str, detail: &str) -> shapes::PutEventsRequestEntry {
    shapes::PutEventsRequestEntry {
        source: text(source),
        detail_type: text("t"),
        detail: text(detail),
        ..shapes::PutEventsRequestEntry::default()
    }
}

pub struct Story {
    pub told: TestServer,
    /// Whether events are made ready before the turn, as the program does it.
    pub are_ready: bool,
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

fn refused(refusal: kernel::Refusal) -> String {
    format!("{}: {}", refusal.shape, refusal.message)
}

/// What an answer about buses says.
pub fn answered(answer: Answer, plan: &Plan) -> Result<Response, String> {
    match answer.map_err(refused)? {
        Reply::Eventbridge(reply) => Ok(eventbridge::operations::present(reply, plan, &()).unwrap()),
        other => panic!("{other:?}"),
    }
}

impl Story {
    pub fn new() -> Self {
        Story::with_segments_of(1 << 20, Options::default())
    }

    pub fn with_segments_of(segment_bytes: u32, options: Options) -> Self {
        Story::on_disk_of(1, segment_bytes, options)
    }

    /// `seed` decides what of unsynced writes a crash leaves.
    pub fn on_disk_of(seed: u64, segment_bytes: u32, options: Options) -> Self {
        Story { told: TestServer::new(seed, segment_bytes, options), are_ready: true }
    }

    /// Asks about buses. The error: shape and text of the refusal.
    pub fn events(&mut self, request: Request) -> Result<Response, String> {
        let (command, plan) = self.prepared(request)?;
        answered(self.ask(command), &plan)
    }

    /// Asks about buses, and does not wait for the answer.
    pub fn tell(&mut self, request: Request) -> Plan {
        let (command, plan) = self.prepared(request).unwrap();
        self.handle(Input::Request { ticket: 1, command });
        plan
    }

    fn prepared(&self, request: Request) -> Result<(Command, Plan), String> {
        let caller = caller();
        let asker = Asker { caller: &caller, base: BASE, trace: None };
        let (mut command, plan) = eventbridge::operations::prepare(request, &asker).map_err(refused)?;
        if self.are_ready {
            let mut dice = kernel::Dice::from_seed(self.server.machine.next_number());
            command.accept_events(self.now, &mut dice);
        }
        Ok((Command::Eventbridge(command), plan))
    }

    pub fn put_rule_on(&mut self, bus: &str, name: &str, pattern: &str) {
        let input = shapes::PutRuleInput {
            name: text(name),
            event_pattern: text(pattern),
            event_bus_name: text(bus),
            ..shapes::PutRuleInput::default()
        };
        self.events(Request::PutRule(input)).unwrap();
    }

    pub fn put_targets_on(&mut self, bus: &str, rule: &str, targets: Vec<shapes::Target>) {
        let input =
            shapes::PutTargetsInput { rule: text(rule), event_bus_name: text(bus), targets: Some(targets) };
        self.events(Request::PutTargets(input)).unwrap();
    }

    /// A rule of the default bus that matches a source, with targets.
    pub fn rule(&mut self, name: &str, source: &str, targets: Vec<shapes::Target>) {
        self.put_rule_on("default", name, &json!({ "source": [source] }).to_string());
        self.put_targets_on("default", name, targets);
    }

    pub fn create_bus(&mut self, name: &str) {
        let input =
            shapes::CreateEventBusInput { name: text(name), ..shapes::CreateEventBusInput::default() };
        self.events(Request::CreateEventBus(input)).unwrap();
    }

    /// Puts events; their ids.
    pub fn put(&mut self, entries: Vec<shapes::PutEventsRequestEntry>) -> Vec<String> {
        let input = shapes::PutEventsInput { entries: Some(entries), endpoint_id: None };
        let Response::PutEvents(output) = self.events(Request::PutEvents(input)).unwrap() else { panic!() };
        assert_eq!(output.failed_entry_count, Some(0), "{output:?}");
        output.entries.unwrap().into_iter().map(|entry| entry.event_id.unwrap().to_string()).collect()
    }

    pub fn queues(&mut self, request: queues::Request) -> queues::Response {
        let caller = caller();
        let asker = Asker { caller: &caller, base: BASE, trace: None };
        let (command, plan) = sqs::operations::prepare(request, &asker).unwrap();
        let Ok(Reply::Sqs(reply)) = self.ask(Command::Sqs(command)) else { panic!() };
        let records = self.server.reader.read_many(&needs(&reply));
        let records: Vec<(Bytes, Bytes)> =
            records.into_iter().map(|record| record.map(|it| (it.head, it.tail)).unwrap()).collect();
        let keys = Keys { secret: &SECRET, signer: &NoSigner };
        let materials = Materials { base: BASE, keys, records: &records };
        sqs::operations::present(reply, &plan, &materials).unwrap()
    }

    pub fn create_queue(&mut self, name: &str) {
        let fifo = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
        let input = queues::CreateQueueInput {
            queue_name: text(name),
            attributes: map(if name.ends_with(".fifo") { &fifo } else { &[] }),
            ..queues::CreateQueueInput::default()
        };
        self.queues(queues::Request::CreateQueue(input));
    }

    /// What can be received, all of which is deleted.
    pub fn receive(&mut self, name: &str) -> Vec<queues::Message> {
        let url = text(format!("{BASE}/000000000000/{name}"));
        let mut all = Vec::new();
        loop {
            let input = queues::ReceiveMessageInput {
                queue_url: url.clone(),
                attribute_names: Some(vec!["All".into()]),
                message_attribute_names: Some(vec!["All".into()]),
                max_number_of_messages: Some(10),
                ..queues::ReceiveMessageInput::default()
            };
            let queues::Response::ReceiveMessage(output) =
                self.queues(queues::Request::ReceiveMessage(input))
            else {
                panic!()
            };
            let messages = output.messages.unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            for message in &messages {
                self.queues(queues::Request::DeleteMessage(queues::DeleteMessageInput {
                    queue_url: url.clone(),
                    receipt_handle: message.receipt_handle.clone(),
                }));
            }
            all.extend(messages);
        }
    }

    pub fn bodies(&mut self, name: &str) -> Vec<String> {
        self.receive(name).into_iter().map(|message| message.body.unwrap().to_string()).collect()
    }

    /// The dead letters: their bodies' ids, and their attributes by name.
    pub fn letters(&mut self) -> Vec<(String, Vec<(String, String)>)> {
        let letter = |message: queues::Message| {
            let body: Value = serde_json::from_str(&message.body.unwrap()).unwrap();
            let attributes = message.message_attributes.unwrap_or_default().0;
            let attribute = |(name, value): (Text, queues::MessageAttributeValue)| {
                (name.to_string(), value.string_value.unwrap().to_string())
            };
            (body["id"].as_str().unwrap().to_owned(), attributes.into_iter().map(attribute).collect())
        };
        self.receive("letters").into_iter().map(letter).collect()
    }

    pub fn topics(&mut self, request: topics::Request) {
        let caller = caller();
        let asker = Asker { caller: &caller, base: BASE, trace: None };
        let (command, _) = sns::operations::prepare(request, &asker).unwrap();
        self.ask(Command::Sns(command)).unwrap();
    }

    pub fn subscribe(&mut self, topic: &str, queue: &str, attributes: &[(&str, &str)]) {
        let create = topics::CreateTopicInput { name: text(topic), ..topics::CreateTopicInput::default() };
        self.topics(topics::Request::CreateTopic(create));
        self.topics(topics::Request::Subscribe(topics::SubscribeInput {
            topic_arn: text(arn("sns", topic)),
            protocol: text("sqs"),
            endpoint: text(arn("sqs", queue)),
            attributes: map(attributes),
            return_subscription_arn: Some(true),
        }));
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now + seconds * 1000;
        self.pass_time();
        self.settle();
    }

    /// The only attempt that is to be made, and what it is about.
    pub fn attempt(&mut self) -> (Attempt, (Bytes, Bytes)) {
        let attempt = self.server.event_attempts.pop_front().expect("something is to be delivered");
        assert!(self.server.event_attempts.is_empty());
        let record = self.server.reader.read_many(&[attempt.parcel]).remove(0).unwrap();
        (attempt, (record.head, record.tail))
    }

    pub fn ends(&mut self, attempt: &Attempt, outcome: Outcome, parcel: Option<(Bytes, Bytes)>) {
        self.ends_so(attempt, End::new(outcome, "it hangs"), parcel);
    }

    pub fn ends_so(&mut self, attempt: &Attempt, end: End, parcel: Option<(Bytes, Bytes)>) {
        let delivered = eventbridge::Event::Delivered { number: attempt.number, end, parcel };
        self.handle(Input::Event(Event::Eventbridge(delivered)));
        self.settle();
    }

    /// Segments of which much lives, so that those of which little lives are written forward.
    pub fn fill(&mut self) {
        self.create_queue("full");
        for _ in 0..10 {
            self.send("full", &"x".repeat(900));
            self.grow_old(3);
        }
    }

    pub fn send(&mut self, queue: &str, body: &str) {
        self.queues(queues::Request::SendMessage(queues::SendMessageInput {
            queue_url: text(format!("{BASE}/000000000000/{queue}")),
            message_body: text(body),
            ..queues::SendMessageInput::default()
        }));
    }

    /// So much happens elsewhere that what is dead in the log goes.
    pub fn grow_old(&mut self, messages: usize) {
        self.create_queue("noise");
        for _ in 0..messages {
            self.send("noise", &"x".repeat(1000));
            self.receive("noise");
            self.pass(5);
        }
    }
}
