//! The publishers that load the server until it dies under them, and what they were told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use conformance_crash::http::{Client, Failure, element};
use conformance_crash::random::Random;
use serde_json::json;

pub const PUBLISHERS: usize = 3;
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:kept.fifo";
const FROM_THE_BEGINNING: &str = r#"{"PointType":"Timestamp","StartingPoint":"2020-01-01T00:00:00.000Z"}"#;

/// A client thread; its error is something that no server should have answered.
pub type Running = JoinHandle<Result<(), String>>;

/// How many messages of each publisher were acknowledged, and whether another one is in doubt.
#[derive(Clone, Default, Debug)]
pub struct Ledger {
    pub acknowledged: [u64; PUBLISHERS],
    pub in_doubt: [bool; PUBLISHERS],
    /// Messages that audits have received.
    pub audited: u64,
}

impl Ledger {
    pub fn summary(&self) -> String {
        let sum: u64 = self.acknowledged.iter().sum();
        format!("{sum} messages archived, {} replayed and checked", self.audited)
    }
}

pub fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of the queue of a trial.
pub fn queue(trial: u32) -> String {
    format!("copies-{trial}.fifo")
}

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn failed(what: &'static str) -> impl FnOnce(Failure) -> String {
    move |failure| format!("{what}: {failure:?}")
}

pub fn create_topic(address: SocketAddr) -> Result<(), String> {
    let input = fields(&[
        ("Name", "kept.fifo"),
        ("Attributes.entry.1.key", "FifoTopic"),
        ("Attributes.entry.1.value", "true"),
        ("Attributes.entry.2.key", "ArchivePolicy"),
        ("Attributes.entry.2.value", r#"{"MessageRetentionPeriod":"30"}"#),
    ]);
    Client::new(address).call_sns("CreateTopic", &input).map(drop).map_err(failed("CreateTopic"))
}

/// A new queue gets the whole archive, and then what is published.
pub fn subscribe(address: SocketAddr, trial: u32) -> Result<(), String> {
    let mut client = Client::new(address);
    let name = queue(trial);
    let input = json!({ "QueueName": name, "Attributes": { "FifoQueue": "true" } });
    client.call("CreateQueue", &input).map_err(failed("CreateQueue"))?;
    let endpoint = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let input = fields(&[
        ("TopicArn", TOPIC),
        ("Protocol", "sqs"),
        ("Endpoint", &endpoint),
        ("Attributes.entry.1.key", "RawMessageDelivery"),
        ("Attributes.entry.1.value", "true"),
        ("Attributes.entry.2.key", "ReplayPolicy"),
        ("Attributes.entry.2.value", FROM_THE_BEGINNING),
    ]);
    client.call_sns("Subscribe", &input).map(drop).map_err(failed("Subscribe"))
}

/// The queue of a trial goes, with its subscription.
pub fn forget(client: &mut Client, trial: u32) -> Result<(), String> {
    let answer = client
        .call_sns("ListSubscriptionsByTopic", &fields(&[("TopicArn", TOPIC)]))
        .map_err(failed("ListSubscriptionsByTopic"))?;
    if let Some(arn) = element(&answer, "SubscriptionArn") {
        client
            .call_sns("Unsubscribe", &fields(&[("SubscriptionArn", arn)]))
            .map_err(failed("Unsubscribe"))?;
    }
    let url = format!("http://localhost/000000000000/{}", queue(trial));
    client.call("DeleteQueue", &json!({ "QueueUrl": url })).map(drop).map_err(failed("DeleteQueue"))
}

/// Starts so many publishers of one life, each of which does `publish` again and again. They end when the server does.
pub fn publishers<P>(count: usize, address: SocketAddr, random: &mut Random, publish: P) -> Vec<Running>
where
    P: Fn(&mut Client, usize, &mut Random) -> Result<(), Failure> + Clone + Send + 'static,
{
    (0..count)
        .map(|publisher| {
            let (publish, mut random) = (publish.clone(), Random::new(random.number()));
            std::thread::spawn(move || {
                let mut client = Client::new(address);
                loop {
                    match publish(&mut client, publisher, &mut random) {
                        Ok(()) => {}
                        Err(Failure::Silence) => return Ok(()),
                        Err(Failure::Refused { code, message }) => {
                            return Err(format!("the server refused a right request: {code} {message}"));
                        }
                    }
                }
            })
        })
        .collect()
}

/// Starts the publishers of messages.
pub fn start(address: SocketAddr, ledger: &Arc<Mutex<Ledger>>, random: &mut Random) -> Vec<Running> {
    let ledger = Arc::clone(ledger);
    publishers(PUBLISHERS, address, random, move |client, publisher, random| {
        publish(client, publisher, &ledger, random)
    })
}

/// Publishes the next message of a publisher, or again the one that was not answered.
fn publish(
    client: &mut Client,
    publisher: usize,
    ledger: &Mutex<Ledger>,
    random: &mut Random,
) -> Result<(), Failure> {
    let number = lock(ledger).acknowledged[publisher];
    lock(ledger).in_doubt[publisher] = true;
    let length = if random.chance(5) { 20_000 + random.below(40_000) } else { random.below(2000) };
    let body = format!("{publisher} {number} {}", "x".repeat(length as usize));
    let (group, id) = (format!("g{publisher}"), format!("{publisher}-{number}"));
    let input = fields(&[
        ("TopicArn", TOPIC),
        ("Message", &body),
        ("MessageGroupId", &group),
        ("MessageDeduplicationId", &id),
    ]);
    client.call_sns("Publish", &input)?;
    let mut ledger = lock(ledger);
    ledger.acknowledged[publisher] += 1;
    ledger.in_doubt[publisher] = false;
    Ok(())
}
