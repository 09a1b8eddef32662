//! The engine: hands the machine what has happened and carries out what it wants done.
//!
//! One thread at a time does that, and it need not be always the same. An HTTP thread that has requests takes the engine's
//! turn itself, if nobody else has it: that is cheaper than to wake a thread and to be woken by it, and what it has just
//! read is still at hand. If somebody has it, the requests are done in that turn or by the engine's own thread, which also
//! does whatever comes from elsewhere: from the clock, from the journal's threads, from the operator.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use journal::Space;
use kernel::{Demand, Place, Position, Time};
use machine::{Answer, Command, Effect, Input, Machine, Output};

use crate::alarm::{Alarm, sabotage};
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
    /// Whoever holds it has the turn. None before it was started and after it has stopped.
    engine: Mutex<Option<Engine>>,
    letterboxes: Vec<Arc<Letterbox>>,
    /// Up to where the log is durable: told by the journal's threads, read by the engine's.
    durable: AtomicU64,
    /// Up to where the log can be written, if the disk has no room for another segment; otherwise 0.
    space_end: AtomicU64,
    /// What the disk has room for, as the engine sees it.
    room: AtomicU8,
    /// Messages that cannot be read and are out of their queues.
    set_aside: AtomicU64,
    /// Whether the journal or a thread has failed: nothing is acknowledged any more.
    failed: AtomicBool,
    /// Why, in words for the operator: the first reason there was.
    reason: OnceLock<String>,
    failure: tokio::sync::Notify,
}

impl Handle {
    /// A way in for as many HTTP threads as there are letterboxes. Nobody listens yet.
    pub fn new(letterboxes: Vec<Arc<Letterbox>>) -> Self {
        Handle {
            shared: Arc::new(Shared {
                inbox: Inbox::default(),
                engine: Mutex::new(None),
                letterboxes,
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

    /// Puts a message into the inbox, for the engine's own thread.
    pub fn put(&self, message: Message) {
        self.shared.inbox.put(message);
        self.shared.inbox.wake();
    }

    /// Puts a request into the inbox. The caller is to [take a turn](Handle::take_turn) soon: nobody is woken.
    pub fn put_request(&self, ticket: u64, command: Command) {
        self.shared.inbox.put(Message::Input(Input::Request { ticket, command }));
    }

    /// Does what waits in the inbox, on the calling thread. If another thread has the turn, it will look again.
    pub fn take_turn(&self) {
        let shared = &self.shared;
        // What a turn that is broken off has done of its work is not known.
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
                    shared.inbox.rouse();
                }
            }
            Err(TryLockError::WouldBlock) => return,
            Err(TryLockError::Poisoned(_)) => return self.fail(&format!("{TURN} panicked")),
        }
        drop(broken_off);
        // Who found the engine taken has put in what it wanted before it tried. What is left now is for the engine's own
        // thread.
        if !shared.inbox.is_empty() {
            shared.inbox.wake();
        }
    }

    /// The journal says how far the log is durable.
    pub fn durable(&self, position: Position) {
        self.shared.durable.fetch_max(position.to_bits(), Ordering::AcqRel);
        self.shared.inbox.wake();
    }

    /// The journal says whether there is room.
    pub fn space(&self, space: Space) {
        let end = match space {
            Space::Ok => 0,
            Space::Low(end) => end.to_bits(),
        };
        self.shared.space_end.store(end, Ordering::Release);
        self.shared.inbox.wake();
    }

    /// The journal has failed, or a thread: everyone who waits is told, nothing is acknowledged any more, and the server ends.
    pub fn fail(&self, reason: &str) {
        // Only the first reason is one; others follow from it.
        let _ = self.shared.reason.set(reason.to_owned());
        self.shared.failed.store(true, Ordering::SeqCst);
        self.shared.inbox.rouse();
        self.shared.inbox.wake();
        self.shared.letterboxes.iter().for_each(|letterbox| letterbox.fail());
        self.shared.failure.notify_one();
    }

    /// Waits until the journal or a thread fails.
    pub async fn failure(&self) {
        self.shared.failure.notified().await;
    }

    /// Why it has failed, if it has.
    pub fn failure_reason(&self) -> Option<&str> {
        let reason = self.shared.reason.get().map_or("unknown", String::as_str);
        self.has_failed().then_some(reason)
    }

    /// What the disk has room for, in a word.
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

    /// How many messages cannot be read and are out of their queues.
    pub fn set_aside(&self) -> u64 {
        self.shared.set_aside.load(Ordering::Acquire)
    }

    /// A segment has been dropped, or records were read that were asked for.
    pub fn news(&self, input: Input) {
        self.put(Message::Input(input));
    }

    /// Whether the journal or a thread has failed.
    pub fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }
}

/// Held during a turn: an [`Alarm`] that costs nothing.
struct BrokenOff<'a>(&'a Handle);

impl Drop for BrokenOff<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&format!("{TURN} panicked"));
        }
    }
}

/// Starts the engine, and its own thread.
pub fn start(
    handle: Handle,
    machine: Machine,
    store: Store,
    deliverer: Deliverer,
    clock: Arc<Clock>,
) -> std::io::Result<JoinHandle<()>> {
    let shared = handle.shared.clone();
    let engine = Engine::new(shared.letterboxes.len(), machine, store, deliverer, clock);
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

/// What panics are blamed on.
const TURN: &str = "the engine's turn";

struct Engine {
    machine: Machine,
    store: Store,
    deliverer: Deliverer,
    clock: Arc<Clock>,
    durable: Position,
    space_end: u64,
    /// What was taken out of the inbox; empty between turns.
    taken: Vec<Message>,
    /// Answers by HTTP thread.
    answers: Vec<Vec<(u64, Answer)>>,
    /// What was asked to be told when everything so far is durable.
    done: VecDeque<(Position, Done)>,
    stopping: bool,
    refusing_polls: bool,
    /// Whether the last turn ended before everything was written.
    is_unfinished: bool,
    /// When the engine's own thread will look at the clock.
    called_at: Option<Time>,
}

/// Inputs handed in before a batch is closed, so that the journal has something to write while the engine goes on.
const INPUTS: usize = 256;

/// Turns that an HTTP thread takes in a row while others put requests in: to wake the engine's own thread for them costs
/// more. Its own clients wait meanwhile.
const TURNS: usize = 4;

/// How often in one turn something is written, and what follows from that is looked for.
const PASSES: usize = 4;

/// How often a disk with little room is looked at again.
const SPACE_RETRY: Duration = Duration::from_secs(1);

impl Engine {
    fn new(threads: usize, machine: Machine, store: Store, deliverer: Deliverer, clock: Arc<Clock>) -> Self {
        Engine {
            machine,
            store,
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

    /// Does all that there is to do.
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

    /// Whether there will be no other turn.
    fn has_ended(&self, shared: &Shared) -> bool {
        self.stopping && (self.machine.is_settled() || self.machine.is_stalled())
            || shared.failed.load(Ordering::Acquire)
    }

    /// The last thing of all. What is handed to the journal here is written when it closes.
    fn leave(&mut self) {
        if self.machine.is_settled() {
            self.machine.mark();
            self.carry_out();
        }
    }

    /// Tells the machine what the journal's threads have said.
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

    /// Goes through what falls due until `to`, each at its own moment, so that what follows from one thing is there
    /// before the next. If that is much, it is not all done when this returns: the rest is done in other turns.
    fn pass_time(&mut self, to: Time) {
        while !self.machine.is_behind()
            && let Some(due) = self.machine.wake_at().filter(|&due| due <= to)
        {
            self.clock.set(due);
            self.machine.handle(due, Input::Tick);
        }
    }

    /// The same, however much it is: who moves a virtual clock hears of it when all that falls due has happened.
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
        // What was written at once may be followed by something that is to be written, too. No turn goes on for long.
        self.is_unfinished = (0..PASSES).all(|_| self.carry_out());
        for (letterbox, answers) in shared.letterboxes.iter().zip(&mut self.answers) {
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

    /// Carries out what the machine wants done. Says whether it has written something at once.
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
                Output::Effect(Effect::Sns(effect)) => self.carry_out_of_topics(effect),
                Output::Effect(Effect::Sqs(nothing)) => match nothing {},
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
            sns::Effect::Refused(refused) => self.deliverer.refused(&refused),
            sns::Effect::Recall { subscription, extents } => self.store.recall(subscription, extents),
        }
    }

    /// Whether time must be told before the engine's own thread will do it. It is going to be woken for that.
    fn calls_earlier(&mut self) -> bool {
        let due = if self.has_more_to_do() { Some(Time(0)) } else { self.machine.wake_at() };
        let earlier = due.is_some_and(|due| self.called_at.is_none_or(|called| due < called));
        if earlier {
            self.called_at = due;
        }
        earlier
    }

    /// Whether there is work to be done as soon as nothing else is.
    fn has_more_to_do(&self) -> bool {
        self.is_unfinished || self.machine.has_background_work()
    }

    /// How long the engine's own thread may sleep.
    fn rest(&mut self) -> Rest {
        let (durable, space_end) = (self.durable, self.space_end);
        if self.has_more_to_do() {
            return Rest { at_most: Some(Duration::ZERO), durable, space_end };
        }
        self.called_at = self.machine.wake_at();
        let at_most = match self.called_at {
            // Nothing but a message can move a virtual clock.
            _ if self.clock.is_virtual() => None,
            None => None,
            Some(due) => Some(Duration::from_millis(due - self.clock.now())),
        };
        // Nobody says when others have made room on the disk.
        let at_most = if self.space_end > 0 {
            self.store.retry_space();
            Some(at_most.map_or(SPACE_RETRY, |until| until.min(SPACE_RETRY)))
        } else {
            at_most
        };
        Rest { at_most, durable, space_end }
    }
}

/// The sleep of the engine's own thread: for how long at the most, and what it knew before.
struct Rest {
    at_most: Option<Duration>,
    durable: Position,
    space_end: u64,
}

impl Rest {
    /// Sleeps, unless there is something to do.
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
