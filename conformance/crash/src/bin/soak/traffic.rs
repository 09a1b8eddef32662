//! The clients: each does one kind of work again and again, at the pace that all share, and none lets a backlog grow.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use conformance_crash::http::{Client, Failure, element};
use conformance_crash::random::Random;
use serde_json::{Value, json};

use crate::subscriber::Subscribers;
use crate::world::World;

const ACCOUNT: &str = "arn:aws:sqs:us-east-1:000000000000";
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:news";
const FIFO_TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:news.fifo";
/// Days of the virtual clock, whose jumps must not let an audited message expire.
const LONG: &str = "1209600";

/// Message groups of a client. A message that is not deleted holds back its group for half a minute: with few groups the backlog would
/// grow, and with it memory and disk.
const GROUPS: u64 = 2_000;

/// With more messages than these in the audited queues nothing is sent to them, so that what grows is the server's fault.
const MOST_WAITING: usize = 20_000;

/// Creates queues, topics and subscriptions.
pub fn prepare(address: SocketAddr, subscribers: &Subscribers) -> Result<(), String> {
    let mut client = Client::new(address);
    let redrive = json!({ "deadLetterTargetArn": format!("{ACCOUNT}:dead"), "maxReceiveCount": 2 });
    for (name, attributes) in [
        ("plain", json!({ "MessageRetentionPeriod": LONG })),
        ("groups.fifo", json!({ "FifoQueue": "true", "MessageRetentionPeriod": LONG })),
        ("dead", json!({})),
        ("source", json!({ "RedrivePolicy": redrive.to_string(), "VisibilityTimeout": "5" })),
        ("undelivered", json!({ "MessageRetentionPeriod": "60" })),
        ("expiring", json!({ "MessageRetentionPeriod": "60" })),
        ("idle", json!({})),
        ("raw", json!({})),
        ("enveloped", json!({})),
        ("filtered", json!({})),
        ("news.fifo", json!({ "FifoQueue": "true" })),
    ] {
        let input = json!({ "QueueName": name, "Attributes": attributes });
        client.call("CreateQueue", &input).map_err(|failure| format!("CreateQueue {name}: {failure:?}"))?;
    }
    let mut sns = |action: &str, pairs: &[(&str, &str)], attributes: &[(&str, &str)]| {
        let mut all = fields(pairs);
        for (n, (name, value)) in attributes.iter().enumerate() {
            all.push((format!("Attributes.entry.{}.key", n + 1), (*name).to_owned()));
            all.push((format!("Attributes.entry.{}.value", n + 1), (*value).to_owned()));
        }
        client.call_sns(action, &all).map_err(|failure| format!("{action} {pairs:?}: {failure:?}"))
    };
    sns("CreateTopic", &[("Name", "news")], &[])?;
    sns("CreateTopic", &[("Name", "news.fifo")], &[("FifoTopic", "true")])?;
    let raw = ("RawMessageDelivery", "true");
    for (topic, queue, attributes) in [
        (TOPIC, "raw", &[raw][..]),
        (TOPIC, "enveloped", &[]),
        (TOPIC, "filtered", &[raw, ("FilterPolicy", r#"{"kind":["odd"]}"#)]),
        (FIFO_TOPIC, "news.fifo", &[raw]),
    ] {
        let endpoint = format!("{ACCOUNT}:{queue}");
        sns("Subscribe", &[("TopicArn", topic), ("Protocol", "sqs"), ("Endpoint", &endpoint)], attributes)?;
    }
    let policy = r#"{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":2,"numRetries":3}}"#;
    let redrive = json!({ "deadLetterTargetArn": format!("{ACCOUNT}:undelivered") }).to_string();
    for url in &subscribers.urls {
        sns(
            "Subscribe",
            &[("TopicArn", TOPIC), ("Protocol", "http"), ("Endpoint", url)],
            // What a subscriber that refuses or hangs leaves waiting is bounded by the few messages that it is sent.
            &[
                ("DeliveryPolicy", policy),
                ("RedrivePolicy", &redrive),
                ("FilterPolicy", r#"{"call":["yes"]}"#),
            ],
        )?;
    }
    Ok(())
}

pub fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Starts the clients; they end when the world stops.
pub fn start(world: &Arc<World>, random: &mut Random) -> Vec<JoinHandle<()>> {
    type Work = fn(&mut Session) -> Option<()>;
    let kinds: [(usize, Work); 9] = [
        (3, plain),
        (2, groups),
        (1, dying),
        (2, topics),
        (1, ordered_topics),
        (1, configuration),
        (1, expiring),
        (2, polling),
        (2, reading_slowly),
    ];
    let mut running = Vec::new();
    for (count, work) in kinds {
        for _ in 0..count {
            let (world, mut random) = (Arc::clone(world), Random::new(random.number()));
            running.push(std::thread::spawn(move || {
                let address = world.address();
                let group = random.number();
                let mut session = Session { world, client: Client::new(address), address, random, group };
                while !session.world.is_stopping() {
                    // What could not be done has been noted, if it should have been.
                    let _ = work(&mut session);
                }
            }));
        }
    }
    running
}

/// A client.
struct Session {
    world: Arc<World>,
    client: Client,
    address: SocketAddr,
    random: Random,
    /// A message group of its own.
    group: u64,
}

/// A received message: what it is called, and its handle.
type Held = (String, String);

impl Session {
    fn url(&self, queue: &str) -> String {
        format!("http://{}/000000000000/{queue}", self.address)
    }

    /// Waits for its turn and for the server. The life in which the request is made.
    fn turn(&mut self) -> Option<u64> {
        self.world.pace.turn();
        self.world.wait_for_life();
        if self.world.is_stopping() {
            return None;
        }
        let (life, address) = (self.world.life(), self.world.address());
        if address != self.address {
            (self.client, self.address) = (Client::new(address), address);
        }
        Some(life)
    }

    /// The answer, unless there is none or the server refused. `allowed`: words in refusals that are right.
    fn judge<T>(&mut self, what: &str, life: u64, result: Result<T, Failure>, allowed: &[&str]) -> Option<T> {
        match result {
            Ok(answer) => {
                self.world.count_answer();
                return Some(answer);
            }
            Err(Failure::Refused { code, message }) => {
                self.world.count_answer();
                match allowed.iter().any(|word| code.contains(word) || message.contains(word)) {
                    true => self.world.count_refusal(),
                    false => self.world.fault(format!("{what} was refused: {code}: {message}")),
                }
            }
            Err(Failure::Silence) => match self.client.last_status() {
                Some(status) if status >= 500 => {
                    self.world.fault(format!("{what} was answered with {status}"))
                }
                _ if self.world.may_be_silent(life) => {}
                _ => self.world.fault(format!("{what} was not answered by a server that lives")),
            },
        }
        None
    }

    fn call(&mut self, operation: &str, queue: &str, mut input: Value, allowed: &[&str]) -> Option<Value> {
        let life = self.turn()?;
        if !queue.is_empty() {
            input["QueueUrl"] = self.url(queue).into();
        }
        let result = self.client.call(operation, &input);
        self.judge(&format!("{operation} {queue}"), life, result, allowed)
    }

    fn sns(&mut self, action: &str, fields: &[(String, String)]) -> Option<String> {
        let life = self.turn()?;
        let result = self.client.call_sns(action, fields);
        self.judge(action, life, result, &[])
    }

    /// A new message: its name, and a body that begins with that.
    fn message(&mut self) -> (String, String) {
        let name = self.world.number().to_string();
        let length = match self.random.below(200) {
            0 => 100_000,
            _ => self.random.below(1_000),
        };
        let body = format!("{name}:{}", "x".repeat(length as usize));
        (name, body)
    }

    fn receive(&mut self, queue: &str, more: Value, allowed: &[&str]) -> Option<Vec<Held>> {
        let mut input = json!({ "MaxNumberOfMessages": 10 });
        for (name, value) in more.as_object().into_iter().flatten() {
            input[name] = value.clone();
        }
        let answer = self.call("ReceiveMessage", queue, input, allowed)?;
        let held = answer["Messages"].as_array().into_iter().flatten().map(|message| {
            let text = |name: &str| message[name].as_str().unwrap_or_default();
            let name = text("Body").split(':').next().unwrap_or_default();
            (name.to_owned(), text("ReceiptHandle").to_owned())
        });
        Some(held.collect())
    }

    /// Deletes messages; those whose handle is no longer good come again.
    fn delete(&mut self, queue: &str, held: &[Held]) -> Option<()> {
        if held.is_empty() {
            return Some(());
        }
        held.iter().for_each(|(name, _)| self.world.delete_begun(name));
        self.call("DeleteMessageBatch", queue, json!({ "Entries": entries(held) }), &[]).map(drop)
    }

    /// Receives, and deletes most of it.
    fn consume(&mut self, queue: &str) -> Option<()> {
        let mut held = self.receive(queue, json!({}), &[])?;
        if self.random.chance(5) {
            let mut entries = entries(&held);
            entries.iter_mut().for_each(|entry| entry["VisibilityTimeout"] = 0.into());
            if !entries.is_empty() {
                self.call("ChangeMessageVisibilityBatch", queue, json!({ "Entries": entries }), &[])?;
            }
            return Some(());
        }
        let random = &mut self.random;
        held.retain(|_| !random.chance(3));
        self.delete(queue, &held)
    }
}

fn entries(held: &[Held]) -> Vec<Value> {
    let entry = |(n, (_, handle)): (usize, &Held)| json!({ "Id": n.to_string(), "ReceiptHandle": handle });
    held.iter().enumerate().map(entry).collect()
}

fn plain(session: &mut Session) -> Option<()> {
    if session.world.backlog() > MOST_WAITING {
        return session.consume("plain");
    }
    let delay = [0, 0, 0, 0, 1, 5, 60][session.random.below(7) as usize];
    if session.random.chance(50) {
        let (name, body) = session.message();
        session.world.send_begun(&name);
        session.call("SendMessage", "plain", json!({ "MessageBody": body, "DelaySeconds": delay }), &[])?;
        session.world.sent(&name);
    } else {
        let messages: Vec<_> = (0..1 + session.random.below(5)).map(|_| session.message()).collect();
        let entry =
            |(n, (_, body)): (usize, &(String, String))| json!({ "Id": n.to_string(), "MessageBody": body });
        let entries: Vec<_> = messages.iter().enumerate().map(entry).collect();
        messages.iter().for_each(|(name, _)| session.world.send_begun(name));
        let answer = session.call("SendMessageBatch", "plain", json!({ "Entries": entries }), &[])?;
        for entry in answer["Successful"].as_array().into_iter().flatten() {
            let place = entry["Id"].as_str().and_then(|id| id.parse::<usize>().ok());
            if let Some((name, _)) = place.and_then(|place| messages.get(place)) {
                session.world.sent(name);
            }
        }
    }
    session.consume("plain")
}

fn groups(session: &mut Session) -> Option<()> {
    if session.world.backlog() > MOST_WAITING {
        return session.consume("groups.fifo");
    }
    let group = session.group.wrapping_add(session.random.below(GROUPS));
    for _ in 0..1 + session.random.below(4) {
        let (name, body) = session.message();
        session.world.send_begun(&name);
        let input = json!({
            "MessageBody": body, "MessageGroupId": group.to_string(), "MessageDeduplicationId": &name,
        });
        session.call("SendMessage", "groups.fifo", input, &[])?;
        session.world.sent(&name);
    }
    session.consume("groups.fifo")
}

/// Messages that fail become dead letters; they are deleted there, or moved back.
fn dying(session: &mut Session) -> Option<()> {
    let (_, body) = session.message();
    session.call("SendMessage", "source", json!({ "MessageBody": body }), &[])?;
    session.receive("source", json!({ "VisibilityTimeout": 0 }), &[])?;
    if session.random.chance(2) {
        // There may be one already.
        let allowed = ["already", "UnsupportedOperation"];
        let input = json!({ "SourceArn": format!("{ACCOUNT}:dead") });
        return session.call("StartMessageMoveTask", "", input, &allowed).map(drop);
    }
    let held = session.receive("dead", json!({}), &[])?;
    session.delete("dead", &held)
}

fn topics(session: &mut Session) -> Option<()> {
    for _ in 0..1 + session.random.below(3) {
        let (_, body) = session.message();
        let kind = if session.random.chance(50) { "odd" } else { "even" };
        let call = if session.random.chance(1) { "yes" } else { "no" };
        let attribute = |n: usize, name: &str, value: &str| {
            let of = |end: &str| format!("MessageAttributes.entry.{n}.{end}");
            [
                (of("Name"), name.to_owned()),
                (of("Value.DataType"), "String".to_owned()),
                (of("Value.StringValue"), value.to_owned()),
            ]
        };
        let mut all = fields(&[("TopicArn", TOPIC), ("Message", &body)]);
        all.extend(attribute(1, "kind", kind).into_iter().chain(attribute(2, "call", call)));
        session.sns("Publish", &all)?;
    }
    ["raw", "enveloped", "filtered"].into_iter().try_for_each(|queue| session.consume(queue))
}

fn ordered_topics(session: &mut Session) -> Option<()> {
    let (name, body) = session.message();
    let group = session.random.below(GROUPS).to_string();
    let all = fields(&[
        ("TopicArn", FIFO_TOPIC),
        ("Message", &body),
        ("MessageGroupId", &group),
        ("MessageDeduplicationId", &name),
    ]);
    session.sns("Publish", &all)?;
    session.consume("news.fifo")
}

/// Names of short-lived queues. A kill can leave a queue behind, with a subscription that fills it. The next queue of its name takes
/// both over and removes them, so that the backlog stays bounded.
const SHORT_LIVED: u64 = 8;

/// The life of a queue and of a subscription, from the beginning to the end.
fn configuration(session: &mut Session) -> Option<()> {
    let name = format!("short-{}", session.world.number() % SHORT_LIVED);
    session.call("CreateQueue", "", json!({ "QueueName": name }), &[])?;
    let input = json!({ "Tags": { "for": "soak" } });
    session.call("TagQueue", &name, input, &[])?;
    let input = json!({ "Attributes": { "VisibilityTimeout": "7" } });
    session.call("SetQueueAttributes", &name, input, &[])?;
    session.call("GetQueueAttributes", &name, json!({ "AttributeNames": ["All"] }), &[])?;
    let endpoint = format!("{ACCOUNT}:{name}");
    let all = fields(&[("TopicArn", TOPIC), ("Protocol", "sqs"), ("Endpoint", &endpoint)]);
    let answer = session.sns("Subscribe", &all)?;
    let arn = element(&answer, "SubscriptionArn").unwrap_or_default().to_owned();
    for _ in 0..5 {
        session.call("SendMessage", &name, json!({ "MessageBody": "x" }), &[])?;
    }
    session.sns("Unsubscribe", &fields(&[("SubscriptionArn", &arn)]))?;
    if session.random.chance(30) {
        session.call("PurgeQueue", &name, json!({}), &[])?;
    }
    session.call("ListQueues", "", json!({ "QueueNamePrefix": "short-" }), &[])?;
    session.call("DeleteQueue", &name, json!({}), &[]).map(drop)
}

/// Messages that nobody receives before their retention ends, which the clock's jumps bring.
fn expiring(session: &mut Session) -> Option<()> {
    let (_, body) = session.message();
    session.call("SendMessage", "expiring", json!({ "MessageBody": body }), &[])?;
    std::thread::sleep(Duration::from_millis(20));
    Some(())
}

fn polling(session: &mut Session) -> Option<()> {
    if session.random.chance(30) {
        let (_, body) = session.message();
        session.call("SendMessage", "idle", json!({ "MessageBody": body }), &[])?;
    }
    let held = session.receive("idle", json!({ "WaitTimeSeconds": 20 }), &[])?;
    session.delete("idle", &held)
}

/// Asks for much, and reads it a few bytes at a time; then hangs up.
fn reading_slowly(session: &mut Session) -> Option<()> {
    session.turn()?;
    let body = json!({ "QueueUrl": session.url("plain"), "MaxNumberOfMessages": 10, "VisibilityTimeout": 1 });
    let body = body.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n\
         Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{body}",
        session.address,
        body.len()
    );
    let mut stream = TcpStream::connect(session.address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    for _ in 0..100 {
        let mut few = [0; 16];
        // Its end, or the server's.
        if !stream.read(&mut few).is_ok_and(|bytes| bytes > 0) || session.world.is_stopping() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(())
}

/// Receives all that the audited queues hold; what was acknowledged and not deleted must be there.
pub fn nothing_is_lost(address: SocketAddr, world: &World) -> Result<(), String> {
    let mut client = Client::new(address);
    let mut empty = 0;
    while world.to_be_found() > 0 && empty < 3 {
        // What is hidden or delayed shows.
        client
            .post("/_posthaste/clock", "{\"advance\": \"61s\"}")
            .map_err(|error| format!("the clock: {error}"))?;
        let mut found = 0;
        for queue in ["plain", "groups.fifo"] {
            let url = format!("http://{address}/000000000000/{queue}");
            loop {
                let input = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
                let answer = client.call("ReceiveMessage", &input);
                let answer = answer.map_err(|failure| format!("the audit of {queue}: {failure:?}"))?;
                let Some(messages) = answer["Messages"].as_array().filter(|all| !all.is_empty()) else {
                    break;
                };
                found += messages.len();
                let mut held = Vec::new();
                for message in messages {
                    let text = |name: &str| message[name].as_str().unwrap_or_default();
                    let name = text("Body").split(':').next().unwrap_or_default();
                    world.delete_begun(name);
                    held.push((name.to_owned(), text("ReceiptHandle").to_owned()));
                }
                let input = json!({ "QueueUrl": url, "Entries": entries(&held) });
                client
                    .call("DeleteMessageBatch", &input)
                    .map_err(|failure| format!("the audit of {queue}: {failure:?}"))?;
            }
        }
        empty = if found == 0 { empty + 1 } else { 0 };
    }
    match world.to_be_found() {
        0 => Ok(()),
        count => Err(format!("{count} acknowledged messages are lost, among them {:?}", world.missing())),
    }
}
