//! The archive of an event bus under the same crashes.
//!
//! Publishers put numbered events on a bus with an archive and a rule that sends them to a queue. Each attempt has a number of its own, so
//! an event that was not answered is there once or not at all. After each restart that queue is emptied: what it has given so far is
//! what was accepted. Then a replay of the whole archive begins, to a queue of its own, and runs while the next load does and the server
//! dies. After the restart its queue must have what was accepted when it began, each event once: so an event that a queue has is in
//! the archive, one that no queue has is not, and no crash makes a replay lose or repeat one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use conformance_crash::http::{Client, Failure};
use conformance_crash::patience::Patience;
use conformance_crash::random::Random;
use serde_json::{Value, json};

use crate::audit::{PATIENCE, receive};
use crate::load::{Running, publishers};

const PUBLISHERS: usize = 2;
const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/kept";
const ARCHIVE: &str = "arn:aws:events:us-east-1:000000000000:archive/kept";

/// An event: its publisher and its number.
type Event = (u64, u64);

/// What is known of events.
#[derive(Default)]
pub struct Events {
    /// The number of each publisher's next attempt.
    next: [u64; PUBLISHERS],
    /// What was acknowledged.
    acknowledged: BTreeSet<Event>,
    /// What the rule's queue has given.
    live: BTreeSet<Event>,
    /// What the replay that is under way must hand on.
    expected: BTreeSet<Event>,
    /// Events that replays have handed on.
    replayed: u64,
}

pub type Shared = Arc<Mutex<Events>>;

fn with<T>(events: &Shared, change: impl FnOnce(&mut Events) -> T) -> T {
    change(&mut events.lock().unwrap_or_else(PoisonError::into_inner))
}

pub fn summary(events: &Shared) -> String {
    with(events, |it| {
        format!("{} events archived, {} replayed and checked", it.acknowledged.len(), it.replayed)
    })
}

fn failed(what: &'static str) -> impl FnOnce(Failure) -> String {
    move |failure| format!("{what}: {failure:?}")
}

fn queue(trial: u32) -> String {
    format!("events-{trial}")
}

fn url(queue: &str) -> String {
    format!("http://localhost/000000000000/{queue}")
}

fn rule(trial: u32) -> String {
    format!("audit-{trial}")
}

/// A queue, and a rule that sends it what matches a pattern.
fn send_to(client: &mut Client, (rule, queue): (&str, &str), pattern: &Value) -> Result<(), String> {
    client.call("CreateQueue", &json!({ "QueueName": queue })).map_err(failed("CreateQueue"))?;
    let put = json!({ "Name": rule, "EventBusName": "kept", "EventPattern": pattern.to_string() });
    client.call_events("PutRule", &put).map_err(failed("PutRule"))?;
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{queue}");
    let put = json!({ "Rule": rule, "EventBusName": "kept", "Targets": [{ "Id": "1", "Arn": arn }] });
    client.call_events("PutTargets", &put).map(drop).map_err(failed("PutTargets"))
}

pub fn create_archive(address: SocketAddr) -> Result<(), String> {
    let mut client = Client::new(address);
    client.call_events("CreateEventBus", &json!({ "Name": "kept" })).map_err(failed("CreateEventBus"))?;
    let archive = json!({ "ArchiveName": "kept", "EventSourceArn": BUS });
    client.call_events("CreateArchive", &archive).map_err(failed("CreateArchive"))?;
    send_to(&mut client, ("live", "live"), &json!({ "replay-name": [{ "exists": false }] }))
}

/// Begins a replay of everything to a queue of the trial. Nobody puts events meanwhile.
pub fn replay(address: SocketAddr, trial: u32, events: &Shared) -> Result<(), String> {
    let mut client = Client::new(address);
    let live = drain(&mut client, "live", None)?;
    with(events, |it| it.accepted(live))?;
    let rule = rule(trial);
    send_to(&mut client, (&rule, &queue(trial)), &json!({ "replay-name": [{ "exists": true }] }))?;
    let arn = format!("arn:aws:events:us-east-1:000000000000:rule/kept/{rule}");
    let replay = json!({
        "ReplayName": rule,
        "EventSourceArn": ARCHIVE,
        "EventStartTime": 0,
        "EventEndTime": 4_102_444_800_u64,
        "Destination": { "Arn": BUS, "FilterArns": [arn] },
    });
    client.call_events("StartReplay", &replay).map(drop).map_err(failed("StartReplay"))
}

/// The replay of a trial must have handed on what was accepted when it began.
pub fn audit(address: SocketAddr, trial: u32, events: &Shared) -> Result<(), String> {
    let mut client = Client::new(address);
    let (rule, name) = (rule(trial), queue(trial));
    let seen = drain(&mut client, &name, Some(&rule))?;
    with(events, |it| it.handed_on(&seen))?;
    let described = client.call_events("DescribeArchive", &json!({ "ArchiveName": "kept" }));
    let archive = described.map_err(failed("DescribeArchive"))?;
    if archive["EventCount"].as_u64().is_none_or(|count| count < seen.len() as u64) {
        return Err(format!("the archive has handed on {} events, and says: {archive}", seen.len()));
    }
    let of = |name: &str| json!({ "Rule": name, "EventBusName": "kept", "Ids": ["1"] });
    client.call_events("RemoveTargets", &of(&rule)).map_err(failed("RemoveTargets"))?;
    let delete = json!({ "Name": rule, "EventBusName": "kept" });
    client.call_events("DeleteRule", &delete).map_err(failed("DeleteRule"))?;
    client.call("DeleteQueue", &json!({ "QueueUrl": url(&name) })).map(drop).map_err(failed("DeleteQueue"))
}

/// All events of a queue; if it is a replay's, until the replay has ended.
fn drain(client: &mut Client, queue: &str, replay: Option<&str>) -> Result<Vec<Event>, String> {
    let (mut all, mut patience) = (Vec::new(), Patience::new(PATIENCE));
    loop {
        // It is asked before the queue is: what a replay hands on is there when it has ended.
        let has_ended = match replay {
            Some(replay) => {
                let described = client.call_events("DescribeReplay", &json!({ "ReplayName": replay }));
                described.map_err(failed("DescribeReplay"))?["State"] == "COMPLETED"
            }
            None => true,
        };
        let bodies = receive(client, &url(queue)).map_err(failed("ReceiveMessage"))?;
        for body in &bodies {
            all.push(event_of(body).ok_or_else(|| format!("nobody has put {body:?}"))?);
        }
        if !bodies.is_empty() {
            patience = Patience::new(PATIENCE);
        } else if has_ended {
            return Ok(all);
        } else if patience.is_over() {
            return Err(format!("the replay {replay:?} does not end"));
        }
    }
}

fn event_of(body: &str) -> Option<Event> {
    let event: Value = serde_json::from_str(body).ok()?;
    let number = |name: &str| event["detail"][name].as_u64();
    Some((number("publisher")?, number("number")?))
}

impl Events {
    /// What the rule's queue has given besides: with that, it has all that was acknowledged.
    fn accepted(&mut self, live: Vec<Event>) -> Result<(), String> {
        for event in live {
            if event.1 >= *self.next.get(event.0 as usize).ok_or("there is no such publisher")? {
                return Err(format!("nobody has put {event:?}"));
            }
            if !self.live.insert(event) {
                return Err(format!("the queue of the rule has {event:?} twice"));
            }
        }
        if let Some(lost) = self.acknowledged.difference(&self.live).next() {
            return Err(format!("{lost:?} was acknowledged, and the queue of the rule does not have it"));
        }
        self.expected = self.live.clone();
        Ok(())
    }

    fn handed_on(&mut self, seen: &[Event]) -> Result<(), String> {
        let set: BTreeSet<Event> = seen.iter().copied().collect();
        if set.len() < seen.len() {
            return Err(format!(
                "of {} events that were replayed, {} came twice",
                seen.len(),
                seen.len() - set.len()
            ));
        }
        if let Some(lost) = self.expected.difference(&set).next() {
            return Err(format!("a queue has {lost:?}, and the replay of the archive has not"));
        }
        if let Some(stray) = set.difference(&self.expected).next() {
            return Err(format!("{stray:?} is replayed, and no queue has it"));
        }
        self.replayed += seen.len() as u64;
        Ok(())
    }
}

/// Starts the publishers of events.
pub fn start(address: SocketAddr, events: &Shared, random: &mut Random) -> Vec<Running> {
    let events = events.clone();
    publishers(PUBLISHERS, address, random, move |client, publisher, random| {
        put(client, publisher as u64, &events, random)
    })
}

/// Puts the next events of a publisher.
fn put(client: &mut Client, publisher: u64, events: &Shared, random: &mut Random) -> Result<(), Failure> {
    let count = 1 + random.below(5);
    let first = with(events, |it| {
        let next = &mut it.next[publisher as usize];
        *next += count;
        *next - count
    });
    let numbers = first..first + count;
    let entries: Vec<Value> = numbers
        .clone()
        .map(|number| {
            let length = if random.chance(5) { 20_000 + random.below(40_000) } else { random.below(2000) };
            let text = "x".repeat(length as usize);
            let detail = json!({ "publisher": publisher, "number": number, "text": text }).to_string();
            json!({ "EventBusName": "kept", "Source": "crash", "DetailType": "t", "Detail": detail })
        })
        .collect();
    let answer = client.call_events("PutEvents", &json!({ "Entries": entries }))?;
    if answer["FailedEntryCount"] != 0 {
        let message = answer.to_string();
        return Err(Failure::Refused { code: "FailedEntryCount".to_owned(), message });
    }
    with(events, |it| it.acknowledged.extend(numbers.map(|number| (publisher, number))));
    Ok(())
}

/// Feeds the checker a good history and doctored ones; gives how many of the latter it noticed, all of them, or what it failed to
/// notice.
pub fn test() -> Result<usize, String> {
    let verdict = |live: &[Event], replayed: &[Event]| {
        let mut events = Events { next: [3, 1], ..Events::default() };
        events.acknowledged.extend([(0, 0), (0, 1), (1, 0)]);
        events.accepted(live.to_vec())?;
        events.handed_on(replayed)
    };
    let all = [(0, 0), (0, 1), (1, 0)];
    let more = [(0, 0), (0, 1), (1, 0), (0, 2)];
    verdict(&all, &all)
        .and_then(|()| verdict(&more, &more))
        .map_err(|text| format!("it complains: {text}"))?;
    let doctored: [(&str, &[Event], &[Event]); 6] = [
        ("a lost event", &all[1..], &all[1..]),
        ("an event twice in the queue", &[all[0], all[0], all[1], all[2]], &all),
        ("an event that nobody has put", &[all[0], all[1], all[2], (1, 1)], &all),
        ("an event that is not in the archive", &more, &all),
        ("an event that is in the archive alone", &all, &more),
        ("an event that is replayed twice", &all, &[all[0], all[0], all[1], all[2]]),
    ];
    match doctored.iter().find(|(_, live, replayed)| verdict(live, replayed).is_ok()) {
        Some((what, ..)) => Err(format!("it did not notice {what}")),
        None => Ok(doctored.len()),
    }
}
