//! The engine's thread: hands the machine what has happened and carries out what it wants done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kernel::{Place, Position, Time};
use machine::{Answer, Input, Machine, Output};

use crate::clock::Clock;
use crate::deliverer::Deliverer;
use crate::mailbox::{Inbox, Letterbox, thread_of};
use crate::store::Store;

/// What is put into the engine's inbox.
#[allow(clippy::large_enum_variant)] // Nearly all are requests: a box would be an allocation each.
pub enum Message {
    /// Something happens to the machine.
    Input(Input),
    /// The virtual clock moves, step by step through everything that falls due; then the sender is told.
    MoveClock(Time, Done),
    /// Everything is forgotten; then the sender is told.
    Reset(Done),
    /// Whoever waits for a message is to be answered with none: the server is about to stop.
    EndPolls,
    /// The engine is to finish what it has and stop.
    Stop,
}

/// Tells the sender of a message that it has been carried out.
pub type Done = tokio::sync::oneshot::Sender<()>;

/// The way into the engine's thread.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Inbox<Message>,
    letterboxes: Vec<Arc<Letterbox>>,
    /// Up to where the log is durable: told by the journal's threads, read by the engine's.
    durable: AtomicU64,
    /// Whether the disk has too little room.
    space_low: AtomicBool,
    /// Whether the journal has failed: nothing is acknowledged any more.
    failed: AtomicBool,
    failure: tokio::sync::Notify,
}

impl Handle {
    /// A way in for as many HTTP threads as there are letterboxes. Nobody listens yet.
    pub fn new(letterboxes: Vec<Arc<Letterbox>>) -> Self {
        Handle {
            shared: Arc::new(Shared {
                inbox: Inbox::default(),
                letterboxes,
                durable: AtomicU64::new(0),
                space_low: AtomicBool::new(false),
                failed: AtomicBool::new(false),
                failure: tokio::sync::Notify::new(),
            }),
        }
    }

    /// Puts a message into the inbox.
    pub fn put(&self, message: Message) {
        self.shared.inbox.put(message);
    }

    /// The journal says how far the log is durable.
    pub fn durable(&self, position: Position) {
        self.shared.durable.fetch_max(position.to_bits(), Ordering::AcqRel);
        self.shared.inbox.wake();
    }

    /// The journal says whether there is room.
    pub fn space(&self, low: bool) {
        self.shared.space_low.store(low, Ordering::Release);
        self.shared.inbox.wake();
    }

    /// The journal has failed: everyone who waits is told, and nothing is acknowledged any more.
    pub fn fail(&self) {
        self.shared.failed.store(true, Ordering::SeqCst);
        self.shared.inbox.wake();
        self.shared.letterboxes.iter().for_each(|letterbox| letterbox.fail());
        self.shared.failure.notify_one();
    }

    /// Waits until the journal fails.
    pub async fn failure(&self) {
        self.shared.failure.notified().await;
    }

    /// Whether the disk has too little room for anything that grows.
    pub fn is_space_low(&self) -> bool {
        self.shared.space_low.load(Ordering::Acquire)
    }

    /// A segment has been dropped, or records were read that were asked for.
    pub fn news(&self, input: Input) {
        self.put(Message::Input(input));
    }

    /// Whether the journal has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }
}

/// Starts the engine's thread.
pub fn start(
    handle: Handle,
    machine: Machine,
    store: Store,
    deliverer: Deliverer,
    clock: Arc<Clock>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("engine".into()).spawn(move || {
        handle.shared.inbox.own();
        Engine::new(&handle, machine, store, deliverer, &clock).run();
    })
}

struct Engine<'a> {
    handle: &'a Handle,
    machine: Machine,
    store: Store,
    deliverer: Deliverer,
    clock: &'a Clock,
    durable: Position,
    space_low: bool,
    /// Answers by HTTP thread.
    answers: Vec<Vec<(u64, Answer)>>,
    /// What was asked to be told when everything so far is durable.
    done: VecDeque<(Position, Done)>,
    stopping: bool,
    refusing_polls: bool,
}

/// Inputs handed in before a batch is closed, so that the journal has something to write while the engine goes on.
const INPUTS: usize = 256;

/// How often a disk with little room is looked at again.
const SPACE_RETRY: Duration = Duration::from_secs(1);

impl<'a> Engine<'a> {
    fn new(
        handle: &'a Handle,
        machine: Machine,
        store: Store,
        deliverer: Deliverer,
        clock: &'a Clock,
    ) -> Self {
        let answers = handle.shared.letterboxes.iter().map(|_| Vec::new()).collect();
        Engine {
            handle,
            machine,
            store,
            deliverer,
            clock,
            durable: Place::new(0, 0),
            space_low: false,
            answers,
            done: VecDeque::new(),
            stopping: false,
            refusing_polls: false,
        }
    }

    fn run(mut self) {
        let shared = &self.handle.shared;
        let mut inbox = Vec::new();
        loop {
            shared.inbox.take(&mut inbox);
            let mut messages = inbox.drain(..).peekable();
            loop {
                self.listen();
                for message in messages.by_ref().take(INPUTS) {
                    self.handle_message(message);
                }
                self.pass_time(self.clock.now());
                if self.refusing_polls {
                    self.machine.handle(self.clock.now(), Input::Stop);
                }
                self.flush();
                if messages.peek().is_none() {
                    break;
                }
            }
            drop(messages);
            if self.stopping && self.machine.is_settled() {
                return;
            }
            if shared.failed.load(Ordering::Acquire) {
                return;
            }
            self.sleep();
        }
    }

    /// Tells the machine what the journal's threads have said.
    fn listen(&mut self) {
        let shared = &self.handle.shared;
        let durable = Place::from_bits(shared.durable.load(Ordering::Acquire));
        if durable > self.durable {
            self.durable = durable;
            self.machine.handle(self.clock.now(), Input::Durable(durable));
        }
        let low = shared.space_low.load(Ordering::Acquire);
        if low != self.space_low {
            self.space_low = low;
            self.machine.handle(self.clock.now(), Input::Space { low });
        }
        while let Some(batch) = self.store.spent() {
            self.machine.recycle(batch);
        }
    }

    fn handle_message(&mut self, message: Message) {
        let now = self.clock.now();
        match message {
            Message::Input(input) => self.machine.handle(now, input),
            Message::MoveClock(to, done) => {
                self.pass_time(to);
                self.clock.set(to);
                self.machine.handle(to, Input::Tick);
                self.done.push_back((self.machine.end(), done));
            }
            Message::Reset(done) => {
                self.machine.handle(now, Input::Reset);
                self.done.push_back((self.machine.end(), done));
            }
            Message::EndPolls => {
                self.refusing_polls = true;
                self.machine.handle(now, Input::Stop);
            }
            Message::Stop => self.stopping = true,
        }
    }

    /// Goes through what falls due until `to`, each at its own moment, so that what follows from one thing is there
    /// before the next.
    fn pass_time(&mut self, to: Time) {
        while let Some(due) = self.machine.wake_at().filter(|&due| due <= to) {
            self.clock.set(due);
            self.machine.handle(due, Input::Tick);
        }
    }

    fn flush(&mut self) {
        self.machine.flush(self.clock.now());
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Append(batch) => self.store.append(batch),
                Output::Reply { ticket, answer } => {
                    if let Some(answers) = self.answers.get_mut(thread_of(ticket)) {
                        answers.push((ticket, answer));
                    }
                }
                Output::Deliver(attempt) => self.deliverer.deliver(*attempt),
                Output::Survey { segment } => self.store.survey(segment),
                Output::Fetch(extents) => self.store.fetch(extents),
                Output::Discard { segment } => self.store.discard(segment, self.machine.end()),
            }
        }
        for (letterbox, answers) in self.handle.shared.letterboxes.iter().zip(&mut self.answers) {
            if !answers.is_empty() {
                letterbox.put(answers);
            }
        }
        while let Some((position, _)) = self.done.front()
            && *position <= self.durable
        {
            if let Some((_, done)) = self.done.pop_front() {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    fn sleep(&self) {
        let shared = &self.handle.shared;
        if self.machine.has_background_work() {
            return;
        }
        let until = match self.machine.wake_at() {
            // Nothing but a message can move a virtual clock.
            _ if self.clock.is_virtual() => None,
            None => None,
            Some(due) => Some(Duration::from_millis(due - self.clock.now())),
        };
        // Nobody says when others have made room on the disk.
        let until = if self.space_low {
            self.store.retry_space();
            Some(until.map_or(SPACE_RETRY, |until| until.min(SPACE_RETRY)))
        } else {
            until
        };
        shared.inbox.sleep(until, || {
            Place::from_bits(shared.durable.load(Ordering::SeqCst)) > self.durable
                || shared.space_low.load(Ordering::SeqCst) != self.space_low
                || shared.failed.load(Ordering::SeqCst)
        });
    }
}
