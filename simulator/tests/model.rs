//! The machine without faults beside a small, obvious model: what it answers to any sequence of requests is right.

use std::collections::BTreeMap;

use kernel::{Place, Secret, Time};
use machine::{Answer, Command, Input, Machine, Options, Output, Reply};
use proptest::prelude::*;
use sqs::operations::receive_message::Received;
use sqs::operations::{self, Receive, Reply as Answered};
use sqs::rules::new_message::MessageDraft;
use sqs::{QueueKey, Seq};

/// The queues: a standard one whose messages die after two receives, its dead-letter queue, and a FIFO queue.
const WORK: usize = 0;
const DEAD: usize = 1;
const ORDER: usize = 2;
const NAMES: [&str; 3] = ["work", "dead", "order.fifo"];
const MOST_RECEIVES: u32 = 2;
/// The deduplication interval in milliseconds.
const WINDOW: u64 = 300_000;

#[derive(Clone, Debug)]
enum Step {
    Send { queue: usize, delay: u64 },
    SendFifo { group: u8, id: u8 },
    Receive { queue: usize, most: u32, visibility: u64 },
    Delete(usize),
    DeleteAndReceive { which: usize, most: u32, visibility: u64 },
    Change(usize, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let delay = prop_oneof![3 => Just(0u64), 1 => 1..10u64];
    let visibility = prop_oneof![Just(0u64), 1..5u64, 5..40u64];
    let wait = prop_oneof![6 => 0..3_000u64, 2 => 3_000..40_000u64, 1 => 100_000..310_000u64];
    prop_oneof![
        4 => (0..2usize, delay).prop_map(|(queue, delay)| Step::Send { queue, delay }),
        4 => (0..3u8, 0..12u8).prop_map(|(group, id)| Step::SendFifo { group, id }),
        6 => (0..3usize, 1..=10u32, visibility.clone())
            .prop_map(|(queue, most, visibility)| Step::Receive { queue, most, visibility }),
        4 => any::<usize>().prop_map(Step::Delete),
        2 => (any::<usize>(), 1..=10u32, visibility.clone())
            .prop_map(|(which, most, visibility)| Step::DeleteAndReceive { which, most, visibility }),
        2 => (any::<usize>(), visibility).prop_map(|(which, seconds)| Step::Change(which, seconds)),
        4 => wait.prop_map(Step::Wait),
    ]
}

/// A message as the model knows it.
#[derive(Clone, Debug)]
struct Message {
    queue: usize,
    group: u8,
    /// From when it can be received.
    visible: u64,
    receives: u32,
    /// Whether it was received and is hidden until then, rather than delayed.
    received: bool,
    /// Among those that can be received from the same moment on: first what was never received, then what came back by itself,
    /// each by number; then what clients gave back, as they did.
    turn: (u8, u64),
}

#[derive(Default)]
struct Model {
    /// By the number that the send told, which is also the order of a group.
    messages: BTreeMap<Seq, Message>,
    /// When a FIFO message was accepted under an id, and its number.
    ids: BTreeMap<u8, (u64, Seq)>,
    /// What was given: the message, from which queue, the handle, and which receive it was.
    given: Vec<(Seq, usize, String, u32)>,
    /// How many messages clients gave back at once.
    returns: u64,
}

impl Model {
    /// The message can be received again `seconds` from `now` on.
    fn hide(&mut self, seq: Seq, now: u64, seconds: u64) {
        self.returns += 1;
        let turn = if seconds == 0 { (2, self.returns) } else { (1, seq.0) };
        if let Some(message) = self.messages.get_mut(&seq) {
            message.visible = now + seconds * 1000;
            message.turn = turn;
        }
    }
}

struct World {
    machine: Machine,
    now: u64,
    ticket: u64,
    model: Model,
}

fn key(queue: usize) -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: NAMES[queue].into() }
}

/// One that does not wait.
fn receive(queue: usize, most: u32, visibility: u64) -> operations::receive_message::ReceiveMessage {
    let request =
        Receive { most, visibility_seconds: Some(visibility as u32), wait_seconds: Some(0), attempt: None };
    operations::receive_message::ReceiveMessage { queue: key(queue), request: Ok(request) }
}

impl World {
    fn new() -> Self {
        let appender = journal::Appender::new(1, 1 << 20, Place::new(1, 0), 1);
        let mut world = World {
            machine: Machine::new(Options::default(), appender),
            now: 1_700_000_000_000,
            ticket: 0,
            model: Model::default(),
        };
        world.machine.handle(Time(world.now), Input::Identify { secret: Secret([1; 32]) });
        let policy = format!(
            "{{\"deadLetterTargetArn\":\"{}\",\"maxReceiveCount\":{MOST_RECEIVES}}}",
            key(DEAD).arn()
        );
        for (queue, attributes) in
            [(DEAD, vec![]), (WORK, vec![("RedrivePolicy", &*policy)]), (ORDER, vec![("FifoQueue", "true")])]
        {
            let create = operations::create_queue::CreateQueue::new(key(queue), attributes, []).unwrap();
            world.ask(operations::Command::CreateQueue(create)).unwrap();
        }
        world
    }

    fn ask(&mut self, command: operations::Command) -> Result<Answered, kernel::Refusal> {
        self.ticket += 1;
        let ticket = self.ticket;
        let now = Time(self.now);
        self.machine.handle(now, Input::Request { ticket, command: Command::Sqs(command) });
        let mut heard: Option<Answer> = None;
        self.machine.flush(now);
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Append(batch) => self.machine.handle(now, Input::Durable(batch.end)),
                Output::Reply { ticket: other, answer } => {
                    assert_eq!(other, ticket);
                    assert!(heard.replace(answer).is_none(), "answered twice");
                }
                // There are too few segments to clean.
                other => panic!("{other:?}"),
            }
        }
        heard.expect("every request here is answered at once").map(|reply| match reply {
            Reply::Sqs(reply) => reply,
            _ => panic!("only queues were asked"),
        })
    }

    fn send(&mut self, queue: usize, draft: MessageDraft) -> Seq {
        let message = draft.check("000000000000", queue == ORDER);
        let command = operations::send_message::SendMessage { queue: key(queue), message };
        match self.ask(operations::Command::SendMessage(command)) {
            Ok(Answered::Sent(sent)) => sent.seq,
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait(millis) => {
                self.now += millis;
                while let Some(due) = self.machine.wake_at().filter(|due| due.0 <= self.now) {
                    self.machine.handle(due, Input::Tick);
                    while self.machine.is_behind() {
                        self.machine.flush(due);
                    }
                }
            }
            Step::Send { queue, delay } => {
                let draft = MessageDraft {
                    body: "text".into(),
                    delay_seconds: Some(delay as i64),
                    ..MessageDraft::default()
                };
                let seq = self.send(queue, draft);
                let message = Message {
                    queue,
                    group: 0,
                    visible: self.now + delay * 1000,
                    receives: 0,
                    received: false,
                    turn: (0, seq.0),
                };
                assert!(self.model.messages.insert(seq, message).is_none());
            }
            Step::SendFifo { group, id } => {
                let draft = MessageDraft {
                    body: "text".into(),
                    group: Some(format!("g{group}").into()),
                    deduplication_id: Some(format!("i{id}").into()),
                    ..MessageDraft::default()
                };
                let seq = self.send(ORDER, draft);
                match self.model.ids.get(&id) {
                    Some(&(at, before)) if self.now < at + WINDOW => assert_eq!(seq, before, "a duplicate"),
                    _ => {
                        self.model.ids.insert(id, (self.now, seq));
                        let visible = self.now;
                        let turn = (0, seq.0);
                        let message =
                            Message { queue: ORDER, group, visible, receives: 0, received: false, turn };
                        assert!(self.model.messages.insert(seq, message).is_none());
                    }
                }
            }
            Step::Receive { queue, most, visibility } => {
                match self.ask(operations::Command::ReceiveMessage(receive(queue, most, visibility))) {
                    Ok(Answered::Received(received)) => {
                        self.received(queue, most as usize, visibility, &received);
                    }
                    other => panic!("{other:?}"),
                }
            }
            Step::Delete(which) => self.delete(which),
            Step::DeleteAndReceive { which, most, visibility } => {
                self.delete_and_receive(which, most, visibility);
            }
            Step::Change(which, seconds) => self.change(which, seconds),
        }
    }

    fn received(&mut self, queue: usize, most: usize, visibility: u64, received: &Received) {
        let now = self.now;
        let given: Vec<Seq> = received.messages.iter().map(|message| message.origin).collect();
        let available = |message: &Message| message.visible <= now;
        let messages = &self.model.messages;
        if queue == ORDER {
            // Of each group the first messages, up to the first that is hidden, in their order.
            let mut blocked = [false; 3];
            let mut free: Vec<Vec<Seq>> = vec![Vec::new(); 3];
            for (&seq, message) in messages.iter().filter(|(_, message)| message.queue == ORDER) {
                let group = usize::from(message.group);
                blocked[group] |= !available(message);
                if !blocked[group] {
                    free[group].push(seq);
                }
            }
            // The group that has waited longest comes first; it waits since its first message was sent, or came back.
            free.retain(|free| !free.is_empty());
            free.sort_by_key(|free| (messages[&free[0]].visible, messages[&free[0]].turn));
            let expected: Vec<Seq> = free.into_iter().flatten().take(most).collect();
            assert_eq!(given, expected);
        } else {
            let dies = |message: &Message| message.queue == WORK && message.receives >= MOST_RECEIVES;
            // A message that has been received often enough moves when a receive comes upon it: until it is seen in the
            // other queue, it may be in either.
            let may = |seq: &Seq| match &messages[seq] {
                message if queue == WORK => message.queue == WORK && !dies(message) && available(message),
                message => (message.queue == DEAD || dies(message)) && available(message),
            };
            assert!(given.iter().all(may), "{given:?}");
            let must = messages.keys().filter(|seq| {
                let message = &messages[seq];
                message.queue == queue && !dies(message) && available(message)
            });
            assert!(given.len() >= must.count().min(most), "as many as there are");
        }
        let mut once = given.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), given.len(), "no message twice");
        for delivered in &received.messages {
            // It was given, so it is there.
            let message = self.model.messages.get_mut(&delivered.origin).unwrap();
            message.queue = queue;
            message.receives += 1;
            message.received = true;
            assert_eq!(delivered.receives, message.receives);
            self.model.hide(delivered.origin, now, visibility);
            let handle = delivered.handle(received.queue);
            self.model.given.push((delivered.origin, queue, handle.to_text(), delivered.receives));
        }
    }

    fn pick(&self, which: usize) -> Option<(Seq, usize, String, u32)> {
        let given = &self.model.given;
        (!given.is_empty()).then(|| given[which % given.len()].clone())
    }

    fn delete(&mut self, which: usize) {
        let Some((seq, queue, handle, receive)) = self.pick(which) else { return };
        let command = operations::delete_message::DeleteMessage { queue: key(queue), handle: handle.into() };
        let answer = self.ask(operations::Command::DeleteMessage(command));
        assert!(matches!(answer, Ok(Answered::Done) | Err(_)), "{answer:?}");
        self.deleted(seq, queue, receive, answer.is_ok());
    }

    /// Both in one request, from the queue where the message was given.
    fn delete_and_receive(&mut self, which: usize, most: u32, visibility: u64) {
        let Some((seq, queue, handle, number)) = self.pick(which) else { return };
        let entries = Ok(vec![("0".into(), handle.into())]);
        let delete = operations::delete_message_batch::DeleteMessageBatch { queue: key(queue), entries };
        let receive = receive(queue, most, visibility);
        let both = operations::delete_and_receive_messages::DeleteAndReceiveMessages { delete, receive };
        match self.ask(operations::Command::DeleteAndReceiveMessages(both)) {
            Ok(Answered::DeletedAndReceived(outcome, received)) => {
                assert_eq!(outcome.successful.len() + outcome.failed.len(), 1);
                self.deleted(seq, queue, number, outcome.failed.is_empty());
                self.received(queue, most as usize, visibility, &received);
            }
            other => panic!("{other:?}"),
        }
    }

    /// A delete by the handle of this receive has succeeded, or not.
    fn deleted(&mut self, seq: Seq, queue: usize, receive: u32, succeeded: bool) {
        let Some(message) = self.model.messages.get(&seq).cloned() else {
            assert!(succeeded, "what is gone can be deleted");
            return;
        };
        if queue == ORDER {
            let current = message.receives == receive && message.visible > self.now;
            assert_eq!(succeeded, current, "only the latest receive counts, while it hides the message");
            if current {
                self.model.messages.remove(&seq);
            }
        } else {
            assert!(succeeded);
            // A message that may have moved may have been missed; so may one that is in the other queue.
            let may_have_moved = message.queue == WORK && message.receives >= MOST_RECEIVES;
            if message.queue == queue && (!may_have_moved || message.visible > self.now) {
                self.model.messages.remove(&seq);
            } else if may_have_moved {
                // Find out: it must be in one of the queues, or gone.
                self.resolve(seq);
            }
        }
    }

    /// Brings a message that may have moved to the dead-letter queue, or finds that it is gone: with every receive from
    /// the work queue all that are to move do.
    fn resolve(&mut self, seq: Seq) {
        let count = |world: &World| {
            let of = |queue: usize| {
                let (visible, in_flight, delayed) = world.machine.sqs().queue(&key(queue)).unwrap().counts();
                visible + in_flight + delayed
            };
            (of(WORK) + of(DEAD)) as usize
        };
        let known = self.model.messages.values().filter(|message| message.queue != ORDER).count();
        if count(self) < known {
            self.model.messages.remove(&seq);
        }
    }

    fn change(&mut self, which: usize, seconds: u64) {
        let Some((seq, queue, handle, receive)) = self.pick(which) else { return };
        let command = operations::change_message_visibility::ChangeMessageVisibility {
            queue: key(queue),
            handle: handle.into(),
            visibility_seconds: Ok(seconds as u32),
        };
        let answer = self.ask(operations::Command::ChangeMessageVisibility(command));
        let now = self.now;
        let Some(message) = self.model.messages.get_mut(&seq) else {
            assert!(answer.is_err(), "what is gone can't be hidden");
            return;
        };
        if queue == ORDER {
            let current = message.receives == receive && message.visible > now;
            assert_eq!(answer.is_ok(), current, "only the latest receive counts, while it hides the message");
        } else if message.queue == queue && (queue == DEAD || message.receives < MOST_RECEIVES) {
            assert!(answer.is_ok(), "every handle of a message that is certainly there counts: {answer:?}");
        }
        if answer.is_ok() {
            assert!(message.received && message.queue == queue);
            self.model.hide(seq, now, seconds);
        }
    }

    /// At every moment the counts are the model's.
    fn check_counts(&self) {
        let counts = |queue: usize| self.machine.sqs().queue(&key(queue)).unwrap().counts();
        let of = |queues: &[usize]| {
            let mut sum = (0, 0, 0);
            for message in self.model.messages.values().filter(|message| queues.contains(&message.queue)) {
                match (message.visible <= self.now, message.received) {
                    (true, _) => sum.0 += 1,
                    (false, true) => sum.1 += 1,
                    (false, false) => sum.2 += 1,
                }
            }
            sum
        };
        let (work, dead) = (counts(WORK), counts(DEAD));
        assert_eq!((work.0 + dead.0, work.1 + dead.1, work.2 + dead.2), of(&[WORK, DEAD]));
        assert_eq!(counts(ORDER), of(&[ORDER]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_answers_as_the_model_does(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            // What falls due at this very moment has happened.
            world.machine.handle(Time(world.now), Input::Tick);
            world.check_counts();
        }
    }
}
