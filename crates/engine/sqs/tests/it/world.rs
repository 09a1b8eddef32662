//! A world with queues and a clock, and a language for what happens in it.
//!
//! A story is a line of steps between bars. Queues whose names end in `.fifo` are FIFO.
//!
//! | step | meaning |
//! |---|---|
//! | `create q [visibility=5] [delay=3] [retention=60] [dlq=d max=2] [content] [scope=group]` | a queue |
//! | `send q body [group=g] [dedup=d] [delay=5]` | accepted; `→ same as body` for a duplicate |
//! | `receive q [max=10] [visibility=5] [attempt=a] → a b#2` | exactly these, in order; `#n`: received n times; `→ nothing` |
//! | `poll q [wait=20] [max=1] as p` | a receive that waits; later `p got a` or `p got nothing` or `p waits` |
//! | `turn q body … [max=10] [visibility=5] → a b` | these are deleted by their latest handles (`!` by one that is none), and a receive follows in the same request; `→ failed 1: a` if a delete fails |
//! | `delete q body` / `release q body` / `extend q body 60` | by the latest handle; `→ refused` if it fails |
//! | `wait 31s` | time passes |
//! | `purge q`, `drop q` | all messages go, the queue goes |
//! | `count q 1/2/3` | visible, in flight, delayed |
//! | `move d`, `moved d COMPLETED 3` | a move task starts; how it stands |
//! | `crash` | the state is built again from the log |
//! | `forget` | the same, after the log has lost its last record |
//! | `forward 1` | the first record of a message is written forward, and nothing else: cleaning was cut short |
//! | `discard` | every segment but the last that nothing needs is dropped |
//! | `clean` | every segment but the last is written forward, then dropped |

use std::collections::BTreeMap;

use bytestring::ByteString;
use kernel::{
    Demand, Extent, Handed, IdsRemembered, Ledger, NoTargets, Numbers, Place, Secret, Survival, Time,
};
use sqs::operations::*;
use sqs::records::{QueueDeclared, QueueDeleted, Record};
use sqs::rules::handle::GroupHint;
use sqs::rules::new_message::MessageDraft;
use sqs::rules::payload::Payload;
use sqs::rules::settings::{FifoSettings, RedrivePolicy, Settings};
use sqs::state::State;
use sqs::{QueueId, QueueKey, Seq};

/// Tells a story from an empty world.
#[track_caller]
pub fn check(story: &str) {
    World::new().tell(story);
}

/// A record in the log: head and tail.
type Stored = (Vec<u8>, Vec<u8>);

pub struct World {
    state: State,
    ledger: Ledger,
    now: Time,
    /// What lies where in the log: head and tail.
    log: BTreeMap<Place, (Vec<u8>, Vec<u8>)>,
    segment: u32,
    offset: u32,
    handles: BTreeMap<(String, String), Vec<ByteString>>,
    tickets: BTreeMap<u64, String>,
    answers: BTreeMap<String, Vec<String>>,
    sent: BTreeMap<(String, String), Seq>,
    next_ticket: u64,
    numbers: Numbers,
}

const SECRET: Secret = Secret([1; 32]);

/// Small, so that stories span several.
const SEGMENT: u32 = 2000;

fn setting(now: Time, numbers: &Numbers, ticket: u64) -> Setting<'_> {
    const LIMITS: sqs::limits::Limits = sqs::limits::Limits::strict();
    Setting {
        now,
        limits: &LIMITS,
        secret: &SECRET,
        ticket,
        numbers,
        room: Demand::Growth,
        store_lags: false,
    }
}

fn key(name: &str) -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

impl World {
    pub fn new() -> Self {
        let mut world = World {
            state: State::default(),
            ledger: Ledger::default(),
            now: Time(1_700_000_000_000),
            log: BTreeMap::new(),
            segment: 1,
            offset: 0,
            handles: BTreeMap::new(),
            tickets: BTreeMap::new(),
            answers: BTreeMap::new(),
            sent: BTreeMap::new(),
            next_ticket: 0,
            numbers: Numbers::new(1),
        };
        world.state.identified(&SECRET);
        world
    }

    #[track_caller]
    pub fn tell(&mut self, story: &str) {
        for step in story.split('|').map(str::trim).filter(|step| !step.is_empty()) {
            let (action, expected) = match step.split_once('→') {
                None => (step, None),
                Some((action, expected)) => (action.trim(), Some(expected.trim())),
            };
            let words: Vec<&str> = action.split_whitespace().collect();
            let got = self.step(&words);
            match expected {
                Some(expected) => assert_eq!(got, expected, "at `{step}`"),
                None => assert!(!got.starts_with("refused"), "`{step}` was {got}"),
            }
        }
    }

    fn step(&mut self, words: &[&str]) -> String {
        let options: BTreeMap<&str, &str> = words.iter().filter_map(|word| word.split_once('=')).collect();
        let number = |name: &str| options.get(name).map(|value| value.parse::<u32>().unwrap());
        let plain: Vec<&str> = words.iter().copied().filter(|word| !word.contains('=')).collect();
        match plain[..] {
            ["create", name, ..] => {
                let fifo = name.ends_with(".fifo").then(|| FifoSettings {
                    content_based: plain.contains(&"content"),
                    scope_is_group: options.contains_key("scope"),
                    ..FifoSettings::default()
                });
                let defaults = Settings::default();
                let settings = Settings {
                    visibility_seconds: number("visibility").unwrap_or(30),
                    delay_seconds: number("delay").unwrap_or(0),
                    retention_seconds: number("retention").unwrap_or(defaults.retention_seconds),
                    wait_seconds: number("wait").unwrap_or(0),
                    redrive: options.get("dlq").map(|dlq| RedrivePolicy {
                        target: key(dlq).arn(),
                        max_receives: number("max").unwrap(),
                        text: String::new(),
                    }),
                    fifo,
                    ..defaults
                };
                let declared = QueueDeclared {
                    id: QueueId(self.numbers.draw()),
                    key: key(name),
                    settings,
                    tags: Vec::new(),
                    created: self.now,
                    modified: self.now,
                    purged_through: Seq(0),
                    purged: None,
                };
                self.record(vec![Record::QueueDeclared(Box::new(declared)).into()]);
                String::new()
            }
            ["send", name, body] => {
                let draft = MessageDraft {
                    body: body.into(),
                    group: options.get("group").map(|&group| group.into()),
                    deduplication_id: options.get("dedup").map(|&id| id.into()),
                    delay_seconds: number("delay").map(i64::from),
                    ..MessageDraft::default()
                };
                let message = draft.check("000000000000", name.ends_with(".fifo"));
                match self.ask(Command::SendMessage(send_message::SendMessage { queue: key(name), message }))
                {
                    Some(Ok(Reply::Sent(sent))) => {
                        let before =
                            self.sent.iter().find(|(_, seq)| **seq == sent.seq).map(|(key, _)| key.1.clone());
                        self.sent.insert((name.into(), body.into()), sent.seq);
                        before.map_or(String::new(), |before| format!("same as {before}"))
                    }
                    other => refused(other),
                }
            }
            ["receive", name] => {
                let request = Receive {
                    most: number("max").unwrap_or(10),
                    visibility_seconds: number("visibility"),
                    wait_seconds: Some(0),
                    attempt: options.get("attempt").map(|&id| id.into()),
                };
                let command = receive_message::ReceiveMessage { queue: key(name), request: Ok(request) };
                match self.ask(Command::ReceiveMessage(command)) {
                    Some(Ok(Reply::Received(received))) => self.show(name, received),
                    other => refused(other),
                }
            }
            ["poll", name, "as", client] => {
                let request = Receive {
                    most: number("max").unwrap_or(10),
                    visibility_seconds: number("visibility"),
                    wait_seconds: Some(number("wait").unwrap_or(20)),
                    attempt: None,
                };
                self.tickets.insert(self.next_ticket, format!("{client} {name}"));
                let command = receive_message::ReceiveMessage { queue: key(name), request: Ok(request) };
                match self.ask(Command::ReceiveMessage(command)) {
                    None => {}
                    Some(Ok(Reply::Received(received))) => {
                        let shown = self.show(name, received);
                        self.answers.entry(client.into()).or_default().push(shown);
                    }
                    other => return refused(other),
                }
                String::new()
            }
            [client, "got", ..] => {
                let expected = plain[2..].join(" ");
                let got = self.answers.get_mut(client).map(std::mem::take).unwrap_or_default();
                assert_eq!(got, vec![expected], "what {client} got");
                String::new()
            }
            [client, "waits"] => {
                assert_eq!(self.answers.get(client).map_or(0, Vec::len), 0, "{client} was answered");
                String::new()
            }
            [client, "leaves"] => {
                let ticket =
                    self.tickets.iter().find(|(_, who)| who.starts_with(client)).map(|(&ticket, _)| ticket);
                self.state.stop_waiting(ticket.unwrap());
                String::new()
            }
            ["delete", name, body] => {
                let handle = self.handle(name, body);
                let command = delete_message::DeleteMessage { queue: key(name), handle };
                refused_or_done(self.ask(Command::DeleteMessage(command)))
            }
            ["turn", name, ..] => {
                let handle = |(at, body): (usize, &&str)| {
                    let handle = if *body == "!" { "!".into() } else { self.handle(name, body) };
                    (at.to_string().into(), handle)
                };
                let entries = plain[2..].iter().enumerate().map(handle).collect();
                let delete =
                    delete_message_batch::DeleteMessageBatch { queue: key(name), entries: Ok(entries) };
                let request = Receive {
                    most: number("max").unwrap_or(10),
                    visibility_seconds: number("visibility"),
                    wait_seconds: Some(0),
                    attempt: None,
                };
                let receive = receive_message::ReceiveMessage { queue: key(name), request: Ok(request) };
                let both = delete_and_receive_messages::DeleteAndReceiveMessages { delete, receive };
                match self.ask(Command::DeleteAndReceiveMessages(both)) {
                    Some(Ok(Reply::DeletedAndReceived(deleted, received))) => {
                        let shown = self.show(name, received);
                        let failed: Vec<_> = deleted.failed.iter().map(|(id, _)| id.to_string()).collect();
                        if failed.is_empty() {
                            shown
                        } else {
                            format!("failed {}: {shown}", failed.join(" "))
                        }
                    }
                    other => refused(other),
                }
            }
            ["release", name, body] => self.change(name, body, 0),
            ["extend", name, body, seconds] => self.change(name, body, seconds.parse().unwrap()),
            ["wait", time] => {
                let (count, unit) = time.split_at(time.len() - 1);
                let millis = count.parse::<u64>().unwrap()
                    * match unit {
                        "s" => 1000,
                        "m" => 60_000,
                        "h" => 3_600_000,
                        "d" => 86_400_000,
                        unit => panic!("{unit}?"),
                    };
                let target = self.now + millis;
                while let Some(next) = self.state.next_deadline().filter(|&next| next <= target) {
                    self.now = self.now.max(next);
                    self.follow_up();
                }
                self.now = target;
                self.follow_up();
                String::new()
            }
            ["purge", name] => {
                let queue = self.state.queue(&key(name)).unwrap();
                let declared = QueueDeclared {
                    id: queue.id,
                    key: queue.key.clone(),
                    settings: queue.settings.clone(),
                    tags: Vec::new(),
                    created: queue.created,
                    modified: queue.modified,
                    purged_through: Seq(self.numbers.next() - 1),
                    purged: Some(self.now),
                };
                self.record(vec![Record::QueueDeclared(Box::new(declared)).into()]);
                String::new()
            }
            ["drop", name] => {
                let id = self.state.queue(&key(name)).unwrap().id;
                // Every segment may declare it: more than the operation would name, and no less right.
                let declared_in = (1..=self.segment).collect();
                self.record(vec![
                    Record::QueueDeleted(QueueDeleted { id, at: self.now, declared_in }).into(),
                ]);
                String::new()
            }
            ["count", name, expected] => {
                let queue = self.state.queue(&key(name)).unwrap();
                let (visible, in_flight, delayed) = queue.counts();
                assert_eq!(format!("{visible}/{in_flight}/{delayed}"), expected, "of {name}");
                String::new()
            }
            ["move", name, ..] => {
                let command = start_message_move_task::StartMessageMoveTask {
                    source: Ok(key(name).arn()),
                    destination: Ok(options.get("to").map(|to| key(to).arn())),
                    rate: Ok(number("rate")),
                };
                refused_or_done(self.ask(Command::StartMessageMoveTask(command)))
            }
            ["moved", name, status, count] => {
                let command = list_message_move_tasks::ListMessageMoveTasks {
                    source: Ok(key(name).arn()),
                    most: Ok(1),
                };
                match self.ask(Command::ListMessageMoveTasks(command)) {
                    Some(Ok(Reply::Moves(tasks))) => {
                        let got = format!("{:?} {}", tasks[0].status, tasks[0].moved).to_uppercase();
                        assert_eq!(got, format!("{status} {count}"));
                        String::new()
                    }
                    other => refused(other),
                }
            }
            ["crash"] => {
                self.crash();
                String::new()
            }
            ["forget"] => {
                self.log.pop_last();
                self.crash();
                String::new()
            }
            ["forward", body] => {
                self.forward(body);
                String::new()
            }
            ["discard"] => {
                self.discard();
                String::new()
            }
            ["clean"] => {
                self.clean();
                String::new()
            }
            _ => panic!("no such step: {words:?}"),
        }
    }

    pub fn step_receive_ten(&mut self) {
        let got = self.step(&["receive", "q"]);
        assert_eq!(got.split(' ').count(), 10, "{got}");
    }

    /// A step whose outcome the caller compares. `delete 2` and `extend 2` are of the third message that was received
    /// and is not yet known to be gone.
    pub fn any(&mut self, name: &str, step: &str) -> String {
        let words: Vec<&str> = step.split_whitespace().collect();
        let body = || self.received(name).into_iter().nth(words[1].parse().unwrap());
        match words[0] {
            "delete" => body().map_or(String::new(), |body| self.step(&["delete", name, &body])),
            "extend" => body().map_or(String::new(), |body| self.step(&["extend", name, &body, "40"])),
            _ => self.step(&words),
        }
    }

    /// The bodies that were received from a queue.
    pub fn received(&self, name: &str) -> Vec<String> {
        self.handles.keys().filter(|(queue, _)| queue == name).map(|(_, body)| body.clone()).collect()
    }

    /// Receives and deletes until nothing comes.
    pub fn drain(&mut self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let got = self.step(&["receive", name]);
            if got == "nothing" {
                return all;
            }
            for message in got.split(' ') {
                let body = message.split('#').next().unwrap();
                assert_eq!(self.step(&["delete", name, body]), "");
                all.push(message.to_owned());
            }
        }
    }

    pub fn counts(&self, name: &str) -> (u64, u64, u64) {
        self.state.queue(&key(name)).unwrap().counts()
    }

    fn change(&mut self, name: &str, body: &str, seconds: u32) -> String {
        let handle = self.handle(name, body);
        let command = change_message_visibility::ChangeMessageVisibility {
            queue: key(name),
            handle,
            visibility_seconds: Ok(seconds),
        };
        refused_or_done(self.ask(Command::ChangeMessageVisibility(command)))
    }

    /// `body` for the latest handle, `body@1` for the first.
    fn handle(&self, name: &str, body: &str) -> ByteString {
        let (body, which) = body.split_once('@').map_or((body, None), |(body, which)| (body, Some(which)));
        let handles = self.handles.get(&(name.into(), body.into())).expect("it was received");
        match which {
            None => handles[handles.len() - 1].clone(),
            Some(which) => handles[which.parse::<usize>().unwrap() - 1].clone(),
        }
    }

    fn show(&mut self, name: &str, received: receive_message::Received) -> String {
        let mut shown = Vec::new();
        for message in received.messages {
            let (head, tail) = &self.log[&message.extent.place];
            let body = Payload::decode(&tail.clone().into()).unwrap().body.to_string();
            let Record::MessageSent(sent) = Record::decode(head).unwrap() else { panic!("no message") };
            let group = match name.ends_with(".fifo") {
                true => GroupHint::Unknown,
                false => GroupHint::of(sent.group.as_deref(), &SECRET),
            };
            let handle = message.handle_with(received.queue, group);
            self.handles.entry((name.into(), body.clone())).or_default().push(handle.to_text().into());
            shown.push(if message.receives > 1 { format!("{body}#{}", message.receives) } else { body });
        }
        if shown.is_empty() { "nothing".into() } else { shown.join(" ") }
    }

    fn ask(&mut self, command: Command) -> Option<Result<Reply, kernel::Refusal>> {
        self.state.advance(self.now);
        self.follow_up();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let mut handed = Handed::default();
        let mut context = Context::new(setting(self.now, &self.numbers, ticket), &NoTargets, &mut handed);
        let mut decision = command.decide(&self.state, &mut context);
        if let Outcome::Again { step, .. } = decision.outcome {
            self.record(decision.facts);
            let setting = setting(self.now, &self.numbers, ticket);
            let mut context = Context::new(setting, &NoTargets, &mut handed);
            decision = command.decide_again(step, &self.state, &mut context);
        }
        self.record(decision.facts);
        let answer = match decision.outcome {
            Outcome::Reply(answer) => Some(answer),
            Outcome::Wait((queue, waiter)) => {
                self.state.wait(queue, waiter);
                None
            }
            Outcome::Again { .. } => panic!("a request has two steps at the most"),
            Outcome::Call(_) => panic!("queues call nobody"),
            Outcome::Silence => None,
        };
        self.follow_up();
        answer
    }

    fn follow_up(&mut self) {
        self.state.advance(self.now);
        while let Some(consequence) = self.state.follow_up(&setting(self.now, &self.numbers, 0)) {
            self.record(consequence.facts);
            if let Some((ticket, Reply::Received(received))) = consequence.answer {
                let who = self.tickets[&ticket].clone();
                let (client, name) = who.split_once(' ').unwrap();
                let shown = self.show(name, received);
                self.answers.entry(client.into()).or_default().push(shown);
            }
        }
    }

    fn record(&mut self, drafts: Vec<Draft<'_>>) {
        for draft in drafts {
            let mut head = Vec::new();
            draft.record.encode(&mut head);
            let extent = self.append(head, draft.tail.to_vec());
            self.state.apply(&draft.record, extent, &mut self.ledger);
        }
    }

    fn append(&mut self, head: Vec<u8>, tail: Vec<u8>) -> Extent {
        let len = (head.len() + tail.len()) as u32;
        if self.offset + len > SEGMENT {
            self.segment += 1;
            self.offset = 0;
        }
        let extent = Extent { place: Place::new(self.segment, self.offset), len };
        self.offset += len;
        self.log.insert(extent.place, (head, tail));
        self.ledger.open(self.segment);
        extent
    }

    /// Reads the log again, as a start after a crash does.
    fn crash(&mut self) {
        self.state = State::default();
        self.state.identified(&SECRET);
        self.state.replaying(self.now);
        self.ledger = Ledger::default();
        for place in self.log.keys() {
            self.ledger.open(place.segment());
        }
        for configuration in [true, false] {
            for (&place, (head, tail)) in &self.log {
                let extent = Extent { place, len: (head.len() + tail.len()) as u32 };
                if let Ok(ids) = IdsRemembered::decode(head) {
                    if !configuration {
                        self.state.ids_remembered(&ids, extent, &mut self.ledger);
                    }
                    continue;
                }
                let record = Record::decode(head).unwrap();
                if record.is_configuration() == configuration {
                    self.state.apply(&record, extent, &mut self.ledger);
                }
            }
        }
        self.state.replayed(self.numbers.next(), &mut self.ledger);
        let cut_off = self.state.histories_cut_off();
        self.record(cut_off);
        self.follow_up();
    }

    /// Writes forward what the first record with this body is needed for.
    fn forward(&mut self, body: &str) {
        let is_it = |tail: &Vec<u8>| {
            Payload::decode(&tail.clone().into())
                .is_ok_and(|payload| payload.body.as_bytes() == body.as_bytes())
        };
        let (&place, (head, tail)) = self.log.iter().find(|(_, (_, tail))| is_it(tail)).unwrap();
        let (head, tail) = (head.clone(), tail.clone());
        let extent = Extent { place, len: (head.len() + tail.len()) as u32 };
        let record = Record::decode(&head).unwrap();
        let drafts = self.state.write_again(record, &tail, extent, &self.ledger);
        assert!(!drafts.is_empty(), "{body} is needed");
        self.record(drafts);
    }

    /// Drops what nothing needs.
    fn discard(&mut self) {
        let dead: Vec<u32> = (1..self.segment)
            .filter(|&segment| {
                let mut all = self.ledger.segments();
                all.any(|(number, used)| number == segment && used.is_dead(self.now))
            })
            .collect();
        for segment in dead {
            self.ledger.dropped(segment);
            self.log.retain(|place, _| place.segment() != segment);
        }
    }

    /// Writes every sealed segment forward and drops it, oldest first.
    fn clean(&mut self) {
        for segment in 1..self.segment {
            let records: Vec<(Place, Stored)> = self
                .log
                .range(Place::new(segment, 0)..Place::new(segment + 1, 0))
                .map(|(place, bytes)| (*place, bytes.clone()))
                .collect();
            let mut ids = Vec::new();
            for (place, (head, tail)) in &records {
                let extent = Extent { place: *place, len: (head.len() + tail.len()) as u32 };
                if let Ok(record) = IdsRemembered::decode(head) {
                    ids.extend(record.ids.into_iter().filter(|id| self.state.still_counts(id)));
                    continue;
                }
                let record = Record::decode(head).unwrap();
                if let Record::MessageSent(record) = &record {
                    ids.extend(self.state.id_to_remember(record));
                }
                let survival = self.state.survival(&record, extent, &self.ledger);
                let drafts = self.state.write_again(record, tail, extent, &self.ledger);
                assert_eq!(drafts.is_empty(), survival == Survival::Dead);
                let again: Vec<(Record<'_>, Vec<u8>)> =
                    drafts.iter().map(|draft| (draft.record.clone(), draft.tail.to_vec())).collect();
                for (record, tail) in again {
                    self.record(vec![Draft { record, tail: tail.into() }]);
                }
            }
            if !ids.is_empty() {
                let record = IdsRemembered { ids };
                let mut head = Vec::new();
                record.encode(&mut head);
                let extent = self.append(head, Vec::new());
                self.state.ids_remembered(&record, extent, &mut self.ledger);
            }
            self.ledger.facts_copied(segment);
            let unused = self
                .ledger
                .segments()
                .find(|(number, _)| *number == segment)
                .map(|(_, unused)| unused.clone());
            let still_needed = unused.map(|unused| unused.references);
            assert!(
                matches!(still_needed, None | Some(0)),
                "segment {segment} is still needed: {still_needed:?}"
            );
            self.ledger.dropped(segment);
            self.log.retain(|place, _| place.segment() != segment);
        }
    }
}

fn refused(answer: Option<Result<Reply, kernel::Refusal>>) -> String {
    match answer {
        Some(Err(refusal)) => format!("refused: {}", refusal.shape),
        other => panic!("unexpected: {other:?}"),
    }
}

fn refused_or_done(answer: Option<Result<Reply, kernel::Refusal>>) -> String {
    match answer {
        Some(Ok(_)) => String::new(),
        other => refused(other),
    }
}
