//! The clients that load the server until it dies under them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use conformance_crash::http::{Client, Failure, element};
use conformance_crash::random::Random;
use serde_json::{Value, json};

use crate::ledger::{self, Id, Queue, Shared};
use crate::receiver::Receiver;

/// How long received messages are hidden.
pub const HIDDEN_SECONDS: u64 = 1;
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:news";
const FIFO_TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:log.fifo";
const PUBLISHERS: u16 = 3;
const FIFO_PUBLISHERS: u16 = 3;
const GROUPS_A_PUBLISHER: u16 = 4;

/// A client thread; its error is something that no server should have answered.
pub type Running = JoinHandle<Result<(), String>>;

/// Numbers for messages to the standard topic, never used twice in a run.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// For each group the number of its next message; one that was never answered is published again.
static TURNS: Mutex<Option<HashMap<u16, u64>>> = Mutex::new(None);

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with_attributes(mut fields: Vec<(String, String)>, attributes: &[(&str, &str)]) -> Vec<(String, String)> {
    for (n, (name, value)) in attributes.iter().enumerate() {
        fields.push((format!("Attributes.entry.{}.key", n + 1), (*name).to_owned()));
        fields.push((format!("Attributes.entry.{}.value", n + 1), (*value).to_owned()));
    }
    fields
}

/// Creates the topics, their queues and subscriptions, and confirms that of the HTTP server.
pub fn create_topics(address: SocketAddr, receiver: &Receiver) -> Result<(), String> {
    let mut client = Client::new(address);
    let failed = |what: &str| {
        let what = what.to_owned();
        move |failure: Failure| format!("{what}: {failure:?}")
    };
    client.call_sns("CreateTopic", &fields(&[("Name", "news")])).map_err(failed("CreateTopic"))?;
    let fifo = with_attributes(fields(&[("Name", "log.fifo")]), &[("FifoTopic", "true")]);
    client.call_sns("CreateTopic", &fifo).map_err(failed("CreateTopic"))?;
    for queue in Queue::ALL {
        let mut attributes = json!({ "VisibilityTimeout": HIDDEN_SECONDS.to_string() });
        if queue.is_fifo() {
            attributes["FifoQueue"] = "true".into();
        }
        let input = json!({ "QueueName": queue.name(), "Attributes": attributes });
        client.call("CreateQueue", &input).map_err(failed("CreateQueue"))?;
        let topic = if queue.takes(Id::new(1, 0)) { FIFO_TOPIC } else { TOPIC };
        let endpoint = format!("arn:aws:sqs:us-east-1:000000000000:{}", queue.name());
        let subscribe = fields(&[("TopicArn", topic), ("Protocol", "sqs"), ("Endpoint", &endpoint)]);
        let raw = ("RawMessageDelivery", if queue.is_wrapped() { "false" } else { "true" });
        let by_body = ("FilterPolicyScope", "MessageBody");
        let attributes: &[(&str, &str)] = match queue {
            Queue::Even => &[raw, ("FilterPolicy", r#"{"parity":["even"]}"#)],
            Queue::Third => &[raw, by_body, ("FilterPolicy", r#"{"third":[0]}"#)],
            Queue::Never => &[raw, ("FilterPolicy", r#"{"parity":["neither"]}"#)],
            _ => &[raw],
        };
        client.call_sns("Subscribe", &with_attributes(subscribe, attributes)).map_err(failed("Subscribe"))?;
    }
    // A retry each second, for as long as the server is at times not there.
    let policy = r#"{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":100,"numNoDelayRetries":0,"numMinDelayRetries":0,"numMaxDelayRetries":0,"backoffFunction":"linear"}}"#;
    let subscribe = fields(&[("TopicArn", TOPIC), ("Protocol", "http"), ("Endpoint", &receiver.url)]);
    let attributes = [("DeliveryPolicy", policy), ("FilterPolicy", r#"{"told":["yes"]}"#)];
    client.call_sns("Subscribe", &with_attributes(subscribe, &attributes)).map_err(failed("Subscribe"))?;
    let token = receiver.token()?;
    let confirm = fields(&[("TopicArn", TOPIC), ("Token", &token)]);
    client.call_sns("ConfirmSubscription", &confirm).map_err(failed("ConfirmSubscription"))?;
    Ok(())
}

/// Starts the clients of one life. They end when the server does.
pub fn start(address: SocketAddr, shared: &Shared, random: &mut Random, trial: u32) -> Vec<Running> {
    let mut running: Vec<Running> = Vec::new();
    let mut spawn = |work: fn(&mut Session, &mut Random, u16) -> Result<(), Failure>, number: u16| {
        let mut session = Session::new(address, shared);
        let mut random = Random::new(random.number());
        running.push(std::thread::spawn(move || {
            loop {
                match work(&mut session, &mut random, number) {
                    Ok(()) => {}
                    Err(Failure::Silence) => return Ok(()),
                    Err(Failure::Refused { code, message }) => {
                        return Err(format!(
                            "the server refused a right request in trial {trial}: {code} {message}"
                        ));
                    }
                }
            }
        }));
    };
    for number in 0..PUBLISHERS {
        spawn(publish, number);
    }
    for number in 0..FIFO_PUBLISHERS {
        spawn(publish_in_order, number);
    }
    spawn(consume, 0);
    running
}

/// A client and the calls it makes; each writes what it does and hears into the ledger.
pub struct Session {
    client: Client,
    address: SocketAddr,
    shared: Shared,
}

/// A received message that this client may delete.
pub struct Held {
    id: Id,
    handle: String,
}

impl Session {
    pub fn new(address: SocketAddr, shared: &Shared) -> Session {
        Session { client: Client::new(address), address, shared: Arc::clone(shared) }
    }

    /// One ReceiveMessage, written down.
    pub fn receive(&mut self, from: Queue, wait: u64) -> Result<Vec<Held>, Failure> {
        let input = json!({
            "QueueUrl": self.url(from),
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": HIDDEN_SECONDS,
            "WaitTimeSeconds": wait,
        });
        let answer = self.client.call("ReceiveMessage", &input)?;
        let mut held = Vec::new();
        let mut ledger = ledger::lock(&self.shared);
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let body = message["Body"].as_str().unwrap_or_default();
            let envelope: Value = match from.is_wrapped() {
                true => serde_json::from_str(body).unwrap_or_default(),
                false => Value::Null,
            };
            let text =
                if from.is_wrapped() { envelope["Message"].as_str().unwrap_or_default() } else { body };
            let Some((id, intact)) = Id::from_body(text) else {
                return Err(Failure::Refused {
                    code: "a body that nobody published".into(),
                    message: body.chars().take(80).collect(),
                });
            };
            ledger.receive(from, id, intact, envelope["MessageId"].as_str());
            held.push(Held { id, handle: message["ReceiptHandle"].as_str().unwrap_or_default().to_owned() });
        }
        Ok(held)
    }

    /// Deletes up to ten messages in one request.
    pub fn delete(&mut self, from: Queue, held: &[Held]) -> Result<(), Failure> {
        if held.is_empty() {
            return Ok(());
        }
        let entries = held.iter().enumerate();
        let entries = entries.map(|(n, held)| json!({ "Id": n.to_string(), "ReceiptHandle": held.handle }));
        let input = json!({ "QueueUrl": self.url(from), "Entries": entries.collect::<Vec<_>>() });
        let answer = self.client.call("DeleteMessageBatch", &input)?;
        let mut ledger = ledger::lock(&self.shared);
        for entry in answer["Successful"].as_array().into_iter().flatten() {
            if let Some(held) = entry["Id"].as_str().and_then(|id| held.get(id.parse::<usize>().ok()?)) {
                ledger.delete(from, held.id);
            }
        }
        Ok(())
    }

    fn url(&self, queue: Queue) -> String {
        format!("http://{}/000000000000/{}", self.address, queue.name())
    }
}

/// The attributes that filters look at, as form fields that begin with `prefix`.
fn attributes(id: Id, prefix: &str) -> Vec<(String, String)> {
    let parity = if id.number().is_multiple_of(2) { "even" } else { "odd" };
    let told = if id.is_told() { "yes" } else { "no" };
    let mut fields = Vec::new();
    for (n, (name, value)) in [("parity", parity), ("told", told)].into_iter().enumerate() {
        let entry = format!("{prefix}MessageAttributes.entry.{}", n + 1);
        fields.push((format!("{entry}.Name"), name.to_owned()));
        fields.push((format!("{entry}.Value.DataType"), "String".to_owned()));
        fields.push((format!("{entry}.Value.StringValue"), value.to_owned()));
    }
    fields
}

fn fresh() -> Id {
    Id::new(0, NUMBERS.fetch_add(1, Ordering::Relaxed))
}

fn publish(session: &mut Session, random: &mut Random, _: u16) -> Result<(), Failure> {
    if random.chance(60) {
        let id = fresh();
        let mut fields = fields(&[("TopicArn", TOPIC), ("Message", &id.body())]);
        fields.extend(attributes(id, ""));
        ledger::lock(&session.shared).begin(id);
        let answer = session.client.call_sns("Publish", &fields)?;
        let message_id = element(&answer, "MessageId").map(str::to_owned);
        ledger::lock(&session.shared).acknowledge(id, message_id);
        return Ok(());
    }
    let ids: Vec<Id> = (0..1 + random.below(10)).map(|_| fresh()).collect();
    let mut fields = fields(&[("TopicArn", TOPIC)]);
    for (n, id) in ids.iter().enumerate() {
        let entry = format!("PublishBatchRequestEntries.member.{}.", n + 1);
        fields.push((format!("{entry}Id"), n.to_string()));
        fields.push((format!("{entry}Message"), id.body()));
        fields.extend(attributes(*id, &entry));
    }
    ids.iter().for_each(|id| ledger::lock(&session.shared).begin(*id));
    let answer = session.client.call_sns("PublishBatch", &fields)?;
    let mut ledger = ledger::lock(&session.shared);
    let successful = element(&answer, "Successful").unwrap_or_default();
    for member in successful.split("</member>") {
        let id = element(member, "Id").and_then(|id| ids.get(id.parse::<usize>().ok()?));
        if let Some(id) = id {
            ledger.acknowledge(*id, element(member, "MessageId").map(str::to_owned));
        }
    }
    Ok(())
}

/// Each publisher has groups of its own. A publish that was never answered is made again, as SDKs do: its
/// deduplication id keeps it from being there twice.
fn publish_in_order(session: &mut Session, random: &mut Random, number: u16) -> Result<(), Failure> {
    let group = 1 + number * GROUPS_A_PUBLISHER + random.below(u64::from(GROUPS_A_PUBLISHER)) as u16;
    let next = with_turns(|turns| *turns.entry(group).or_insert(0));
    let id = Id::new(group, next);
    let fields = fields(&[
        ("TopicArn", FIFO_TOPIC),
        ("Message", &id.body()),
        ("MessageGroupId", &group.to_string()),
        ("MessageDeduplicationId", &format!("{group}-{next}")),
    ]);
    ledger::lock(&session.shared).begin(id);
    session.client.call_sns("Publish", &fields)?;
    ledger::lock(&session.shared).acknowledge(id, None);
    with_turns(|turns| turns.insert(group, next + 1));
    Ok(())
}

fn with_turns<T>(work: impl FnOnce(&mut HashMap<u16, u64>) -> T) -> T {
    let mut turns = TURNS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    work(turns.get_or_insert_default())
}

/// Works on one of the queues while the others fill.
fn consume(session: &mut Session, random: &mut Random, _: u16) -> Result<(), Failure> {
    let mut held = session.receive(Queue::Raw, 1)?;
    held.retain(|_| !random.chance(20));
    session.delete(Queue::Raw, &held)
}
