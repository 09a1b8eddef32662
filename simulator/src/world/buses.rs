//! Clients of an event bus with an archive, and the checks of its replays.
//!
//! A replay must hand on what was in the archive when it began, each event once, whatever crash comes between. What the archive has is what
//! a replay at the end hands on: everything that was acknowledged, and nothing that was refused. Replays hand their events to a queue that
//! the model of queues does not know, and nobody reads it before the end.

use std::collections::BTreeSet;

use api::eventbridge::{self as shapes, Request};
use eventbridge::operations::Reply;
use kernel::{Asker, Caller, Refusal};
use machine::Command;
use notification::Notification;
use sqs::QueueKey;
use sqs::operations::{self, Receive, create_queue, delete_message, delete_queue, receive_message};

use super::publishing::text;
use super::{Asked, Check, World};

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";
const ARCHIVE: &str = "arn:aws:events:us-east-1:000000000000:archive/kept";

/// Long enough for all that passes in a world.
const RETENTION: (&str, &str) = ("MessageRetentionPeriod", "1209600");

/// A request about the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AskedBus {
    /// A declaration, or its end.
    Configure,
    /// An event, by its number.
    Put(usize),
    /// A replay, by its number.
    Replay(usize),
    /// How many events the archive has.
    Count,
    /// What replays have handed on.
    Receive,
}

/// What is known of the archive.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Whether an event was acknowledged, or refused; unknown until then, and after a crash.
    events: Vec<Option<bool>>,
    /// How many events were put before a replay began, and whether that was acknowledged.
    replays: Vec<(usize, bool)>,
    /// What replays have handed on: their numbers and those of the events.
    handed: BTreeSet<(usize, usize)>,
    /// What the last receive has given.
    received: Option<usize>,
}

fn queue() -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: "replayed".into() }
}

impl World {
    fn ask_bus(&mut self, request: Request, asked: AskedBus) -> Check {
        let account = || "000000000000".to_owned();
        let caller =
            Caller { account: account(), region: "us-east-1".into(), principal: account(), signed: true };
        let asker = Asker { caller: &caller, base: "", trace: None };
        let (command, _) =
            eventbridge::operations::prepare(request, &asker).map_err(|refusal| format!("{refusal:?}"))?;
        self.ask_any(Command::Eventbridge(command), Asked::Bus(asked)).map(drop)
    }

    fn ask_queue(&mut self, command: operations::Command, asked: AskedBus) -> Check {
        self.ask_any(Command::Sqs(command), Asked::Bus(asked)).map(drop)
    }

    /// Makes the archive, and the rule and the queue of its replays. Nothing else happens before they are there.
    pub(super) fn create_archive(&mut self) -> Check {
        for _ in 0..10 {
            let create = create_queue::CreateQueue::new(queue(), [RETENTION], []);
            let create = create.map_err(|refusal| format!("{refusal:?}"))?;
            self.ask_queue(operations::Command::CreateQueue(create), AskedBus::Configure)?;
            let input = shapes::CreateArchiveInput {
                archive_name: text("kept"),
                event_source_arn: text(BUS),
                ..Default::default()
            };
            self.ask_bus(Request::CreateArchive(input), AskedBus::Configure)?;
            let input = shapes::PutRuleInput {
                name: text("replayed"),
                event_pattern: text(r#"{"replay-name": [{"exists": true}]}"#),
                ..Default::default()
            };
            self.ask_bus(Request::PutRule(input), AskedBus::Configure)?;
            let target =
                shapes::Target { id: text("q"), arn: text(queue().arn().to_string()), ..Default::default() };
            let input = shapes::PutTargetsInput {
                rule: text("replayed"),
                event_bus_name: None,
                targets: Some(vec![target]),
            };
            self.ask_bus(Request::PutTargets(input), AskedBus::Configure)?;
            self.settle()?;
            let machine = &self.server()?.machine;
            let buses = machine.eventbridge();
            let rules = buses.buses().map(|(_, bus)| bus.rules.len()).sum::<usize>();
            let targets = buses.bus_views().map(|bus| bus.targets).sum::<usize>();
            if (rules, targets) == (2, 2) && machine.sqs().queue(&queue()).is_some() {
                return Ok(());
            }
            // The disk has failed in between.
        }
        Err("the archive cannot be made".into())
    }

    /// An action of clients on the bus.
    pub(super) fn bus_client(&mut self) -> Check {
        if self.dice.percent(95) {
            let number = self.kept.events.len();
            self.kept.events.push(None);
            let length = if self.dice.percent(5) { 3000 } else { self.dice.below(100) };
            let entry = shapes::PutEventsRequestEntry {
                source: text("world"),
                detail_type: text("t"),
                detail: text(format!(r#"{{"n":{number},"x":"{}"}}"#, "x".repeat(length as usize))),
                ..Default::default()
            };
            let input = shapes::PutEventsInput { entries: Some(vec![entry]), endpoint_id: None };
            return self.ask_bus(Request::PutEvents(input), AskedBus::Put(number));
        }
        self.start_replay()
    }

    fn start_replay(&mut self) -> Check {
        let number = self.kept.replays.len();
        self.kept.replays.push((self.kept.events.len(), false));
        let input = shapes::StartReplayInput {
            replay_name: text(number.to_string()),
            event_source_arn: text(ARCHIVE),
            event_start_time: Some(api::Timestamp(0)),
            event_end_time: Some(api::Timestamp(i64::MAX / 2)),
            destination: Some(shapes::ReplayDestination { arn: text(BUS), filter_arns: None }),
            ..Default::default()
        };
        self.ask_bus(Request::StartReplay(input), AskedBus::Replay(number))
    }

    /// A request about the archive was answered.
    pub(super) fn bus_answered(
        &mut self,
        asked: AskedBus,
        answer: Result<machine::Reply, Refusal>,
        low: bool,
    ) -> Check {
        let answer = match answer {
            Err(refusal) if low && refusal.shape == "ServiceUnavailable" => {
                if let AskedBus::Put(number) = asked {
                    self.kept.events[number] = Some(false);
                }
                return Ok(());
            }
            // It is there already, or what it is about is not there yet.
            Err(_) if asked == AskedBus::Configure => return Ok(()),
            Err(refusal) => return Err(format!("{asked:?} was refused: {refusal:?}")),
            Ok(answer) => answer,
        };
        match (asked, answer) {
            (AskedBus::Configure, _) => {}
            (AskedBus::Put(number), machine::Reply::Eventbridge(Reply::Put(results))) => {
                self.kept.events[number] = Some(matches!(&results[..], [Ok(_)]));
            }
            (AskedBus::Replay(number), machine::Reply::Eventbridge(Reply::Replay(_))) => {
                self.kept.replays[number].1 = true;
            }
            (AskedBus::Count, machine::Reply::Eventbridge(Reply::Archive(archive))) => {
                let last = self.kept.replays.len() - 1;
                let kept = self.kept.handed.iter().filter(|(replay, _)| *replay == last).count();
                if archive.events != kept as u64 {
                    return Err(format!("the archive has {kept} events, and says {}", archive.events));
                }
            }
            (AskedBus::Receive, machine::Reply::Sqs(operations::Reply::Received(received))) => {
                self.take_replayed(&received)?;
            }
            (asked, answer) => return Err(format!("{asked:?} was answered {answer:?}")),
        }
        Ok(())
    }

    /// Reads what replays have handed on, and deletes it.
    fn take_replayed(&mut self, received: &receive_message::Received) -> Check {
        let extents: Vec<_> = received.messages.iter().map(|message| message.extent).collect();
        let records = self.server()?.reader.read_many(&extents);
        for (message, record) in received.messages.iter().zip(records) {
            let record = record.map_err(|error| format!("a replayed event cannot be read: {error}"))?;
            let event = Notification::decode(&record.tail).map_err(|_| "it is no notification")?.message;
            let number = |from: &str, to: char| {
                let (_, rest) = event.split_once(from)?;
                rest.split_once(to)?.0.parse::<usize>().ok()
            };
            let replayed = number("\"replay-name\":\"", '"').zip(number("{\"n\":", ','));
            let replayed = replayed.ok_or_else(|| format!("no replay has handed on {event}"))?;
            if !self.kept.handed.insert(replayed) {
                return Err(format!("{replayed:?} (replay, event) was handed on twice"));
            }
            let handle = message.handle(received.queue).to_text().into();
            let delete = delete_message::DeleteMessage { queue: queue(), handle };
            self.ask_queue(operations::Command::DeleteMessage(delete), AskedBus::Configure)?;
        }
        self.kept.received = Some(received.messages.len());
        Ok(())
    }

    /// At the end: a replay hands on all that the archive has. Then all replays are compared with that, and everything goes.
    pub(super) fn check_archive(&mut self) -> Check {
        self.start_replay()?;
        self.settle()?;
        self.kept.received = Some(1);
        while self.kept.received.take() != Some(0) {
            let request =
                Receive { most: 10, visibility_seconds: Some(600), wait_seconds: Some(0), attempt: None };
            let receive = receive_message::ReceiveMessage { queue: queue(), request: Ok(request) };
            self.ask_queue(operations::Command::ReceiveMessage(receive), AskedBus::Receive)?;
            self.settle()?;
        }
        let Kept { events, replays, handed, .. } = &self.kept;
        let of = |replay: usize| -> BTreeSet<usize> {
            handed.range((replay, 0)..=(replay, usize::MAX)).map(|&(_, event)| event).collect()
        };
        let all = of(replays.len() - 1);
        for (number, standing) in events.iter().enumerate() {
            match (standing, all.contains(&number)) {
                (Some(true), false) => return Err(format!("event {number} is not in the archive")),
                (Some(false), true) => return Err(format!("event {number} was refused, and is archived")),
                _ => {}
            }
        }
        for (number, &(before, is_certain)) in replays.iter().enumerate() {
            let handed: BTreeSet<usize> = of(number);
            let expected: BTreeSet<usize> = all.range(..before).copied().collect();
            // No crash has left a replay of which nobody was told, if it has handed on nothing.
            if handed != expected && (is_certain || !handed.is_empty()) {
                let (less, more) = (expected.difference(&handed).next(), handed.difference(&expected).next());
                return Err(format!("replay {number} has left out {less:?}, and handed on {more:?}"));
            }
        }
        trace!(self, "{} events were archived, {} replayed", all.len(), handed.len());
        self.outcome.events += all.len() as u64;
        self.outcome.replayed += handed.len() as u64;
        let describe = shapes::DescribeArchiveInput { archive_name: text("kept") };
        self.ask_bus(Request::DescribeArchive(describe), AskedBus::Count)?;
        let delete = shapes::DeleteArchiveInput { archive_name: text("kept") };
        self.ask_bus(Request::DeleteArchive(delete), AskedBus::Configure)?;
        let delete = delete_queue::DeleteQueue { queue: queue() };
        self.ask_queue(operations::Command::DeleteQueue(delete), AskedBus::Configure)?;
        self.settle()
    }
}
