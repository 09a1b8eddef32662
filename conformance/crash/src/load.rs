//! The clients that load the server until it dies under them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ledger::{Event, Got, Id, Queue, Shared};
use conformance_crash::http::{Client, Failure};
use conformance_crash::random::Random;

/// How long received messages are hidden unless a client says otherwise.
pub const HIDDEN_SECONDS: u64 = 1;
const RECEIVES_BEFORE_DEATH: u32 = 2;
const GROUPS_A_SENDER: u16 = 6;
const FIFO_SENDERS: u16 = 4;

/// A client thread; its error is something that no server should have answered.
pub type Running = JoinHandle<Result<(), String>>;

/// Numbers for messages, never used twice in a run.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// How many requests were refused for want of room.
pub static REFUSED: AtomicU64 = AtomicU64::new(0);

/// For each group the number of its next message, and whether a send of that was begun and never answered.
static TURNS: Mutex<Option<HashMap<u16, u64>>> = Mutex::new(None);

/// Creates the queues of the test.
pub fn create_queues(address: SocketAddr) -> Result<(), String> {
    let mut session = Session { client: Client::new(address), address };
    let hidden = HIDDEN_SECONDS.to_string();
    let policy = json!({
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead",
        "maxReceiveCount": RECEIVES_BEFORE_DEATH,
    });
    for queue in [Queue::Plain, Queue::Groups, Queue::Dead, Queue::Source] {
        let mut attributes = json!({ "VisibilityTimeout": hidden });
        match queue {
            Queue::Groups => attributes["FifoQueue"] = "true".into(),
            Queue::Source => attributes["RedrivePolicy"] = policy.to_string().into(),
            Queue::Plain | Queue::Dead => {}
        }
        let input = json!({ "QueueName": queue.name(), "Attributes": attributes });
        session.client.call("CreateQueue", &input).map_err(|failure| format!("CreateQueue: {failure:?}"))?;
    }
    Ok(())
}

/// Starts the clients of one life. They end when the server does.
pub fn start(address: SocketAddr, shared: &Arc<Shared>, random: &mut Random, trial: u32) -> Vec<Running> {
    let mut running: Vec<Running> = Vec::new();
    let mut spawn = |work: fn(&mut Session, &Shared, &mut Random, u16) -> Result<(), Failure>,
                     number: u16| {
        let shared = Arc::clone(shared);
        let mut random = Random::new(random.number());
        running.push(std::thread::spawn(move || {
            let mut session = Session { client: Client::new(address), address };
            loop {
                match work(&mut session, &shared, &mut random, number) {
                    Ok(()) => {}
                    // Refused for the moment, since the disk is full: the client tries again.
                    Err(Failure::Silence) if session.client.last_status() == Some(503) => {
                        REFUSED.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(1));
                    }
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
    for number in 0..4 {
        spawn(use_plain_queue, number);
    }
    for number in 0..FIFO_SENDERS {
        spawn(send_to_groups, number);
    }
    for number in 0..3 {
        spawn(consume_groups, number);
    }
    for number in 0..2 {
        spawn(use_dying_queue, number);
    }
    running
}

/// A client and the calls it makes; each writes what it does and hears into the ledger.
pub struct Session {
    pub client: Client,
    pub address: SocketAddr,
}

/// A received message that this client may delete.
pub struct Held {
    pub id: Id,
    handle: String,
    /// Until when, in milliseconds of the run, nobody else can receive it.
    hidden_until_ms: u64,
}

impl Session {
    fn url(&self, queue: Queue) -> String {
        format!("http://{}/000000000000/{}", self.address, queue.name())
    }

    fn send(&mut self, shared: &Shared, id: Id) -> Result<(), Failure> {
        let mut input = json!({ "QueueUrl": self.url(id.home()), "MessageBody": id.body() });
        if id.home() == Queue::Groups {
            input["MessageGroupId"] = id.group().to_string().into();
            input["MessageDeduplicationId"] = format!("{id:?}").into();
        }
        shared.with(|ledger| ledger.record(Event::SendBegun(id)));
        self.client.call("SendMessage", &input)?;
        shared.with(|ledger| ledger.record(Event::SendAcknowledged(id)));
        Ok(())
    }

    fn send_batch(&mut self, shared: &Shared, ids: &[Id]) -> Result<(), Failure> {
        let entries =
            ids.iter().enumerate().map(|(n, id)| json!({ "Id": n.to_string(), "MessageBody": id.body() }));
        let input = json!({ "QueueUrl": self.url(ids[0].home()), "Entries": entries.collect::<Vec<_>>() });
        shared.with(|ledger| ids.iter().for_each(|id| ledger.record(Event::SendBegun(*id))));
        let answer = self.client.call("SendMessageBatch", &input)?;
        shared.with(|ledger| {
            for index in indexes(&answer["Successful"]) {
                ledger.record(Event::SendAcknowledged(ids[index]));
            }
        });
        Ok(())
    }

    /// One ReceiveMessage, written down.
    pub fn receive(
        &mut self,
        shared: &Shared,
        from: Queue,
        hidden_seconds: u64,
        wait: u64,
    ) -> Result<Vec<Held>, Failure> {
        let input = json!({
            "QueueUrl": self.url(from),
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": hidden_seconds,
            "WaitTimeSeconds": wait,
            "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
        });
        let begun = shared.with(|ledger| ledger.stamp());
        let begun_ms = shared.now_ms();
        let answer = self.client.call("ReceiveMessage", &input)?;
        let answered_ms = shared.now_ms();
        let (mut held, mut messages) = (Vec::new(), Vec::new());
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let body = message["Body"].as_str().unwrap_or_default();
            let Some((id, intact)) = Id::from_body(body) else {
                return Err(Failure::Refused {
                    code: "a body that nobody sent".into(),
                    message: body.chars().take(80).collect(),
                });
            };
            let count =
                message["Attributes"]["ApproximateReceiveCount"].as_str().and_then(|text| text.parse().ok());
            messages.push(Got { id, count: count.unwrap_or(0), intact });
            let handle = message["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
            held.push(Held { id, handle, hidden_until_ms: begun_ms + hidden_seconds * 1000 });
        }
        if !messages.is_empty() {
            let hidden_ms = hidden_seconds * 1000;
            let event = Event::Received { from, begun, begun_ms, answered_ms, hidden_ms, messages };
            shared.with(|ledger| ledger.record(event));
        }
        Ok(held)
    }

    fn delete(&mut self, shared: &Shared, from: Queue, held: &Held) -> Result<(), Failure> {
        let input = json!({ "QueueUrl": self.url(from), "ReceiptHandle": held.handle });
        shared.with(|ledger| ledger.record(Event::DeleteBegun(held.id)));
        let event = match self.client.call("DeleteMessage", &input) {
            Ok(_) if !is_binding(shared, from, held) => return Ok(()),
            Ok(_) => Event::DeleteAcknowledged(held.id),
            // A slow client, a FIFO queue: its handle has expired.
            Err(Failure::Refused { message, .. }) if from == Queue::Groups && message.contains("expired") => {
                Event::DeleteRefused(held.id)
            }
            Err(failure) => return Err(failure),
        };
        shared.with(|ledger| ledger.record(event));
        Ok(())
    }

    /// Deletes up to ten messages in one request.
    pub fn delete_batch(&mut self, shared: &Shared, from: Queue, held: &[Held]) -> Result<(), Failure> {
        if held.is_empty() {
            return Ok(());
        }
        let entries = held.iter().enumerate();
        let entries = entries.map(|(n, held)| json!({ "Id": n.to_string(), "ReceiptHandle": held.handle }));
        let input = json!({ "QueueUrl": self.url(from), "Entries": entries.collect::<Vec<_>>() });
        shared.with(|ledger| held.iter().for_each(|held| ledger.record(Event::DeleteBegun(held.id))));
        let answer = self.client.call("DeleteMessageBatch", &input)?;
        shared.with(|ledger| {
            for index in indexes(&answer["Successful"]) {
                if is_binding(shared, from, &held[index]) {
                    ledger.record(Event::DeleteAcknowledged(held[index].id));
                }
            }
            for index in indexes(&answer["Failed"]) {
                ledger.record(Event::DeleteRefused(held[index].id));
            }
        });
        match answer["Failed"].as_array().filter(|failed| from != Queue::Groups && !failed.is_empty()) {
            Some(failed) => {
                Err(Failure::Refused { code: "DeleteMessageBatch".into(), message: failed[0].to_string() })
            }
            None => Ok(()),
        }
    }
}

/// Whether the acknowledged deletion of a message means that it is gone.
///
/// A source's handle does not reach into the dead-letter queue: once the message is no longer hidden it may have moved
/// there, and deleting it from the source is then acknowledged without effect.
fn is_binding(shared: &Shared, from: Queue, held: &Held) -> bool {
    from != Queue::Source || shared.now_ms() + 10 < held.hidden_until_ms
}

/// The entries of a batch's answer, by their Ids.
fn indexes(entries: &Value) -> impl Iterator<Item = usize> {
    entries.as_array().into_iter().flatten().filter_map(|entry| entry["Id"].as_str()?.parse().ok())
}

fn fresh(home: Queue) -> Id {
    Id::new(home, 0, NUMBERS.fetch_add(1, Ordering::Relaxed))
}

fn use_plain_queue(
    session: &mut Session,
    shared: &Shared,
    random: &mut Random,
    _: u16,
) -> Result<(), Failure> {
    match random.below(10) {
        0..4 => session.send(shared, fresh(Queue::Plain)),
        4..6 => {
            let ids: Vec<Id> = (0..1 + random.below(10)).map(|_| fresh(Queue::Plain)).collect();
            session.send_batch(shared, &ids)
        }
        _ => {
            let mut held = session.receive(shared, Queue::Plain, HIDDEN_SECONDS, 0)?;
            // Some are left to come back.
            held.retain(|_| !random.chance(20));
            if random.chance(50) {
                return session.delete_batch(shared, Queue::Plain, &held);
            }
            held.iter().try_for_each(|held| session.delete(shared, Queue::Plain, held))
        }
    }
}

/// Each sender has groups of its own. A send that was never answered is sent again, as SDKs do: its deduplication id
/// keeps it from being there twice.
fn send_to_groups(
    session: &mut Session,
    shared: &Shared,
    random: &mut Random,
    number: u16,
) -> Result<(), Failure> {
    let group = 1 + number * GROUPS_A_SENDER + random.below(u64::from(GROUPS_A_SENDER)) as u16;
    let next = with_turns(|turns| *turns.entry(group).or_insert(0));
    session.send(shared, Id::new(Queue::Groups, group, next))?;
    with_turns(|turns| turns.insert(group, next + 1));
    Ok(())
}

fn with_turns<T>(work: impl FnOnce(&mut HashMap<u16, u64>) -> T) -> T {
    let mut turns = TURNS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    work(turns.get_or_insert_default())
}

fn consume_groups(
    session: &mut Session,
    shared: &Shared,
    random: &mut Random,
    _: u16,
) -> Result<(), Failure> {
    let mut held = session.receive(shared, Queue::Groups, HIDDEN_SECONDS, 1)?;
    if random.chance(15) {
        // The rest comes back when its time is over.
        held.truncate(random.below(held.len() as u64 + 1) as usize);
    }
    if random.chance(50) {
        return session.delete_batch(shared, Queue::Groups, &held);
    }
    held.iter().try_for_each(|held| session.delete(shared, Queue::Groups, held))
}

fn use_dying_queue(
    session: &mut Session,
    shared: &Shared,
    random: &mut Random,
    _: u16,
) -> Result<(), Failure> {
    match random.below(10) {
        0..4 => session.send(shared, fresh(Queue::Source)),
        // Mostly the work fails, and the messages are shown again at once.
        4..7 => session.receive(shared, Queue::Source, 0, 0).map(drop),
        7 => {
            let mut held = session.receive(shared, Queue::Source, HIDDEN_SECONDS, 0)?;
            held.retain(|_| random.chance(80));
            session.delete_batch(shared, Queue::Source, &held)
        }
        _ => {
            let mut held = session.receive(shared, Queue::Dead, HIDDEN_SECONDS, 0)?;
            held.retain(|_| random.chance(70));
            session.delete_batch(shared, Queue::Dead, &held)
        }
    }
}
