//! The engine: passes inputs to the machine and carries out the machine's outputs.
//!
//! One thread at a time does this, but not always the same one. An HTTP thread with requests takes the
//! engine's turn if it is free. That is cheaper than waking another thread and being woken by it, and the
//! request is still in the processor's cache. If another thread has the turn, that thread or the engine's own
//! thread handles the requests. The engine's own thread also handles the clock, the journal's threads, and
//! the operator.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use journal::Space;
use kernel::{Demand, Place, Position, Time};
use machine::{Answer, Command, Effect, Input, Machine, Output, Recall};

use crate::alarm::{Alarm, sabotage};
use crate::clock::Clock;
use crate::deliverer::Deliverer;
use crate::mailbox::{Inbox, ReplyQueue, thread_of};
use crate::mover::Retained;
use crate::requests::Asker;
use crate::store::Store;

/// A message in the engine's inbox.
#[allow(clippy::large_enum_variant)] // Nearly all are requests: a box would be an allocation each.
pub enum Message {
    /// An input of the machine.
    Input(Input),
    /// Moves the virtual clock, step by step through all due work; then notifies the sender.
    MoveClock(Time, Done),
    /// Deletes everything; then notifies the sender.
    Reset(Done),
    /// Ends all long polls without messages: the server is about to stop.
    EndPolls,
    /// Finishes all current work and stops.
    Stop,
}

/// Notifies the sender of a message that it has been carried out.
pub type Done = tokio::sync::oneshot::Sender<()>;

/// A handle of the engine.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Inbox<Message>,
    /// The holder of this lock has the turn. `None` before the start and after the stop.
    engine: Mutex<Option<Engine>>,
    reply_queues: Vec<Arc<ReplyQueue>>,
    /// The position up to which the log is durable: written by the journal's threads, read by the engine's.
    durable: AtomicU64,
    /// The place up to which the log can be written, if the disk has no room for another segment; otherwise
    /// 0.
    space_end: AtomicU64,
    /// The demand that the disk has room for, as the engine sees it.
    room: AtomicU8,
    /// Number of damaged messages that were taken out of their queues.
    set_aside: AtomicU64,
    /// Whether the journal or a thread has failed: then nothing is acknowledged any more.
    failed: AtomicBool,
    /// The first reason of the failure, for the operator.
    reason: OnceLock<String>,
    failure: tokio::sync::Notify,
}

impl Handle {
    /// Creates a handle for as many HTTP threads as there are reply queues. The engine is not started yet.
    pub fn new(reply_queues: Vec<Arc<ReplyQueue>>) -> Self {
        Handle {
            shared: Arc::new(Shared {
                inbox: Inbox::default(),
                engine: Mutex::new(None),
                reply_queues,
                durable: AtomicU64::new(0),
                space_end: AtomicU64::new(0),
                room: AtomicU8::new(Demand::Growth as u8),
                set_aside: AtomicU64::new(0),
                failed: AtomicBool::new(false),
                reason: OnceLock::new(),
                failure: tokio::sync::Notify::new(),
            }),
        }
    }

    /// Puts a message into the inbox and wakes the engine's own thread.
    pub fn put(&self, message: Message) {
        self.shared.inbox.put(message);
        self.shared.inbox.wake();
    }

    /// Puts a request into the inbox without waking a thread. The caller must [take a
    /// turn](Handle::take_turn) soon.
    pub fn put_request(&self, ticket: u64, command: Command) {
        self.shared.inbox.put(Message::Input(Input::Request { ticket, command }));
    }

    /// Handles the messages in the inbox on the calling thread. If another thread has the turn, that thread
    /// will check the inbox again.
    pub fn take_turn(&self) {
        let shared = &self.shared;
        // After a panic in a turn it is unknown how much of its work was done.
        let broken_off = BrokenOff(self);
        match shared.engine.try_lock() {
            Ok(mut engine) => {
                let Some(engine) = engine.as_mut() else { return };
                for _ in 0..TURNS {
                    engine.turn(shared);
                    if shared.inbox.is_empty() {
                        break;
                    }
                }
                if engine.calls_earlier() {
                    shared.inbox.unpark();
                }
            }
            Err(TryLockError::WouldBlock) => return,
            Err(TryLockError::Poisoned(_)) => return self.fail(&format!("{TURN} panicked")),
        }
        drop(broken_off);
        // A thread that found the engine taken had put its request in before it tried. Requests that are left
        // now are for the engine's own thread.
        if !shared.inbox.is_empty() {
            shared.inbox.wake();
        }
    }

    /// Called by the journal: the position up to which the log is durable.
    pub fn durable(&self, position: Position) {
        self.shared.durable.fetch_max(position.to_bits(), Ordering::AcqRel);
        self.shared.inbox.wake();
    }

    /// Called by the journal: whether there is space.
    pub fn space(&self, space: Space) {
        let end = match space {
            Space::Ok => 0,
            Space::Low(end) => end.to_bits(),
        };
        self.shared.space_end.store(end, Ordering::Release);
        self.shared.inbox.wake();
    }

    /// Called when the journal or a thread has failed. All waiting requests get an error, nothing is
    /// acknowledged any more, and the server stops.
    pub fn fail(&self, reason: &str) {
        // Only the first reason counts; others follow from it.
        let _ = self.shared.reason.set(reason.to_owned());
        self.shared.failed.store(true, Ordering::SeqCst);
        self.shared.inbox.unpark();
        self.shared.inbox.wake();
        self.shared.reply_queues.iter().for_each(|reply_queue| reply_queue.fail());
        self.shared.failure.notify_one();
    }

    /// Waits until the journal or a thread fails.
    pub async fn failure(&self) {
        self.shared.failure.notified().await;
    }

    /// Returns the reason of the failure, if there was one.
    pub fn failure_reason(&self) -> Option<&str> {
        let reason = self.shared.reason.get().map_or("unknown", String::as_str);
        self.has_failed().then_some(reason)
    }

    /// Returns the state of the disk's space, as one word.
    pub fn space_in_a_word(&self) -> &'static str {
        let room = self.shared.room.load(Ordering::Acquire);
        if room >= Demand::Growth as u8 {
            "ok"
        } else if room >= Demand::Change as u8 {
            "low"
        } else if room > Demand::Nothing as u8 {
            "critical"
        } else {
            "full"
        }
    }

    /// Returns the number of damaged messages that were taken out of their queues.
    pub fn set_aside(&self) -> u64 {
        self.shared.set_aside.load(Ordering::Acquire)
    }

    /// Passes an input of another thread: a segment was dropped, or requested records were read.
    pub fn news(&self, input: Input) {
        self.put(Message::Input(input));
    }

    /// Returns whether the journal or a thread has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }
}

/// Held during a turn: an [`Alarm`] without cost.
struct BrokenOff<'a>(&'a Handle);

impl Drop for BrokenOff<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&format!("{TURN} panicked"));
        }
    }
}

/// Starts the engine and its own thread.
pub fn start(
    handle: Handle,
    machine: Machine,
    (store, retained): (Store, Retained),
    deliverer: Deliverer,
    clock: Arc<Clock>,
) -> std::io::Result<JoinHandle<()>> {
    let shared = handle.shared.clone();
    let engine = Engine::new(shared.reply_queues.len(), machine, (store, retained), deliverer, clock);
    *shared.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine);
    std::thread::Builder::new().name("engine".into()).spawn(move || {
        let _alarm = Alarm::new(&handle, TURN);
        shared.inbox.own();
        while let Ok(mut engine) = shared.engine.lock() {
            let Some(present) = engine.as_mut() else { return };
            present.turn(&shared);
            if present.has_ended(&shared) {
                present.leave();
                *engine = None;
                return;
            }
            let rest = present.rest();
            drop(engine);
            rest.take(&shared);
        }
        // A thread panicked in its turn.
        handle.fail(&format!("{TURN} panicked"));
    })
}

/// The name of the engine in the reasons of panics.
const TURN: &str = "the engine's turn";

struct Engine {
    machine: Machine,
    store: Store,
    retained: Retained,
    deliverer: Deliverer,
    clock: Arc<Clock>,
    durable: Position,
    space_end: u64,
    /// The messages taken out of the inbox; empty between turns.
    taken: Vec<Message>,
    /// The answers by HTTP thread.
    answers: Vec<Vec<(u64, Answer)>>,
    /// The requests to be notified when everything so far is durable.
    done: VecDeque<(Position, Done)>,
    stopping: bool,
    refusing_polls: bool,
    /// Whether the last turn ended before everything was written.
    is_unfinished: bool,
    /// When the engine's own thread will next read the clock.
    called_at: Option<Time>,
}

/// Maximum number of inputs before a batch is closed, so that the journal can write while the engine
/// continues.
const INPUTS: usize = 256;

/// Maximum number of turns that an HTTP thread takes in a row while others add requests. Waking the engine's
/// own thread for them costs more, but the thread's own clients wait meanwhile.
const TURNS: usize = 4;

/// Maximum number of rounds in one turn: each writes a batch and handles what follows from that.
const PASSES: usize = 4;

/// Interval of checks of a disk with little space.
const SPACE_RETRY: Duration = Duration::from_secs(1);

impl Engine {
    fn new(
        threads: usize,
        machine: Machine,
        (store, retained): (Store, Retained),
        deliverer: Deliverer,
        clock: Arc<Clock>,
    ) -> Self {
        Engine {
            machine,
            store,
            retained,
            deliverer,
            clock,
            durable: Place::new(0, 0),
            space_end: 0,
            taken: Vec::new(),
            answers: (0..threads).map(|_| Vec::new()).collect(),
            done: VecDeque::new(),
            stopping: false,
            refusing_polls: false,
            is_unfinished: false,
            called_at: None,
        }
    }

    /// Handles everything that is waiting.
    fn turn(&mut self, shared: &Shared) {
        sabotage::point("turn");
        let mut taken = std::mem::take(&mut self.taken);
        shared.inbox.take(&mut taken);
        let mut messages = taken.drain(..).peekable();
        loop {
            self.listen(shared);
            for message in messages.by_ref().take(INPUTS) {
                self.handle_message(message);
            }
            self.pass_time(self.clock.now());
            if self.refusing_polls {
                self.machine.handle(self.clock.now(), Input::Stop);
            }
            self.flush(shared);
            if messages.peek().is_none() {
                break;
            }
        }
        drop(messages);
        self.taken = taken;
    }

    /// Returns whether there will be no other turn.
    fn has_ended(&self, shared: &Shared) -> bool {
        self.stopping && (self.machine.is_settled() || self.machine.is_stalled())
            || shared.failed.load(Ordering::Acquire)
    }

    /// The last step: batches passed to the journal here are written when it closes.
    fn leave(&mut self) {
        if self.machine.is_settled() {
            self.machine.mark();
            self.carry_out();
        }
    }

    /// Passes the reports of the journal's threads to the machine.
    fn listen(&mut self, shared: &Shared) {
        let durable = Place::from_bits(shared.durable.load(Ordering::Acquire));
        if durable > self.durable {
            self.durable = durable;
            self.machine.handle(self.clock.now(), Input::Durable(durable));
        }
        let end = shared.space_end.load(Ordering::Acquire);
        if end != self.space_end {
            self.space_end = end;
            let end = (end > 0).then(|| Place::from_bits(end));
            self.machine.handle(self.clock.now(), Input::Space { end });
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
                self.pass_all_time(to);
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

    /// Handles all work that is due until `to`, each at its own time, so that consequences of one step exist
    /// before the next. A large amount is not finished when this returns: other turns do the rest.
    fn pass_time(&mut self, to: Time) {
        while !self.machine.is_behind()
            && let Some(due) = self.machine.wake_at().filter(|&due| due <= to)
        {
            self.clock.set(due);
            self.machine.handle(due, Input::Tick);
        }
    }

    /// As above, but finishes everything: the mover of a virtual clock is notified when all due work is done.
    fn pass_all_time(&mut self, to: Time) {
        loop {
            while self.machine.is_behind() {
                self.carry_out();
            }
            self.pass_time(to);
            if !self.machine.is_behind() {
                break;
            }
        }
        self.clock.set(to);
        self.machine.handle(to, Input::Tick);
        while self.machine.is_behind() {
            self.carry_out();
        }
    }

    fn flush(&mut self, shared: &Shared) {
        shared.room.store(self.machine.room() as u8, Ordering::Release);
        shared.set_aside.store(self.machine.sqs().set_aside(), Ordering::Release);
        // A batch that was written at once may release further work to write. No turn takes long.
        self.is_unfinished = (0..PASSES).all(|_| self.carry_out());
        for (reply_queue, answers) in shared.reply_queues.iter().zip(&mut self.answers) {
            if !answers.is_empty() {
                reply_queue.put(answers);
            }
        }
        while let Some((position, _)) = self.done.front()
            && *position <= self.durable
        {
            if let Some((_, done)) = self.done.pop_front() {
                // The caller may be gone.
                let _ = done.send(());
            }
        }
    }

    /// Carries out the machine's outputs. Returns whether it has written something at once.
    fn carry_out(&mut self) -> bool {
        let mut has_written = false;
        self.machine.flush(self.clock.now());
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Append(batch) => {
                    if let Some(durable) = self.store.append(batch) {
                        has_written = true;
                        self.durable = self.durable.max(durable);
                        self.machine.handle(self.clock.now(), Input::Durable(durable));
                    }
                }
                Output::Reply { ticket, answer } => {
                    if let Some(answers) = self.answers.get_mut(thread_of(ticket)) {
                        answers.push((ticket, answer));
                    }
                }
                Output::Undelivered(undelivered) => self.deliverer.undelivered(&undelivered),
                Output::Effect(Effect::Sns(effect)) => self.carry_out_of_topics(effect),
                Output::Effect(Effect::Eventbridge(effect)) => self.carry_out_of_buses(effect),
                Output::Effect(Effect::Stepfunctions(effect)) => match effect {
                    stepfunctions::Effect::Read(wanted) => {
                        let purpose = Recall::Executions(wanted.execution, wanted.flow);
                        self.store.recall(purpose, wanted.extents);
                    }
                    stepfunctions::Effect::Request(task, request) => {
                        self.deliverer.request(Asker::Task(task), *request);
                    }
                },
                Output::Effect(Effect::Pipes(effect)) => match effect {
                    pipes::Effect::Read(batch, extents) => self.store.recall(Recall::Pipes(batch), extents),
                    pipes::Effect::Request(batch, request) => {
                        self.deliverer.request(Asker::Pipe(batch), *request);
                    }
                },
                Output::Order { service, order, after } => self.retained.order(service, order, after),
                Output::Survey { segment } => self.store.survey(segment),
                Output::Fetch(extents) => self.store.fetch(extents),
                Output::Discard { segment } => self.store.discard(segment, self.machine.end()),
            }
        }
        has_written
    }

    /// Carries out what topics want done.
    fn carry_out_of_topics(&self, effect: sns::Effect) {
        match effect {
            sns::Effect::Deliver(attempt) => self.deliverer.deliver(*attempt),
            sns::Effect::Recall { purpose, extents } => {
                self.store.recall(Recall::Topics(purpose), extents);
            }
        }
    }

    /// Carries out what buses want done.
    fn carry_out_of_buses(&self, effect: eventbridge::Effect) {
        match effect {
            eventbridge::Effect::Deliver(attempt) => self.deliverer.deliver_event(*attempt),
            eventbridge::Effect::Authorize(authorize) => self.deliverer.authorize(*authorize),
            eventbridge::Effect::Recall { replay, extents } => {
                self.store.recall(Recall::Buses(replay), extents);
            }
        }
    }

    /// Whether the clock must be read before the engine's own thread would do it. The caller then wakes that
    /// thread.
    fn calls_earlier(&mut self) -> bool {
        let due = if self.has_more_to_do() { Some(Time(0)) } else { self.machine.wake_at() };
        let earlier = due.is_some_and(|due| self.called_at.is_none_or(|called| due < called));
        if earlier {
            self.called_at = due;
        }
        earlier
    }

    /// Whether there is work for when nothing else is waiting.
    fn has_more_to_do(&self) -> bool {
        self.is_unfinished || self.machine.has_background_work()
    }

    /// Returns how long the engine's own thread may sleep.
    fn rest(&mut self) -> Rest {
        let (durable, space_end) = (self.durable, self.space_end);
        if self.has_more_to_do() {
            return Rest { at_most: Some(Duration::ZERO), durable, space_end };
        }
        self.called_at = self.machine.wake_at();
        let at_most = match self.called_at {
            // Only a message can move a virtual clock.
            _ if self.clock.is_virtual() => None,
            None => None,
            Some(due) => Some(Duration::from_millis(due - self.clock.now())),
        };
        // The server is not notified when other processes free disk space.
        let at_most = if self.space_end > 0 {
            self.store.retry_space();
            Some(at_most.map_or(SPACE_RETRY, |until| until.min(SPACE_RETRY)))
        } else {
            at_most
        };
        Rest { at_most, durable, space_end }
    }
}

/// The sleep of the engine's own thread: its maximum length, and the state before it.
struct Rest {
    at_most: Option<Duration>,
    durable: Position,
    space_end: u64,
}

impl Rest {
    /// Sleeps, unless there is work.
    fn take(self, shared: &Shared) {
        if self.at_most.is_some_and(|time| time.is_zero()) {
            return;
        }
        shared.inbox.sleep(self.at_most, || {
            Place::from_bits(shared.durable.load(Ordering::SeqCst)) > self.durable
                || shared.space_end.load(Ordering::SeqCst) != self.space_end
                || shared.failed.load(Ordering::SeqCst)
        });
    }
}
